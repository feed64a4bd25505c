#pragma once
// Matrices of GGUF bytes, packed.

#include "CKernels.h"

enum { TYPE_COUNT = 16 };
extern const sluice_type matrix_types[TYPE_COUNT];

typedef struct matrix {
  sluice_type type;
  int rows, columns;
  uint8_t *panels;
  float *values;  // [row, column], as unpacked
} matrix;

int is_quantized_type(sluice_type type);
/// Columns of a GGUF block.
int block_columns(sluice_type type);
matrix random_matrix(sluice_type type, int rows, int columns);
/// Scales are 1, minima 0 and all other bytes `fill`.
matrix filled_matrix(sluice_type type, int rows, int columns, uint8_t fill);
