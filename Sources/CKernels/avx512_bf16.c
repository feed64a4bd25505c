#if defined(__x86_64__)
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <immintrin.h>

#include "tables.h"

#pragma clang attribute push(__attribute__((target( \
    "avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16"))), apply_to = function)
#define SLUICE_TARGET_HAS_BFLOAT 1
#include "lanes_avx512.h"

#define SLUICE_TABLE sluice_kernels_avx512_bf16
#define SLUICE_NAME "avx512bf16"
#include "table.inc.h"
#pragma clang attribute pop
#endif
