#pragma once

/// Runs a kernel `times` times on data of a usual shape and prints the multiplications with additions of one run; the
/// preparation does not depend on `times`. Without a name it prints the names. 0 for an unknown name.
int run_kernel(const char *name, int times);
