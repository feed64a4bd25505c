// Sums of attention's probabilities by slot, over the shapes of AttentionColumnTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"
#include "stages.h"

enum { SLOTS = 150 };

static void check_sums(const float *sums, const float *others, int count, double absolute, double relative,
                       const char *what, sluice_type type, int group) {
  for (int i = 0; i < count; i++) {
    double difference = fabs((double)sums[i] - (double)others[i]);
    int is_close = difference <= absolute + relative * (double)others[i];
    expect(is_close, "%s of type %d, %d heads: slot %d has %g, not %g", what, type, group, i, (double)sums[i],
           (double)others[i]);
    if (!is_close) return;
  }
}

/// The sums in a second pass over the keys, and those of the weights that attention has kept, as floats and as halves.
static void check_columns(const stage *s, int first, int last, rows r, options o, const float *row_weights, int apart) {
  int count = r.tokens * r.group, heads = apart ? r.group : 1, length = apart ? r.group * SLOTS : SLOTS;
  ptrdiff_t head_stride = apart ? SLOTS : 0;
  float *passes[3];
  for (int pass = 0; pass < 3; pass++) {
    passes[pass] = memory((size_t)length * 4);
    rows copy = random_rows(r.tokens, r.group, r.head_dim, 0);
    copy.queries = r.queries;
    o.kept = pass > 0 ? memory(4 * sluice_attention_kept(count, last - first)) : NULL;
    o.keeps_halves = pass == 2;
    sluice_attention a = attention_of(s, first, last, copy, o);
    kernels->attend(&a);
    if (pass == 0) kernels->column_sums(&a, copy.max, copy.sum, row_weights, passes[pass], head_stride);
    else kernels->kept_column_sums(&a, copy.max, copy.sum, row_weights, passes[pass], head_stride);
  }
  int rounds = s->type == SLUICE_BF16 && r.group >= 3 && rounds_to_bfloat();
  expect_floats(passes[0], (size_t)length, (rounds ? 0.01 : 1e-5) * r.group, 0,
                "column sums of type %d, %d dims, %dx%d rows, slots %d to %d", s->type, s->head_dim, r.tokens, r.group,
                first, last);
  for (int head = 0; head < heads; head++) {
    const float *exact = passes[0] + head * head_stride;
    check_sums(passes[1] + head * head_stride, exact, SLOTS, 3e-6, 0, "kept columns", s->type, r.group);
    check_sums(passes[2] + head * head_stride, exact, SLOTS, 3e-6, 5e-4, "kept halves", s->type, r.group);
  }
}

static void test_shapes(void) {
  static const int dims[] = {32, 64, 80};
  static const int shapes[][4] = {{1, 1, 0, 150}, {1, 3, 17, 131}, {1, 8, 0, 64}, {13, 3, 5, 150}, {2, 7, 63, 66}, {40, 4, 3, 149}};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int d = 0; d < 3; d++) {
      if (!supports_head(slot_types[t], dims[d])) continue;
      for (int i = 0; i < 6; i++) {
        seed(710 + (uint64_t)(18 * t + 6 * d + i));
        stage s = empty_stage(slot_types[t], dims[d], SLOTS);
        fill_stage(&s, 0, SLOTS);
        int tokens = shapes[i][0], group = shapes[i][1];
        float *log_weights = random_normals(SLOTS, 1), *row_weights = memory((size_t)(tokens * group) * 4);
        log_weights[33] = -INFINITY;
        int32_t *first = memory((size_t)tokens * 4), *last = memory((size_t)tokens * 4);
        for (int row = 0; row < tokens * group; row++) row_weights[row] = (float)(row % 3);
        for (int token = 0; token < tokens; token++) {
          first[token] = token % 4 == 3 ? 0 : 10 + token;
          last[token] = token % 4 == 3 ? 0 : 60 + 20 * token < SLOTS ? 60 + 20 * token : SLOTS;
        }
        for (int variant = 0; variant < 4; variant += tokens > 13 ? 3 : 1) {
          rows r = random_rows(tokens, group, dims[d], 1 / sqrtf((float)dims[d]));
          options o = {0};
          if (variant > 1) o.log_weights = log_weights;
          if (variant > 2) o.visible_first = first, o.visible_last = last;
          check_columns(&s, shapes[i][2], shapes[i][3], r, o, variant % 2 ? row_weights : NULL, variant == 1);
        }
        release_memory();
      }
    }
}

/// The same bits from pieces of a run, cut anywhere, and nothing from rows that see nothing.
static void test_pieces(void) {
  static const int cuts[] = {3, 20, 64, 65, 150};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++) {
    seed(72 + (uint64_t)t);
    stage s = empty_stage(slot_types[t], 64, SLOTS);
    fill_stage(&s, 3, SLOTS);
    rows r = random_rows(40, 4, 64, 0.2f);
    sluice_attention a = attention_of(&s, 3, SLOTS, r, (options){0});
    kernels->attend(&a);
    float *whole = memory(SLOTS * 4), *pieces = memory(SLOTS * 4), *none = memory(SLOTS * 4);
    kernels->column_sums(&a, r.max, r.sum, NULL, whole, 0);
    for (int i = 0; i < 4; i++) {
      a = attention_of(&s, cuts[i], cuts[i + 1], r, (options){0});
      kernels->column_sums(&a, r.max, r.sum, NULL, pieces, 0);
    }
    expect(memcmp(whole, pieces, SLOTS * 4) == 0, "column sums of type %d depend on how a run is cut", s.type);
    memset(r.sum, 0, 160 * 4);
    kernels->column_sums(&a, r.max, r.sum, NULL, none, 0);
    for (int i = 0; i < SLOTS; i++) expect(none[i] == 0, "rows without a sum add to slot %d", i);
    release_memory();
  }
}

void test_attention_columns(void) {
  test_shapes();
  test_pieces();
}
