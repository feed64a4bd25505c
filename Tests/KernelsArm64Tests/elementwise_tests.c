// Norms, activations, softmax and rotation, over the shapes of ElementwiseTests.swift and ActivationTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"

static const int sizes[] = {1, 2, 15, 16, 17, 31, 33, 64, 65, 100, 576, 1023, 1024, 1025, 4099};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void test_norms(void) {
  static const float magnitudes[] = {1e-12f, 1, 1e17f}, scales[][2] = {{1e-6f, 0}, {1, 0}, {1, 30}, {1e15f, -1e15f}};
  seed(21);
  for (int i = 0; i < SIZES; i++) {
    int n = sizes[i];
    float *weight = random_normals((size_t)n, 1), *bias = random_normals((size_t)n, 1);
    for (int m = 0; m < 3; m++)
      for (int weighted = 0; weighted < 2; weighted++) {
        float *x = random_normals((size_t)n, magnitudes[m]), *out = memory((size_t)n * 4);
        kernels->rms_norm(x, weighted ? weight : NULL, out, n, 1e-5f);
        expect_floats(out, (size_t)n, 0, 2e-6, "RMS norm of %d of %g", n, (double)magnitudes[m]);
      }
    for (int m = 0; m < 4; m++)
      for (int biased = 0; biased < 2; biased++) {
        float *x = random_normals((size_t)n, scales[m][0]), *out = memory((size_t)n * 4);
        for (int j = 0; j < n; j++) x[j] += scales[m][1];
        kernels->layer_norm(x, weight, biased ? bias : NULL, out, n, 1e-5f);
        double offset = fabs((double)scales[m][1] / (double)scales[m][0]);
        expect_floats(out, (size_t)n, 1e-5 * (offset > 1 ? offset : 1), 1e-6, "layer norm of %d about %g", n,
                      (double)scales[m][1]);
      }
    release_memory();
  }
}

typedef void activation(const float *gate, const float *up, float *out, int n);

static void test_activations(void) {
  enum { COUNT = 24001, SPECIAL = 10 };
  static const float special[SPECIAL] = {0, -0.0f, 1e30f, -1e30f, INFINITY, 0x1p-149f, -1000, 1000, NAN, 88};
  activation *const functions[] = {kernels->silu_multiply, kernels->gelu_tanh_multiply, kernels->gelu_erf_multiply,
                                   kernels->sigmoid_multiply, kernels->clamped_silu_multiply};
  for (int f = 0; f < 5; f++) {
    seed(210 + (uint64_t)f);
    float *gate = memory(COUNT * 4), *up = memory(COUNT * 4), *out = memory(COUNT * 4);
    for (int i = 0; i < COUNT; i++) gate[i] = (float)(i - COUNT / 2) / (f == 1 || f == 2 ? 1024 : 140), up[i] = 1;
    functions[f](gate, up, out, COUNT);
    // Far below zero the exponent's own rounding counts.
    expect_floats(out, COUNT, 1e-37, f == 1 || f == 2 ? 1e-4 : 2e-6, "activation %d", f);
    for (int n = 0; n <= 40; n++) {
      float *x = random_normals((size_t)n, 4), *y = random_normals((size_t)n, 9);
      functions[f](x, y, x, n);
      expect_floats(x, (size_t)n, 1e-5, 2e-6, "activation %d of %d in place", f, n);
      if (f < 4) functions[f](y, NULL, y, n);
      expect_floats(y, (size_t)n, 1e-5, 2e-6, "activation %d of %d alone", f, n);
    }
    float ones[SPECIAL], results[SPECIAL];
    for (int i = 0; i < SPECIAL; i++) ones[i] = 1;
    functions[f](special, ones, results, SPECIAL);
    expect_floats(results, SPECIAL, 1e-5, 1e-6, "activation %d of extremes", f);
    release_memory();
  }
}

static void test_simple(void) {
  seed(22);
  for (int n = 0; n <= 50; n++) {
    float *x = random_normals((size_t)n, 20), *y = random_normals((size_t)n, 1);
    kernels->add(x, y, n);
    expect_floats(x, (size_t)n, 0, 0, "a sum of %d", n);
    kernels->scale(x, -2.5f, n);
    expect_floats(x, (size_t)n, 0, 0, "a multiple of %d", n);
    kernels->soft_cap(x, 30, n);
    expect_floats(x, (size_t)n, 1e-5, 1e-6, "a soft cap of %d", n);
    release_memory();
  }
  float extremes[] = {INFINITY, -INFINITY, 1e30f, -1e30f};
  kernels->soft_cap(extremes, 50, 4);
  expect_floats(extremes, 4, 0, 0, "a soft cap of extremes");
}

static void test_softmax(void) {
  static const float scales[] = {0, 1, 30, 1000};
  seed(23);
  for (int i = 0; i < SIZES; i++)
    for (int s = 0; s < 4; s++) {
      float *x = random_normals((size_t)sizes[i], scales[s]);
      float sums[2] = {kernels->log_sum_exp(x, sizes[i])};
      sums[1] = kernels->softmax(x, sizes[i]);
      expect(sums[0] == sums[1], "softmax of %d returns another log-sum-exp", sizes[i]);
      expect_floats(sums, 2, 4e-7, 4e-7, "log-sum-exp of %d", sizes[i]);
      expect_floats(x, (size_t)sizes[i], 4e-38, 2e-5, "softmax of %d", sizes[i]);
      release_memory();
    }
  static const float cases[][4] = {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, {3.4028235e38f, -3.4028235e38f, 0, 1},
                                   {-INFINITY, 5, -INFINITY, 5}, {0x1p-149f, 0, -0.0f, 0}};
  for (int i = 0; i < 4; i++)
    for (int n = 0; n <= 4; n++) {
      float x[4], sum;
      memcpy(x, cases[i], sizeof x);
      sum = kernels->softmax(x, n);
      expect_floats(x, 4, 1e-7, 1e-7, "softmax of case %d", i);
      expect_floats(&sum, 1, 1e-7, 1e-7, "log-sum-exp of case %d", i);
    }
}

static void test_rotation(void) {
  static const int dims[][2] = {{8, 8}, {8, 0}, {64, 64}, {64, 32}, {80, 20}, {96, 96}, {128, 128}, {256, 64}, {48, 34}};
  for (int d = 0; d < 9; d++)
    for (int interleaved = 0; interleaved < 2; interleaved++) {
      seed(230 + (uint64_t)(2 * d + interleaved));
      int stride = dims[d][0] + 3, half = dims[d][1] / 2;
      size_t count = (size_t)(2 * stride + dims[d][0]);
      float *x = random_normals(count, 1), *out = memory(count * 4), *cosine = memory((size_t)half * 4),
            *sine = memory((size_t)half * 4);
      for (int i = 0; i < half; i++) {
        float slope = random_normal();
        cosine[i] = 1 / sqrtf(1 + slope * slope);
        sine[i] = slope * cosine[i];
      }
      kernels->rotate(x, out, 3, stride, dims[d][0], dims[d][1], interleaved, cosine, sine);
      expect_floats(out, count, 1e-6, 0, "rotation of %d of %d", dims[d][1], dims[d][0]);
      kernels->rotate(x, x, 3, stride, dims[d][0], dims[d][1], interleaved, cosine, sine);
      for (int head = 0; head < 3; head++)
        expect(memcmp(x + head * stride, out + head * stride, (size_t)dims[d][0] * 4) == 0, "rotation in place");
      release_memory();
    }
}

void test_elementwise(void) {
  test_norms();
  test_activations();
  test_simple();
  test_softmax();
  test_rotation();
}
