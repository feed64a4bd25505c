// Attention of query rows to a run of slots: scores from key panels, online softmax, weighted values.
//
// The run is cut at multiples of 64 slots, so what a row accumulates depends on the run and on what the row sees, not
// on which rows are computed beside it. Slots that no row sees are never read: they may hold anything.

#include "attention_step.inc.h"
#include "attention_pairs.inc.h"
#include "attention_scores.inc.h"
#include "attention_weights.inc.h"
#include "attention_values.inc.h"
#include "attention_pair_scores.inc.h"
#include "attention_pair_values.inc.h"

static void multiply_keys(const attention_step *step) {
  if (step->score_kind != PAIR_NONE) return pair_scores(step);
  switch (key_type_of(step->attention->type)) {
    case SLUICE_F32: scores_f32(step); break;
    case SLUICE_F16: scores_f16(step); break;
    case SLUICE_BF16: scores_bf16(step); break;
    case SLUICE_Q8_0: scores_q8_0(step); break;
    default: __builtin_unreachable();
  }
}

static void cap_scores(const attention_step *step) {
  int start = step->first_slot / PANEL * PANEL - step->block, end = step->last_slot - step->block;
  for (int row = 0; row < step->rows; row++)
    for (int i = row * ATTENTION_SLOTS + start; i < row * ATTENTION_SLOTS + end; i += PANEL)
      lanes_store(step->scores + i, lanes_soft_cap(lanes_load(step->scores + i), step->attention->soft_cap));
}

static void score(const attention_step *step) {
  multiply_keys(step);
  if (step->attention->soft_cap > 0) cap_scores(step);
}

static void accumulate(const attention_step *step, const float *corrections) {
  if (step->value_kind != PAIR_NONE) return pair_values(step, corrections);
  switch (step->attention->type) {
    case SLUICE_F32: values_f32(step, corrections); break;
    case SLUICE_F16: values_f16(step, corrections); break;
    case SLUICE_BF16: values_bf16(step, corrections); break;
    case SLUICE_Q8_0: values_q8_0(step, corrections); break;
    case SLUICE_Q4_1: values_q4_1(step, corrections); break;
    default: __builtin_unreachable();
  }
}

/// Quantises the queries of a tile, where slots are quantised.
static void quantize_queries(attention_step *step, float *scratch) {
  const sluice_attention *a = step->attention;
  int blocks = a->head_dim / BLOCK;
  float *scales = scratch;
  int32_t *sums = (int32_t *)(void *)(scales + (ptrdiff_t)step->rows * blocks);
  int8_t *quants = (int8_t *)(void *)(sums + (ptrdiff_t)step->rows * 2 * blocks);
  for (int row = 0; row < step->rows; row++)
    quantize(a->queries + (step->first_row + row) * a->query_stride, a->head_dim,
             quants + (ptrdiff_t)row * a->head_dim, scales + row * blocks, sums + row * 2 * blocks);
  step->queries = (quantized_rows){quants, scales, sums, a->head_dim};
}

/// A tile of rows, its queries as the slots' type meets them.
static attention_step start_tile(const sluice_attention *a, int row) {
  attention_step step = {.attention = a, .first_row = row, .scores = a->scratch};
  step.rows = a->rows - row < ATTENTION_ROWS ? a->rows - row : ATTENTION_ROWS;
  float *rest = start_pairs(&step, step.scores + (ptrdiff_t)step.rows * ATTENTION_SLOTS);
  if (quantized_layout_of(a->type).parts) quantize_queries(&step, rest);
  return step;
}

/// Moves a tile to a block of slots; 0 when no row sees any of them.
static int enter_block(attention_step *step, int block) {
  const sluice_attention *a = step->attention;
  step->block = block;
  step->first_slot = block + ATTENTION_SLOTS;
  step->last_slot = block;
  for (int r = step->first_row; r < step->first_row + step->rows; r += a->rows_per_token - r % a->rows_per_token) {
    int first, last;
    visible_range(a, r, &first, &last);
    if (first < block) first = block;
    if (last > block + ATTENTION_SLOTS) last = block + ATTENTION_SLOTS;
    if (first >= last) continue;
    if (first < step->first_slot) step->first_slot = first;
    if (last > step->last_slot) step->last_slot = last;
  }
  return step->first_slot < step->last_slot;
}

/// Leaves the weights of a step, and the maxima that they are relative to, for `kept_column_sums`. Returns where the
/// next ones go.
static float *keep(const attention_step *step, const row_states *states, float *kept) {
  if (step->attention->keeps_halves) {
    int start = step->first_slot / PANEL * PANEL - step->block, end = step->last_slot - step->block;
    for (int row = 0; row < step->rows; row++)
      for (int i = row * ATTENTION_SLOTS + start; i < row * ATTENTION_SLOTS + end; i += PANEL)
        lanes_store_halves((uint16_t *)(void *)kept + i, lanes_load(step->scores + i) * (lanes)KEPT_SCALE);
    kept += step->rows * ATTENTION_SLOTS / 2;
  } else {
    kept += step->rows * ATTENTION_SLOTS;
  }
  memcpy(kept, states->max, (size_t)step->rows * sizeof(float));
  return kept + step->rows;
}

static void attend(const sluice_attention *a) {
  int start = a->first_slot / ATTENTION_SLOTS * ATTENTION_SLOTS;
  float *kept = a->kept;
  for (int row = 0; row < a->rows; row += ATTENTION_ROWS) {
    attention_step step = start_tile(a, row);
    row_states states = load_states(a, row, step.rows);
    for (int block = start; block < a->last_slot; block += ATTENTION_SLOTS) {
      if (!enter_block(&step, block)) continue;
      // Floats need no copy: they are computed where they are kept.
      if (kept && !a->keeps_halves) step.scores = kept;
      score(&step);
      weigh(&step, &states);
      if (kept) kept = keep(&step, &states, kept);
      accumulate(&step, states.correction);
    }
    memcpy(a->max + row, states.max, (size_t)step.rows * sizeof(float));
    memcpy(a->sum + row, states.sum, (size_t)step.rows * sizeof(float));
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
