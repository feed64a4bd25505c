#include "expectations.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct sluice_kernels *kernels;

static FILE *file;
static int is_recording, failures;
static long checks;

int rounds_to_bfloat(void) { return kernels->peak_bfloat16 != NULL; }

static int open_expectations(const char *path, int records) {
  is_recording = records;
  failures = 0;
  checks = 0;
  file = fopen(path, records ? "wb" : "rb");
  return file != NULL;
}

static int close_expectations(void) {
  if (!is_recording && fgetc(file) != EOF) failures++, printf("the file has more than was asked for\n");
  if (fclose(file) != 0) failures++, printf("the file could not be written\n");
  printf("%s: %ld results %s, %d failures\n", kernels->name, checks, is_recording ? "recorded" : "compared", failures);
  return failures == 0;
}

static void fail(const char *detail, const char *format, va_list arguments) {
  if (failures++ >= 20) return;
  printf("%s: ", kernels->name);
  vprintf(format, arguments);
  printf("%s\n", detail);
}

int run_tests(const char *path, int records, const struct sluice_kernels *set) {
  kernels = set;
  if (!open_expectations(path, records)) {
    printf("%s cannot be opened\n", path);
    return 0;
  }
  void (*const tests[])(void) = {test_linear,      test_slots, test_attention, test_attention_columns,
                                 test_elementwise, test_pages, test_recurrent};
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    tests[i]();
    release_memory();
  }
  return close_expectations();
}

/// Bytes that the file has here; `count` also checks that both sides ask for the same.
static void *expected_bytes(const void *bytes, size_t count) {
  checks++;
  uint64_t length = count;
  if (is_recording) {
    fwrite(&length, sizeof length, 1, file);
    fwrite(bytes, 1, count, file);
    return NULL;
  }
  void *expected = malloc(count ? count : 1);
  if (fread(&length, sizeof length, 1, file) != 1 || length != count || fread(expected, 1, count, file) != count) {
    printf("%s: the file is not of this program\n", kernels->name);
    exit(2);
  }
  return expected;
}

void expect_floats(const float *x, size_t count, double absolute, double relative, const char *format, ...) {
  float *expected = expected_bytes(x, count * sizeof *x);
  if (!expected) return;
  for (size_t i = 0; i < count; i++) {
    if (isnan(expected[i]) ? isnan(x[i]) : x[i] == expected[i]) continue;
    if (fabs((double)x[i] - (double)expected[i]) <= absolute + relative * fabs((double)expected[i])) continue;
    char detail[100];
    snprintf(detail, sizeof detail, ": number %zu is %.9g, not %.9g", i, (double)x[i], (double)expected[i]);
    va_list arguments;
    va_start(arguments, format);
    fail(detail, format, arguments);
    va_end(arguments);
    break;
  }
  free(expected);
}

void expect_bytes(const void *bytes, size_t count, const char *format, ...) {
  void *expected = expected_bytes(bytes, count);
  if (expected && memcmp(bytes, expected, count) != 0) {
    va_list arguments;
    va_start(arguments, format);
    fail(": other bytes", format, arguments);
    va_end(arguments);
  }
  free(expected);
}

void expect(int is_true, const char *format, ...) {
  checks++;
  if (is_true) return;
  va_list arguments;
  va_start(arguments, format);
  fail("", format, arguments);
  va_end(arguments);
}

// Memory is handed out from the ends of mappings that are kept in a list.
static struct mapping {
  void *start;
  size_t bytes;
} mappings[4096];
static int mapping_count;

void *memory(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page + page;
  uint8_t *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED || mapping_count == 4096 || mprotect(start + whole - page, page, PROT_NONE) != 0) {
    printf("no memory for %zu bytes\n", bytes);
    exit(2);
  }
  mappings[mapping_count++] = (struct mapping){start, whole};
  return start + whole - page - bytes;
}

void release_memory(void) {
  while (mapping_count > 0) {
    mapping_count--;
    munmap(mappings[mapping_count].start, mappings[mapping_count].bytes);
  }
}

static uint64_t state;

void seed(uint64_t value) { state = value; }

/// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t random_bits(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

int random_below(int bound) { return (int)((random_bits() >> 32) * (uint64_t)bound >> 32); }

float random_normal(void) {
  int32_t sum = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t bits = random_bits();
    for (int j = 0; j < 3; j++) sum += (int32_t)(bits >> 21 * j & 0x1fffff);
  }
  return (float)(sum - 6 * 0x1fffff) * 0x1p-21f;
}

float *random_normals(size_t count, float scale) {
  float *x = memory(count * sizeof *x);
  for (size_t i = 0; i < count; i++) x[i] = random_normal() * scale;
  return x;
}
