#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
#include "tables.h"

#if defined(__x86_64__)
static int has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static int has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

/// HWCAP_ASIMDDP, which older headers lack.
static int has_dot_product(void) { return (getauxval(AT_HWCAP) >> 20 & 1) != 0; }
#elif defined(__aarch64__)
static int has_dot_product(void) { return 1; }
#endif

const struct sluice_kernels *sluice_kernels_available(int index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (has_avx512() && __builtin_cpu_supports("avx512bf16") && index-- == 0) return &sluice_kernels_avx512_bf16;
  if (has_avx512() && index-- == 0) return &sluice_kernels_avx512;
  if (has_avx2() && __builtin_cpu_supports("avxvnni") && index-- == 0) return &sluice_kernels_avx_vnni;
  if (has_avx2() && index-- == 0) return &sluice_kernels_avx2;
#elif defined(__aarch64__)
  if (has_dot_product() && index-- == 0) return &sluice_kernels_neon;
#endif
  return index == 0 ? &sluice_kernels_scalar : NULL;
}

const struct sluice_kernels *sluice_kernels_selected(void) {
  const char *name = getenv("SLUICE_ISA");
  if (!name || !*name) return sluice_kernels_available(0);
  for (int index = 0;; index++) {
    const struct sluice_kernels *kernels = sluice_kernels_available(index);
    if (!kernels || strcmp(kernels->name, name) == 0) return kernels;
  }
}
