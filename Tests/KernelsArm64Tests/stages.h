#pragma once
// Slots of one KV head, and attention to them.

#include "CKernels.h"

enum { SLOT_TYPE_COUNT = 5 };
extern const sluice_type slot_types[SLOT_TYPE_COUNT];

typedef struct stage {
  sluice_type type;
  int head_dim, slots;
  uint8_t *keys, *values;
  size_t key_bytes, value_bytes;
} stage;

/// Whether slots of the type can have such a head.
int supports_head(sluice_type type, int head_dim);
/// Slots that hold no numbers.
stage empty_stage(sluice_type type, int head_dim, int slots);
/// Writes random keys and values to [first, last), as the portable kernels do.
void fill_stage(const stage *s, int first, int last);

/// Query rows and what they have gathered.
typedef struct rows {
  int tokens, group, head_dim;
  float *queries, *max, *sum, *out;
} rows;

/// Rows that have seen nothing, of random queries.
rows random_rows(int tokens, int group, int head_dim, float scale);

/// What attention to a run needs beside slots and rows; what is null is not given.
typedef struct options {
  const float *log_weights;
  ptrdiff_t log_weight_stride;
  const int32_t *visible_first, *visible_last;
  float *kept;
  int keeps_halves;
} options;

/// The argument of the kernels, with scratch of the size that they ask for.
sluice_attention attention_of(const stage *s, int first, int last, rows r, options o);
/// Holds the rows' finished outputs and log-sum-exps against the file's.
void expect_rows(rows r, double output, double log_sum_exp, const char *what, const stage *s, int first, int last);
