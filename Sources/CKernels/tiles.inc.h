// Register tiles: `panels` panels times `tokens` rows of activations, both constants after inlining.
//
// Every tile sums a block of 32 columns from zero and then adds it to the running total. So an output is the same bits
// whether it was computed in a tile of one token or of many, and rounding errors grow with the blocks, not the columns.

enum { TILE_LIMIT = 24 };

/// Whole blocks; SPANS says whether 16 or 32 columns share scales.
#define DEFINE_FLOAT_BLOCKS(TYPE, PARTS, GROUP_BYTES, SPANS)                                                       \
  INLINE void float_blocks_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int blocks,     \
                                  const float *x, ptrdiff_t stride, lanes *total) {                                \
    for (int b = 0; b < blocks; b++) {                                                                             \
      const uint8_t *group = w + (ptrdiff_t)(b / PARTS) * GROUP_BYTES;                                             \
      int part = b % PARTS;                                                                                        \
      const float *rows = x + (ptrdiff_t)b * BLOCK;                                                                \
      lanes acc[TILE_LIMIT];                                                                                       \
      block_scales scales[TILE_LIMIT];                                                                             \
      UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] = 0;                                                 \
      UNROLL for (int half = 0; half < 8; half += 4) {                                                             \
        if (half == 0 || SPANS > 1)                                                                                \
          UNROLL for (int p = 0; p < panels; p++)                                                                  \
            scales[p] = scales_##TYPE(group + p * panel_bytes, part, half / 4);                                    \
        for (int q = 0; q < 4; q++) {                                                                              \
          UNROLL for (int j = 0; j < 4; j++) {                                                                     \
            lanes column[TILE_LIMIT];                                                                              \
            UNROLL for (int p = 0; p < panels; p++)                                                                \
              column[p] = column_##TYPE(group + p * panel_bytes, part, scales[p], half + q, j);                    \
            UNROLL for (int t = 0; t < tokens; t++) {                                                              \
              lanes value = rows[t * stride + 4 * (half + q) + j];                                                 \
              UNROLL for (int p = 0; p < panels; p++)                                                              \
                acc[p * tokens + t] = lanes_fma(column[p], value, acc[p * tokens + t]);                            \
            }                                                                                                      \
          }                                                                                                        \
        }                                                                                                          \
      }                                                                                                            \
      UNROLL for (int i = 0; i < panels * tokens; i++) total[i] += acc[i];                                         \
    }                                                                                                              \
  }

/// The columns of a last, incomplete block: rare, so kept small.
#define DEFINE_FLOAT_REST(TYPE)                                                                                    \
  static void rest_row_##TYPE(const uint8_t *block, int columns, const float *x, lanes *total) {                   \
    block_scales scales = scales_##TYPE(block, 0, 0);                                                              \
    lanes acc = 0;                                                                                                 \
    for (int c = 0; c < columns; c++)                                                                              \
      acc = lanes_fma(column_##TYPE(block, 0, scales, c / 4, c % 4), (lanes)x[c], acc);                            \
    *total += acc;                                                                                                 \
  }                                                                                                                \
  INLINE void float_rest_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int columns,      \
                                const float *x, ptrdiff_t stride, lanes *total) {                                  \
    for (int p = 0; p < panels; p++)                                                                               \
      for (int t = 0; t < tokens; t++) {                                                                           \
        lanes sum = total[p * tokens + t];                                                                         \
        rest_row_##TYPE(w + p * panel_bytes, columns, x + t * stride, &sum);                                       \
        total[p * tokens + t] = sum;                                                                               \
      }                                                                                                            \
  }

#define FLOAT_TYPE(TYPE, BLOCK_BYTES)                                                                              \
  DEFINE_FLOAT_BLOCKS(TYPE, 1, BLOCK_BYTES, 1)                                                                     \
  DEFINE_FLOAT_REST(TYPE)                                                                                          \
  INLINE void float_tile_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int columns,      \
                                const float *x, ptrdiff_t stride, lanes *total) {                                  \
    int blocks = columns / BLOCK, rest = columns % BLOCK;                                                          \
    float_blocks_##TYPE(panels, tokens, w, panel_bytes, blocks, x, stride, total);                                 \
    if (rest) float_rest_##TYPE(panels, tokens, w + (ptrdiff_t)blocks * BLOCK_BYTES, panel_bytes, rest,            \
                                x + (ptrdiff_t)blocks * BLOCK, stride, total);                                     \
  }

#define FLOAT_QUANTIZED_TYPE(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)                      \
  DEFINE_FLOAT_BLOCKS(TYPE, PARTS, PANEL * ROW_BYTES, spans_of(KIND))                                              \
  INLINE void float_tile_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int columns,      \
                                const float *x, ptrdiff_t stride, lanes *total) {                                  \
    float_blocks_##TYPE(panels, tokens, w, panel_bytes, columns / BLOCK, x, stride, total);                        \
  }

