// Leaves the portable kernels' results of this machine in a file.

#include "expectations.h"

int main(int count, char **arguments) {
  if (count == 2) return run_tests(arguments[1], 1, &sluice_kernels_scalar) ? 0 : 1;
  printf("usage: record FILE\n");
  return 2;
}
