// Attention over the shapes of AttentionTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"
#include "stages.h"

enum { RUN_SLOTS = 150 };

typedef struct tolerance {
  double output, log_sum_exp;
} tolerance;

/// Two kernels may each be off by the rounding of float32, or of bf16 where the CPU multiplies that.
static tolerance tolerance_of(sluice_type type, int group, double scale) {
  if (type == SLUICE_BF16 && group >= 3 && rounds_to_bfloat()) return (tolerance){0.02 * scale, 0.01 * scale};
  return (tolerance){1e-5, 2e-5};
}

static void attend_and_expect(const stage *s, int first, int last, rows r, options o, double scale, const char *what) {
  sluice_attention a = attention_of(s, first, last, r, o);
  kernels->attend(&a);
  tolerance t = tolerance_of(s->type, r.group, scale);
  expect_rows(r, t.output, t.log_sum_exp, what, s, first, last);
}

static void test_shapes(void) {
  static const int dims[] = {8, 16, 48, 64, 80, 96, 128, 256};
  static const int shapes[][4] = {{1, 1, 0, 150}, {1, 3, 5, 6},   {1, 8, 17, 131}, {5, 1, 64, 128}, {2, 7, 63, 66},
                                  {3, 4, 10, 10}, {13, 3, 16, 32}, {1, 2, 1, 80},   {1, 5, 3, 150},  {1, 6, 3, 149},
                                  {2, 4, 1, 150}, {1, 9, 0, 131},  {30, 4, 0, 150}};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int d = 0; d < 8; d++) {
      if (!supports_head(slot_types[t], dims[d])) continue;
      seed(41 + (uint64_t)(8 * t + d));
      stage s = empty_stage(slot_types[t], dims[d], RUN_SLOTS);
      fill_stage(&s, 0, RUN_SLOTS);
      float *log_weights = random_normals(RUN_SLOTS, 1);
      log_weights[20] = -INFINITY;
      log_weights[64] = 8;
      for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int tokens = shapes[i][0];
        int32_t *first = memory(4 * (size_t)tokens), *last = memory(4 * (size_t)tokens);
        for (int token = 0; token < tokens; token++) {
          first[token] = token % 4 == 3 ? 0 : random_below(RUN_SLOTS);
          last[token] = token % 4 == 3 ? 0 : first[token] + random_below(RUN_SLOTS + 1 - first[token]);
        }
        // Long heads come without either or with both: emulation is slow.
        for (int variant = 0; variant < 4; variant += dims[d] >= 96 ? 3 : 1) {
          rows r = random_rows(tokens, shapes[i][1], dims[d], 1 / sqrtf((float)dims[d]));
          options o = {variant & 1 ? log_weights : NULL, 0, variant & 2 ? first : NULL, variant & 2 ? last : NULL, NULL, 0};
          attend_and_expect(&s, shapes[i][2], shapes[i][3], r, o, 1, "attention");
        }
      }
      release_memory();
    }
}

/// A prompt, and the same bits for a token of it that comes alone.
static void test_causal(void) {
  static const int groups[] = {1, 3, 7, 8}, alone[] = {0, 1, 10, 11, 42, 69};
  enum { TOKENS = 70, PAST = 21, DIMS = 32 };
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int g = 0; g < 4; g++) {
      seed(420 + (uint64_t)(4 * t + g));
      stage s = empty_stage(slot_types[t], DIMS, PAST + TOKENS);
      fill_stage(&s, 0, PAST + TOKENS);
      int32_t last[TOKENS];
      for (int token = 0; token < TOKENS; token++) last[token] = PAST + token + 1;
      int group = groups[g], width = group * DIMS;
      rows r = random_rows(TOKENS, group, DIMS, 0.3f);
      attend_and_expect(&s, 0, PAST + TOKENS, r, (options){.visible_last = last}, 1, "a prompt");
      for (int i = 0; i < 6; i++) {
        rows one = random_rows(1, group, DIMS, 0);
        memcpy(one.queries, r.queries + alone[i] * width, (size_t)width * 4);
        sluice_attention a = attention_of(&s, 0, PAST + TOKENS, one, (options){.visible_last = last + alone[i]});
        kernels->attend(&a);
        expect(memcmp(one.out, r.out + alone[i] * width, (size_t)width * 4) == 0 &&
                   memcmp(one.sum, r.sum + alone[i] * group, (size_t)group * 4) == 0,
               "type %d, %d heads: token %d gets other bits alone", s.type, group, alone[i]);
      }
      release_memory();
    }
}

static void test_weights_of_rows(void) {
  static const int groups[] = {1, 3, 5}, runs[][2] = {{0, 90}, {64, 90}, {3, 70}};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int g = 0; g < 3; g++) {
      seed(480 + (uint64_t)(3 * t + g));
      stage s = empty_stage(slot_types[t], 32, 90);
      fill_stage(&s, 0, 90);
      float *weights = random_normals((size_t)(20 * groups[g] * 96), 2);
      for (int i = 0; i < 3; i++) {
        rows r = random_rows(20, groups[g], 32, 0.3f);
        attend_and_expect(&s, runs[i][0], runs[i][1], r, (options){weights, 96, NULL, NULL, NULL, 0}, 2, "rows' weights");
      }
      release_memory();
    }
}

