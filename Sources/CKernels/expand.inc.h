// Expansion of a panel's columns into what the matrix product's tiles read, done once for many tokens.

/// Expands `columns` columns, starting at a block, into 16 floats a column.
#define DEFINE_EXPAND_FLOAT(TYPE, BLOCK_BYTES)                                          \
  static void expand_##TYPE(const uint8_t *w, int columns, uint8_t *out) {              \
    for (; columns > 0; columns -= BLOCK, w += BLOCK_BYTES, out += BYTES_F32) {         \
      block_scales scales = scales_##TYPE(w);                                           \
      if (columns >= BLOCK) {                                                           \
        UNROLL for (int q = 0; q < 8; q++)                                              \
          UNROLL for (int j = 0; j < 4; j++)                                            \
            lanes_store(out + 64 * (4 * q + j), column_##TYPE(w, scales, q, j));        \
      } else {                                                                          \
        for (int c = 0; c < columns; c++)                                               \
          lanes_store(out + 64 * c, column_##TYPE(w, scales, c / 4, c % 4));            \
      }                                                                                 \
    }                                                                                   \
  }

DEFINE_EXPAND_FLOAT(f16, BYTES_F16)
DEFINE_EXPAND_FLOAT(bf16, BYTES_BF16)
DEFINE_EXPAND_FLOAT(q8_0, BYTES_Q8_0)
DEFINE_EXPAND_FLOAT(q4_1, BYTES_Q4_1)

/// Expands whole blocks into float scales and the bytes that bytes_dot multiplies.
#define DEFINE_EXPAND_INTEGER(TYPE, BLOCK_BYTES, HAS_MINIMUM)                           \
  static void expand_integer_##TYPE(const uint8_t *w, int columns, uint8_t *out) {      \
    for (; columns > 0; columns -= BLOCK, w += BLOCK_BYTES) {                           \
      block_scales scales = scales_##TYPE(w);                                           \
      lanes_store(out, scales.scale);                                                   \
      if (HAS_MINIMUM) lanes_store(out + 64, scales.minimum);                           \
      out += HAS_MINIMUM ? 128 : 64;                                                    \
      UNROLL for (int q = 0; q < 8; q++, out += 64) {                                   \
        lanes_u quad = quad_##TYPE(w, q);                                               \
        memcpy(out, &quad, sizeof quad);                                                \
      }                                                                                 \
    }                                                                                   \
  }

DEFINE_EXPAND_INTEGER(q8_0, BYTES_Q8_0, 0)
DEFINE_EXPAND_INTEGER(q4_1, BYTES_Q4_1, 1)
