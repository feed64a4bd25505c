// Register tiles: `panels` panels times `tokens` rows of activations, both constants after inlining.
//
// Every tile sums a block of 32 columns from zero and then adds it to the running total. So an output is the same bits
// whether it was computed in a tile of one token or of many, and rounding errors grow with the blocks, not the columns.

enum { TILE_LIMIT = 24 };

#define DEFINE_FLOAT_TILE(TYPE, BLOCK_BYTES)                                                                       \
  INLINE void float_tile_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int columns,      \
                                const float *x, ptrdiff_t stride, lanes *total) {                                  \
    int whole = columns / BLOCK;                                                                                   \
    for (int b = 0; b < whole; b++) {                                                                              \
      const uint8_t *block = w + (ptrdiff_t)b * BLOCK_BYTES;                                                       \
      const float *rows = x + (ptrdiff_t)b * BLOCK;                                                                \
      lanes acc[TILE_LIMIT];                                                                                       \
      block_scales scales[TILE_LIMIT];                                                                             \
      UNROLL for (int i = 0; i < panels * tokens; i++) acc[i] = 0;                                                 \
      UNROLL for (int p = 0; p < panels; p++) scales[p] = scales_##TYPE(block + p * panel_bytes);                  \
      UNROLL for (int half = 0; half < 8; half += 4) {                                                             \
        for (int q = 0; q < 4; q++) {                                                                              \
          UNROLL for (int j = 0; j < 4; j++) {                                                                     \
            lanes column[TILE_LIMIT];                                                                              \
            UNROLL for (int p = 0; p < panels; p++)                                                                \
              column[p] = column_##TYPE(block + p * panel_bytes, scales[p], half + q, j);                          \
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
    if (columns % BLOCK) float_rest_##TYPE(panels, tokens, w + (ptrdiff_t)whole * BLOCK_BYTES, panel_bytes,        \
                                           columns % BLOCK, x + (ptrdiff_t)whole * BLOCK, stride, total);          \
  }

/// The columns of a last, incomplete block: rare, so kept small.
#define DEFINE_FLOAT_REST(TYPE)                                                                                    \
  static void rest_row_##TYPE(const uint8_t *block, int columns, const float *x, lanes *total) {                   \
    block_scales scales = scales_##TYPE(block);                                                                    \
    lanes acc = 0;                                                                                                 \
    for (int c = 0; c < columns; c++) acc = lanes_fma(column_##TYPE(block, scales, c / 4, c % 4), (lanes)x[c], acc); \
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
  DEFINE_FLOAT_REST(TYPE)                                                                                          \
  DEFINE_FLOAT_TILE(TYPE, BLOCK_BYTES)

FLOAT_TYPE(f32, BYTES_F32)
FLOAT_TYPE(f16, BYTES_F16)
FLOAT_TYPE(bf16, BYTES_BF16)
FLOAT_TYPE(q8_0, BYTES_Q8_0)
FLOAT_TYPE(q4_1, BYTES_Q4_1)

/// Whole blocks of quantised weights times quantised activations. `first_block` is the column block the tile starts at.
#define DEFINE_INTEGER_TILE(TYPE, BLOCK_BYTES, DOT, BIAS, HAS_MINIMUM)                                             \
  INLINE void integer_tile_##TYPE(int panels, int tokens, const uint8_t *w, ptrdiff_t panel_bytes, int blocks,     \
                                  const int8_t *x, const float *scales, const int32_t *sums, ptrdiff_t columns,    \
                                  lanes *total) {                                                                  \
    ptrdiff_t stride = columns / BLOCK;                                                                            \
    for (int b = 0; b < blocks; b++) {                                                                             \
      const uint8_t *block = w + (ptrdiff_t)b * BLOCK_BYTES;                                                       \
      lanes_i acc[TILE_LIMIT];                                                                                     \
      UNROLL for (int t = 0; t < tokens; t++) {                                                                    \
        lanes_i start = BIAS ? (lanes_i)(-(BIAS) * sums[t * stride + b]) : (lanes_i)0;                             \
        UNROLL for (int p = 0; p < panels; p++) acc[p * tokens + t] = start;                                       \
      }                                                                                                            \
      UNROLL for (int half = 0; half < 8; half += 4) {                                                             \
        KEEP_LOOP for (int q = half; q < half + 4; q++) {                                                          \
          lanes_u quad[TILE_LIMIT];                                                                                \
          UNROLL for (int p = 0; p < panels; p++) quad[p] = quad_##TYPE(block + p * panel_bytes, q);               \
          UNROLL for (int t = 0; t < tokens; t++) {                                                                \
            uint32_t value;                                                                                        \
            memcpy(&value, x + t * columns + (ptrdiff_t)b * BLOCK + 4 * q, sizeof value);                          \
            UNROLL for (int p = 0; p < panels; p++)                                                                \
              acc[p * tokens + t] = DOT(acc[p * tokens + t], quad[p], value);                                      \
          }                                                                                                        \
        }                                                                                                          \
      }                                                                                                            \
      block_scales shared[TILE_LIMIT];                                                                             \
      UNROLL for (int p = 0; p < panels; p++) shared[p] = scales_##TYPE(block + p * panel_bytes);                  \
      UNROLL for (int t = 0; t < tokens; t++) {                                                                    \
        lanes scale = scales[t * stride + b];                                                                      \
        lanes sum = __builtin_convertvector((lanes_i)sums[t * stride + b], lanes) * scale;                         \
        UNROLL for (int p = 0; p < panels; p++) {                                                                  \
          int i = p * tokens + t;                                                                                  \
          total[i] = lanes_fma(__builtin_convertvector(acc[i], lanes), shared[p].scale * scale, total[i]);         \
          if (HAS_MINIMUM) total[i] = lanes_fma(shared[p].minimum, sum, total[i]);                                 \
        }                                                                                                          \
      }                                                                                                            \
    }                                                                                                              \
  }

DEFINE_INTEGER_TILE(q8_0, BYTES_Q8_0, bytes_dot, WEIGHT_BIAS, 0)
DEFINE_INTEGER_TILE(q4_1, BYTES_Q4_1, bytes_dot_small, 0, 1)
DEFINE_INTEGER_TILE(signed, BYTES_SIGNED, bytes_dot, WEIGHT_BIAS, 0)
DEFINE_INTEGER_TILE(affine, BYTES_AFFINE, bytes_dot_small, 0, 1)

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
