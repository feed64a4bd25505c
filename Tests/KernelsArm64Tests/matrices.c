#include "matrices.h"

#include <string.h>

#include "expectations.h"

const sluice_type matrix_types[TYPE_COUNT] = {
    SLUICE_F32,  SLUICE_F16,  SLUICE_BF16, SLUICE_Q4_0, SLUICE_Q4_1, SLUICE_Q5_0,   SLUICE_Q5_1,   SLUICE_Q8_0,
    SLUICE_Q2_K, SLUICE_Q3_K, SLUICE_Q4_K, SLUICE_Q5_K, SLUICE_Q6_K, SLUICE_IQ4_NL, SLUICE_IQ4_XS, SLUICE_MXFP4};

int is_quantized_type(sluice_type type) { return type != SLUICE_F32 && type != SLUICE_F16 && type != SLUICE_BF16; }

int block_columns(sluice_type type) {
  if (!is_quantized_type(type)) return 1;
  return sluice_row_bytes(type, 32) ? 32 : 256;
}

/// Where a block's scale is, as a half; its minimum, where the type has one, follows it. -1 for none.
static int scale_offset(sluice_type type) {
  switch (type) {
    case SLUICE_Q2_K: return 80;
    case SLUICE_Q3_K: return 108;
    case SLUICE_Q6_K: return 208;
    case SLUICE_MXFP4: return -1;
    default: return 0;
  }
}

static int has_minimum(sluice_type type) {
  return type == SLUICE_Q4_1 || type == SLUICE_Q5_1 || type == SLUICE_Q2_K || type == SLUICE_Q4_K || type == SLUICE_Q5_K;
}

/// A half of either sign with a magnitude of 2^first to 2^last.
static uint16_t random_half(int first, int last) {
  int exponent = first + random_below(last - first);
  return (uint16_t)(random_below(2) << 15 | (exponent + 15) << 10 | random_below(1024));
}

static void fill_block(sluice_type type, uint8_t *block, size_t bytes, int fill) {
  for (size_t i = 0; i < bytes; i++) block[i] = (uint8_t)(fill < 0 ? random_below(256) : fill);
  if (type == SLUICE_MXFP4) block[0] = (uint8_t)(fill < 0 ? 115 + random_below(16) : 127);
  int offset = scale_offset(type);
  if (offset < 0) return;
  uint16_t halves[2] = {fill < 0 ? random_half(-10, -5) : 0x3c00, fill < 0 ? random_half(-6, -1) : 0};
  memcpy(block + offset, halves, has_minimum(type) ? 4 : 2);
}

static matrix packed_matrix(sluice_type type, int rows, int columns, const uint8_t *bytes) {
  size_t row_bytes = sluice_row_bytes(type, columns), panel_bytes = sluice_panel_bytes(type, columns);
  matrix m = {type, rows, columns, memory((size_t)(rows + 15) / 16 * panel_bytes), memory((size_t)(rows * columns) * 4)};
  for (int row = 0; row < rows; row += 16)
    sluice_pack_panel(type, bytes + (size_t)row * row_bytes, rows - row < 16 ? rows - row : 16, columns,
                      m.panels + (size_t)(row / 16) * panel_bytes);
  for (int row = 0; row < rows; row++)
    sluice_unpack_row(type, m.panels + (size_t)(row / 16) * panel_bytes, row % 16, columns, m.values + row * columns);
  return m;
}

matrix random_matrix(sluice_type type, int rows, int columns) {
  size_t row_bytes = sluice_row_bytes(type, columns), count = (size_t)(rows * columns);
  uint8_t *bytes = memory((size_t)rows * row_bytes);
  if (type == SLUICE_F32) {
    memcpy(bytes, random_normals(count, 1), 4 * count);
  } else if (type == SLUICE_F16) {
    for (size_t i = 0; i < count; i++) memcpy(bytes + 2 * i, &(uint16_t){random_half(-8, 1)}, 2);
  } else if (type == SLUICE_BF16) {
    float *x = random_normals(count, 1);
    for (size_t i = 0; i < count; i++) memcpy(bytes + 2 * i, (const uint8_t *)(x + i) + 2, 2);
  } else {
    size_t block = sluice_row_bytes(type, block_columns(type));
    for (size_t at = 0; at < (size_t)rows * row_bytes; at += block) fill_block(type, bytes + at, block, -1);
  }
  return packed_matrix(type, rows, columns, bytes);
}

matrix filled_matrix(sluice_type type, int rows, int columns, uint8_t fill) {
  size_t row_bytes = sluice_row_bytes(type, columns), block = sluice_row_bytes(type, block_columns(type));
  uint8_t *bytes = memory((size_t)rows * row_bytes);
  for (size_t at = 0; at < (size_t)rows * row_bytes; at += block) fill_block(type, bytes + at, block, fill);
  return packed_matrix(type, rows, columns, bytes);
}
