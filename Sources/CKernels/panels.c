#include "panels.h"

#include <string.h>

#include "half.h"

size_t sluice_row_bytes(sluice_type type, int columns) { return row_bytes_of(type, columns); }

size_t sluice_panel_bytes(sluice_type type, int columns) { return panel_bytes_of(type, columns); }

static void pack_q8_0(const uint8_t *row, int lane, int columns, uint8_t *panel) {
  for (int block = 0; block < columns / BLOCK; block++, row += 34, panel += 544) {
    memcpy(panel + 2 * lane, row, 2);
    for (int quad = 0; quad < 8; quad++) memcpy(panel + 32 + 64 * quad + 4 * lane, row + 2 + 4 * quad, 4);
  }
}

/// GGUF keeps columns 0 to 15 of a block in the low nibbles of its 16 bytes and 16 to 31 in the high ones: byte 4c + j
/// already holds column j of quads c and c + 4: nibbles never need to be taken apart.
static void pack_q4_1(const uint8_t *row, int lane, int columns, uint8_t *panel) {
  for (int block = 0; block < columns / BLOCK; block++, row += 20, panel += 320) {
    memcpy(panel + 2 * lane, row, 2);
    memcpy(panel + 32 + 2 * lane, row + 2, 2);
    for (int chunk = 0; chunk < 4; chunk++) memcpy(panel + 64 + 64 * chunk + 4 * lane, row + 4 + 4 * chunk, 4);
  }
}

void sluice_pack_panel(sluice_type type, const void *rows, int row_count, int columns, void *panel) {
  size_t row_bytes = row_bytes_of(type, columns);
  if (row_count < PANEL || type == SLUICE_BF16) memset(panel, 0, panel_bytes_of(type, columns));
  for (int lane = 0; lane < row_count; lane++) {
    const uint8_t *row = (const uint8_t *)rows + (size_t)lane * row_bytes;
    uint8_t *out = panel;
    switch (type) {
      case SLUICE_F32:
        for (int c = 0; c < columns; c++) memcpy(out + 64 * (size_t)c + 4 * lane, row + 4 * (size_t)c, 4);
        break;
      case SLUICE_F16:
        for (int c = 0; c < columns; c++) memcpy(out + 32 * (size_t)c + 2 * lane, row + 2 * (size_t)c, 2);
        break;
      case SLUICE_BF16:
        for (int c = 0; c < columns; c++)
          memcpy(out + 64 * (size_t)(c / 2) + 4 * lane + 2 * (c % 2), row + 2 * (size_t)c, 2);
        break;
      case SLUICE_Q8_0: pack_q8_0(row, lane, columns, out); break;
      case SLUICE_Q4_1: pack_q4_1(row, lane, columns, out); break;
    }
  }
}

static uint16_t load_u16(const uint8_t *p) {
  uint16_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

void sluice_unpack_row(sluice_type type, const void *panel, int lane, int columns, float *out) {
  const uint8_t *in = panel;
  switch (type) {
    case SLUICE_F32:
      for (int c = 0; c < columns; c++) memcpy(out + c, in + 64 * (size_t)c + 4 * lane, 4);
      break;
    case SLUICE_F16:
      for (int c = 0; c < columns; c++) out[c] = float_of_half(load_u16(in + 32 * (size_t)c + 2 * lane));
      break;
    case SLUICE_BF16:
      for (int c = 0; c < columns; c++)
        out[c] = float_of_bfloat(load_u16(in + 64 * (size_t)(c / 2) + 4 * lane + 2 * (c % 2)));
      break;
    case SLUICE_Q8_0:
      for (int block = 0; block < columns / BLOCK; block++, in += 544, out += BLOCK) {
        float scale = float_of_half(load_u16(in + 2 * lane));
        for (int c = 0; c < BLOCK; c++) out[c] = scale * (float)(int8_t)in[32 + 64 * (c / 4) + 4 * lane + c % 4];
      }
      break;
    case SLUICE_Q4_1:
      for (int block = 0; block < columns / BLOCK; block++, in += 320, out += BLOCK) {
        float scale = float_of_half(load_u16(in + 2 * lane));
        float minimum = float_of_half(load_u16(in + 32 + 2 * lane));
        for (int c = 0; c < BLOCK; c++) {
          uint8_t byte = in[64 + 64 * (c / 4 % 4) + 4 * lane + c % 4];
          out[c] = scale * (float)(c < 16 ? byte & 15 : byte >> 4) + minimum;
        }
      }
      break;
  }
}
