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

/// What each row's kept weights count: its row weight over its sum, times e^(kept maximum - final maximum) and `unit`.
INLINE void find_factors(const attention_step *step, const float *kept_max, const float *max, const float *sum,
                         const float *row_weights, float unit, float *factors) {
  for (int tile = 0; tile < step->rows; tile += PANEL) {
    int count = step->rows - tile < PANEL ? step->rows - tile : PANEL, row = step->first_row + tile;
    lanes total = lanes_load_first(sum + row, count);
    lanes factor = row_weights ? lanes_load_first(row_weights + row, count) : (lanes)1.0f;
    factor *= lanes_exp_weight(lanes_load_first(kept_max + tile, count) - lanes_load_first(max + row, count)) / total;
    lanes_store(factors + tile, lanes_select(total > 0, factor * (lanes)unit, (lanes)0.0f));
  }
}

/// Sixteen kept weights.
INLINE lanes kept_weights(const float *kept, int place, int are_halves) {
  return are_halves ? lanes_of_halves((const uint16_t *)(const void *)kept + place) : lanes_load(kept + place);
}

/// Adds the kept weights of a step, of every `heads`-th row from row `head` on, to the sums of its slots.
INLINE void add_kept(const attention_step *step, const float *kept, const float *factors, int head, int heads,
                     int are_halves, float *sums) {
  enum { PANELS = ATTENTION_SLOTS / PANEL };
  if (step->first_slot == step->block && step->last_slot == step->block + ATTENTION_SLOTS) {
    lanes columns[PANELS];
    UNROLL for (int i = 0; i < PANELS; i++) columns[i] = lanes_load(sums + step->block + i * PANEL);
    for (int r = head; r < step->rows; r += heads)
      UNROLL for (int i = 0; i < PANELS; i++)
        columns[i] = lanes_fma(kept_weights(kept, r * ATTENTION_SLOTS + i * PANEL, are_halves), (lanes)factors[r],
                               columns[i]);
    UNROLL for (int i = 0; i < PANELS; i++) lanes_store(sums + step->block + i * PANEL, columns[i]);
    return;
  }
  step_columns columns = load_columns(step, sums);
  int first = step->first_slot / PANEL * PANEL - step->block, last = step->last_slot - step->block;
  for (int i = first; i < last; i += PANEL) {
    lanes column = lanes_load(columns.sums + i);
    for (int r = head; r < step->rows; r += heads)
      column = lanes_fma(kept_weights(kept, r * ATTENTION_SLOTS + i, are_halves), (lanes)factors[r], column);
    lanes_store(columns.sums + i, column);
  }
  store_columns(step, &columns, sums);
}

static void kept_column_sums(const sluice_attention *a, const float *max, const float *sum, const float *row_weights,
                             float *sums, ptrdiff_t head_stride) {
  int start = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS, heads = head_stride ? a->rows_per_token : 1;
  int are_halves = a->keeps_halves;
  const float *kept = a->kept;
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = {.attention = a, .first_row = row};
    step.rows = a->rows - row < ATTENTION_ROWS ? a->rows - row : ATTENTION_ROWS;
    for (int block = start; block < a->last_slot; block += ATTENTION_SLOTS) {
      if (!enter_block(&step, block)) continue;
      float factors[ATTENTION_ROWS];
      const float *kept_max = kept + step.rows * ATTENTION_SLOTS / (are_halves ? 2 : 1);
      find_factors(&step, kept_max, max, sum, row_weights, are_halves ? 1 / KEPT_SCALE : 1.0f, factors);
      for (int h = 0; h < heads && h < step.rows; h++) {
        float *target = sums + (row + h) % heads * head_stride;
        if (are_halves) add_kept(&step, kept, factors, h, heads, 1, target);
        else add_kept(&step, kept, factors, h, heads, 0, target);
      }
      kept = kept_max + step.rows;
    }
  }
}
