#pragma once
// Scalar conversions of 16-bit floats, for packing and for slots; the vector kernels have their own.

#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/// Exact for every half, denormals included: a half's exponent moved into place is off by 112.
static inline float float_of_half(uint16_t half) {
  uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
  float x = float_of_bits(magnitude) * 0x1p112f;
  if (magnitude >= 0x7c00u << 13) x = float_of_bits(magnitude | 0x7f800000u);
  return float_of_bits(bits_of_float(x) | (uint32_t)(half & 0x8000) << 16);
}

/// Rounds to nearest even; overflow gives infinity, NaN stays NaN.
static inline uint16_t half_of_float(float x) {
  uint32_t bits = bits_of_float(x);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00;
  if (bits >= 0x477ff000) return sign | 0x7c00;
  if (bits < 0x38800000) {
    // A denormal half: adding 0.5 leaves the half's bits, rounded, at the bottom of the sum.
    return sign | (uint16_t)(bits_of_float(float_of_bits(bits) + 0.5f) - 0x3f000000);
  }
  return sign | (uint16_t)((bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13);
}

static inline float float_of_bfloat(uint16_t bfloat) { return float_of_bits((uint32_t)bfloat << 16); }

/// Rounds to nearest even; NaN stays NaN.
static inline uint16_t bfloat_of_float(float x) {
  uint32_t bits = bits_of_float(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16) | 0x40;
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
