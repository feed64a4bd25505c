#pragma once
// Sizes of blocks and panels: the one place that lists the element types.

#include "CKernels.h"

enum { PANEL = SLUICE_PANEL_ROWS, BLOCK = SLUICE_BLOCK_COLUMNS, SPAN = BLOCK / 2 };

/// How a value follows from its quant. SPANS: each 16 columns have scales of their own, instead of all 32 of a block.
typedef enum block_kind {
  KIND_SIGNED,        // scale * quant, a signed byte
  KIND_OFFSET,        // scale * (quant - offset)
  KIND_OFFSET_SPANS,
  KIND_AFFINE,        // scale * quant + minimum
  KIND_AFFINE_SPANS,
} block_kind;

/// Small integers by which a part of 32 columns scales the halves of its group: none, two of six bits, of which the
/// part itself keeps four, or two of a byte; or such as the group keeps: an exponent of two instead of halves, or
/// one of six bits for each part, which take so many bytes of a row.
enum { SMALL_NONE = 0, SMALL_EXPONENT = 1, SMALL_SHARED = 6, SMALL_SIX_BITS = 16, SMALL_BYTES = 32 };

// The quantised types, one a row: parts of 32 columns in a group, bytes of the group in a GGUF row, halves it begins
// with, small integers of a part, bits of a quant, kind, offset.
#define QUANTIZED_TYPES(X)                                           \
  X(q4_0, Q4_0, 1, 18, 1, SMALL_NONE, 4, KIND_OFFSET, 8)             \
  X(q4_1, Q4_1, 1, 20, 2, SMALL_NONE, 4, KIND_AFFINE, 0)             \
  X(q5_0, Q5_0, 1, 22, 1, SMALL_NONE, 5, KIND_OFFSET, 16)            \
  X(q5_1, Q5_1, 1, 24, 2, SMALL_NONE, 5, KIND_AFFINE, 0)             \
  X(q8_0, Q8_0, 1, 34, 1, SMALL_NONE, 8, KIND_SIGNED, 0)             \
  X(q2_k, Q2_K, 8, 84, 2, SMALL_BYTES, 2, KIND_AFFINE_SPANS, 0)      \
  X(q3_k, Q3_K, 8, 110, 1, SMALL_SIX_BITS, 3, KIND_OFFSET_SPANS, 4)  \
  X(q4_k, Q4_K, 8, 144, 2, SMALL_SIX_BITS, 4, KIND_AFFINE, 0)        \
  X(q5_k, Q5_K, 8, 176, 2, SMALL_SIX_BITS, 5, KIND_AFFINE, 0)        \
  X(q6_k, Q6_K, 8, 210, 1, SMALL_BYTES, 6, KIND_OFFSET_SPANS, 32)    \
  X(iq4_nl, IQ4_NL, 1, 18, 1, SMALL_NONE, 4, KIND_SIGNED, 0)         \
  X(iq4_xs, IQ4_XS, 8, 136, 1, SMALL_SHARED, 4, KIND_SIGNED, 0)      \
  X(mxfp4, MXFP4, 1, 17, 0, SMALL_EXPONENT, 4, KIND_SIGNED, 0)

/// A group of a quantised type in a panel: its halves, what it keeps of its small integers, then its parts.
typedef struct quantized_layout {
  int parts, row_bytes, halves, small, bits;
  block_kind kind;
  int offset;
} quantized_layout;

#define QUANTIZED_LAYOUT(TYPE, ENUM, PARTS, ...) \
  case SLUICE_##ENUM: return (quantized_layout){PARTS, __VA_ARGS__};

/// The layout of a quantised type; no parts for other types.
static inline quantized_layout quantized_layout_of(sluice_type type) {
  switch (type) {
    QUANTIZED_TYPES(QUANTIZED_LAYOUT)
    default: return (quantized_layout){0};
  }
}

/// Bytes of a row's group that its panel keeps before the first part, as they are.
static inline int shared_bytes_of(quantized_layout layout) {
  return layout.small == SMALL_EXPONENT || layout.small == SMALL_SHARED ? layout.small : 0;
}

/// Bytes of a part's small integers, of 16 rows.
static inline int small_bytes_of(quantized_layout layout) { return shared_bytes_of(layout) ? 0 : layout.small; }

/// Bytes of a group before its first part.
static inline int head_bytes_of(quantized_layout layout) {
  int upper_bits = layout.small == SMALL_SIX_BITS ? 8 * layout.parts : 0;
  return 32 * layout.halves + PANEL * shared_bytes_of(layout) + upper_bits;
}

/// Where a part's small integers begin; its quants follow them.
static inline size_t part_offset(quantized_layout layout, int part) {
  return (size_t)(head_bytes_of(layout) + part * (small_bytes_of(layout) + 64 * layout.bits));
}

/// The type of the keys beside values of a slot's type. Keys lose too much in four bits: what is off in a logit counts by
/// its exponential.
static inline sluice_type key_type_of(sluice_type slot_type) {
  return slot_type == SLUICE_Q4_1 ? SLUICE_Q8_0 : slot_type;
}

static inline int spans_of(block_kind kind) { return kind == KIND_OFFSET_SPANS || kind == KIND_AFFINE_SPANS ? 2 : 1; }
static inline int has_minimum(block_kind kind) { return kind == KIND_AFFINE || kind == KIND_AFFINE_SPANS; }

typedef struct type_layout {
  int columns;      // columns of one group that is stored together
  int row_bytes;    // bytes of the group in a GGUF row
  int panel_bytes;  // bytes of the group in a panel
  int odd_ends;     // 1: a row may end inside a group
} type_layout;

static inline type_layout layout_of(sluice_type type) {
  switch (type) {
    case SLUICE_F32: return (type_layout){1, 4, 64, 0};
    case SLUICE_F16: return (type_layout){1, 2, 32, 0};
    case SLUICE_BF16: return (type_layout){2, 4, 64, 1};
    default: break;
  }
  quantized_layout layout = quantized_layout_of(type);
  if (!layout.parts) return (type_layout){1, 0, 0, 0};
  return (type_layout){layout.parts * BLOCK, layout.row_bytes, PANEL * layout.row_bytes, 0};
}

static inline size_t panel_bytes_of(sluice_type type, int columns) {
  type_layout layout = layout_of(type);
  return (size_t)((columns + layout.columns - 1) / layout.columns) * (size_t)layout.panel_bytes;
}

static inline size_t row_bytes_of(sluice_type type, int columns) {
  type_layout layout = layout_of(type);
  if (layout.odd_ends) return (size_t)columns * (size_t)(layout.row_bytes / layout.columns);
  return (size_t)(columns / layout.columns) * (size_t)layout.row_bytes;
}
