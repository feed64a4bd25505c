// What runs on ARM64:
//
//   kernels-test compare FILE SET     holds every kernel of a set against the results in a file
//   kernels-test sets                 names the sets of this CPU, best first, and what SLUICE_ISA has chosen
//   kernels-test count                names the kernels whose instructions can be counted
//   kernels-test count KERNEL SET N   runs one N times

#include <stdlib.h>
#include <string.h>

#include "expectations.h"
#include "kernel_runs.h"

static const struct sluice_kernels *kernels_named(const char *name) {
  for (int index = 0;; index++) {
    const struct sluice_kernels *set = sluice_kernels_available(index);
    if (set && strcmp(set->name, name) != 0) continue;
    if (!set) printf("%s is not available on this CPU\n", name);
    return set;
  }
}

int main(int count, char **arguments) {
  if (count == 4 && strcmp(arguments[1], "compare") == 0) {
    const struct sluice_kernels *set = kernels_named(arguments[3]);
    return set && run_tests(arguments[2], 0, set) ? 0 : 1;
  }
  if (count == 2 && strcmp(arguments[1], "sets") == 0) {
    const struct sluice_kernels *selected = sluice_kernels_selected();
    for (int index = 0; sluice_kernels_available(index); index++) printf("%s ", sluice_kernels_available(index)->name);
    printf("-> %s\n", selected ? selected->name : "none");
    return 0;
  }
  if (count == 2 && strcmp(arguments[1], "count") == 0) return run_kernel(NULL, 0) ? 0 : 1;
  if (count == 5 && strcmp(arguments[1], "count") == 0) {
    kernels = kernels_named(arguments[3]);
    return kernels && run_kernel(arguments[2], atoi(arguments[4])) ? 0 : 1;
  }
  printf("usage: kernels-test compare FILE SET | sets | count [KERNEL SET N]\n");
  return 2;
}
