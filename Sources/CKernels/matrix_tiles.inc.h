// Integer tiles by instructions that multiply 8 columns of rows and tokens pairwise: twice the products of bytes_dot.
//
// Their expanded blocks hold, instead of two quads, the same columns in another order, rows 0 to 7 and then 8 to 15 with
// 8 columns each; a type's offset has been taken off. Sums of bytes are exact, and what follows them is done as in
// integer_block: an output is the same bits from either.

/// Two quads as a matrix tile reads them.
INLINE void store_matrix_quads(block_format format, lanes_u first, lanes_u second, uint8_t *out) {
  typedef int8_t bytes __attribute__((ext_vector_type(64)));
  if (!has_minimum(format.kind)) {
    int8_t offset = (int8_t)quantized_layout_of(format.type).offset;
    first = (lanes_u)((bytes)first - offset);
    second = (lanes_u)((bytes)second - offset);
  }
  lanes_u low = __builtin_shufflevector(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  lanes_u high = __builtin_shufflevector(first, second, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  lanes_store_bits(out, low);
  lanes_store_bits(out + 64, high);
}

/// Token `token` (0 or 1) of the sums of rows 0 to 7 and 8 to 15 with two tokens.
INLINE lanes_i matrix_sums(lanes_i low, lanes_i high, int token) {
  if (token == 0)
    return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// Eight columns of a token and of the next one; of the last token of an odd tile twice.
INLINE lanes_b matrix_inputs(const int8_t *x, ptrdiff_t next) {
  lanes_b inputs;
  memcpy(&inputs, x, 8);
  memcpy((char *)&inputs + 8, x + next, 8);
  return inputs;
}

/// Expanded block `b` of one panel times `tokens` (constant) tokens.
INLINE void matrix_block(block_kind kind, int tokens, const uint8_t *w, int b, quantized_rows x, lanes *total) {
  ptrdiff_t stride = x.columns / BLOCK;
  block_format format = {.kind = kind, .is_expanded = 1};
  int spans = spans_of(kind), pairs = (tokens + 1) / 2;
  UNROLL for (int span = 0; span < spans; span++) {
    lanes_i acc[TILE_LIMIT];
    UNROLL for (int i = 0; i < 2 * pairs; i++) acc[i] = 0;
    KEEP_LOOP for (int step = 4 / spans * span; step < 4 / spans * (span + 1); step++) {
      const uint8_t *columns = w + expanded_head_bytes(kind) + 128 * step;
      lanes_u low = lanes_load_bits(columns), high = lanes_load_bits(columns + 64);
      UNROLL for (int t = 0; t < pairs; t++) {
        const int8_t *quants = x.quants + 2 * t * x.columns + (ptrdiff_t)b * BLOCK + 8 * step;
        lanes_b inputs = matrix_inputs(quants, 2 * t + 1 < tokens ? x.columns : 0);
        acc[2 * t] = bytes_matrix_dot(acc[2 * t], low, inputs);
        acc[2 * t + 1] = bytes_matrix_dot(acc[2 * t + 1], high, inputs);
      }
    }
    block_scales shared = format_scales(format, (block_position){w, 0}, span);
    UNROLL for (int t = 0; t < tokens; t++) {
      lanes scale = x.scales[t * stride + b];
      lanes sum = __builtin_convertvector(matrix_sums(acc[t / 2 * 2], acc[t / 2 * 2 + 1], t % 2), lanes);
      total[t] = lanes_fma(sum, shared.scale * scale, total[t]);
      if (has_minimum(kind)) {
        const int32_t *pair = x.sums + 2 * (t * stride + b);
        int32_t inputs = spans == 1 ? pair[1] : span == 0 ? pair[0] : pair[1] - pair[0];
        total[t] = lanes_fma(shared.minimum, __builtin_convertvector((lanes_i)inputs, lanes) * scale, total[t]);
      }
    }
  }
}

INLINE void matrix_tile(block_kind kind, int tokens, const uint8_t *w, int blocks, quantized_rows x, lanes *total) {
  for (int b = 0; b < blocks; b++, w += expanded_bytes(kind)) matrix_block(kind, tokens, w, b, x, total);
}
