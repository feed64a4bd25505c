#pragma once
// Sixteen lanes, one a row of a panel: what every kernel is written in.
//
// Plain arithmetic uses the operators of clang's vector extension, which the compiler splits over registers.
// Each instruction set adds, in its own lanes_*.h:
//   lanes_fma(a, b, c)            a * b + c
//   lanes_of_halves(p)            16 halves as floats, and lanes_store_halves(p, x), rounded to nearest even
//   load_half(p)                  one half as a float
//   bytes_dot(acc, w, x)          acc + the dot of each lane's 4 weight bytes with the 4 activation bytes of x
//   bytes_dot_small(acc, w, x)    the same for weights 0...63
//   bytes_lookup(table, x)        table[byte] for each of the 4 bytes, 0...15, of each lane of x
//   WEIGHT_BIAS                   what bytes_dot's weights have been increased by: 128 where they are unsigned
//   TILE_PANELS, TILE_TOKENS      the register tile of a matrix product
//   SCORE_ROWS, SCORE_PANELS_n    attention's score tiles: rows, and panels beside n rows
//   VALUE_ROWS, VALUE_LANES(rows) attention's value tiles: rows, and vectors of 16 dims beside so many
//   PAIR_TILE_ROWS, PAIR_SCORE_PANELS(rows), PAIR_VALUE_LANES(rows)  the same for tiles of pairs
//   PEAK_WEIGHTS, PEAK_INPUTS     the register tile that measures the CPU's own limits
//   HAS_BYTES_DOT                 1 where bytes_dot is faster than float arithmetic
//   HAS_WORD_SUMS                 1 where dot products of small weights are better summed in int16 first: lanes_ww holds two
//                                 such sums a lane, words_dot(acc, w, x) adds to them, words_fold(acc) is their sum
//   HAS_WORD_TILES                1 where signed bytes are better widened to int16 for a matrix product
//   HAS_BFLOAT_DOT                1 where lanes_dot_bfloats(acc, w, x) multiplies pairs of bf16
//   HAS_WORDS_DOT                 1 where lanes_dot_words(acc, w, x) multiplies pairs of int16, exactly, twice as fast
//                                 as lanes_fma multiplies floats
//   HAS_LANE_MASKS                defined before this file where lanes_load_first(p, count) and lanes_store_first(p, x,
//                                 count) are single instructions; they are written out here otherwise
//   HAS_POWER_SCALE               1 where lanes_scale_power(y, n) is y * 2^n for integral n, underflow included, and
//                                 lanes_nearest(x) the nearest integer as a float

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "half.h"
#include "panels.h"

#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")
#define SCALAR_LOOP _Pragma("clang loop vectorize(disable)")
#define KEEP_LOOP _Pragma("clang loop unroll(disable)")

typedef float lanes __attribute__((ext_vector_type(16)));
typedef int32_t lanes_i __attribute__((ext_vector_type(16)));
typedef uint32_t lanes_u __attribute__((ext_vector_type(16)));
typedef uint16_t lanes_h __attribute__((ext_vector_type(16)));
typedef int8_t lanes_b __attribute__((ext_vector_type(16)));
typedef uint16_t lanes_h2 __attribute__((ext_vector_type(32)));
typedef int16_t lanes_w __attribute__((ext_vector_type(16)));
typedef uint8_t lanes_ub __attribute__((ext_vector_type(16)));

INLINE lanes lanes_load(const void *p) {
  lanes x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void lanes_store(void *p, lanes x) { memcpy(p, &x, sizeof x); }

INLINE lanes_u lanes_load_bits(const void *p) {
  lanes_u x;
  memcpy(&x, p, sizeof x);
  return x;
}

INLINE void lanes_store_bits(void *p, lanes_u x) { memcpy(p, &x, sizeof x); }

#ifndef HAS_LANE_MASKS
/// The first `count` (1...16) values, the rest zeros; reads no further.
INLINE lanes lanes_load_first(const float *p, int count) {
  lanes x = 0;
  memcpy(&x, p, (size_t)count * sizeof(float));
  return x;
}

INLINE void lanes_store_first(float *p, lanes x, int count) { memcpy(p, &x, (size_t)count * sizeof(float)); }
#endif

INLINE lanes lanes_of_bits(lanes_u x) { return (lanes)(x); }
INLINE lanes_u bits_of_lanes(lanes x) { return (lanes_u)(x); }

INLINE lanes lanes_of_bfloats(const void *p) {
  lanes_h x;
  memcpy(&x, p, sizeof x);
  return lanes_of_bits(__builtin_convertvector(x, lanes_u) << 16);
}

INLINE lanes lanes_of_bytes(const void *p) {
  lanes_b x;
  memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, lanes);
}

/// Sixteen unsigned bytes, one a lane.
INLINE lanes_u bits_of_bytes(const void *p) {
  lanes_ub x;
  memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, lanes_u);
}

/// The larger of each lane; the second where one is not a number.
INLINE lanes lanes_max(lanes a, lanes b) { return a > b ? a : b; }
INLINE lanes lanes_min(lanes a, lanes b) { return a < b ? a : b; }

INLINE lanes lanes_select(lanes_i mask, lanes yes, lanes no) { return mask ? yes : no; }

/// The nearest integer, ties to even, for |x| below 2^22.
INLINE lanes_i lanes_round(lanes x) {
  const float magic = 0x1.8p23f;
  return (lanes_i)(x + magic) - (int32_t)0x4b400000;
}

INLINE lanes_i lanes_index(void) { return (lanes_i){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

/// Sums in a fixed tree order.
INLINE float lanes_sum(lanes x) {
  typedef float lanes8 __attribute__((ext_vector_type(8)));
  typedef float lanes4 __attribute__((ext_vector_type(4)));
  lanes8 a = x.lo + x.hi;
  lanes4 b = a.lo + a.hi;
  return (b.x + b.z) + (b.y + b.w);
}

INLINE float lanes_largest(lanes x) {
  typedef float lanes8 __attribute__((ext_vector_type(8)));
  typedef float lanes4 __attribute__((ext_vector_type(4)));
  lanes8 a = x.lo > x.hi ? x.lo : x.hi;
  lanes4 b = a.lo > a.hi ? a.lo : a.hi;
  float c = b.x > b.z ? b.x : b.z, d = b.y > b.w ? b.y : b.w;
  return c > d ? c : d;
}