/// Rows that see nothing keep their bits, and slots that nobody sees may hold anything.
static void test_unseen(void) {
  static const int32_t first[] = {40, 0, 0, 90, 99, 0, 20, 0}, last[] = {40, 100, 20, 100, 100, 100, 20, 0};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++) {
    seed(44 + (uint64_t)t);
    stage s = empty_stage(slot_types[t], 64, 100);
    fill_stage(&s, 19, 71);
    for (int group = 1; group <= 8; group += 7) {
      rows r = random_rows(8 / group * 8, group, 64, 0.3f);
      float kept[64];
      for (int i = 0; i < 64; i++) kept[i] = i % 2 ? 0x1p-149f : -0.0f;
      for (int token = 0; group == 1 && token < 8; token++) memcpy(r.out + 64 * token, kept, sizeof kept);
      options o = group == 1 ? (options){.visible_first = first, .visible_last = last} : (options){0};
      if (group == 1) r.tokens = 8;
      sluice_attention a = attention_of(&s, 20, 70, r, o);
      kernels->attend(&a);
      for (int token = 0; group == 1 && token < 8; token++) {
        int is_same = memcmp(r.out + 64 * token, kept, sizeof kept) == 0;
        expect(is_same == (token != 1 && token != 5), "type %d: row %d that sees %s", s.type, token, "other slots");
      }
      tolerance tolerances = tolerance_of(s.type, group, 8);
      expect_rows(r, tolerances.output, tolerances.log_sum_exp, "unseen slots", &s, 20, 70);
    }
    release_memory();
  }
}

/// Continued and merged partials, soft caps, rows that lie apart.
static void test_parts(void) {
  static const int cuts[] = {3, 9, 64, 64, 140};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int group = 3; group <= 4; group++) {
      seed(430 + (uint64_t)(2 * t + group));
      stage s = empty_stage(slot_types[t], 64, 140);
      fill_stage(&s, 0, 140);
      rows r = random_rows(2, group, 64, 0.3f), parts = random_rows(2, group, 64, 0), part;
      for (int i = 0; i < 4; i++) {
        sluice_attention a = attention_of(&s, cuts[i], cuts[i + 1], r, (options){0});
        kernels->attend(&a);
        part = random_rows(2, group, 64, 0);
        part.queries = r.queries;
        a = attention_of(&s, cuts[i], cuts[i + 1], part, (options){0});
        kernels->attend(&a);
        kernels->merge(2 * group, 64, parts.max, parts.sum, parts.out, part.max, part.sum, part.out);
      }
      tolerance tolerances = tolerance_of(s.type, group, 3);
      expect_rows(r, tolerances.output, tolerances.log_sum_exp, "a continued partial", &s, 3, 140);
      expect_rows(parts, tolerances.output, tolerances.log_sum_exp, "merged partials", &s, 3, 140);
      rows capped = random_rows(2, group, 64, 2);
      sluice_attention a = attention_of(&s, 3, 140, capped, (options){0});
      a.soft_cap = 5;
      kernels->attend(&a);
      tolerances = tolerance_of(s.type, group, 16);
      expect_rows(capped, tolerances.output, tolerances.log_sum_exp, "capped logits", &s, 3, 140);
      release_memory();
    }
}

/// Logits far beyond what exp can take.
static void test_extremes(void) {
  for (int type = SLUICE_F32; type <= SLUICE_F16; type++)
    for (int group = 3; group <= 4; group++) {
      float scale = type == SLUICE_F32 ? 1e19f : 1e4f;
      stage s = empty_stage((sluice_type)type, 16, 33);
      for (int slot = 0; slot < 33; slot++) {
        float key[16], value[16];
        for (int i = 0; i < 16; i++) key[i] = slot == 20 ? scale : -scale, value[i] = (float)slot;
        kernels->write_key(s.type, 16, key, s.keys, slot);
        kernels->write_value(s.type, 16, value, s.values, slot);
      }
      rows r = random_rows(1, group, 16, 0);
      for (int i = 0; i < 16 * group; i++) r.queries[i] = 1e18f;
      sluice_attention a = attention_of(&s, 0, 33, r, (options){0});
      kernels->attend(&a);
      kernels->finish(group, 16, r.sum, r.out);
      for (int i = 0; i < 16 * group; i++)
        expect(r.out[i] == 20, "extreme logits of type %d give %g", type, (double)r.out[i]);
      release_memory();
    }
}

void test_attention(void) {
  test_shapes();
  test_causal();
  test_weights_of_rows();
  test_unseen();
  test_parts();
  test_extremes();
}
