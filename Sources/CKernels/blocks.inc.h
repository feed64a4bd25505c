// How each element type's panel blocks become lanes: the only code that knows a type's bits.
//
// For each type T:
//   scales_T(block)              what the block's values share, as lanes
//   column_T(block, scales, q, j) column 4q + j of the block as 16 floats
// and for the types that int8 arithmetic multiplies:
//   quad_T(block, q)             columns 4q to 4q + 3 as 4 bytes a lane, ready for bytes_dot
// A block is 32 columns of one panel. Callers unroll j, and q by halves, so that every shift is a constant.

typedef struct block_scales {
  lanes scale, minimum;
} block_scales;

enum { BYTES_F32 = 2048, BYTES_F16 = 1024, BYTES_BF16 = 1024, BYTES_Q8_0 = 544, BYTES_Q4_1 = 320 };

#define NO_SCALES(TYPE) \
  INLINE block_scales scales_##TYPE(const uint8_t *block) { return (block_scales){0, 0}; }

NO_SCALES(f32)
NO_SCALES(f16)
NO_SCALES(bf16)

INLINE lanes column_f32(const uint8_t *block, block_scales scales, int q, int j) {
  return lanes_load(block + 64 * (4 * q + j));
}

INLINE lanes column_f16(const uint8_t *block, block_scales scales, int q, int j) {
  return lanes_of_halves(block + 32 * (4 * q + j));
}

INLINE lanes column_bf16(const uint8_t *block, block_scales scales, int q, int j) {
  lanes_u pair = lanes_load_bits(block + 64 * (2 * q + j / 2));
  return lanes_of_bits(j % 2 ? pair & 0xffff0000u : pair << 16);
}

INLINE block_scales scales_q8_0(const uint8_t *block) { return (block_scales){lanes_of_halves(block), 0}; }

INLINE lanes column_q8_0(const uint8_t *block, block_scales scales, int q, int j) {
  lanes_i quad = (lanes_i)lanes_load_bits(block + 32 + 64 * q);
  return __builtin_convertvector(quad << (24 - 8 * j) >> 24, lanes) * scales.scale;
}

INLINE lanes_u quad_q8_0(const uint8_t *block, int q) {
  lanes_u quad = lanes_load_bits(block + 32 + 64 * q);
  return WEIGHT_BIAS ? quad ^ 0x80808080u : quad;
}

INLINE block_scales scales_q4_1(const uint8_t *block) {
  return (block_scales){lanes_of_halves(block), lanes_of_halves(block + 32)};
}

INLINE lanes column_q4_1(const uint8_t *block, block_scales scales, int q, int j) {
  lanes_u chunk = lanes_load_bits(block + 64 + 64 * (q & 3));
  lanes_u nibble = chunk >> (8 * j + (q & 4)) & 15;
  return lanes_fma(__builtin_convertvector((lanes_i)nibble, lanes), scales.scale, scales.minimum);
}

INLINE lanes_u quad_q4_1(const uint8_t *block, int q) {
  return lanes_load_bits(block + 64 + 64 * (q & 3)) >> (q & 4) & 0x0f0f0f0fu;
}

// Blocks expanded for a matrix product: 16 float scales (and 16 minima), then 8 quads as bytes_dot wants them.
enum { BYTES_SIGNED = 576, BYTES_AFFINE = 640 };

INLINE block_scales scales_signed(const uint8_t *block) { return (block_scales){lanes_load(block), 0}; }
INLINE lanes_u quad_signed(const uint8_t *block, int q) { return lanes_load_bits(block + 64 + 64 * q); }

INLINE block_scales scales_affine(const uint8_t *block) {
  return (block_scales){lanes_load(block), lanes_load(block + 64)};
}
INLINE lanes_u quad_affine(const uint8_t *block, int q) { return lanes_load_bits(block + 128 + 64 * q); }
