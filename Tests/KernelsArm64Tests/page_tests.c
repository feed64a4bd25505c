// Bounds of pages, over the shapes of PageBoundsTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"

static uint16_t *random_bounds(int pages, int head_dim) {
  size_t count = (size_t)(pages + 15) / 16 * (size_t)head_dim * 32;
  uint16_t *bounds = memory(2 * count);
  for (size_t i = 0; i < count; i++) bounds[i] = 0x7bff;
  for (int key = 0; key < 5; key++)
    for (int page = 0; page < pages; page++) {
      float x[128];
      for (int d = 0; d < head_dim; d++) x[d] = random_normal();
      kernels->widen_page(head_dim, x, bounds, page, key == 0);
    }
  expect_bytes(bounds, 2 * count, "bounds of %d pages, %d dims", pages, head_dim);
  return bounds;
}

static void test_bounds(void) {
  static const int dims[] = {2, 16, 48, 80, 128}, page_counts[] = {1, 15, 16, 17, 33, 64}, row_counts[] = {1, 2, 3, 4, 5, 8};
  for (int d = 0; d < 5; d++)
    for (int p = 0; p < 6; p++) {
      seed(120 + (uint64_t)(6 * d + p));
      int pages = page_counts[p], head_dim = dims[d];
      uint16_t *bounds = random_bounds(pages, head_dim);
      for (int i = 0; i < 6; i++) {
        int rows = row_counts[i];
        float *queries = random_normals((size_t)(rows * head_dim), 1), *slopes = memory((size_t)rows * 4);
        float *distances = memory((size_t)pages * 4), *out = memory((size_t)pages * 4);
        for (int r = 0; r < rows; r++) slopes[r] = 1.0f / (float)(2 + r);
        for (int page = 0; page < pages; page++) distances[page] = (float)(7 * (pages - page));
        kernels->bound_pages(head_dim, bounds, NULL, pages, rows, queries, head_dim, NULL, NULL, out);
        expect_floats(out, (size_t)pages, 1e-4, 1e-5, "bounds of logits, %d pages, %d dims, %d rows", pages, head_dim, rows);
        kernels->bound_pages(head_dim, bounds, bounds, pages, rows, queries, head_dim, slopes, distances, out);
        expect_floats(out, (size_t)pages, 1e-4, 2e-5, "sloped bounds, %d pages, %d dims, %d rows", pages, head_dim, rows);
      }
      release_memory();
    }
}

/// Rounding outward, for all kinds of floats.
static void test_rounding(void) {
  static const float special[] = {0, -0.0f, 1, -1, 65504, -65504, 65505, -65505, 1e38f, -1e38f, 0x1p-24f, 0x1p-25f, -0x1p-140f};
  enum { SPECIAL = sizeof special / sizeof *special };
  seed(3);
  for (int i = 0; i < 4000; i++) {
    uint32_t bits = (uint32_t)random_bits();
    float value, small = random_normal() * 0x1p-15f;
    memcpy(&value, &bits, 4);
    if (i < SPECIAL) value = special[i];
    if (!isfinite(value)) continue;
    float key[2] = {value, small};
    uint16_t bounds[64] = {0};
    kernels->widen_page(2, key, bounds, 3, 1);
    expect_bytes(bounds, sizeof bounds, "bounds of %g and %g", (double)value, (double)small);
  }
  uint16_t bounds[64] = {0};
  float keys[3][2] = {{NAN, 1}, {INFINITY, 1}, {2, 1}}, queries[4] = {0, 1, 0, 3}, out[3];
  for (int page = 0; page < 3; page++) kernels->widen_page(2, keys[page], bounds, page, 1);
  kernels->bound_pages(2, bounds, NULL, 3, 2, queries, 2, NULL, NULL, out);
  expect(out[0] == INFINITY && out[1] == INFINITY && out[2] == 3, "broken numbers are not worth reading");
}

void test_pages(void) {
  test_bounds();
  test_rounding();
}
