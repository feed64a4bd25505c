// Matrix products of every type against float64, over the shapes of LinearTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"
#include "matrices.h"

enum { BATCH_TOKENS = 13 };

typedef struct batch {
  int tokens, columns;
  float *values;
  int8_t *quants;
  float *scales;
  int32_t *sums;
} batch;

/// Rows of which some are what rounding goes wrong with: zeros, denormals, huge values, one that dwarfs the others.
static batch random_batch(int tokens, int columns) {
  batch b = {tokens, columns, random_normals((size_t)(tokens * columns), 1), NULL, NULL, NULL};
  for (int i = 0; i < tokens * columns; i++) {
    int column = i % columns;
    switch (i / columns) {
      case 1: b.values[i] = 0; break;
      case 2: b.values[i] = 0x1p-133f; break;
      case 3: b.values[i] = column % 2 ? -1e30f : 1e30f; break;
      case 4: b.values[i] = -0.0f; break;
      case 5: b.values[i] = 1.0f / 3; break;
      case 6: b.values[i] = column ? b.values[i] / 1024 : 1e4f; break;
    }
  }
  if (columns % 32) return b;
  size_t blocks = (size_t)(tokens * columns / 32);
  b.quants = memory(32 * blocks);
  b.scales = memory(blocks * sizeof *b.scales);
  b.sums = memory(2 * blocks * sizeof *b.sums);
  sluice_kernels_scalar.quantize(b.values, tokens * columns, b.quants, b.scales, b.sums);
  return b;
}

static void multiply(const matrix *m, batch b, int first, int last, int integer, int accumulate, float *out) {
  sluice_activations activations = {b.values, b.columns, b.quants, b.scales, b.sums, b.columns};
  sluice_linear_segment segment = {m->type, m->rows, m->columns, m->panels, out, m->rows, accumulate};
  kernels->linear(&segment, 0, (m->rows + 15) / 16, &activations, first, last, integer);
}

static void check_products(const matrix *m, batch b, int integer) {
  int is_quantized = integer && is_quantized_type(m->type), rounds = m->type == SLUICE_BF16 && integer && rounds_to_bfloat();
  double tolerance = rounds ? 0x1p-8 : 2e-6, absolute = rounds ? 1e-37 : 1e-43;
  float *out = memory((size_t)(b.tokens * m->rows) * sizeof *out);
  multiply(m, b, 0, b.tokens, integer, 0, out);
  for (int token = 0; token < b.tokens; token++)
    for (int row = 0; row < m->rows; row++) {
      double sum = 0, magnitude = 0;
      for (int c = 0; c < m->columns; c++) {
        int i = token * m->columns + c;
        double x = is_quantized ? (double)b.scales[i / 32] * b.quants[i] : (double)b.values[i];
        double product = (double)m->values[row * m->columns + c] * x;
        sum += product;
        magnitude += fabs(product);
      }
      double actual = (double)out[token * m->rows + row];
      int is_close = fabs(actual - sum) <= tolerance * magnitude + absolute * m->columns;
      expect(is_close, "linear type %d, %d columns, integer %d, token %d, row %d: %g is not %g", m->type, m->columns,
             integer, token, row, actual, sum);
      if (!is_close) return;
    }
}

static void test_products(void) {
  static const int floats[] = {1, 7, 33, 96, 259, 520}, blocks[] = {32, 288, 544}, superblocks[] = {256, 768};
  for (int t = 0; t < TYPE_COUNT; t++) {
    seed(11 + (uint64_t)t);
    int block = block_columns(matrix_types[t]);
    const int *columns = block == 1 ? floats : block == 32 ? blocks : superblocks;
    for (int i = 0; i < (block == 1 ? 6 : block == 32 ? 3 : 2); i++) {
      matrix m = random_matrix(matrix_types[t], 37, columns[i]);
      expect_floats(m.values, (size_t)(37 * columns[i]), 0, 0, "unpacked rows of type %d", m.type);
      expect_bytes(m.panels, 3 * sluice_panel_bytes(m.type, m.columns), "panels of type %d", m.type);
      batch b = random_batch(BATCH_TOKENS, columns[i]);
      for (int integer = 0; integer < 2; integer++) check_products(&m, b, integer);
      release_memory();
    }
  }
}

