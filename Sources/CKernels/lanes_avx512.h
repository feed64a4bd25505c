#pragma once
// AVX-512 with VNNI: a lane vector is one register.

#include <immintrin.h>

#define HAS_LANE_MASKS 1
#include "lanes.h"

#define WEIGHT_BIAS 128
#define TILE_PANELS 2
#define TILE_TOKENS 6
#define SCORE_ROWS 8
#define SCORE_PANELS 2
#define SCORE_PANELS_4 4
#define SCORE_PANELS_3 4
#define SCORE_PANELS_2 4
#define SCORE_PANELS_1 4
#define VALUE_ROWS 8
#define VALUE_LANES(rows) ((rows) > 6 ? 2 : 4)
#define PAIR_TILE_ROWS 8
#define PAIR_SCORE_PANELS(rows) ((rows) > 4 ? 2 : 4)
#define PAIR_VALUE_LANES(rows) VALUE_LANES(rows)
#define PEAK_WEIGHTS 4
#define PEAK_INPUTS 5
#define HAS_BYTES_DOT 1
#define HAS_WORD_SUMS 0
#define HAS_WORD_TILES 0
#define HAS_BFLOAT_DOT SLUICE_TARGET_HAS_BFLOAT
#define HAS_WORDS_DOT 1
#define HAS_POWER_SCALE 1

INLINE lanes lanes_fma(lanes a, lanes b, lanes c) {
  return (lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

INLINE lanes lanes_load_first(const float *p, int count) {
  return (lanes)_mm512_maskz_loadu_ps((__mmask16)(0xFFFFu >> (16 - count)), p);
}

INLINE void lanes_store_first(float *p, lanes x, int count) {
  _mm512_mask_storeu_ps(p, (__mmask16)(0xFFFFu >> (16 - count)), (__m512)x);
}

INLINE lanes lanes_of_halves(const void *p) {
  return (lanes)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE void lanes_store_halves(void *p, lanes x) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE float load_half(const void *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return _cvtsh_ss(half);
}

INLINE lanes_i bytes_dot(lanes_i acc, lanes_u w, uint32_t x) {
  return (lanes_i)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, _mm512_set1_epi32((int32_t)x));
}

INLINE lanes_i bytes_dot_small(lanes_i acc, lanes_u w, uint32_t x) { return bytes_dot(acc, w, x); }

INLINE lanes_u bytes_lookup(const int8_t table[16], lanes_u x) {
  __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table));
  return (lanes_u)_mm512_shuffle_epi8(values, (__m512i)x);
}

/// In assembly, since clang replaces vpdpwssd by vpmaddwd and vpaddd.
INLINE lanes_i lanes_dot_words(lanes_i acc, lanes_u w, uint32_t x) {
  __m512i sum = (__m512i)acc;
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(_mm512_set1_epi32((int32_t)x)));
  return (lanes_i)sum;
}

INLINE lanes lanes_nearest(lanes x) {
  return (lanes)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE lanes lanes_scale_power(lanes y, lanes n) { return (lanes)_mm512_scalef_ps((__m512)y, (__m512)n); }

#if HAS_BFLOAT_DOT
INLINE lanes lanes_dot_bfloats(lanes acc, lanes_u w, uint32_t x) {
  return (lanes)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int32_t)x));
}

INLINE void lanes_store_bfloats(void *p, lanes x) {
  _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
#endif
