#pragma once

/// Runs a kernel `times` times on data of a usual shape; the preparation does not depend on `times`. 0 for an unknown name.
int run_kernel(const char *name, int times);
/// The names, separated by spaces.
extern const char *const kernel_names;
