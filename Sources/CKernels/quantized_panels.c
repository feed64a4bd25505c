#include "quantized_panels.h"

#include <math.h>

#include "lanes_scalar.h"

#include "blocks.inc.h"

static uint32_t load_u32(const uint8_t *p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

/// `width` bits of each of four bytes, from bit `shift` on.
static uint32_t bits_of(const uint8_t *p, int shift, int width) {
  return load_u32(p) >> shift & 0x01010101u * ((1u << width) - 1);
}

/// Bits 4q to 4q + 3 of the word at `p`, one a byte.
static uint32_t spread_bits(const uint8_t *p, int q) { return (load_u32(p) >> 4 * q & 15) * 0x00204081u & 0x01010101u; }

/// The two six-bit numbers of part `part` of Q4_K and Q5_K: four of each whole in 8 bytes, whose upper bits and four
/// more bytes hold the other four (ggml-quants.c, get_scale_min_k4).
static void read_scale_minimum(const uint8_t *packed, int part, uint8_t out[2]) {
  for (int i = 0; i < 2; i++) {
    uint8_t whole = packed[part % 4 + 4 * i];
    out[i] = part < 4 ? whole & 63 : (uint8_t)((packed[part + 4] >> 4 * i & 15) | whole >> 6 << 4);
  }
}

/// Scale `index` (0..<16) of Q3_K: lower four bits in 8 bytes of nibbles, upper two in 4 bytes.
static uint8_t read_q3_k_scale(const uint8_t *packed, int index) {
  int low = packed[index % 8] >> 4 * (index / 8) & 15, high = packed[8 + index % 4] >> 2 * (index / 4) & 3;
  return (uint8_t)(low | high << 4);
}

/// Quad `q` of part `part`, a byte a quant. The layouts are ggml-common.h: types of 32 columns and IQ4_XS keep columns
/// 0 to 15 in the low and 16 to 31 in the high nibbles of 16 bytes, and fifth bits in a word; the K types keep parts side
/// by side in 32 bytes: two in nibbles, four in pairs of bits, eight in single bits.
static uint32_t read_quad(sluice_type type, const uint8_t *row, int part, int q) {
  const uint8_t *at = row + 4 * q, *short_at = row + 4 * (q % 4);
  int nibbles = 32 * (part / 2), nibble = 4 * (part % 2), pairs = 32 * (part / 4), pair = 2 * (part % 4);
  switch (type) {
    case SLUICE_Q4_0:
    case SLUICE_IQ4_NL: return bits_of(short_at + 2, q & 4, 4);
    case SLUICE_IQ4_XS: return bits_of(short_at + 8 + 16 * part, q & 4, 4);
    case SLUICE_MXFP4: return bits_of(short_at + 1, q & 4, 4);
    case SLUICE_Q4_1: return bits_of(short_at + 4, q & 4, 4);
    case SLUICE_Q5_0: return bits_of(short_at + 6, q & 4, 4) | spread_bits(row + 2, q) << 4;
    case SLUICE_Q5_1: return bits_of(short_at + 8, q & 4, 4) | spread_bits(row + 4, q) << 4;
    case SLUICE_Q8_0: return load_u32(at + 2);
    case SLUICE_Q2_K: return bits_of(at + 16 + pairs, pair, 2);
    case SLUICE_Q3_K: return bits_of(at + 32 + pairs, pair, 2) | bits_of(at, part, 1) << 2;
    case SLUICE_Q4_K: return bits_of(at + 16 + nibbles, nibble, 4);
    case SLUICE_Q5_K: return bits_of(at + 48 + nibbles, nibble, 4) | bits_of(at + 16, part, 1) << 4;
    case SLUICE_Q6_K:
      // Parts 0 and 1 of four are the low, 2 and 3 the high nibbles of 64 bytes.
      return bits_of(at + 2 * pairs + 32 * (part % 2), pair & 4, 4) | bits_of(at + 128 + pairs, pair, 2) << 4;
    default: return 0;
  }
}

/// The small integers of part `part`.
static void read_small(sluice_type type, const uint8_t *row, int part, uint8_t out[2]) {
  switch (type) {
    case SLUICE_Q2_K: memcpy(out, row + 2 * part, 2); break;
    case SLUICE_Q3_K:
      for (int i = 0; i < 2; i++) out[i] = read_q3_k_scale(row + 96, 2 * part + i);
      break;
    case SLUICE_Q4_K:
    case SLUICE_Q5_K: read_scale_minimum(row + 4, part, out); break;
    case SLUICE_Q6_K: memcpy(out, row + 192 + 2 * part, 2); break;
    default: break;
  }
}

/// Where the halves of a group begin.
static int halves_at(sluice_type type) {
  return type == SLUICE_Q2_K ? 80 : type == SLUICE_Q3_K ? 108 : type == SLUICE_Q6_K ? 208 : 0;
}

/// Where the bytes begin that a group keeps as they are.
static int shared_at(sluice_type type) { return type == SLUICE_IQ4_XS ? 2 : 0; }

void pack_quantized_row(sluice_type type, const uint8_t *row, int lane, int columns, uint8_t *panel) {
  quantized_layout layout = quantized_layout_of(type);
  for (int c = 0; c < columns; c += layout.parts * BLOCK, row += layout.row_bytes, panel += PANEL * layout.row_bytes) {
    for (int i = 0; i < layout.halves; i++) memcpy(panel + 32 * i + 2 * lane, row + halves_at(type) + 2 * i, 2);
    for (int i = 0; i < shared_bytes_of(layout); i++)
      panel[32 * layout.halves + PANEL * i + lane] = row[shared_at(type) + i];
    for (int part = 0; part < layout.parts; part++) {
      uint8_t *out = panel + part_offset(layout, part), small[2] = {0, 0};
      read_small(type, row, part, small);
      if (layout.small == SMALL_SIX_BITS) {
        uint8_t *high = panel + 32 * layout.halves + 16 * (part / 2) + lane;
        int upper = small[0] >> 4 | small[1] >> 4 << 2;
        out[lane] = (uint8_t)((small[0] & 15) | small[1] << 4);
        *high = (uint8_t)(part % 2 ? *high | upper << 4 : upper);
      } else if (layout.small == SMALL_BYTES) {
        out[lane] = small[0];
        out[16 + lane] = small[1];
      }
      uint32_t quads[8];
      for (int q = 0; q < 8; q++) quads[q] = read_quad(type, row, part, q);
      out += small_bytes_of(layout);
      for (int width = 8, low = 0; width > 0; width /= 2) {
        if (!(layout.bits & width)) continue;
        for (int vector = 0; vector < width; vector++, out += 64) {
          uint32_t word = 0;
          for (int q = vector; q < 8; q += width)
            word |= (quads[q] >> low & 0x01010101u * ((1u << width) - 1)) << (q & -width);
          memcpy(out + 4 * lane, &word, sizeof word);
        }
        low += width;
      }
    }
  }
}

/// Quant `c` of a row in a part's planes.
static int quant_at(const uint8_t *plane, int bits, int lane, int c) {
  int quant = 0, q = c / 4;
  for (int width = 8, low = 0; width > 0; width /= 2) {
    if (!(bits & width)) continue;
    int byte = plane[64 * (q & (width - 1)) + 4 * lane + c % 4];
    quant |= (byte >> (q & -width) & ((1 << width) - 1)) << low;
    plane += 64 * width;
    low += width;
  }
  return quant;
}

void unpack_quantized_row(sluice_type type, const uint8_t *panel, int lane, int columns, float *out) {
  quantized_layout layout = quantized_layout_of(type);
  const int8_t *values = values_of(type);
  for (int block = 0; block < columns / BLOCK; block++) {
    int part = block % layout.parts;
    const uint8_t *group = panel + (ptrdiff_t)(block / layout.parts) * PANEL * layout.row_bytes;
    const uint8_t *planes = group + part_offset(layout, part) + small_bytes_of(layout);
    for (int span = 0; span < 2; span++) {
      block_scales scales = scales_of(type, group, part, span);
      float scale = scales.scale[lane], minimum = scales.minimum[lane];
      for (int c = SPAN * span; c < SPAN * (span + 1); c++) {
        int quant = quant_at(planes, layout.bits, lane, c) - layout.offset;
        if (layout.kind == KIND_SIGNED) quant = values ? values[quant] : (int8_t)quant;
        *out++ = has_minimum(layout.kind) ? scale * (float)quant + minimum : scale * (float)quant;
      }
    }
  }
}
