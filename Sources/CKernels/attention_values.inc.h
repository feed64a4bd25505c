// The weighted values of a step, added to the running output.

#define DEFINE_VALUE_TILES(TYPE)                                                                                   \
  INLINE void value_tile_##TYPE(const attention_step *step, const float *corrections, int rows, int vectors, int row,\
                                int i, int count) {                                                                \
    const sluice_attention *a = step->attention;                                                                   \
    size_t row_bytes = row_bytes_of(a->type, a->head_dim);                                                         \
    lanes acc[TILE_LIMIT];                                                                                         \
    UNROLL for (int k = 0; k < rows * vectors; k++) acc[k] = 0;                                                    \
    const float *weights = step->scores + row * ATTENTION_SLOTS - step->block;                                     \
    const uint8_t *values = (const uint8_t *)a->values + (size_t)step->first_slot * row_bytes;                     \
    for (int slot = step->first_slot; slot < step->last_slot; slot++, values += row_bytes) {                       \
      if (row == 0 && i == 0) prefetch(values + ATTENTION_SLOTS * row_bytes, row_bytes);                           \
      lanes value[TILE_LIMIT];                                                                                     \
      UNROLL for (int v = 0; v < vectors; v++) value[v] = value_##TYPE(values, i + v, count);                      \
      UNROLL for (int r = 0; r < rows; r++) {                                                                      \
        lanes weight = weights[r * ATTENTION_SLOTS + slot];                                                        \
        UNROLL for (int v = 0; v < vectors; v++)                                                                   \
          acc[r * vectors + v] = lanes_fma(weight, value[v], acc[r * vectors + v]);                                \
      }                                                                                                            \
    }                                                                                                              \
    UNROLL for (int r = 0; r < rows; r++) {                                                                        \
      float correction = corrections[row + r];                                                                     \
      if (correction < 0) continue;                                                                                \
      float *out = a->out + (step->first_row + row + r) * a->out_stride + 16 * i;                                  \
      UNROLL for (int v = 0; v < vectors; v++) {                                                                   \
        lanes old = count == 16 ? lanes_load(out + 16 * v) : lanes_load_first(out, count);                         \
        lanes updated = lanes_fma(old, (lanes)correction, acc[r * vectors + v]);                                   \
        if (count == 16) lanes_store(out + 16 * v, updated);                                                       \
        else lanes_store_first(out, updated, count);                                                               \
      }                                                                                                            \
    }                                                                                                              \
  }                                                                                                                \
  INLINE void value_rows_##TYPE(const attention_step *step, const float *corrections, int rows, int row) {         \
    int i = 0, vectors = step->attention->head_dim / 16, tail = step->attention->head_dim % 16;                    \
    int width = VALUE_LANES(rows);                                                                                 \
    for (; i + width <= vectors; i += width)                                                                       \
      value_tile_##TYPE(step, corrections, rows, width, row, i, 16);                                               \
    for (; i < vectors; i++) value_tile_##TYPE(step, corrections, rows, 1, row, i, 16);                            \
    if (tail) value_tile_##TYPE(step, corrections, rows, 1, row, i, tail);                                         \
  }

DEFINE_VALUE_TILES(f32)
DEFINE_VALUE_TILES(f16)
DEFINE_VALUE_TILES(bf16)

