// Writing and reading slots, distances between keys: over the shapes of SlotTests.swift and DistanceTests.swift.

#include <math.h>
#include <string.h>

#include "expectations.h"
#include "stages.h"

static const int head_dims[] = {2, 8, 16, 32, 48, 64, 80, 96, 128, 256};

/// All instruction sets write the same bytes and read the same numbers.
static void test_bytes(void) {
  static const int slots[] = {0, 36, 15, 16, 1, 20, 15, 0};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int d = 0; d < 10; d++) {
      int dims = head_dims[d];
      if (!supports_head(slot_types[t], dims)) continue;
      seed(31 + (uint64_t)(10 * t + d));
      stage s = empty_stage(slot_types[t], dims, 37);
      for (int i = 0; i < 8; i++) {
        float *key = random_normals((size_t)dims, 1), *value = random_normals((size_t)dims, 3);
        kernels->write_key(s.type, dims, key, s.keys, slots[i]);
        kernels->write_value(s.type, dims, value, s.values, slots[i]);
      }
      expect_bytes(s.keys, s.key_bytes, "keys of type %d, %d dims", s.type, dims);
      expect_bytes(s.values, s.value_bytes, "values of type %d, %d dims", s.type, dims);
      for (int i = 0; i < 8; i++) {
        float *out = memory((size_t)dims * 4);
        kernels->read_key(s.type, dims, s.keys, slots[i], out);
        expect_floats(out, (size_t)dims, 0, 0, "a key of type %d, %d dims", s.type, dims);
        kernels->read_value(s.type, dims, s.values, slots[i], out);
        // A scale times a quant is exact; a minimum may be added with one rounding or with two.
        expect_floats(out, (size_t)dims, 1e-6, s.type == SLUICE_Q4_1 ? 1e-6 : 0, "a value of type %d, %d dims", s.type, dims);
      }
      release_memory();
    }
}

/// Values at and beyond the ends of the formats, denormals, and all bits of floats at random.
static void test_narrowing(void) {
  static const float special[] = {0,           -0.0f,       65504,       65519,       65520,       -65520,     1e38f,
                                  -1e38f,      0x1p-24f,    0x1p-25f,    0x1.8p-25f,  0x1p-14f,    0x1.ffcp-15f,
                                  0x1p-149f,   1 + 0x1p-11f, 1 + 0x3p-11f, 1 + 0x1p-8f, 1 + 0x3p-8f, 0x1p-126f};
  enum { SPECIAL = sizeof special / sizeof *special };
  seed(35);
  for (int part = 0; part < 256; part++) {
    float x[32];
    for (int i = 0; i < 32; i++) {
      uint32_t bits = (uint32_t)random_bits();
      if (part % 2) x[i] = random_normal() * 0x1p-15f;
      else memcpy(x + i, &bits, 4);
      if (part == 0 && i < SPECIAL) x[i] = special[i];
      if (!isfinite(x[i])) x[i] = 1;
    }
    for (int t = 0; t < SLOT_TYPE_COUNT; t++) {
      stage s = empty_stage(slot_types[t], 32, 1);
      kernels->write_value(s.type, 32, x, s.values, 0);
      kernels->write_key(s.type, 32, x, s.keys, 0);
      expect_bytes(s.values, s.value_bytes, "narrow values %d of type %d", part, s.type);
      expect_bytes(s.keys, s.key_bytes, "narrow keys %d of type %d", part, s.type);
    }
    release_memory();
  }
}

static void test_distances(void) {
  static const int slot_counts[] = {0, 1, 15, 16, 17, 63, 64, 65, 139};
  for (int t = 0; t < SLOT_TYPE_COUNT; t++)
    for (int d = 0; d < 10; d++) {
      int dims = head_dims[d];
      if (!supports_head(slot_types[t], dims)) continue;
      seed(410 + (uint64_t)(10 * t + d));
      stage s = empty_stage(slot_types[t], dims, 139);
      fill_stage(&s, 0, 139);
      float *weights = memory(139 * 4), *key = random_normals((size_t)dims, 1);
      for (int i = 0; i < 139; i++) weights[i] = (float)(1 + random_below(900));
      for (int i = 0; i < 9; i++) {
        size_t slots = (size_t)slot_counts[i];
        float *plain = memory(4 * slots), *weighted = memory(4 * slots);
        kernels->slot_distances(s.type, dims, s.keys, slot_counts[i], key, 1, NULL, plain);
        kernels->slot_distances(s.type, dims, s.keys, slot_counts[i], key, 3, weights, weighted);
        expect_floats(plain, slots, 1e-30, 8e-6, "distances of type %d, %d dims", s.type, dims);
        expect_floats(weighted, slots, 1e-30, 8e-6, "weighted distances of type %d, %d dims", s.type, dims);
      }
      // From either side the same bits.
      float *a = memory((size_t)dims * 4), *b = memory((size_t)dims * 4), there[8], back[8];
      kernels->read_key(s.type, dims, s.keys, 3, a);
      kernels->read_key(s.type, dims, s.keys, 5, b);
      kernels->slot_distances(s.type, dims, s.keys, 8, a, 1, NULL, there);
      kernels->slot_distances(s.type, dims, s.keys, 8, b, 1, NULL, back);
      expect(there[5] == back[3] && there[3] == 0, "a distance of type %d, %d dims, differs by side", s.type, dims);
      release_memory();
    }
  float keys[] = {1, NAN, INFINITY}, out[3];
  stage s = empty_stage(SLUICE_F32, 64, 3);
  for (int slot = 0; slot < 3; slot++) {
    float key[64];
    for (int i = 0; i < 64; i++) key[i] = keys[slot];
    kernels->write_key(SLUICE_F32, 64, key, s.keys, slot);
  }
  float query[64];
  for (int i = 0; i < 64; i++) query[i] = 2;
  kernels->slot_distances(SLUICE_F32, 64, s.keys, 3, query, 1, NULL, out);
  expect(out[0] == 64 && out[1] == INFINITY && out[2] == INFINITY, "broken keys are not infinitely far");
}

static void test_nearest(void) {
  static const float values[] = {0, 1, 2, 3, INFINITY};
  seed(44);
  for (int n = 0; n < 70; n++) {
    float *x = memory((size_t)n * 4), *distances = memory((size_t)n * 4);
    int32_t *nearest = memory((size_t)n * 4), index = n ? random_below(n) : 0;
    for (int i = 0; i < n; i++) {
      x[i] = values[random_below(5)];
      distances[i] = values[random_below(5)];
      nearest[i] = random_below(2) ? index : random_below(2 * n) - n;
    }
    int smallest = kernels->first_smallest(x, n);
    expect_bytes(&smallest, sizeof smallest, "the first smallest of %d", n);
    kernels->update_nearest(index, distances, n, x, nearest);
    expect_bytes(x, (size_t)n * 4, "distances of %d nearest", n);
    expect_bytes(nearest, (size_t)n * 4, "indices of %d nearest", n);
    for (int i = 0; i < n; i += 3) x[i] = i % 2 ? NAN : INFINITY;
    smallest = kernels->first_smallest(x, n);
    expect_bytes(&smallest, sizeof smallest, "the first smallest of %d with broken numbers", n);
    release_memory();
  }
}

void test_slots(void) {
  test_bytes();
  test_narrowing();
  test_distances();
  test_nearest();
}
