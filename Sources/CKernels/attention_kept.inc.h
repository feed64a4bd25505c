// Weights that attention keeps, and their column sums once the rows' final maxima and sums are known.
//
// Of each step the weights lie where they were computed, [row, ATTENTION_SLOTS], and behind them the maxima that they are
// relative to, [row]: -infinity where the row sees none of the step. Steps follow each other in the order of the walk.

/// Where the next step keeps its weights.
INLINE float *next_kept(const attention_step *step, float *kept) {
  return kept + (ptrdiff_t)step->rows * (ATTENTION_SLOTS + 1);
}

INLINE void keep_maxima(const attention_step *step, const row_states *states) {
  float *maxima = step->scores + (ptrdiff_t)step->rows * ATTENTION_SLOTS;
  for (int r = 0; r < step->rows; r++) maxima[r] = states->correction[r] < 0 ? -INFINITY : states->max[r];
}

/// What the kept weights of each row are multiplied by: 0 where the row sees nothing.
static void kept_factors(const attention_step *step, const float *maxima, const float *max, const float *sum,
                         const float *row_weights, float *factors) {
  for (int tile = 0; tile < step->rows; tile += PANEL) {
    int count = step->rows - tile < PANEL ? step->rows - tile : PANEL, row = step->first_row + tile;
    lanes kept = lanes_load_first(maxima + tile, count), total = lanes_load_first(sum + row, count);
    lanes weight = row_weights ? lanes_load_first(row_weights + row, count) : (lanes)1.0f;
    lanes_i is_seen = (kept > -INFINITY) & (total > 0.0f);
    lanes factor = lanes_exp(kept - lanes_load_first(max + row, count)) * weight / total;
    lanes_store(factors + tile, lanes_select(is_seen, factor, (lanes)0.0f));
  }
}

static void kept_column_sums(const sluice_attention *a, const float *kept, const float *max, const float *sum,
                             const float *row_weights, float *sums, ptrdiff_t head_stride) {
  int start = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS, heads = head_stride ? a->rows_per_token : 1;
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = {.attention = a, .first_row = row};
    step.rows = a->rows - row < ATTENTION_ROWS ? a->rows - row : ATTENTION_ROWS;
    for (int block = start; block < a->last_slot; block += ATTENTION_SLOTS) {
      if (!enter_block(&step, block)) continue;
      float factors[(ATTENTION_ROWS + PANEL - 1) / PANEL * PANEL];
      kept_factors(&step, kept + (ptrdiff_t)step.rows * ATTENTION_SLOTS, max, sum, row_weights, factors);
      size_t bytes = (size_t)(step.last_slot - step.first_slot) * sizeof(float);
      int first = step.first_slot / PANEL * PANEL - block, last = step.last_slot - block;
      for (int h = 0; h < heads && h < step.rows; h++) {
        // A copy, since other threads may be writing the rest of the first and the last panel.
        float columns[ATTENTION_SLOTS] = {0}, *target = sums + (row + h) % heads * head_stride + step.first_slot;
        memcpy(columns + (step.first_slot - block), target, bytes);
        for (int i = first; i < last; i += PANEL) {
          lanes total = lanes_load(columns + i);
          for (int r = h; r < step.rows; r += heads)
            total = lanes_fma(lanes_load(kept + r * ATTENTION_SLOTS + i), (lanes)factors[r], total);
          lanes_store(columns + i, total);
        }
        memcpy(target, columns + (step.first_slot - block), bytes);
      }
      kept = next_kept(&step, (float *)kept);
    }
  }
}