FLOAT_TYPE(f32, BYTES_F32)
FLOAT_TYPE(f16, BYTES_F16)
FLOAT_TYPE(bf16, BYTES_BF16)
QUANTIZED_TYPES(FLOAT_QUANTIZED_TYPE)

/// Quantised activations from the first column of a tile on, `columns` apart; scales and sums as in sluice_activations.
typedef struct quantized_rows {
  const int8_t *quants;
  const float *scales;
  const int32_t *sums;
  ptrdiff_t columns;
} quantized_rows;

/// One quad of weights times those columns of the activations.
INLINE void integer_step(block_format format, int panels, int tokens, block_position at, ptrdiff_t panel_bytes, int q,
                         const int8_t *x, ptrdiff_t columns, lanes_i *acc) {
  lanes_u quad[TILE_LIMIT];
  UNROLL for (int p = 0; p < panels; p++)
    quad[p] = format_quad(format, (block_position){at.group + p * panel_bytes, at.part}, q);
  UNROLL for (int t = 0; t < tokens; t++) {
    uint32_t value;
    memcpy(&value, x + t * columns + 4 * q, sizeof value);
    UNROLL for (int p = 0; p < panels; p++) {
      lanes_i *sum = &acc[p * tokens + t];
      *sum = format.kind == KIND_SIGNED ? bytes_dot(*sum, quad[p], value) : bytes_dot_small(*sum, quad[p], value);
    }
  }
}

#if HAS_WORD_SUMS
/// integer_step for small weights, whose sums are of int16.
INLINE void word_step(block_format format, int panels, int tokens, block_position at, ptrdiff_t panel_bytes, int q,
                      const int8_t *x, ptrdiff_t columns, lanes_ww *acc) {
  lanes_u quad[TILE_LIMIT];
  UNROLL for (int p = 0; p < panels; p++)
    quad[p] = format_quad(format, (block_position){at.group + p * panel_bytes, at.part}, q);
  UNROLL for (int t = 0; t < tokens; t++) {
    uint32_t value;
    memcpy(&value, x + t * columns + 4 * q, sizeof value);
    UNROLL for (int p = 0; p < panels; p++) acc[p * tokens + t] = words_dot(acc[p * tokens + t], quad[p], value);
  }
}

/// integer_steps for small weights.
INLINE void word_steps(block_format format, int panels, int tokens, block_position at, ptrdiff_t panel_bytes, int first,
                       int last, const int8_t *x, ptrdiff_t columns, lanes_i *acc) {
  lanes_ww sums[TILE_LIMIT];
  UNROLL for (int i = 0; i < panels * tokens; i++) sums[i] = words_zero();
  if (format.is_expanded) {
    KEEP_LOOP for (int q = first; q < last; q++)
      word_step(format, panels, tokens, at, panel_bytes, q, x, columns, sums);
  } else {
    UNROLL for (int q = first; q < last; q++)
      word_step(format, panels, tokens, at, panel_bytes, q, x, columns, sums);
  }
  UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] += words_fold(sums[i]);
}
#endif

/// Adds the products of the quads from `first` to `last` to `acc`.
INLINE void integer_steps(block_format format, int panels, int tokens, block_position at, ptrdiff_t panel_bytes,
                          int first, int last, const int8_t *x, ptrdiff_t columns, lanes_i *acc) {
#if HAS_WORD_SUMS
  if (format.word_quads) {
    int run = format.word_quads < last - first ? format.word_quads : last - first;
    UNROLL for (int q = first; q < last; q += run)
      word_steps(format, panels, tokens, at, panel_bytes, q, q + run, x, columns, acc);
    return;
  }
#endif
  UNROLL for (int half = first; half < last; half += 4) {
    if (format.is_expanded) {
      KEEP_LOOP for (int q = half; q < half + 4; q++)
        integer_step(format, panels, tokens, at, panel_bytes, q, x, columns, acc);
    } else {
      UNROLL for (int q = half; q < half + 4; q++)
        integer_step(format, panels, tokens, at, panel_bytes, q, x, columns, acc);
    }
  }
}

/// Asks for a part that comes PREFETCH_BYTES later. A block takes so many instructions that too few loads are under
/// way otherwise: without it one thread reads 20 to 38 GB/s where 40 to 49 are possible.
INLINE void prefetch_part(quantized_layout layout, block_position at) {
  enum { PREFETCH_BYTES = 8192 };
  uintptr_t ahead = (uintptr_t)at.group + part_offset(layout, at.part) + PREFETCH_BYTES;
  int bytes = small_bytes_of(layout) + 64 * layout.bits;
  UNROLL for (int i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)(ahead + i));
}

