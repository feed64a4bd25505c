#include "stages.h"

#include <math.h>
#include <string.h>

#include "expectations.h"

const sluice_type slot_types[SLOT_TYPE_COUNT] = {SLUICE_F32, SLUICE_F16, SLUICE_BF16, SLUICE_Q8_0, SLUICE_Q4_1};

int supports_head(sluice_type type, int head_dim) {
  return head_dim % (type == SLUICE_Q8_0 || type == SLUICE_Q4_1 ? 32 : 2) == 0;
}

stage empty_stage(sluice_type type, int head_dim, int slots) {
  stage s = {.type = type, .head_dim = head_dim, .slots = slots};
  s.key_bytes = (size_t)(slots + 15) / 16 * sluice_panel_bytes(type == SLUICE_Q4_1 ? SLUICE_Q8_0 : type, head_dim);
  s.value_bytes = (size_t)slots * sluice_row_bytes(type, head_dim);
  s.keys = memory(s.key_bytes);
  s.values = memory(s.value_bytes);
  memset(s.keys, 0xff, s.key_bytes);
  memset(s.values, 0xff, s.value_bytes);
  return s;
}

void fill_stage(const stage *s, int first, int last) {
  for (int slot = first; slot < last; slot++) {
    float key[256], value[256];
    for (int i = 0; i < s->head_dim; i++) key[i] = random_normal();
    for (int i = 0; i < s->head_dim; i++) value[i] = random_normal();
    sluice_kernels_scalar.write_key(s->type, s->head_dim, key, s->keys, slot);
    sluice_kernels_scalar.write_value(s->type, s->head_dim, value, s->values, slot);
  }
}

rows random_rows(int tokens, int group, int head_dim, float scale) {
  size_t count = (size_t)(tokens * group), dims = count * (size_t)head_dim;
  rows r = {tokens, group, head_dim, random_normals(dims, scale), memory(4 * count), memory(4 * count), memory(4 * dims)};
  for (size_t i = 0; i < count; i++) r.max[i] = -INFINITY;
  return r;
}

sluice_attention attention_of(const stage *s, int first, int last, rows r, options o) {
  int count = r.tokens * r.group;
  return (sluice_attention){
      .type = s->type, .head_dim = s->head_dim, .keys = s->keys, .values = s->values, .first_slot = first,
      .last_slot = last, .log_weights = o.log_weights, .log_weight_stride = o.log_weight_stride, .rows = count,
      .rows_per_token = r.group, .queries = r.queries, .query_stride = s->head_dim, .out_stride = s->head_dim,
      .visible_first = o.visible_first, .visible_last = o.visible_last, .max = r.max, .sum = r.sum, .out = r.out,
      .scratch = memory(4 * sluice_attention_scratch(count, s->head_dim)), .kept = o.kept,
      .keeps_halves = o.keeps_halves};
}

void expect_rows(rows r, double output, double log_sum_exp, const char *what, const stage *s, int first, int last) {
  int count = r.tokens * r.group;
  float *out = memory((size_t)(count * r.head_dim) * 4), *sums = memory((size_t)count * 4);
  memcpy(out, r.out, (size_t)(count * r.head_dim) * 4);
  kernels->finish(count, r.head_dim, r.sum, out);
  for (int i = 0; i < count; i++) sums[i] = r.sum[i] > 0 ? (float)((double)r.max[i] + log((double)r.sum[i])) : -INFINITY;
  expect_floats(out, (size_t)(count * r.head_dim), output, 0, "%s of type %d, %d dims, %dx%d rows, slots %d to %d", what,
                s->type, s->head_dim, r.tokens, r.group, first, last);
  expect_floats(sums, (size_t)count, log_sum_exp, 2e-7, "log-sum-exp: %s of type %d, %d dims, %dx%d rows, slots %d to %d",
                what, s->type, s->head_dim, r.tokens, r.group, first, last);
}
