#if defined(__x86_64__)
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <immintrin.h>

#include "tables.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#define SLUICE_TARGET_HAS_VNNI 0
#include "lanes_avx2.h"

#define SLUICE_TABLE sluice_kernels_avx2
#define SLUICE_NAME "avx2"
#include "table.inc.h"
#pragma clang attribute pop
#endif
