#pragma once
// AVX2 with FMA and F16C: a lane vector is two registers. With SLUICE_TARGET_HAS_VNNI, dot products are single
// instructions.

#include <immintrin.h>

#include "lanes.h"

#define WEIGHT_BIAS (SLUICE_TARGET_HAS_VNNI ? 128 : 0)
#define TILE_PANELS 1
#define TILE_TOKENS 6
#define SCORE_ROWS 4
#define SCORE_PANELS 1
#define SCORE_PANELS_4 1
#define SCORE_PANELS_3 1
#define SCORE_PANELS_2 2
#define SCORE_PANELS_1 4
#define VALUE_ROWS 3
#define VALUE_LANES(rows) 2
#define PAIR_TILE_ROWS 6
#define PAIR_SCORE_PANELS(rows) ((rows) > 3 ? 1 : (rows) > 1 ? 2 : 4)
#define PAIR_VALUE_LANES(rows) ((rows) > 3 ? 1 : 2)
#define PEAK_WEIGHTS 2
#define PEAK_INPUTS 3
#define HAS_BYTES_DOT 1
#define HAS_WORD_SUMS !SLUICE_TARGET_HAS_VNNI
#define HAS_WORD_TILES !SLUICE_TARGET_HAS_VNNI
#define HAS_BFLOAT_DOT 0
#define HAS_WORDS_DOT 1
#define HAS_POWER_SCALE 0

#define LOW(x) ((__m256)(x).lo)
#define HIGH(x) ((__m256)(x).hi)

typedef float lanes8 __attribute__((ext_vector_type(8)));
typedef int32_t lanes8_i __attribute__((ext_vector_type(8)));

INLINE lanes lanes_fma(lanes a, lanes b, lanes c) {
  lanes x;
  x.lo = (lanes8)_mm256_fmadd_ps(LOW(a), LOW(b), LOW(c));
  x.hi = (lanes8)_mm256_fmadd_ps(HIGH(a), HIGH(b), HIGH(c));
  return x;
}

INLINE lanes lanes_of_halves(const void *p) {
  lanes x;
  x.lo = (lanes8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
  x.hi = (lanes8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1));
  return x;
}

INLINE void lanes_store_halves(void *p, lanes x) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(LOW(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128((__m128i *)p + 1, _mm256_cvtps_ph(HIGH(x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE float load_half(const void *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return _cvtsh_ss(half);
}

#if SLUICE_TARGET_HAS_VNNI
INLINE __m256i half_dot(__m256i acc, __m256i w, __m256i x) { return _mm256_dpbusd_avx_epi32(acc, w, x); }
INLINE __m256i half_dot_small(__m256i acc, __m256i w, __m256i x) { return _mm256_dpbusd_avx_epi32(acc, w, x); }

/// In assembly, since clang replaces vpdpwssd by vpmaddwd and vpaddd.
INLINE __m256i half_dot_words(__m256i acc, __m256i w, __m256i x) {
  __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(acc) : "x"(w), "x"(x));
  return acc;
}
#else
/// vpmaddubsw saturates pairs of full bytes, but not |w| with x given w's sign: both stay within 128 * 127 * 2.
INLINE __m256i half_dot(__m256i acc, __m256i w, __m256i x) {
  __m256i pairs = _mm256_maddubs_epi16(_mm256_sign_epi8(w, w), _mm256_sign_epi8(x, w));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE __m256i half_dot_small(__m256i acc, __m256i w, __m256i x) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

INLINE __m256i half_dot_words(__m256i acc, __m256i w, __m256i x) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(w, x));
}
#endif

INLINE lanes_i bytes_dot(lanes_i acc, lanes_u w, uint32_t x) {
  __m256i quad = _mm256_set1_epi32((int32_t)x);
  acc.lo = (lanes8_i)half_dot((__m256i)acc.lo, (__m256i)w.lo, quad);
  acc.hi = (lanes8_i)half_dot((__m256i)acc.hi, (__m256i)w.hi, quad);
  return acc;
}

INLINE lanes_i bytes_dot_small(lanes_i acc, lanes_u w, uint32_t x) {
  __m256i quad = _mm256_set1_epi32((int32_t)x);
  acc.lo = (lanes8_i)half_dot_small((__m256i)acc.lo, (__m256i)w.lo, quad);
  acc.hi = (lanes8_i)half_dot_small((__m256i)acc.hi, (__m256i)w.hi, quad);
  return acc;
}

INLINE lanes_i lanes_dot_words(lanes_i acc, lanes_u w, uint32_t x) {
  __m256i pair = _mm256_set1_epi32((int32_t)x);
  acc.lo = (lanes8_i)half_dot_words((__m256i)acc.lo, (__m256i)w.lo, pair);
  acc.hi = (lanes8_i)half_dot_words((__m256i)acc.hi, (__m256i)w.hi, pair);
  return acc;
}

#if HAS_WORD_SUMS
/// Two registers, which stand for two int16 a lane.
typedef struct lanes_ww {
  __m256i lo, hi;
} lanes_ww;

INLINE lanes_ww words_zero(void) { return (lanes_ww){_mm256_setzero_si256(), _mm256_setzero_si256()}; }

INLINE lanes_ww words_dot(lanes_ww acc, lanes_u w, uint32_t x) {
  __m256i quad = _mm256_set1_epi32((int32_t)x);
  acc.lo = _mm256_add_epi16(acc.lo, _mm256_maddubs_epi16((__m256i)w.lo, quad));
  acc.hi = _mm256_add_epi16(acc.hi, _mm256_maddubs_epi16((__m256i)w.hi, quad));
  return acc;
}

INLINE lanes_i words_fold(lanes_ww acc) {
  lanes_i x;
  x.lo = (lanes8_i)_mm256_madd_epi16(acc.lo, _mm256_set1_epi16(1));
  x.hi = (lanes8_i)_mm256_madd_epi16(acc.hi, _mm256_set1_epi16(1));
  return x;
}
#endif

INLINE lanes_u bytes_lookup(const int8_t table[16], lanes_u x) {
  typedef uint32_t lanes8_u __attribute__((ext_vector_type(8)));
  __m256i values = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
  x.lo = (lanes8_u)_mm256_shuffle_epi8(values, (__m256i)x.lo);
  x.hi = (lanes8_u)_mm256_shuffle_epi8(values, (__m256i)x.hi);
  return x;
}
