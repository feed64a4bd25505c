#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tables.h"

#define SLUICE_TARGET_HAS_BYTES_DOT 0
#define SLUICE_TARGET_HAS_BYTES_MATRIX 0
#define SLUICE_TARGET_HAS_BFLOAT 0
#include "lanes_neon.h"

#define SLUICE_TABLE sluice_kernels_neon
#define SLUICE_NAME "neon"
#include "table.inc.h"
#endif
