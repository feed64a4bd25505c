// How each element type's panel blocks become lanes: the only code that knows a type's bits.
//
// Of a block, which is part `part` of the group at `group` and 32 columns of one panel, for each type T:
//   scales_T(group, part, span)          what the values of its 16-column span 0 or 1 share, as lanes
//   column_T(group, part, scales, q, j)  column 4q + j as 16 floats
// and for quantised types, which are told apart by a constant so that nothing of the switches is left:
//   quad_of(type, group, part, q)        columns 4q to 4q + 3 as 4 bytes a lane
// Callers unroll j, and q at least by halves, so that every shift is a constant.

typedef struct block_scales {
  lanes scale, minimum;
} block_scales;

enum { BYTES_F32 = 2048, BYTES_F16 = 1024, BYTES_BF16 = 1024 };

#define NO_SCALES(TYPE) \
  INLINE block_scales scales_##TYPE(const uint8_t *group, int part, int span) { return (block_scales){0, 0}; }

NO_SCALES(f32)
NO_SCALES(f16)
NO_SCALES(bf16)

INLINE lanes column_f32(const uint8_t *group, int part, block_scales scales, int q, int j) {
  return lanes_load(group + 64 * (4 * q + j));
}

INLINE lanes column_f16(const uint8_t *group, int part, block_scales scales, int q, int j) {
  return lanes_of_halves(group + 32 * (4 * q + j));
}

INLINE lanes column_bf16(const uint8_t *group, int part, block_scales scales, int q, int j) {
  lanes_u pair = lanes_load_bits(group + 64 * (2 * q + j / 2));
  return lanes_of_bits(j % 2 ? pair & 0xffff0000u : pair << 16);
}

/// Number `index` (0 or 1) of the six-bit integers of a part.
INLINE lanes six_bits(quantized_layout layout, const uint8_t *group, int part, int index) {
  lanes_u low = bits_of_bytes(group + part_offset(layout, part));
  lanes_u high = bits_of_bytes(group + 32 * layout.halves + 16 * (part / 2)) >> 4 * (part & 1);
  lanes_u number = index ? low >> 4 | (high & 12) << 2 : (low & 15) | (high & 3) << 4;
  return __builtin_convertvector((lanes_i)number, lanes);
}

/// IQ4_XS's scale of a part, of six bits.
INLINE lanes shared_six_bits(const uint8_t *group, int part) {
  lanes_u high = bits_of_bytes(group + 32 + 16 * (part / 4)) >> 2 * (part & 3);
  lanes_u low = bits_of_bytes(group + 64 + 16 * (part / 2)) >> 4 * (part & 1);
  return __builtin_convertvector((lanes_i)((low & 15) | (high & 3) << 4), lanes);
}

/// 2^(e - 128) of a byte e, down to the denormals of e = 0 and 1: MXFP4's scale of integers that are twice its values.
/// Values of e = 255, which the standard calls no numbers, are what the power gives, infinity if need be, as in ggml
/// and transformers.
INLINE lanes power_of_exponent(const uint8_t *bytes) {
  lanes_u e = bits_of_bytes(bytes);
  lanes tiny = lanes_of_bits((lanes_u)0x00200000 << (e & 1));
  return lanes_select((lanes_i)(e > 1), lanes_of_bits((e - 1) << 23), tiny);
}

INLINE block_scales scales_of(sluice_type type, const uint8_t *group, int part, int span) {
  quantized_layout layout = quantized_layout_of(type);
  const uint8_t *small = group + part_offset(layout, part) + 16 * span;
  lanes scale = lanes_of_halves(group);
  switch (type) {
    case SLUICE_Q4_1:
    case SLUICE_Q5_1: return (block_scales){scale, lanes_of_halves(group + 32)};
    case SLUICE_Q4_K:
    case SLUICE_Q5_K:
      return (block_scales){scale * six_bits(layout, group, part, 0),
                            -lanes_of_halves(group + 32) * six_bits(layout, group, part, 1)};
    case SLUICE_Q3_K: return (block_scales){scale * (six_bits(layout, group, part, span) - 32), 0};
    case SLUICE_Q6_K: return (block_scales){scale * lanes_of_bytes(small), 0};
    case SLUICE_Q2_K: {
      lanes_i pair = (lanes_i)bits_of_bytes(small);
      return (block_scales){scale * __builtin_convertvector(pair & 15, lanes),
                            -lanes_of_halves(group + 32) * __builtin_convertvector(pair >> 4, lanes)};
    }
    case SLUICE_IQ4_XS: return (block_scales){scale * (shared_six_bits(group, part) - 32), 0};
    case SLUICE_MXFP4: return (block_scales){power_of_exponent(group), 0};
    default: return (block_scales){scale, 0};
  }
}

/// The sixteen values of IQ4_NL and IQ4_XS (ggml-common.h).
static const int8_t nonlinear_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Twice the sixteen values of E2M1 (Open Compute Project, Microscaling Formats 1.0, 5.3.3).
static const int8_t doubled_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// The values that a type's quants count; null where they are the values.
INLINE const int8_t *values_of(sluice_type type) {
  switch (type) {
    case SLUICE_IQ4_NL:
    case SLUICE_IQ4_XS: return nonlinear_values;
    case SLUICE_MXFP4: return doubled_values;
    default: return 0;
  }
}

