// Convolutions, the delta rule, sums of rows and the loops that measure a CPU's limits.

#include <string.h>

#include "expectations.h"

static void test_convolution(void) {
  static const int shapes[][3] = {{1, 16, 4}, {9, 33, 4}, {3, 50, 2}, {5, 7, 8}};
  for (int i = 0; i < 4; i++) {
    seed(500 + (uint64_t)i);
    int tokens = shapes[i][0], channels = shapes[i][1], span = shapes[i][2], stride = channels + 3;
    for (int variant = 0; variant < 2; variant++) {
      size_t kept = (size_t)((span - 1) * channels), inputs = (size_t)((tokens - 1) * stride + channels);
      float *history = random_normals(kept, 1), *out = memory(inputs * 4);
      sluice_convolution c = {tokens, channels, span, variant, random_normals(inputs, 1),
                              random_normals((size_t)(span * channels), 0.5f),
                              variant ? random_normals((size_t)channels, 1) : NULL, history, out, stride, stride};
      if (channels > 16) kernels->convolve(&c, 0, 16);
      kernels->convolve(&c, channels > 16 ? 16 : 0, channels);
      expect_floats(out, inputs, 1e-5, 1e-6, "a convolution of %d tokens, %d channels", tokens, channels);
      expect_floats(history, kept, 0, 0, "history of %d tokens, %d channels", tokens, channels);
    }
    release_memory();
  }
}

static void test_delta_rule(void) {
  static const int shapes[][3] = {{1, 16, 16}, {7, 8, 33}, {20, 32, 48}};
  for (int i = 0; i < 3; i++) {
    seed(510 + (uint64_t)i);
    int tokens = shapes[i][0], key_dim = shapes[i][1], value_dim = shapes[i][2], stride = key_dim + value_dim;
    size_t count = (size_t)((tokens - 1) * stride + stride);
    float *gates = memory((size_t)(2 * tokens) * 4), *out = memory((size_t)(tokens * value_dim) * 4);
    float *state = random_normals((size_t)(key_dim * value_dim), 1);
    for (int t = 0; t < tokens; t++) gates[2 * t] = 0.875f, gates[2 * t + 1] = 0.25f + 0.5f / (float)(t + 1);
    sluice_delta_rule d = {tokens, key_dim, value_dim, random_normals(count, 0.2f), random_normals(count, 0.2f),
                           random_normals(count, 1), gates, gates + 1, state, out, stride, 2, value_dim};
    kernels->delta_rule(&d);
    expect_floats(out, (size_t)(tokens * value_dim), 1e-5, 1e-6, "the delta rule of %d tokens", tokens);
    expect_floats(state, (size_t)(key_dim * value_dim), 1e-5, 1e-6, "the state after %d tokens", tokens);
    release_memory();
  }
}

static void test_row_sums(void) {
  static const int columns[] = {1, 15, 16, 17, 48, 64, 80, 100, 128}, shapes[][2] = {{0, 2}, {1, 1}, {5, 9}, {153, 3}, {20, 16}};
  for (int c = 0; c < 9; c++)
    for (int i = 0; i < 5; i++) {
      seed(520 + (uint64_t)(5 * c + i));
      int count = shapes[i][0], sums = shapes[i][1], width = columns[c];
      float *matrix = random_normals((size_t)(count * width), 1), *out = memory((size_t)(sums * (width + 5)) * 4);
      float *weights = random_normals((size_t)(sums * (count + 3)), 1), *row = random_normals((size_t)width, 1);
      kernels->sum_rows(count, width, matrix, sums, weights, count + 3, out, width + 5);
      expect_floats(out, (size_t)(sums * (width + 5)), 2e-4, 1e-6, "%d sums of %d rows, %d columns", sums, count, width);
      kernels->add_to_rows(count, width, row, weights, matrix);
      expect_floats(matrix, (size_t)(count * width), 1e-6, 1e-6, "%d rows, %d columns, and one", count, width);
      release_memory();
    }
}

static void test_peaks(void) {
  uint64_t (*const loops[])(uint64_t) = {kernels->peak_float32, kernels->peak_int8, kernels->peak_bfloat16};
  for (int i = 0; i < 3; i++)
    if (loops[i])
      expect(loops[i](1) > 0 && loops[i](0) == 0 && loops[i](1000) == 1000 * loops[i](1), "peak loop %d miscounts", i);
  int is_bfloat = strcmp(kernels->name, "neon-bf16") == 0, is_scalar = strcmp(kernels->name, "scalar") == 0;
  expect((kernels->peak_bfloat16 != NULL) == is_bfloat && (kernels->peak_int8 == NULL) == is_scalar, "peak loops");
}

void test_recurrent(void) {
  test_convolution();
  test_delta_rule();
  test_row_sums();
  test_peaks();
}
