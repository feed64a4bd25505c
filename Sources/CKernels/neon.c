#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tables.h"

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "lanes_neon.h"

#define SLUICE_TABLE sluice_kernels_neon
#define SLUICE_NAME "neon"
#include "table.inc.h"
#pragma clang attribute pop
#endif
