#pragma once

#include "CKernels.h"

extern const struct sluice_kernels sluice_kernels_scalar;
#if defined(__x86_64__)
extern const struct sluice_kernels sluice_kernels_avx2;
extern const struct sluice_kernels sluice_kernels_avx_vnni;
extern const struct sluice_kernels sluice_kernels_avx512;
extern const struct sluice_kernels sluice_kernels_avx512_bf16;
#elif defined(__aarch64__)
extern const struct sluice_kernels sluice_kernels_neon;
#endif
