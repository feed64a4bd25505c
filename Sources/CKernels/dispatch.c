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

// HWCAP_ASIMDDP, HWCAP2_I8MM and HWCAP2_BF16, which older headers lack.
static int has_dot_product(void) { return (getauxval(AT_HWCAP) >> 20 & 1) != 0; }
static int has_bytes_matrix(void) { return has_dot_product() && (getauxval(AT_HWCAP2) >> 13 & 1) != 0; }
static int has_bfloat(void) { return (getauxval(AT_HWCAP2) >> 14 & 1) != 0; }
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>

static int has_feature(const char *name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}

static int has_dot_product(void) { return has_feature("hw.optional.arm.FEAT_DotProd"); }
static int has_bytes_matrix(void) { return has_dot_product() && has_feature("hw.optional.arm.FEAT_I8MM"); }
static int has_bfloat(void) { return has_feature("hw.optional.arm.FEAT_BF16"); }
#elif defined(__aarch64__)
static int has_dot_product(void) { return 0; }
static int has_bytes_matrix(void) { return 0; }
static int has_bfloat(void) { return 0; }
#endif

const struct sluice_kernels *sluice_kernels_available(int index) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (has_avx512() && __builtin_cpu_supports("avx512bf16") && index-- == 0) return &sluice_kernels_avx512_bf16;
  if (has_avx512() && index-- == 0) return &sluice_kernels_avx512;
  if (has_avx2() && __builtin_cpu_supports("avxvnni") && index-- == 0) return &sluice_kernels_avx_vnni;
  if (has_avx2() && index-- == 0) return &sluice_kernels_avx2;
#elif defined(__aarch64__)
  if (has_bytes_matrix() && has_bfloat() && index-- == 0) return &sluice_kernels_neon_bf16;
  if (has_bytes_matrix() && index-- == 0) return &sluice_kernels_neon_i8mm;
  if (has_dot_product() && index-- == 0) return &sluice_kernels_neon_dotprod;
  if (index-- == 0) return &sluice_kernels_neon;
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
