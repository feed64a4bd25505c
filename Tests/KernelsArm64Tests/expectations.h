#pragma once
// What a kernel's results are held against: what the portable kernels of another machine have left in a file.
//
// The program does the same work twice. On the machine that Swift's tests run on it records the results of the portable
// kernels, which those tests check. Under emulation it compares: each instruction set, and the portable kernels too.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "CKernels.h"
#include "tables.h"

/// The kernels under test.
extern const struct sluice_kernels *kernels;
/// Whether products of bf16 round the activations, queries and weights that meet BF16.
int rounds_to_bfloat(void);

/// Runs all tests with a table of kernels, records to a file or compares with it, prints what fails and a line of totals;
/// 1 where all passed.
int run_tests(const char *path, int records, const struct sluice_kernels *set);

/// Each number must lie within `absolute + relative * |expected|`; 0 and 0 ask for the same number. The text says what it is.
__attribute__((format(printf, 5, 6))) void expect_floats(const float *x, size_t count, double absolute, double relative,
                                                          const char *format, ...);
__attribute__((format(printf, 3, 4))) void expect_bytes(const void *bytes, size_t count, const char *format, ...);
/// Something that needs no file.
__attribute__((format(printf, 2, 3))) void expect(int is_true, const char *format, ...);

/// Zeroed memory at whose end the next byte is not mapped, until `release_memory`: what reads past it ends the program.
void *memory(size_t bytes);
void release_memory(void);

// The same numbers on every machine, from a seed that each test sets.
void seed(uint64_t value);
uint64_t random_bits(void);
int random_below(int bound);
/// About normal, of variance 1: the sum of twelve uniform numbers, exact everywhere.
float random_normal(void);
float *random_normals(size_t count, float scale);

// The tests, a file each.
void test_linear(void);
void test_slots(void);
void test_attention(void);
void test_attention_columns(void);
void test_elementwise(void);
void test_pages(void);
void test_recurrent(void);
