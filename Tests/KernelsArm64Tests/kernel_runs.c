#include "kernel_runs.h"

int run_kernel(const char *name, int times) { return 0; }
