#include "attention.h"

#include "CKernels.h"

size_t sluice_attention_scratch(int rows, int head_dim) {
  size_t tile = rows < ATTENTION_ROWS ? (size_t)(rows > 0 ? rows : 0) : ATTENTION_ROWS;
  size_t columns = (size_t)(head_dim > 0 ? head_dim : 0), blocks = columns / SLUICE_BLOCK_COLUMNS, groups = blocks + 1;
  // Of a row: scores; for quantised slots scales, sums and bytes of the query; for pairs the query and its scales,
  // weights and their scales. Of a step: pairs and scales of the slots.
  size_t row = ATTENTION_SLOTS + 3 * blocks + columns / 4 + columns / 2 + groups + groups * (ATTENTION_SLOTS / 2 + 1);
  return tile * row + columns * (ATTENTION_SLOTS / 2) + groups * ATTENTION_SLOTS;
}

size_t sluice_attention_kept(int rows, int slots) {
  if (rows <= 0 || slots <= 0) return 0;
  // A run of s slots touches at most this many blocks.
  size_t steps = ((size_t)slots + 2 * ATTENTION_SLOTS - 2) / ATTENTION_SLOTS;
  return steps * (size_t)rows * (ATTENTION_SLOTS + 1);
}
