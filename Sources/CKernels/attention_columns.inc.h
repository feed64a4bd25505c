// Sums of attention's probabilities by slot, in the order of attend's walk.

/// The sums of a step's slots: a copy, since other threads may be writing the rest of the first and the last panel.
typedef struct step_columns {
  float sums[ATTENTION_SLOTS];
} step_columns;

INLINE step_columns load_columns(const attention_step *step, const float *sums) {
  step_columns columns = {0};
  memcpy(columns.sums + (step->first_slot - step->block), sums + step->first_slot,
         (size_t)(step->last_slot - step->first_slot) * sizeof(float));
  return columns;
}

INLINE void store_columns(const attention_step *step, const step_columns *columns, float *sums) {
  memcpy(sums + step->first_slot, columns->sums + (step->first_slot - step->block),
         (size_t)(step->last_slot - step->first_slot) * sizeof(float));
}

/// Adds the probabilities of one head's rows of a scored step: every `heads`-th one from row `first_row` on.
static void add_columns(const attention_step *step, int first_row, int heads, const float *max, const float *sum,
                        const float *row_weights, float *sums) {
  step_columns columns = load_columns(step, sums);
  int first = step->first_slot / PANEL * PANEL - step->block, last = step->last_slot - step->block;
  for (int r = first_row; r < step->rows; r += heads) {
    int row = step->first_row + r;
    if (mask_row(step, r) == -INFINITY || !(sum[row] > 0)) continue;
    float factor = (row_weights ? row_weights[row] : 1.0f) / sum[row];
    for (int i = first; i < last; i += PANEL) {
      lanes weight = lanes_exp_weight(lanes_load(step->scores + r * ATTENTION_SLOTS + i) - max[row]);
      lanes_store(columns.sums + i, lanes_fma(weight, (lanes)factor, lanes_load(columns.sums + i)));
    }
  }
  store_columns(step, &columns, sums);
}

static void column_sums(const sluice_attention *a, const float *max, const float *sum, const float *row_weights,
                        float *sums, ptrdiff_t head_stride) {
  int start = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS, heads = head_stride ? a->rows_per_token : 1;
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = start_tile(a, row);
    for (int block = start; block < a->last_slot; block += ATTENTION_SLOTS) {
      if (!enter_block(&step, block)) continue;
      score(&step);
      for (int r = 0; r < heads && r < step.rows; r++)
        add_columns(&step, r, heads, max, sum, row_weights, sums + (row + r) % heads * head_stride);
    }
  }
}

/// What each row's kept weights count: its row weight over its sum, times e^(kept maximum - final maximum).
INLINE void find_factors(const attention_step *step, const float *kept_max, const float *max, const float *sum,
                         const float *row_weights, float *factors) {
  for (int tile = 0; tile < step->rows; tile += PANEL) {
    int count = step->rows - tile < PANEL ? step->rows - tile : PANEL, row = step->first_row + tile;
    lanes total = lanes_load_first(sum + row, count);
    lanes factor = row_weights ? lanes_load_first(row_weights + row, count) : (lanes)1.0f;
    factor *= lanes_exp_weight(lanes_load_first(kept_max + tile, count) - lanes_load_first(max + row, count)) / total;
    lanes_store(factors + tile, lanes_select(total > 0, factor, (lanes)0.0f));
  }
}

static void kept_column_sums(const sluice_attention *a, const float *max, const float *sum, const float *row_weights,
                             float *sums, ptrdiff_t head_stride) {
  int start = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS, heads = head_stride ? a->rows_per_token : 1;
  const float *kept = a->kept;
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = {.attention = a, .first_row = row};
    step.rows = a->rows - row < ATTENTION_ROWS ? a->rows - row : ATTENTION_ROWS;
    for (int block = start; block < a->last_slot; block += ATTENTION_SLOTS) {
      if (!enter_block(&step, block)) continue;
      float factors[ATTENTION_ROWS];
      find_factors(&step, kept + step.rows * ATTENTION_SLOTS, max, sum, row_weights, factors);
      int first = step.first_slot / PANEL * PANEL - block, last = step.last_slot - block;
      for (int h = 0; h < heads && h < step.rows; h++) {
        float *target = sums + (row + h) % heads * head_stride;
        step_columns columns = load_columns(&step, target);
        for (int i = first; i < last; i += PANEL) {
          lanes column = lanes_load(columns.sums + i);
          for (int r = h; r < step.rows; r += heads)
            column = lanes_fma(lanes_load(kept + r * ATTENTION_SLOTS + i), (lanes)factors[r], column);
          lanes_store(columns.sums + i, column);
        }
        store_columns(&step, &columns, target);
      }
      kept += step.rows * (ATTENTION_SLOTS + 1);
    }
  }
}
