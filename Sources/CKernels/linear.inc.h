// Matrix products: one token straight from the panels, several through expanded blocks and register tiles.

enum {
  CHUNK_TOKENS = 96,   // tokens that share one expansion
  DEPTH_COLUMNS = 256  // columns expanded at a time, so that a tile's weights stay in the first-level cache
};

/// The products a tile can do, and how the panels of each kind advance.
typedef enum tile_kind { TILE_FLOAT, TILE_INTEGER, TILE_BFLOAT } tile_kind;

typedef struct matrix_plan {
  tile_kind kind;
  int depth_bytes;     // of DEPTH_COLUMNS in the panel
  int expanded_bytes;  // of 32 columns as the tile reads them
  void (*expand)(const uint8_t *w, int columns, uint8_t *out);  // null: the tile reads the panel itself
  block_kind block_kind;  // TILE_INTEGER, as offset
  int offset;
} matrix_plan;

#define QUANTIZED_PLAN(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                       \
  case SLUICE_##ENUM: {                                                                                       \
    int bytes = PANEL * ROW_BYTES * (DEPTH_COLUMNS / BLOCK / PARTS);                                          \
    if (!integer) return (matrix_plan){TILE_FLOAT, bytes, BYTES_F32, expand_##TYPE, 0, 0};                    \
    return (matrix_plan){TILE_INTEGER, bytes, expanded_bytes(KIND), expand_integer_##TYPE, KIND, OFFSET};     \
  }

static matrix_plan plan_of(sluice_type type, int integer) {
  enum { BLOCKS = DEPTH_COLUMNS / BLOCK };
  switch (type) {
    case SLUICE_F32: return (matrix_plan){TILE_FLOAT, BLOCKS * BYTES_F32, BYTES_F32, 0, 0, 0};
    case SLUICE_F16: return (matrix_plan){TILE_FLOAT, BLOCKS * BYTES_F16, BYTES_F32, expand_f16, 0, 0};
    case SLUICE_BF16:
      if (integer && HAS_BFLOAT_DOT) return (matrix_plan){TILE_BFLOAT, BLOCKS * BYTES_BF16, BYTES_BF16, 0, 0, 0};
      return (matrix_plan){TILE_FLOAT, BLOCKS * BYTES_BF16, BYTES_F32, expand_bf16, 0, 0};
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

#if HAS_BFLOAT_DOT
/// Pairs of bf16 of `columns` activations; an odd last one is paired with zero.
static void convert_bfloats(const float *x, int columns, uint32_t *out) {
  for (int c = 0; c < columns; c += PANEL) {
    lanes value = columns - c >= PANEL ? lanes_load(x + c) : lanes_load_first(x + c, columns - c);
    lanes_store_bfloats((uint16_t *)out + c, value);
  }
}
#endif

/// Quantised activations from block `block` of a token on.
INLINE quantized_rows quantized_rows_at(const sluice_activations *activations, int token, ptrdiff_t block) {
  ptrdiff_t columns = activations->columns, first = token * (columns / BLOCK) + block;
  return (quantized_rows){activations->quants + token * columns + block * BLOCK, activations->scales + first,
                          activations->sums + 2 * first, columns};
}

#define QUANTIZED_VECTOR(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                    \
  case SLUICE_##ENUM:                                                                                        \
    if (integer)                                                                                             \
      integer_tile((block_format){KIND, 0, SLUICE_##ENUM}, OFFSET, 1, 1, w, 0, columns / BLOCK,              \
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
          convert_bfloats(x + k, depth, pairs);
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

/// What the tiles of one expansion share.
typedef struct tile_source {
  tile_kind kind;
  block_kind block_kind;  // TILE_INTEGER, as offset
  int offset;
  const uint8_t *w;
  ptrdiff_t panel_bytes;
  int first_column, columns;
  const sluice_activations *activations;
  const uint32_t *pairs;  // TILE_BFLOAT: [token of the chunk, DEPTH_COLUMNS / 2]
} tile_source;

INLINE void run_integer_tile(const tile_source *source, block_kind kind, int tokens, int token, lanes *total) {
  quantized_rows x = quantized_rows_at(source->activations, token, source->first_column / BLOCK);
  int blocks = source->columns / BLOCK;
#if HAS_BYTES_MATRIX
  matrix_tile(kind, tokens, source->w, blocks, x, total);
#else
  integer_tile((block_format){kind, 1, 0}, source->offset, TILE_PANELS, tokens, source->w, source->panel_bytes, blocks,
               x, total);
#endif
}

/// Adds the products of `tokens` tokens, starting at `token`, to totals[token of the tile][panel].
INLINE void run_tile(const tile_source *source, int tokens, int token, int chunk_token, lanes *totals) {
  const sluice_activations *activations = source->activations;
  lanes total[TILE_LIMIT];
  UNROLL for (int t = 0; t < tokens; t++)
    UNROLL for (int p = 0; p < TILE_PANELS; p++) total[p * tokens + t] = totals[t * TILE_PANELS + p];
  switch (source->kind) {
    case TILE_FLOAT:
      float_tile_f32(TILE_PANELS, tokens, source->w, source->panel_bytes, source->columns,
                     activations->values + token * activations->stride + source->first_column, activations->stride,
                     total);
      break;
    case TILE_INTEGER:
      switch (source->block_kind) {
        case KIND_SIGNED: run_integer_tile(source, KIND_SIGNED, tokens, token, total); break;
        case KIND_OFFSET: run_integer_tile(source, KIND_OFFSET, tokens, token, total); break;
        case KIND_OFFSET_SPANS: run_integer_tile(source, KIND_OFFSET_SPANS, tokens, token, total); break;
        case KIND_AFFINE: run_integer_tile(source, KIND_AFFINE, tokens, token, total); break;
        case KIND_AFFINE_SPANS: run_integer_tile(source, KIND_AFFINE_SPANS, tokens, token, total); break;
      }
      break;
    case TILE_BFLOAT:
#if HAS_BFLOAT_DOT
      bfloat_tile(TILE_PANELS, tokens, source->w, source->panel_bytes, (source->columns + 1) / 2,
                  source->pairs + (ptrdiff_t)chunk_token * (DEPTH_COLUMNS / 2), DEPTH_COLUMNS / 2, total);
#endif
      break;
  }
  UNROLL for (int t = 0; t < tokens; t++)
    UNROLL for (int p = 0; p < TILE_PANELS; p++) totals[t * TILE_PANELS + p] = total[p * tokens + t];
}

#define TILE_CASE(TOKENS) \
  case TOKENS:            \
    if (TOKENS <= TILE_TOKENS) run_tile(source, TOKENS <= TILE_TOKENS ? TOKENS : 1, token, chunk_token, totals); \
    break;

static void run_tiles(const tile_source *source, int tokens, int token, int chunk_token, lanes *totals) {
  switch (tokens) {
    TILE_CASE(1)
    TILE_CASE(2)
    TILE_CASE(3)
    TILE_CASE(4)
    TILE_CASE(5)
    TILE_CASE(6)
  }
}

static void linear_matrix(const sluice_linear_segment *segment, int first_panel, int last_panel,
                          const sluice_activations *activations, int first_token, int last_token, int integer) {
  matrix_plan plan = plan_of(segment->type, integer);
  size_t panel_bytes = panel_bytes_of(segment->type, segment->columns);
  _Alignas(64) uint8_t expanded[TILE_PANELS * DEPTH_COLUMNS / BLOCK * BYTES_F32];
#if HAS_BFLOAT_DOT
  _Alignas(64) uint32_t pairs[CHUNK_TOKENS * DEPTH_COLUMNS / 2];
#else
  const uint32_t *pairs = 0;
#endif
  lanes totals[CHUNK_TOKENS * TILE_PANELS];
  for (int panel = first_panel; panel < last_panel; panel += TILE_PANELS) {
    int panels = last_panel - panel < TILE_PANELS ? last_panel - panel : TILE_PANELS;
    const uint8_t *w = segment->panels + (size_t)panel * panel_bytes;
    for (int token = first_token; token < last_token; token += CHUNK_TOKENS) {
      int chunk = last_token - token < CHUNK_TOKENS ? last_token - token : CHUNK_TOKENS;
      for (int i = 0; i < chunk * TILE_PANELS; i++) totals[i] = 0;
      for (int k = 0; k < segment->columns; k += DEPTH_COLUMNS) {
        int depth = segment->columns - k < DEPTH_COLUMNS ? segment->columns - k : DEPTH_COLUMNS;
        const uint8_t *start = w + (size_t)(k / DEPTH_COLUMNS) * (size_t)plan.depth_bytes;
        tile_source source = {plan.kind, plan.block_kind, plan.offset, start,
                              panels < TILE_PANELS ? 0 : (ptrdiff_t)panel_bytes, k, depth, activations, pairs};
        if (plan.expand) {
          ptrdiff_t bytes = DEPTH_COLUMNS / BLOCK * plan.expanded_bytes;
          for (int p = 0; p < panels; p++) plan.expand(start + (size_t)p * panel_bytes, depth, expanded + p * bytes);
          source.w = expanded;
          source.panel_bytes = panels < TILE_PANELS ? 0 : bytes;
        }
#if HAS_BFLOAT_DOT
        if (plan.kind == TILE_BFLOAT)
          for (int t = 0; t < chunk; t++)
            convert_bfloats(activations->values + (token + t) * activations->stride + k, depth,
                            pairs + t * (DEPTH_COLUMNS / 2));
#endif
        for (int t = 0; t < chunk; t += TILE_TOKENS)
          run_tiles(&source, chunk - t < TILE_TOKENS ? chunk - t : TILE_TOKENS, token + t, t,
                    totals + t * TILE_PANELS);
      }
      for (int p = 0; p < panels; p++)
        for (int t = 0; t < chunk; t++) store_outputs(segment, panel + p, token + t, totals[t * TILE_PANELS + p]);
    }
  }
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
