#include "kernel_runs.h"

#include <string.h>

#include "expectations.h"
#include "matrices.h"
#include "stages.h"

enum { ROWS = 64, COLUMNS = 512, SLOTS = 512, DIMS = 64, PROMPT = 48 };

/// One kernel on data of one shape: a matrix with so many tokens, or attention of so many tokens in groups of heads.
static const struct kernel_run {
  const char *name;
  sluice_type type;
  int tokens, heads;  // heads 0: a matrix
} runs[] = {
    {"Q8_0 x 1 token", SLUICE_Q8_0, 1, 0},
    {"Q4_0 x 1 token", SLUICE_Q4_0, 1, 0},
    {"Q4_K x 1 token", SLUICE_Q4_K, 1, 0},
    {"Q6_K x 1 token", SLUICE_Q6_K, 1, 0},
    {"F16 x 1 token", SLUICE_F16, 1, 0},
    {"BF16 x 1 token", SLUICE_BF16, 1, 0},
    {"Q4_0 x 4 tokens", SLUICE_Q4_0, 4, 0},
    {"Q8_0 x 48 tokens", SLUICE_Q8_0, PROMPT, 0},
    {"Q4_0 x 48 tokens", SLUICE_Q4_0, PROMPT, 0},
    {"Q4_1 x 48 tokens", SLUICE_Q4_1, PROMPT, 0},
    {"Q4_K x 48 tokens", SLUICE_Q4_K, PROMPT, 0},
    {"Q6_K x 48 tokens", SLUICE_Q6_K, PROMPT, 0},
    {"F16 x 48 tokens", SLUICE_F16, PROMPT, 0},
    {"BF16 x 48 tokens", SLUICE_BF16, PROMPT, 0},
    {"attention, F16 slots, 1 head", SLUICE_F16, 1, 1},
    {"attention, F16 slots, 4 heads", SLUICE_F16, 1, 4},
    {"attention, BF16 slots, 4 heads", SLUICE_BF16, 1, 4},
    {"attention, Q8_0 slots, 1 head", SLUICE_Q8_0, 1, 1},
    {"attention, Q8_0 slots, 4 heads", SLUICE_Q8_0, 1, 4},
    {"attention, Q4_1 slots, 4 heads", SLUICE_Q4_1, 1, 4},
    {"attention, F16 slots, 16 tokens x 4", SLUICE_F16, 16, 4},
    {"attention, BF16 slots, 16 tokens x 4", SLUICE_BF16, 16, 4},
    {"attention, Q8_0 slots, 16 tokens x 4", SLUICE_Q8_0, 16, 4},
};

static void run_matrix(const struct kernel_run *run, int times) {
  size_t count = (size_t)(run->tokens * COLUMNS), blocks = count / 32;
  matrix m = random_matrix(run->type, ROWS, COLUMNS);
  sluice_activations x = {random_normals(count, 1), COLUMNS, memory(count), memory(4 * blocks), memory(8 * blocks), COLUMNS};
  sluice_kernels_scalar.quantize(x.values, (int)count, (int8_t *)x.quants, (float *)x.scales, (int32_t *)x.sums);
  sluice_linear_segment segment = {m.type, ROWS, COLUMNS, m.panels, memory((size_t)(run->tokens * ROWS) * 4), ROWS, 0};
  for (int i = 0; i < times; i++) kernels->linear(&segment, 0, ROWS / 16, &x, 0, run->tokens, 1);
  printf("%d\n", run->tokens * ROWS * COLUMNS);
}

static void run_attention(const struct kernel_run *run, int times) {
  stage s = empty_stage(run->type, DIMS, SLOTS);
  fill_stage(&s, 0, SLOTS);
  rows r = random_rows(run->tokens, run->heads, DIMS, 0.125f);
  sluice_attention a = attention_of(&s, 0, SLOTS, r, (options){0});
  for (int i = 0; i < times; i++) kernels->attend(&a);
  printf("%d\n", 2 * run->tokens * run->heads * DIMS * SLOTS);
}

int run_kernel(const char *name, int times) {
  for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
    if (!name) printf("%s\n", runs[i].name);
    if (!name || strcmp(runs[i].name, name) != 0) continue;
    seed(1);
    if (runs[i].heads) run_attention(runs + i, times);
    else run_matrix(runs + i, times);
    return 1;
  }
  return !name;
}
