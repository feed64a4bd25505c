// CRC-32C by the CPU's own instruction, where it has one: eight bytes a step.

#include <string.h>

#include "CKernels.h"

#if defined(__x86_64__)

#include <nmmintrin.h>

int sluice_has_crc32c(void) { return __builtin_cpu_supports("sse4.2"); }

__attribute__((target("sse4.2"))) uint32_t sluice_crc32c(const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  uint64_t crc = UINT32_MAX;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  uint32_t rest = (uint32_t)crc;
  for (; count > 0; count--, next++) rest = _mm_crc32_u8(rest, *next);
  return ~rest;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

#include <arm_acle.h>

int sluice_has_crc32c(void) { return 1; }

uint32_t sluice_crc32c(const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  uint32_t crc = UINT32_MAX;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, 8);
    crc = __crc32cd(crc, word);
  }
  for (; count > 0; count--, next++) crc = __crc32cb(crc, *next);
  return ~crc;
}

#else

int sluice_has_crc32c(void) { return 0; }

uint32_t sluice_crc32c(const void *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return 0;
}

#endif
