#pragma once
// Portable lanes: whatever the compiler's baseline offers. The reference for the other instruction sets.

#include "lanes.h"

#define WEIGHT_BIAS 0
#define TILE_PANELS 1
#define TILE_TOKENS 2
#define SCORE_ROWS 2
#define SCORE_PANELS 1
#define SCORE_PANELS_4 1
#define SCORE_PANELS_3 1
#define SCORE_PANELS_2 1
#define SCORE_PANELS_1 1
#define VALUE_ROWS 2
#define VALUE_LANES(rows) 1
#define PAIR_TILE_ROWS 8
#define PAIR_SCORE_PANELS(rows) 1
#define PAIR_VALUE_LANES(rows) 1
#define PEAK_WEIGHTS 1
#define PEAK_INPUTS 3
#define HAS_BYTES_DOT 0
#define HAS_WORD_SUMS 0
#define HAS_WORD_TILES 0
#define HAS_BFLOAT_DOT 0
#define HAS_WORDS_DOT 0
#define HAS_POWER_SCALE 0

INLINE lanes lanes_fma(lanes a, lanes b, lanes c) { return a * b + c; }

INLINE lanes lanes_of_halves(const void *p) {
  lanes_h halves;
  memcpy(&halves, p, sizeof halves);
  lanes_u bits = __builtin_convertvector(halves, lanes_u);
  lanes_u magnitude = (bits & 0x7fff) << 13;
  lanes x = lanes_of_bits(magnitude) * 0x1p112f;
  x = lanes_select(magnitude >= (0x7c00u << 13), lanes_of_bits(magnitude | 0x7f800000u), x);
  return lanes_of_bits(bits_of_lanes(x) | (bits & 0x8000) << 16);
}

INLINE void lanes_store_halves(void *p, lanes x) {
  uint16_t halves[16];
  for (int i = 0; i < 16; i++) halves[i] = half_of_float(x[i]);
  memcpy(p, halves, sizeof halves);
}

INLINE float load_half(const void *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return float_of_half(half);
}

INLINE lanes_i bytes_dot(lanes_i acc, lanes_u w, uint32_t x) {
  lanes_i weights = (lanes_i)w;
  int32_t quad = (int32_t)x;
  UNROLL
  for (int j = 0; j < 4; j++)
    acc += (weights << (24 - 8 * j) >> 24) * ((int32_t)((uint32_t)quad << (24 - 8 * j)) >> 24);
  return acc;
}

INLINE lanes_i bytes_dot_small(lanes_i acc, lanes_u w, uint32_t x) { return bytes_dot(acc, w, x); }

INLINE lanes_u bytes_lookup(const int8_t table[16], lanes_u x) {
  uint8_t bytes[64];
  memcpy(bytes, &x, sizeof bytes);
  for (int i = 0; i < 64; i++) bytes[i] = (uint8_t)table[bytes[i]];
  memcpy(&x, bytes, sizeof x);
  return x;
}
