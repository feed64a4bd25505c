#include "attention.h"

#include "CKernels.h"

size_t sluice_attention_scratch(int rows, int head_dim) {
  size_t tile = rows < ATTENTION_ROWS ? (size_t)(rows > 0 ? rows : 0) : ATTENTION_ROWS;
  // Scores; then, for quantised slots, scales, sums and bytes of the queries.
  size_t columns = (size_t)(head_dim > 0 ? head_dim : 0), blocks = columns / SLUICE_BLOCK_COLUMNS;
  return tile * (ATTENTION_SLOTS + 3 * blocks + columns / 4);
}

size_t sluice_attention_kept(int rows, int first_slot, int last_slot) {
  if (rows <= 0 || first_slot >= last_slot) return 0;
  int blocks = (last_slot + ATTENTION_SLOTS - 1) / ATTENTION_SLOTS - first_slot / ATTENTION_SLOTS;
  return (size_t)rows * (size_t)blocks * (ATTENTION_SLOTS + 1);
}
