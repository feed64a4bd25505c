#pragma once
// Rows of quantised types on their way into panels and back.

#include "CKernels.h"

void pack_quantized_row(sluice_type type, const uint8_t *row, int lane, int columns, uint8_t *panel);
void unpack_quantized_row(sluice_type type, const uint8_t *panel, int lane, int columns, float *out);
