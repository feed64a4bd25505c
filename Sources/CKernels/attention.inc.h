// Attention of query rows to a run of slots: scores from key panels, online softmax, weighted values.
//
// The run is cut at multiples of 64 slots, so what a row accumulates depends on the run and on what the row sees, not
// on which rows are computed beside it. Slots that no row sees are never read: they may hold anything.

/// One step of the walk: a tile of rows meeting up to 64 slots.
typedef struct attention_step {
  const sluice_attention *attention;
  int first_row, rows;
  int block;               // first slot of the step, a multiple of ATTENTION_SLOTS
  int first_slot, last_slot;  // slots of the step that at least one row sees
  float *scores;           // [row, ATTENTION_SLOTS], logits and then weights
  float *corrections;      // [row], what the old sum and out are multiplied by; negative: the row sees no slot
} attention_step;

#define DEFINE_SCORES(TYPE)                                                                                        \
  INLINE void score_tile_##TYPE(const attention_step *step, int panels, int rows, int row, int panel) {            \
    const sluice_attention *a = step->attention;                                                                   \
    ptrdiff_t panel_bytes = (ptrdiff_t)panel_bytes_of(a->type, a->head_dim);                                       \
    lanes total[TILE_LIMIT];                                                                                       \
    UNROLL for (int i = 0; i < panels * rows; i++) total[i] = 0;                                                   \
    float_tile_##TYPE(panels, rows, (const uint8_t *)a->keys + panel * panel_bytes, panel_bytes, a->head_dim,      \
                      a->queries + (step->first_row + row) * a->query_stride, a->query_stride, total);             \
    float *scores = step->scores + row * ATTENTION_SLOTS + (panel * PANEL - step->block);                          \
    UNROLL for (int p = 0; p < panels; p++)                                                                        \
      UNROLL for (int r = 0; r < rows; r++)                                                                        \
        lanes_store(scores + r * ATTENTION_SLOTS + p * PANEL, total[p * rows + r]);                                \
  }                                                                                                                \
  INLINE void score_rows_##TYPE(const attention_step *step, int panels, int rows, int row) {                       \
    int panel = step->first_slot / PANEL, last = (step->last_slot + PANEL - 1) / PANEL;                            \
    for (; panel + panels <= last; panel += panels) score_tile_##TYPE(step, panels, rows, row, panel);             \
    for (; panel < last; panel++) score_tile_##TYPE(step, 1, rows, row, panel);                                    \
  }                                                                                                                \
  static void scores_##TYPE(const attention_step *step) {                                                          \
    int row = 0;                                                                                                   \
    for (; step->rows - row >= SCORE_ROWS; row += SCORE_ROWS)                                                      \
      score_rows_##TYPE(step, SCORE_PANELS, SCORE_ROWS, row);                                                      \
    for (; step->rows - row >= 4; row += 4) score_rows_##TYPE(step, SCORE_PANELS_4, 4, row);                       \
    switch (step->rows - row) {                                                                                    \
      case 3: score_rows_##TYPE(step, SCORE_PANELS_3, 3, row); break;                                              \
      case 2: score_rows_##TYPE(step, SCORE_PANELS_2, 2, row); break;                                              \
      case 1: score_rows_##TYPE(step, SCORE_PANELS_1, 1, row); break;                                              \
    }                                                                                                              \
  }

DEFINE_SCORES(f32)
DEFINE_SCORES(f16)
DEFINE_SCORES(bf16)
DEFINE_SCORES(q8_0)
DEFINE_SCORES(q4_1)

INLINE void visible_range(const sluice_attention *a, int row, int *first, int *last) {
  int token = row / a->rows_per_token;
  *first = a->first_slot;
  *last = a->last_slot;
  if (a->visible_first && a->visible_first[token] > *first) *first = a->visible_first[token];
  if (a->visible_last && a->visible_last[token] < *last) *last = a->visible_last[token];
}

