// What a row sees of a step, and its online softmax.

/// Running maxima and sums of a tile's rows, and what the old sum and out are multiplied by: negative where the row
/// sees no slot of the step. Lanes beyond the tile's rows are empty.
typedef struct row_states {
  float max[ATTENTION_ROWS], sum[ATTENTION_ROWS], correction[ATTENTION_ROWS];
} row_states;

INLINE void visible_range(const sluice_attention *a, int row, int *first, int *last) {
  *first = a->first_slot;
  *last = a->last_slot;
  if (!a->visible_first && !a->visible_last) return;
  int token = row / a->rows_per_token;
  if (a->visible_first && a->visible_first[token] > *first) *first = a->visible_first[token];
  if (a->visible_last && a->visible_last[token] < *last) *last = a->visible_last[token];
}

/// Gives a row's logits what only this row knows: no infinity above, the slots' log weights, -infinity where it does
/// not see. Returns the largest.
INLINE float mask_row(const attention_step *step, int row) {
  const sluice_attention *a = step->attention;
  float *scores = step->scores + row * ATTENTION_SLOTS - step->block;
  int start = step->first_slot / PANEL * PANEL, end = (step->last_slot + PANEL - 1) / PANEL * PANEL, first, last;
  visible_range(a, step->first_row + row, &first, &last);
  if (first >= step->last_slot || last <= step->first_slot) return -INFINITY;
  const float *log_weights = a->log_weights;
  if (log_weights) log_weights += (step->first_row + row) * a->log_weight_stride;
  lanes largest = -INFINITY;
  int is_whole = first <= start && last >= end && !log_weights;
  if (is_whole && end - start == ATTENTION_SLOTS) {
    lanes logits[ATTENTION_SLOTS / PANEL];
    UNROLL for (int i = 0; i < ATTENTION_SLOTS / PANEL; i++) {
      logits[i] = lanes_min(lanes_load(scores + start + i * PANEL), (lanes)0x1.fffffep127f);
      lanes_store(scores + start + i * PANEL, logits[i]);
    }
    return lanes_largest(lanes_max(lanes_max(logits[0], logits[1]), lanes_max(logits[2], logits[3])));
  }
  for (int slot = start; slot < end; slot += PANEL) {
    lanes logit = lanes_min(lanes_load(scores + slot), (lanes)0x1.fffffep127f);
    if (!is_whole) {
      if (log_weights)
        logit += a->last_slot - slot >= PANEL ? lanes_load(log_weights + slot)
                                              : lanes_load_first(log_weights + slot, a->last_slot - slot);
      lanes_i index = lanes_index() + slot;
      logit = lanes_select((index >= first) & (index < last), logit, (lanes)-INFINITY);
    }
    lanes_store(scores + slot, logit);
    largest = lanes_max(logit, largest);
  }
  return lanes_largest(largest);
}

/// Turns the logits [start, end) of a row into weights and returns their sum.
INLINE float weigh_row(float *scores, int start, int end, float max) {
  lanes sum = 0;
  for (int i = start; i < end; i += PANEL) {
    lanes weight = lanes_exp_weight(lanes_load(scores + i) - max);
    lanes_store(scores + i, weight);
    sum += weight;
  }
  return lanes_sum(sum);
}

/// Turns logits into weights and updates the rows' maxima, sums and corrections, these for 16 rows at once.
static void weigh(const attention_step *step, row_states *states) {
  int start = step->first_slot / PANEL * PANEL - step->block;
  int end = (step->last_slot + PANEL - 1) / PANEL * PANEL - step->block;
  float largest[ATTENTION_ROWS], sums[ATTENTION_ROWS];
  for (int tile = 0; tile < step->rows; tile += PANEL) {
    int count = step->rows - tile < PANEL ? step->rows - tile : PANEL;
    lanes_store(largest + tile, (lanes)-INFINITY);
    lanes_store(sums + tile, (lanes)0.0f);
    for (int row = tile; row < tile + count; row++) largest[row] = mask_row(step, row);
    lanes block_max = lanes_load(largest + tile), old_max = lanes_load(states->max + tile);
    lanes_i is_seen = block_max > -INFINITY;
    lanes new_max = lanes_select(is_seen, lanes_max(old_max, block_max), old_max);
    lanes correction = lanes_exp_weight(old_max - new_max);
    lanes_store(states->max + tile, new_max);
    lanes_store(states->correction + tile, lanes_select(is_seen, correction, (lanes)-1.0f));
    for (int row = tile; row < tile + count; row++) {
      float *scores = step->scores + row * ATTENTION_SLOTS, max = states->max[row];
      if (states->correction[row] < 0) {
        for (int i = start; i < end; i += PANEL) lanes_store(scores + i, (lanes)0.0f);
        continue;
      }
      sums[row] = end - start == ATTENTION_SLOTS ? weigh_row(scores, 0, ATTENTION_SLOTS, max)
                                                 : weigh_row(scores, start, end, max);
    }
    lanes old_sum = lanes_load(states->sum + tile);
    lanes new_sum = lanes_fma(old_sum, correction, lanes_load(sums + tile));
    lanes_store(states->sum + tile, lanes_select(is_seen, new_sum, old_sum));
  }
}

static row_states load_states(const sluice_attention *a, int first_row, int rows) {
  row_states states;
  for (int row = 0; row < ATTENTION_ROWS; row++) {
    states.max[row] = row < rows ? a->max[first_row + row] : -INFINITY;
    states.sum[row] = row < rows ? a->sum[first_row + row] : 0;
  }
  return states;
}