/// The bytes of quad `q`: quants as the format numbers them, or values where they are signed.
INLINE lanes_u quad_of(sluice_type type, const uint8_t *group, int part, int q) {
  quantized_layout layout = quantized_layout_of(type);
  const uint8_t *plane = group + part_offset(layout, part) + small_bytes_of(layout);
  lanes_u quad = 0;
  int low = 0;
  UNROLL for (int width = 8; width > 0; width /= 2) {
    if (!(layout.bits & width)) continue;
    lanes_u bits = lanes_load_bits(plane + 64 * (q & (width - 1))) >> (q & -width);
    quad |= (bits & 0x01010101u * ((1u << width) - 1)) << low;
    plane += 64 * width;
    low += width;
  }
  const int8_t *values = values_of(type);
  return values ? bytes_lookup(values, quad) : quad;
}

INLINE lanes column_of(sluice_type type, const uint8_t *group, int part, block_scales scales, int q, int j) {
  quantized_layout layout = quantized_layout_of(type);
  lanes_i quad = (lanes_i)quad_of(type, group, part, q);
  if (layout.kind == KIND_SIGNED) return __builtin_convertvector(quad << (24 - 8 * j) >> 24, lanes) * scales.scale;
  lanes value = __builtin_convertvector((quad >> 8 * j & 255) - layout.offset, lanes);
  return has_minimum(layout.kind) ? lanes_fma(value, scales.scale, scales.minimum) : value * scales.scale;
}

#define QUANTIZED_BLOCK(TYPE, ENUM, ...)                                                                             \
  INLINE block_scales scales_##TYPE(const uint8_t *group, int part, int span) {                                      \
    return scales_of(SLUICE_##ENUM, group, part, span);                                                              \
  }                                                                                                                  \
  INLINE lanes column_##TYPE(const uint8_t *group, int part, block_scales scales, int q, int j) {                    \
    return column_of(SLUICE_##ENUM, group, part, scales, q, j);                                                      \
  }
QUANTIZED_TYPES(QUANTIZED_BLOCK)

// Blocks expanded for a matrix product, by kind: the scales of the spans as floats, their minima, then 8 quads.

enum { WORD_BLOCK_BYTES = 64 + 1024 };  // as word_tile reads a block: its scales, then 16 pairs of int16 a lane

INLINE int expanded_head_bytes(block_kind kind) { return 64 * spans_of(kind) * (1 + has_minimum(kind)); }
INLINE int expanded_bytes(block_kind kind) {
  return HAS_WORD_TILES && kind == KIND_SIGNED ? WORD_BLOCK_BYTES : expanded_head_bytes(kind) + 512;
}

/// Blocks of 32 columns as an integer tile reads them: in a panel, or expanded. Always a constant.
typedef struct block_format {
  block_kind kind;
  int word_quads;  // see word_quads_of
  int is_expanded;
  sluice_type type;  // where not expanded
} block_format;

/// How many quads of a block are summed in int16 before that may overflow: pairs of quants times activations of at most
/// 127. 0 where all is summed in int32.
INLINE int word_quads_of(quantized_layout layout) {
  if (!HAS_WORD_SUMS || layout.kind == KIND_SIGNED) return 0;
  return layout.bits <= 4 ? 8 : layout.bits == 5 ? 4 : 2;
}

/// The blocks of a type as its panels have them.
INLINE block_format packed_format(sluice_type type) {
  quantized_layout layout = quantized_layout_of(type);
  return (block_format){layout.kind, word_quads_of(layout), 0, type};
}

typedef struct block_position {
  const uint8_t *group;
  int part;
} block_position;

INLINE int format_parts(block_format format) {
  return format.is_expanded ? 1 : quantized_layout_of(format.type).parts;
}

INLINE int format_group_bytes(block_format format) {
  return format.is_expanded ? expanded_bytes(format.kind) : PANEL * quantized_layout_of(format.type).row_bytes;
}

INLINE block_scales format_scales(block_format format, block_position at, int span) {
  if (!format.is_expanded) return scales_of(format.type, at.group, at.part, span);
  const uint8_t *minima = at.group + 64 * spans_of(format.kind);
  return (block_scales){lanes_load(at.group + 64 * span),
                        has_minimum(format.kind) ? lanes_load(minima + 64 * span) : (lanes)0};
}

/// As bytes_dot takes them: signed bytes are increased by WEIGHT_BIAS.
INLINE lanes_u format_quad(block_format format, block_position at, int q) {
  if (format.is_expanded) return lanes_load_bits(at.group + expanded_head_bytes(format.kind) + 64 * q);
  lanes_u quad = quad_of(format.type, at.group, at.part, q);
  return WEIGHT_BIAS && format.kind == KIND_SIGNED ? quad ^ 0x80808080u : quad;
}
