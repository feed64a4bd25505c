#pragma once
// NEON with the dot product extension: a lane vector is four registers.

#include <arm_neon.h>

#include "lanes.h"

#define WEIGHT_BIAS 0
#define TILE_PANELS 1
#define TILE_TOKENS 4
#define SCORE_ROWS 4
#define SCORE_PANELS 1
#define SCORE_PANELS_4 1
#define SCORE_PANELS_3 1
#define SCORE_PANELS_2 2
#define SCORE_PANELS_1 4
#define VALUE_ROWS 3
#define VALUE_LANES(rows) 2
#define PAIR_TILE_ROWS 8
#define PAIR_SCORE_PANELS(rows) 1
#define PAIR_VALUE_LANES(rows) 1
#define PEAK_WEIGHTS 2
#define PEAK_INPUTS 3
#define HAS_BYTES_DOT 1
#define HAS_WORD_SUMS 0
#define HAS_WORD_TILES 0
#define HAS_BFLOAT_DOT 0
#define HAS_WORDS_DOT 0
#define HAS_POWER_SCALE 0

typedef struct quarters {
  float32x4_t f[4];
} quarters;

typedef struct quarters_i {
  int32x4_t i[4];
} quarters_i;

INLINE lanes lanes_fma(lanes a, lanes b, lanes c) {
  quarters x, y, z;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  memcpy(&z, &c, sizeof z);
  UNROLL
  for (int i = 0; i < 4; i++) z.f[i] = vfmaq_f32(z.f[i], x.f[i], y.f[i]);
  memcpy(&c, &z, sizeof c);
  return c;
}

INLINE lanes lanes_of_halves(const void *p) {
  quarters x;
  UNROLL
  for (int i = 0; i < 4; i++) x.f[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)p + 4 * i)));
  lanes out;
  memcpy(&out, &x, sizeof out);
  return out;
}

INLINE void lanes_store_halves(void *p, lanes x) {
  quarters parts;
  memcpy(&parts, &x, sizeof parts);
  UNROLL
  for (int i = 0; i < 4; i++) vst1_u16((uint16_t *)p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(parts.f[i])));
}

INLINE float load_half(const void *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return float_of_half(half);
}

INLINE lanes_i bytes_dot(lanes_i acc, lanes_u w, uint32_t x) {
  quarters_i a, b;
  memcpy(&a, &acc, sizeof a);
  memcpy(&b, &w, sizeof b);
  int8x16_t quad = vreinterpretq_s8_u32(vdupq_n_u32(x));
  UNROLL
  for (int i = 0; i < 4; i++) a.i[i] = vdotq_s32(a.i[i], vreinterpretq_s8_s32(b.i[i]), quad);
  memcpy(&acc, &a, sizeof acc);
  return acc;
}

INLINE lanes_i bytes_dot_small(lanes_i acc, lanes_u w, uint32_t x) { return bytes_dot(acc, w, x); }

INLINE lanes_u bytes_lookup(const int8_t table[16], lanes_u x) {
  int8x16_t values = vld1q_s8(table);
  uint8x16_t parts[4];
  memcpy(parts, &x, sizeof parts);
  UNROLL
  for (int i = 0; i < 4; i++) parts[i] = vreinterpretq_u8_s8(vqtbl1q_s8(values, parts[i]));
  memcpy(&x, parts, sizeof x);
  return x;
}
