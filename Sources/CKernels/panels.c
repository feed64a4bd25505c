#include "panels.h"

#include <string.h>

#include "half.h"
#include "quantized_panels.h"

size_t sluice_row_bytes(sluice_type type, int columns) { return row_bytes_of(type, columns); }

size_t sluice_panel_bytes(sluice_type type, int columns) { return panel_bytes_of(type, columns); }

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
      default: pack_quantized_row(type, row, lane, columns, out);
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
    default: unpack_quantized_row(type, in, lane, columns, out);
  }
}