/// Turns one row's logits into weights and updates its maximum, sum and correction.
static void weigh_row(const attention_step *step, int row) {
  const sluice_attention *a = step->attention;
  float *scores = step->scores + row * ATTENTION_SLOTS;
  int first, last;
  visible_range(a, step->first_row + row, &first, &last);
  int start = step->first_slot / PANEL * PANEL - step->block;
  int end = (step->last_slot + PANEL - 1) / PANEL * PANEL - step->block;
  lanes largest = -INFINITY;
  if (first < step->last_slot && last > step->first_slot) {
    for (int i = start; i < end; i += PANEL) {
      int slot = step->block + i;
      lanes logit = lanes_min(lanes_load(scores + i), (lanes)0x1.fffffep127f);
      if (a->log_weights)
        logit += a->last_slot - slot >= PANEL ? lanes_load(a->log_weights + slot)
                                              : lanes_load_first(a->log_weights + slot, a->last_slot - slot);
      lanes_i index = lanes_index() + slot;
      logit = lanes_select((index >= first) & (index < last), logit, (lanes)-INFINITY);
      lanes_store(scores + i, logit);
      largest = lanes_max(logit, largest);
    }
  }
  float block_max = lanes_largest(largest), old_max = a->max[step->first_row + row];
  if (block_max == -INFINITY) {
    for (int i = start; i < end; i += PANEL) lanes_store(scores + i, (lanes)0.0f);
    step->corrections[row] = -1;
    return;
  }
  float new_max = old_max > block_max ? old_max : block_max;
  lanes sum = 0;
  for (int i = start; i < end; i += PANEL) {
    lanes weight = lanes_exp(lanes_load(scores + i) - new_max);
    lanes_store(scores + i, weight);
    sum += weight;
  }
  float correction = lanes_exp((lanes)(old_max - new_max)).x;
  step->corrections[row] = correction;
  a->max[step->first_row + row] = new_max;
  a->sum[step->first_row + row] = lanes_fma((lanes)a->sum[step->first_row + row], (lanes)correction,
                                            (lanes)lanes_sum(sum)).x;
}

#define DEFINE_VALUES(TYPE)                                                                                        \
  INLINE void value_tile_##TYPE(const attention_step *step, int rows, int vectors, int row, int i, int count) {    \
    const sluice_attention *a = step->attention;                                                                   \
    size_t row_bytes = row_bytes_of(a->type, a->head_dim);                                                         \
    lanes acc[TILE_LIMIT];                                                                                         \
    UNROLL for (int k = 0; k < rows * vectors; k++) acc[k] = 0;                                                    \
    const float *weights = step->scores + row * ATTENTION_SLOTS - step->block;                                     \
    const uint8_t *values = (const uint8_t *)a->values + (size_t)step->first_slot * row_bytes;                     \
    for (int slot = step->first_slot; slot < step->last_slot; slot++, values += row_bytes) {                       \
      lanes value[TILE_LIMIT];                                                                                     \
      UNROLL for (int v = 0; v < vectors; v++) value[v] = value_##TYPE(values, i + v, count);                      \
      UNROLL for (int r = 0; r < rows; r++) {                                                                      \
        lanes weight = weights[r * ATTENTION_SLOTS + slot];                                                        \
        UNROLL for (int v = 0; v < vectors; v++)                                                                   \
          acc[r * vectors + v] = lanes_fma(weight, value[v], acc[r * vectors + v]);                                \
      }                                                                                                            \
    }                                                                                                              \
    UNROLL for (int r = 0; r < rows; r++) {                                                                        \
      float correction = step->corrections[row + r];                                                               \
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
  INLINE void value_rows_##TYPE(const attention_step *step, int rows, int row) {                                   \
    int i = 0, vectors = step->attention->head_dim / 16, tail = step->attention->head_dim % 16;                    \
    for (; i + VALUE_LANES <= vectors; i += VALUE_LANES) value_tile_##TYPE(step, rows, VALUE_LANES, row, i, 16);   \
    for (; i < vectors; i++) value_tile_##TYPE(step, rows, 1, row, i, 16);                                         \
    if (tail) value_tile_##TYPE(step, rows, 1, row, i, tail);                                                      \
  }                                                                                                                \
  static void values_##TYPE(const attention_step *step) {                                                          \
    int row = 0;                                                                                                   \
    for (; step->rows - row >= VALUE_ROWS; row += VALUE_ROWS) value_rows_##TYPE(step, VALUE_ROWS, row);            \
    switch (step->rows - row) {                                                                                    \
      case 5: if (VALUE_ROWS > 5) value_rows_##TYPE(step, VALUE_ROWS > 5 ? 5 : 1, row); break;                     \
      case 4: if (VALUE_ROWS > 4) value_rows_##TYPE(step, VALUE_ROWS > 4 ? 4 : 1, row); break;                     \
      case 3: if (VALUE_ROWS > 3) value_rows_##TYPE(step, VALUE_ROWS > 3 ? 3 : 1, row); break;                     \
      case 2: if (VALUE_ROWS > 2) value_rows_##TYPE(step, VALUE_ROWS > 2 ? 2 : 1, row); break;                     \
      case 1: value_rows_##TYPE(step, 1, row); break;                                                              \
    }                                                                                                              \
  }

