#include "attention.h"

#include "CKernels.h"

size_t sluice_attention_scratch(int rows, int head_dim) {
  (void)head_dim;
  size_t tile = rows < ATTENTION_ROWS ? (size_t)(rows > 0 ? rows : 0) : ATTENTION_ROWS;
  return tile * (ATTENTION_SLOTS + 1);
}
