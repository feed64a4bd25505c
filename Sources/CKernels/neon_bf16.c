#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tables.h"

#pragma clang attribute push(__attribute__((target("dotprod,i8mm,bf16"))), apply_to = function)
#define SLUICE_TARGET_HAS_BYTES_DOT 1
#define SLUICE_TARGET_HAS_BYTES_MATRIX 1
#define SLUICE_TARGET_HAS_BFLOAT 1
#include "lanes_neon.h"

#define SLUICE_TABLE sluice_kernels_neon_bf16
#define SLUICE_NAME "neon-bf16"
#include "table.inc.h"
#pragma clang attribute pop
#endif
