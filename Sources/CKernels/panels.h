#pragma once
// Sizes of blocks and panels: the one place that lists the element types.

#include "CKernels.h"

enum { PANEL = SLUICE_PANEL_ROWS, BLOCK = SLUICE_BLOCK_COLUMNS };

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
    case SLUICE_Q8_0: return (type_layout){32, 34, 544, 0};
    case SLUICE_Q4_1: return (type_layout){32, 20, 320, 0};
  }
  return (type_layout){1, 0, 0, 0};
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
