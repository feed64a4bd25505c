// Expansion of a panel's columns into what the matrix product's tiles read, done once for many tokens.

/// Expands `columns` columns, starting at a group, into 16 floats a column.
#define DEFINE_EXPAND_FLOAT(TYPE, PARTS, GROUP_BYTES)                                               \
  static void expand_##TYPE(const uint8_t *w, int columns, uint8_t *out) {                          \
    for (int b = 0; b * BLOCK < columns; b++, out += BYTES_F32) {                                   \
      const uint8_t *group = w + (ptrdiff_t)(b / PARTS) * GROUP_BYTES;                              \
      int part = b % PARTS, rest = columns - b * BLOCK;                                             \
      block_scales scales[2] = {scales_##TYPE(group, part, 0), scales_##TYPE(group, part, 1)};      \
      if (rest >= BLOCK) {                                                                          \
        UNROLL for (int q = 0; q < 8; q++)                                                          \
          UNROLL for (int j = 0; j < 4; j++)                                                        \
            lanes_store(out + 64 * (4 * q + j), column_##TYPE(group, part, scales[q / 4], q, j));   \
      } else {                                                                                      \
        for (int c = 0; c < rest; c++)                                                              \
          lanes_store(out + 64 * c, column_##TYPE(group, part, scales[c / 16], c / 4, c % 4));      \
      }                                                                                             \
    }                                                                                               \
  }

/// Expands whole groups of signed bytes into float scales and the pairs of int16 that word_tile multiplies.
INLINE void expand_words(block_format format, const uint8_t *w, int columns, uint8_t *out) {
  int parts = format_parts(format);
  for (int b = 0; b * BLOCK < columns; b++, out += WORD_BLOCK_BYTES) {
    block_position at = {w + (ptrdiff_t)(b / parts) * format_group_bytes(format), b % parts};
    lanes_store(out, format_scales(format, at, 0).scale);
    UNROLL for (int q = 0; q < 8; q++) {
      lanes_i quad = (lanes_i)format_quad(format, at, q);
      lanes_store_bits(out + 64 + 128 * q, (lanes_u)((quad << 24 >> 24 & 0xffff) | quad << 16 >> 24 << 16));
      lanes_store_bits(out + 128 + 128 * q, (lanes_u)((quad << 8 >> 24 & 0xffff) | quad >> 24 << 16));
    }
  }
}

/// Expands whole groups into float scales and the bytes that bytes_dot multiplies.
INLINE void expand_integer(block_format format, const uint8_t *w, int columns, uint8_t *out) {
  if (HAS_WORD_TILES && format.kind == KIND_SIGNED) return expand_words(format, w, columns, out);
  int spans = spans_of(format.kind), parts = format_parts(format);
  for (int b = 0; b * BLOCK < columns; b++, out += expanded_bytes(format.kind)) {
    block_position at = {w + (ptrdiff_t)(b / parts) * format_group_bytes(format), b % parts};
    UNROLL for (int span = 0; span < spans; span++) {
      block_scales scales = format_scales(format, at, span);
      lanes_store(out + 64 * span, scales.scale);
      if (has_minimum(format.kind)) lanes_store(out + 64 * (spans + span), scales.minimum);
    }
    UNROLL for (int q = 0; q < 8; q++) {
      lanes_u quad = format_quad(format, at, q);
      memcpy(out + expanded_head_bytes(format.kind) + 64 * q, &quad, sizeof quad);
    }
  }
}

#define DEFINE_EXPAND(TYPE, ENUM, PARTS, ROW_BYTES, HALVES, SMALL, BITS, KIND, OFFSET)              \
  DEFINE_EXPAND_FLOAT(TYPE, PARTS, PANEL * ROW_BYTES)                                               \
  static void expand_integer_##TYPE(const uint8_t *w, int columns, uint8_t *out) {                  \
    expand_integer(packed_format(SLUICE_##ENUM), w, columns, out);                                  \
  }

DEFINE_EXPAND_FLOAT(f16, 1, BYTES_F16)
DEFINE_EXPAND_FLOAT(bf16, 1, BYTES_BF16)
QUANTIZED_TYPES(DEFINE_EXPAND)
