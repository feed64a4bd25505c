// Matrix products: one token straight from the panels, several through expanded blocks and register tiles.

#include "linear_tiles.inc.h"

/// How a product of many tokens is computed, and how the panels of its type advance.
typedef struct matrix_plan {
  run_tiles run;
  int offset;             // of quants
  int depth_bytes;        // of DEPTH_COLUMNS in the panel
  int expanded_bytes;     // of 32 columns as the tile reads them
  void (*expand)(const uint8_t *w, int columns, uint8_t *out);  // null: the tile reads the panel itself
  pair_activations pair;  // null where activations are multiplied as they are
} matrix_plan;

#define QUANTIZED_PLAN(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                       \
  case SLUICE_##ENUM: {                                                                                       \
    int bytes = PANEL * ROW_BYTES * (DEPTH_COLUMNS / BLOCK / PARTS);                                          \
    if (!integer) return (matrix_plan){run_floats, 0, bytes, BYTES_F32, expand_##TYPE, NULL};                 \
    return (matrix_plan){integer_run_of(KIND, BITS), OFFSET, bytes, expanded_bytes(KIND),                     \
                         expand_integer_##TYPE, KIND == KIND_SIGNED ? PAIR_QUANTS : NULL};                    \
  }

static matrix_plan plan_of(sluice_type type, int integer) {
  enum { BLOCKS = DEPTH_COLUMNS / BLOCK };
  switch (type) {
    case SLUICE_F32: return (matrix_plan){run_floats, 0, BLOCKS * BYTES_F32, BYTES_F32, NULL, NULL};
    case SLUICE_F16: return (matrix_plan){run_floats, 0, BLOCKS * BYTES_F16, BYTES_F32, expand_f16, NULL};
    case SLUICE_BF16:
#if HAS_BFLOAT_DOT
      if (integer) return (matrix_plan){run_bfloats, 0, BLOCKS * BYTES_BF16, BYTES_BF16, NULL, pair_bfloats};
#endif
      return (matrix_plan){run_floats, 0, BLOCKS * BYTES_BF16, BYTES_F32, expand_bf16, NULL};
      QUANTIZED_TYPES(QUANTIZED_PLAN)
  }
  __builtin_unreachable();
}

INLINE void store_outputs(const sluice_linear_segment *segment, int panel, int token, lanes total) {
  int count = segment->rows - panel * PANEL;
  float *out = segment->out + token * segment->out_stride + (ptrdiff_t)panel * PANEL;
  if (count >= PANEL) {
    lanes_store(out, segment->accumulate ? lanes_load(out) + total : total);
  } else {
    lanes_store_first(out, segment->accumulate ? lanes_load_first(out, count) + total : total, count);
  }
}

#define QUANTIZED_VECTOR(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                    \
  case SLUICE_##ENUM:                                                                                        \
    if (integer)                                                                                             \
      integer_tile(packed_format(SLUICE_##ENUM), OFFSET, 1, 1, w, 0, columns / BLOCK,                        \
                   quantized_rows_at(activations, token, 0), &total);                                        \
    else float_tile_##TYPE(1, 1, w, 0, columns, x, 0, &total);                                               \
    break;

/// One panel times one token.
INLINE lanes panel_times_vector(const sluice_linear_segment *segment, const uint8_t *w,
                                const sluice_activations *activations, int token, int integer) {
  int columns = segment->columns;
  const float *x = activations->values + token * activations->stride;
  lanes total = 0;
  switch (segment->type) {
    case SLUICE_F32: float_tile_f32(1, 1, w, 0, columns, x, 0, &total); break;
    case SLUICE_F16: float_tile_f16(1, 1, w, 0, columns, x, 0, &total); break;
    case SLUICE_BF16:
#if HAS_BFLOAT_DOT
      if (integer) {
        uint32_t pairs[DEPTH_COLUMNS / 2];
        for (int k = 0; k < columns; k += DEPTH_COLUMNS) {
          int depth = columns - k < DEPTH_COLUMNS ? columns - k : DEPTH_COLUMNS;
          pair_bfloats(activations, token, k, depth, pairs);
          bfloat_tile(1, 1, w + 32 * (ptrdiff_t)k, 0, (depth + 1) / 2, pairs, 0, &total);
        }
        break;
      }
#endif
      float_tile_bf16(1, 1, w, 0, columns, x, 0, &total);
      break;
      QUANTIZED_TYPES(QUANTIZED_VECTOR)
  }
  return total;
}

static void linear_vector(const sluice_linear_segment *segment, int first_panel, int last_panel,
                          const sluice_activations *activations, int token, int integer) {
  size_t panel_bytes = panel_bytes_of(segment->type, segment->columns);
  for (int panel = first_panel; panel < last_panel; panel++) {
    const uint8_t *w = segment->panels + (size_t)panel * panel_bytes;
    store_outputs(segment, panel, token, panel_times_vector(segment, w, activations, token, integer));
  }
}

enum { TILES_OF_PANELS = 4 };  // that share what a chunk's activations become

/// Adds the products of DEPTH_COLUMNS, `source`'s, of up to TILE_PANELS panels with the tokens of a chunk to `totals`.
static void multiply_depth(const matrix_plan *plan, tile_source source, const uint8_t *w, size_t panel_bytes, int panels,
                           int token, int chunk, lanes *totals) {
  _Alignas(64) uint8_t expanded[TILE_PANELS * DEPTH_COLUMNS / BLOCK * BYTES_F32];
  source.w = w + (size_t)(source.first_column / DEPTH_COLUMNS) * (size_t)plan->depth_bytes;
  source.panel_bytes = (ptrdiff_t)panel_bytes;
  if (plan->expand) {
    ptrdiff_t bytes = DEPTH_COLUMNS / BLOCK * plan->expanded_bytes;
    for (int p = 0; p < panels; p++)
      plan->expand(source.w + p * source.panel_bytes, source.columns, expanded + p * bytes);
    source.w = expanded;
    source.panel_bytes = bytes;
  }
  if (panels < TILE_PANELS) source.panel_bytes = 0;
  for (int t = 0; t < chunk; t += TILE_TOKENS)
    plan->run(&source, chunk - t < TILE_TOKENS ? chunk - t : TILE_TOKENS, token + t, t, totals + t * TILE_PANELS);
}

/// All panels of the range, four tiles of them at a time where they share what activations become.
static void multiply_panels(const sluice_linear_segment *segment, int first_panel, int last_panel,
                            const sluice_activations *activations, int first_token, int last_token, int integer) {
  matrix_plan plan = plan_of(segment->type, integer);
  size_t panel_bytes = panel_bytes_of(segment->type, segment->columns);
  _Alignas(64) uint32_t pairs[HAS_BFLOAT_DOT || HAS_WORD_TILES ? CHUNK_TOKENS * DEPTH_COLUMNS / 2 : 1];
  lanes totals[TILES_OF_PANELS][CHUNK_TOKENS * TILE_PANELS];
  int step = plan.pair ? TILES_OF_PANELS * TILE_PANELS : TILE_PANELS;
  for (int first = first_panel; first < last_panel; first += step) {
    int last = last_panel - first < step ? last_panel : first + step;
    for (int token = first_token; token < last_token; token += CHUNK_TOKENS) {
      int chunk = last_token - token < CHUNK_TOKENS ? last_token - token : CHUNK_TOKENS;
      for (int i = 0; i < step / TILE_PANELS; i++)
        for (int j = 0; j < chunk * TILE_PANELS; j++) totals[i][j] = 0;
      for (int k = 0; k < segment->columns; k += DEPTH_COLUMNS) {
        int depth = segment->columns - k < DEPTH_COLUMNS ? segment->columns - k : DEPTH_COLUMNS;
        if (plan.pair)
          for (int t = 0; t < chunk; t++)
            plan.pair(activations, token + t, k, depth, pairs + (ptrdiff_t)t * (DEPTH_COLUMNS / 2));
        tile_source source = {.offset = plan.offset, .first_column = k, .columns = depth, .activations = activations,
                              .pairs = pairs};
        for (int panel = first; panel < last; panel += TILE_PANELS)
          multiply_depth(&plan, source, segment->panels + (size_t)panel * panel_bytes, panel_bytes,
                         last - panel < TILE_PANELS ? last - panel : TILE_PANELS, token, chunk,
                         totals[(panel - first) / TILE_PANELS]);
      }
      for (int panel = first; panel < last; panel++) {
        const lanes *total = totals[(panel - first) / TILE_PANELS] + (panel - first) % TILE_PANELS;
        for (int t = 0; t < chunk; t++) store_outputs(segment, panel, token + t, total[t * TILE_PANELS]);
      }
    }
  }
}

/// Each panel reads all activations of its tokens, so there are no more tokens at a time than a second-level cache holds.
static void linear_matrix(const sluice_linear_segment *segment, int first_panel, int last_panel,
                          const sluice_activations *activations, int first_token, int last_token, int integer) {
  enum { CACHED_BYTES = 384 << 10 };
  ptrdiff_t chunk_bytes = CHUNK_TOKENS * (ptrdiff_t)segment->columns * (integer ? 1 : (int)sizeof(float));
  int step = CHUNK_TOKENS * (int)(chunk_bytes < CACHED_BYTES ? CACHED_BYTES / chunk_bytes : 1);
  for (int token = first_token; token < last_token; token += step)
    multiply_panels(segment, first_panel, last_panel, activations, token,
                    last_token - token < step ? last_token : token + step, integer);
}

#include "linear_few.inc.h"

static void linear(const sluice_linear_segment *segment, int first_panel, int last_panel,
                   const sluice_activations *activations, int first_token, int last_token, int integer) {
  int tokens = last_token - first_token;
  if (tokens == 1) {
    linear_vector(segment, first_panel, last_panel, activations, first_token, integer);
  } else if (is_few(segment, tokens, integer)) {
    linear_few(segment, first_panel, last_panel, activations, first_token, last_token);
  } else {
    linear_matrix(segment, first_panel, last_panel, activations, first_token, last_token, integer);
  }
}