/// Block `b` of quantised weights times quantised activations. `offset` is the type's.
INLINE void integer_block(block_format format, int offset, int panels, int tokens, block_position at,
                          ptrdiff_t panel_bytes, int b, quantized_rows x, lanes *total) {
  ptrdiff_t stride = x.columns / BLOCK;
  int spans = spans_of(format.kind);
  // What format_quad has increased the values by; known here where the kind alone decides.
  int bias = format.kind == KIND_SIGNED ? WEIGHT_BIAS : has_minimum(format.kind) ? 0 : offset;
  if (!format.is_expanded) prefetch_part(quantized_layout_of(format.type), at);
  UNROLL for (int span = 0; span < spans; span++) {
    lanes_i acc[TILE_LIMIT];
    int32_t sums[TILE_LIMIT];
    UNROLL for (int t = 0; t < tokens; t++) {
      const int32_t *pair = x.sums + 2 * (t * stride + b);
      sums[t] = spans == 1 ? pair[1] : span == 0 ? pair[0] : pair[1] - pair[0];
      // Sums in int16 take it in at the end: it would lie in memory until then.
      UNROLL for (int p = 0; p < panels; p++) acc[p * tokens + t] = format.word_quads ? 0 : (lanes_i)(-bias * sums[t]);
    }
    integer_steps(format, panels, tokens, at, panel_bytes, 4 * span, spans == 1 ? 8 : 4 * span + 4,
                  x.quants + (ptrdiff_t)b * BLOCK, x.columns, acc);
    if (format.word_quads && bias)
      UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] -= bias * sums[i % tokens];
    block_scales shared[TILE_LIMIT];
    UNROLL for (int p = 0; p < panels; p++)
      shared[p] = format_scales(format, (block_position){at.group + p * panel_bytes, at.part}, span);
    UNROLL for (int t = 0; t < tokens; t++) {
      lanes scale = x.scales[t * stride + b];
      lanes sum = __builtin_convertvector((lanes_i)sums[t], lanes) * scale;
      UNROLL for (int p = 0; p < panels; p++) {
        int i = p * tokens + t;
        total[i] = lanes_fma(__builtin_convertvector(acc[i], lanes), shared[p].scale * scale, total[i]);
        if (has_minimum(format.kind)) total[i] = lanes_fma(shared[p].minimum, sum, total[i]);
      }
    }
  }
}

/// Whole groups. The loop over their parts lets the compiler read what a group shares once.
INLINE void integer_tile(block_format format, int offset, int panels, int tokens, const uint8_t *w,
                         ptrdiff_t panel_bytes, int blocks, quantized_rows x, lanes *total) {
  int parts = format_parts(format);
  for (int b = 0; b < blocks; b += parts, w += format_group_bytes(format))
    for (int part = 0; part < parts; part++)
      integer_block(format, offset, panels, tokens, (block_position){w, part}, panel_bytes, b + part, x, total);
}

#if HAS_WORD_TILES
/// Pairs of weights times pairs of activations, both int16 and within a byte (`pairs` as x.quants, `stride` words
/// between rows).
INLINE void word_tile(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int blocks,
                      const uint32_t *pairs, ptrdiff_t stride, quantized_rows x, lanes *total) {
  for (int b = 0; b < blocks; b++, w += WORD_BLOCK_BYTES, pairs += BLOCK / 2) {
    lanes_i acc[TILE_LIMIT];
    UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] = 0;
    KEEP_LOOP for (int c = 0; c < BLOCK / 2; c++) {
      lanes_u pair[TILE_LIMIT];
      UNROLL for (int p = 0; p < panels; p++) pair[p] = lanes_load_bits(w + p * panel_bytes + 64 + 64 * (ptrdiff_t)c);
      UNROLL for (int t = 0; t < tokens; t++) {
        uint32_t value = pairs[t * stride + c];
        UNROLL for (int p = 0; p < panels; p++)
          acc[p * tokens + t] = lanes_dot_words(acc[p * tokens + t], pair[p], value);
      }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
      lanes scale = x.scales[t * (x.columns / BLOCK) + b];
      UNROLL for (int p = 0; p < panels; p++) {
        int i = p * tokens + t;
        total[i] = lanes_fma(__builtin_convertvector(acc[i], lanes), lanes_load(w + p * panel_bytes) * scale, total[i]);
      }
    }
  }
}
#endif

#if HAS_BFLOAT_DOT
/// Pairs of bf16 weights times pairs of bf16 activations (`x` holds one pair a word, `stride` words between rows).
INLINE void bfloat_tile(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int pairs, const uint32_t *x,
                        ptrdiff_t stride, lanes *total) {
  for (int first = 0; first < pairs; first += BLOCK / 2) {
    int last = first + BLOCK / 2 < pairs ? first + BLOCK / 2 : pairs;
    lanes acc[TILE_LIMIT];
    UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] = 0;
    for (int c = first; c < last; c++) {
      lanes_u pair[TILE_LIMIT];
      UNROLL for (int p = 0; p < panels; p++) pair[p] = lanes_load_bits(w + p * panel_bytes + 64 * (ptrdiff_t)c);
      UNROLL for (int t = 0; t < tokens; t++) {
        uint32_t value = x[t * stride + c];
        UNROLL for (int p = 0; p < panels; p++)
          acc[p * tokens + t] = lanes_dot_bfloats(acc[p * tokens + t], pair[p], value);
      }
    }
    UNROLL for (int i = 0; i < panels * tokens; i++) total[i] += acc[i];
  }
}
#endif
