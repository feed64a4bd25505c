// Weighted sums of the rows of a float matrix, and what is added to such rows: small matrices that change all the time, so
// that packing them would cost more than it saves.

typedef struct row_sums {
  int count;              // rows of the matrix
  ptrdiff_t columns;      // floats between its rows, too
  const float *matrix;    // [row of the matrix, column]
  const float *weights;   // [sum, row of the matrix], `weight_stride` apart
  ptrdiff_t weight_stride;
  float *out;             // [sum, column], `out_stride` apart
  ptrdiff_t out_stride;
} row_sums;

/// `sums` (constant) sums from `sum` on, in `vectors` (constant) vectors of 16 columns from `column` on; the last `count`
/// columns where fewer than 16 are left.
INLINE void row_sum_tile(const row_sums *s, int sums, int vectors, int sum, ptrdiff_t column, int count) {
  lanes acc[32];
  UNROLL for (int k = 0; k < sums * vectors; k++) acc[k] = 0;
  const float *row = s->matrix + column, *weights = s->weights + sum * s->weight_stride;
  for (int t = 0; t < s->count; t++, row += s->columns) {
    lanes value[4];
    UNROLL for (int v = 0; v < vectors; v++)
      value[v] = count == 16 ? lanes_load(row + 16 * v) : lanes_load_first(row, count);
    UNROLL for (int r = 0; r < sums; r++) {
      lanes weight = weights[r * s->weight_stride + t];
      UNROLL for (int v = 0; v < vectors; v++) acc[r * vectors + v] = lanes_fma(weight, value[v], acc[r * vectors + v]);
    }
  }
  UNROLL for (int r = 0; r < sums; r++) {
    float *out = s->out + (sum + r) * s->out_stride + column;
    UNROLL for (int v = 0; v < vectors; v++) {
      if (count == 16) lanes_store(out + 16 * v, acc[r * vectors + v]);
      else lanes_store_first(out, acc[r * vectors + v], count);
    }
  }
}

INLINE void row_sum_group(const row_sums *s, int sums, int sum) {
  ptrdiff_t column = 0;
  int width = VALUE_LANES(sums);
  for (; column + 16 * width <= s->columns; column += 16 * width) row_sum_tile(s, sums, width, sum, column, 16);
  for (; column + 16 <= s->columns; column += 16) row_sum_tile(s, sums, 1, sum, column, 16);
  if (column < s->columns) row_sum_tile(s, sums, 1, sum, column, (int)(s->columns - column));
}

static void sum_rows(int count, ptrdiff_t columns, const float *matrix, int sums, const float *weights,
                     ptrdiff_t weight_stride, float *out, ptrdiff_t out_stride) {
  row_sums s = {count, columns, matrix, weights, weight_stride, out, out_stride};
  int sum = 0;
  // A sum is the same in any group: its terms are added in the order of the rows.
  for (; VALUE_ROWS >= 4 && sums - sum >= 4; sum += 4) row_sum_group(&s, VALUE_ROWS >= 4 ? 4 : 1, sum);
  for (; VALUE_ROWS >= 3 && sums - sum >= 3; sum += 3) row_sum_group(&s, VALUE_ROWS >= 3 ? 3 : 1, sum);
  for (; sums - sum >= 2; sum += 2) row_sum_group(&s, 2, sum);
  for (; sum < sums; sum++) row_sum_group(&s, 1, sum);
}

static void add_to_rows(int count, ptrdiff_t columns, const float *row, const float *weights, float *matrix) {
  ptrdiff_t column = 0;
  for (; column + 64 <= columns; column += 64) {
    lanes a = lanes_load(row + column), b = lanes_load(row + column + 16);
    lanes c = lanes_load(row + column + 32), d = lanes_load(row + column + 48);
    float *target = matrix + column;
    for (int t = 0; t < count; t++, target += columns) {
      lanes weight = weights[t];
      lanes_store(target, lanes_fma(weight, a, lanes_load(target)));
      lanes_store(target + 16, lanes_fma(weight, b, lanes_load(target + 16)));
      lanes_store(target + 32, lanes_fma(weight, c, lanes_load(target + 32)));
      lanes_store(target + 48, lanes_fma(weight, d, lanes_load(target + 48)));
    }
  }
  for (; column < columns; column += 16) {
    int left = columns - column < 16 ? (int)(columns - column) : 16;
    lanes part = lanes_load_first(row + column, left);
    float *target = matrix + column;
    for (int t = 0; t < count; t++, target += columns)
      lanes_store_first(target, lanes_fma((lanes)weights[t], part, lanes_load_first(target, left)), left);
  }
}