/// Adds a step's values in `blocks` blocks of 32 dims from block `b` on, of a type whose blocks begin with a scale and,
/// in Q4_1, a minimum. A slot's scale is multiplied into its weights, 16 slots at a time, instead of into its values;
/// what minima add is the same for all dims of a block.
INLINE void value_tile_blocks(sluice_type type, const attention_step *step, const float *corrections, int rows,
                              int blocks, int row, int b) {
  const sluice_attention *a = step->attention;
  size_t row_bytes = row_bytes_of(type, a->head_dim);
  int block_bytes = (int)row_bytes_of(type, BLOCK), has_minima = type == SLUICE_Q4_1;
  const uint8_t *values = (const uint8_t *)a->values + (size_t)step->block * row_bytes + block_bytes * b;
  int first = step->first_slot - step->block, last = step->last_slot - step->block;
  float weights[TILE_LIMIT / 2 * ATTENTION_SLOTS];  // [block, row, slot]
  lanes base[TILE_LIMIT / 2];                       // [block, row]
  for (int k = 0; k < blocks; k++) {
    uint16_t scales[ATTENTION_SLOTS] = {0}, minima[ATTENTION_SLOTS] = {0};
    for (int slot = first; slot < last; slot++) {
      const uint8_t *block = values + slot * row_bytes + block_bytes * k;
      memcpy(scales + slot, block, 2);
      if (has_minima) memcpy(minima + slot, block + 2, 2);
    }
    UNROLL for (int r = 0; r < rows; r++) base[k * rows + r] = 0;
    for (int i = first / PANEL * PANEL; i < last; i += PANEL) {
      lanes scale = lanes_of_halves(scales + i), minimum = has_minima ? lanes_of_halves(minima + i) : (lanes)0.0f;
      UNROLL for (int r = 0; r < rows; r++) {
        lanes weight = lanes_load(step->scores + (row + r) * ATTENTION_SLOTS + i);
        lanes_store(weights + (k * rows + r) * ATTENTION_SLOTS + i, weight * scale);
        if (has_minima) base[k * rows + r] = lanes_fma(weight, minimum, base[k * rows + r]);
      }
    }
  }
  lanes acc[TILE_LIMIT];
  UNROLL for (int k = 0; k < blocks * rows; k++)
    acc[2 * k] = acc[2 * k + 1] = has_minima ? (lanes)lanes_sum(base[k]) : (lanes)0.0f;
  values += first * row_bytes;
  for (int slot = first; slot < last; slot++, values += row_bytes) {
    if (row == 0 && b == 0) prefetch(values + ATTENTION_SLOTS * row_bytes, row_bytes);
    UNROLL for (int k = 0; k < blocks; k++) {
      const uint8_t *block = values + block_bytes * k;
      lanes low, high;
      if (type == SLUICE_Q4_1) {
        lanes_u nibbles = bits_of_bytes(block + 4);
        low = __builtin_convertvector((lanes_i)(nibbles & 15), lanes);
        high = __builtin_convertvector((lanes_i)(nibbles >> 4), lanes);
      } else {
        low = lanes_of_bytes(block + 2);
        high = lanes_of_bytes(block + 18);
      }
      UNROLL for (int r = 0; r < rows; r++) {
        lanes weight = weights[(k * rows + r) * ATTENTION_SLOTS + slot];
        lanes *sums = acc + 2 * (k * rows + r);
        sums[0] = lanes_fma(weight, low, sums[0]);
        sums[1] = lanes_fma(weight, high, sums[1]);
      }
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    float correction = corrections[row + r];
    if (correction < 0) continue;
    float *out = a->out + (step->first_row + row + r) * a->out_stride + BLOCK * b;
    UNROLL for (int k = 0; k < 2 * blocks; k++)
      lanes_store(out + 16 * k, lanes_fma(lanes_load(out + 16 * k), (lanes)correction,
                                          acc[2 * (k / 2 * rows + r) + k % 2]));
  }
}

#define DEFINE_BLOCK_VALUES(TYPE, ENUM)                                                                            \
  INLINE void value_rows_##TYPE(const attention_step *step, const float *corrections, int rows, int row) {         \
    int b = 0, blocks = step->attention->head_dim / BLOCK, width = VALUE_LANES(rows) > 2 ? 2 : 1;                  \
    for (; b + width <= blocks; b += width)                                                                        \
      value_tile_blocks(SLUICE_##ENUM, step, corrections, rows, width, row, b);                                    \
    for (; b < blocks; b++) value_tile_blocks(SLUICE_##ENUM, step, corrections, rows, 1, row, b);                  \
  }

DEFINE_BLOCK_VALUES(q8_0, Q8_0)
DEFINE_BLOCK_VALUES(q4_1, Q4_1)

#define DEFINE_VALUES(TYPE)                                                                                        \
  static void values_##TYPE(const attention_step *step, const float *corrections) {                                \
    int row = 0;                                                                                                   \
    for (; step->rows - row >= VALUE_ROWS; row += VALUE_ROWS) value_rows_##TYPE(step, corrections, VALUE_ROWS, row);\
    switch (step->rows - row) {                                                                                    \
      case 7: if (VALUE_ROWS > 7) value_rows_##TYPE(step, corrections, VALUE_ROWS > 7 ? 7 : 1, row); break;        \
      case 6: if (VALUE_ROWS > 6) value_rows_##TYPE(step, corrections, VALUE_ROWS > 6 ? 6 : 1, row); break;        \
      case 5: if (VALUE_ROWS > 5) value_rows_##TYPE(step, corrections, VALUE_ROWS > 5 ? 5 : 1, row); break;        \
      case 4: if (VALUE_ROWS > 4) value_rows_##TYPE(step, corrections, VALUE_ROWS > 4 ? 4 : 1, row); break;        \
      case 3: if (VALUE_ROWS > 3) value_rows_##TYPE(step, corrections, VALUE_ROWS > 3 ? 3 : 1, row); break;        \
      case 2: if (VALUE_ROWS > 2) value_rows_##TYPE(step, corrections, VALUE_ROWS > 2 ? 2 : 1, row); break;        \
      case 1: value_rows_##TYPE(step, corrections, 1, row); break;                                                 \
    }                                                                                                              \
  }

DEFINE_VALUES(f32)
DEFINE_VALUES(f16)
DEFINE_VALUES(bf16)
DEFINE_VALUES(q8_0)
DEFINE_VALUES(q4_1)