DEFINE_VALUES(f32)
DEFINE_VALUES(f16)
DEFINE_VALUES(bf16)
DEFINE_VALUES(q8_0)
DEFINE_VALUES(q4_1)

static void attend_step(const attention_step *step) {
  switch (step->attention->type) {
    case SLUICE_F32: scores_f32(step); break;
    case SLUICE_F16: scores_f16(step); break;
    case SLUICE_BF16: scores_bf16(step); break;
    case SLUICE_Q8_0: scores_q8_0(step); break;
    case SLUICE_Q4_1: scores_q4_1(step); break;
    default: __builtin_unreachable();
  }
  for (int row = 0; row < step->rows; row++) weigh_row(step, row);
  switch (step->attention->type) {
    case SLUICE_F32: values_f32(step); break;
    case SLUICE_F16: values_f16(step); break;
    case SLUICE_BF16: values_bf16(step); break;
    case SLUICE_Q8_0: values_q8_0(step); break;
    case SLUICE_Q4_1: values_q4_1(step); break;
    default: __builtin_unreachable();
  }
}

static void attend(const sluice_attention *a) {
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = {.attention = a, .first_row = row};
    step.rows = a->rows - row < ATTENTION_ROWS ? a->rows - row : ATTENTION_ROWS;
    step.scores = a->scratch;
    step.corrections = a->scratch + (ptrdiff_t)step.rows * ATTENTION_SLOTS;
    for (int block = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS; block < a->last_slot;
         block += ATTENTION_SLOTS) {
      step.block = block;
      step.first_slot = block + ATTENTION_SLOTS;
      step.last_slot = block;
      for (int r = row; r < row + step.rows; r += a->rows_per_token - r % a->rows_per_token) {
        int first, last;
        visible_range(a, r, &first, &last);
        if (first < block) first = block;
        if (last > block + ATTENTION_SLOTS) last = block + ATTENTION_SLOTS;
        if (first >= last) continue;
        if (first < step.first_slot) step.first_slot = first;
        if (last > step.last_slot) step.last_slot = last;
      }
      if (step.first_slot < step.last_slot) attend_step(&step);
    }
  }
}

static void merge(int rows, int head_dim, float *max_a, float *sum_a, float *out_a, const float *max_b,
                  const float *sum_b, const float *out_b) {
  for (int row = 0; row < rows; row++, out_a += head_dim, out_b += head_dim) {
    if (max_b[row] == -INFINITY) continue;
    float largest = max_a[row] > max_b[row] ? max_a[row] : max_b[row];
    float a = lanes_exp((lanes)(max_a[row] - largest)).x, b = lanes_exp((lanes)(max_b[row] - largest)).x;
    max_a[row] = largest;
    sum_a[row] = sum_a[row] * a + sum_b[row] * b;
    int i = 0;
    for (; i + 16 <= head_dim; i += 16)
      lanes_store(out_a + i, lanes_fma(lanes_load(out_a + i), (lanes)a, lanes_load(out_b + i) * b));
    for (; i < head_dim; i++) out_a[i] = out_a[i] * a + out_b[i] * b;
  }
}

static void finish(int rows, int head_dim, const float *sum, float *out) {
  for (int row = 0; row < rows; row++, out += head_dim) {
    float inverse = sum[row] > 0 ? 1.0f / sum[row] : 0.0f;
    if (inverse > 0) scale(out, inverse, head_dim);
    else memset(out, 0, (size_t)head_dim * sizeof *out);
  }
}