/// The same bits however many tokens a call has.
static void test_batches(void) {
  enum { TOKENS = 197, ROWS = 34 };
  static const int sizes[] = {2, 3, 5, 7, 8, 9, 12, 33, 97, 197};
  for (int t = 0; t < TYPE_COUNT; t++) {
    seed(120 + (uint64_t)t);
    int block = block_columns(matrix_types[t]);
    matrix m = random_matrix(matrix_types[t], ROWS, block == 1 ? 283 : block == 32 ? 288 : 512);
    batch b = random_batch(TOKENS, m.columns);
    float *single = memory(TOKENS * ROWS * sizeof(float)), *out = memory(TOKENS * ROWS * sizeof(float));
    for (int integer = 0; integer < 2; integer++) {
      for (int token = 0; token < TOKENS; token++) multiply(&m, b, token, token + 1, integer, 0, single);
      for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        // Every size meets the adversarial tokens; the whole chunk of 96 and its rest meet all.
        int tokens = sizes[i] < 97 ? 40 : TOKENS;
        for (int token = 0; token < tokens; token += sizes[i])
          multiply(&m, b, token, token + sizes[i] < tokens ? token + sizes[i] : tokens, integer, 0, out);
        expect(memcmp(out, single, (size_t)(tokens * ROWS) * sizeof(float)) == 0,
               "linear type %d, integer %d: batches of %d give other bits", m.type, integer, sizes[i]);
      }
    }
    release_memory();
  }
}

/// Weights and activations of the largest magnitude are what a 16-bit intermediate would overflow at.
static void test_extremes(void) {
  static const uint8_t fills[] = {0, 0x7f, 0x80, 0xff};
  enum { TOKENS = 10, ROWS = 34 };
  for (int t = 0; t < TYPE_COUNT; t++) {
    if (!is_quantized_type(matrix_types[t])) continue;
    for (int f = 0; f < 4; f++) {
      matrix m = filled_matrix(matrix_types[t], ROWS, 2 * block_columns(matrix_types[t]), fills[f]);
      batch b = {TOKENS, m.columns, memory((size_t)(TOKENS * m.columns) * 4), memory((size_t)(TOKENS * m.columns)),
                 memory((size_t)(TOKENS * m.columns / 32) * 4), memory((size_t)(TOKENS * m.columns / 16) * 4)};
      double sum = 0;
      for (int c = 0; c < m.columns; c++) sum += (double)m.values[c];
      for (int tokens = 1; tokens <= TOKENS; tokens++)
        for (int sign = -1; sign <= 1; sign += 2) {
          for (int i = 0; i < tokens * m.columns; i++) b.values[i] = (float)sign;
          kernels->quantize(b.values, tokens * m.columns, b.quants, b.scales, b.sums);
          float *out = memory((size_t)(tokens * ROWS) * sizeof(float));
          multiply(&m, b, 0, tokens, 1, 0, out);
          for (int i = 0; i < tokens * ROWS; i++)
            expect(fabs((double)out[i] - sign * sum) <= 1e-6 * fabs(sum), "linear type %d of %d, %d tokens: %g is not %g",
                   m.type, fills[f], tokens, (double)out[i], sign * sum);
        }
      release_memory();
    }
  }
}

/// Inputs further apart than they are long, any range of panels and tokens; sums are added to what is there.
static void test_parts(void) {
  static const sluice_type types[] = {SLUICE_F32, SLUICE_F16, SLUICE_BF16};
  static const int columns[] = {1, 4, 16, 21, 70}, parts[][4] = {{0, 3, 0, 11}, {1, 2, 3, 4}, {2, 3, 0, 9}, {1, 1, 0, 11}};
  for (int t = 0; t < 3; t++)
    for (int c = 0; c < 5; c++) {
      seed(16 + (uint64_t)(t * 5 + c));
      matrix m = random_matrix(types[t], 37, columns[c]);
      int stride = columns[c] + 5;
      float *inputs = random_normals((size_t)(11 * stride), 1);
      for (int p = 0; p < 4; p++) {
        float *out = memory(11 * 37 * sizeof *out);
        for (int i = 0; i < 11 * 37; i++) out[i] = (float)i;
        sluice_activations activations = {inputs, stride, NULL, NULL, NULL, columns[c]};
        sluice_linear_segment segment = {m.type, 37, columns[c], m.panels, out, 37, 1};
        kernels->linear(&segment, parts[p][0], parts[p][1], &activations, parts[p][2], parts[p][3], 0);
        expect_floats(out, 11 * 37, 2e-6 * columns[c], 1e-6, "part %d of type %d, %d columns", p, m.type, columns[c]);
      }
      release_memory();
    }
}

static void test_quantize(void) {
  seed(15);
  batch b = random_batch(BATCH_TOKENS, 96);
  size_t blocks = BATCH_TOKENS * 3;
  int8_t *quants = memory(32 * blocks);
  float *scales = memory(4 * blocks);
  int32_t *sums = memory(8 * blocks);
  kernels->quantize(b.values, BATCH_TOKENS * 96, quants, scales, sums);
  expect_bytes(quants, 32 * blocks, "quants");
  expect_bytes(scales, 4 * blocks, "scales");
  expect_bytes(sums, 8 * blocks, "sums of quants");
}

void test_linear(void) {
  test_products();
  test_batches();
  test_extremes();
  test_parts();
  test_quantize();
}
