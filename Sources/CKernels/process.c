// What this process uses and may use.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "CKernels.h"

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#endif

uint64_t sluice_resident_bytes(void) {
#if defined(__linux__)
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return 0;
  unsigned long long total = 0, resident = 0;
  int fields = fscanf(file, "%llu %llu", &total, &resident);
  fclose(file);
  return fields == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
#elif defined(__APPLE__)
  struct mach_task_basic_info info;
  mach_msg_type_number_t count = MACH_TASK_BASIC_INFO_COUNT;
  if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &count) != KERN_SUCCESS) return 0;
  return info.resident_size;
#else
  return 0;
#endif
}

#if defined(__linux__)
/// CPUs that one cgroup directory grants, rounded up; 0 where it sets no limit.
static int quota_of(const char *directory) {
  char path[1100];
  long long quota = -1, period = 0;
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", directory);
  FILE *file = fopen(path, "r");
  if (file) {
    if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
    fclose(file);
  }
  return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

/// The tightest quota from this process's cgroup up to the root (cgroup v2); 0 for none.
static int cgroup_quota(void) {
  char line[1024] = "";
  FILE *file = fopen("/proc/self/cgroup", "r");
  if (!file) return 0;
  while (fgets(line, sizeof line, file))
    if (strncmp(line, "0::", 3) == 0) break;
  fclose(file);
  if (strncmp(line, "0::", 3) != 0) return 0;
  char *directory = line + 3;
  directory[strcspn(directory, "\n")] = 0;
  int tightest = 0;
  for (;;) {
    int quota = quota_of(directory);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
    char *slash = strrchr(directory, '/');
    if (!slash || !*directory) return tightest;
    *slash = 0;
  }
}
#endif

int sluice_available_cpus(void) {
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  int quota = cgroup_quota();
  if (quota > 0 && quota < cpus) cpus = quota;
#endif
  return cpus > 0 ? (int)cpus : 1;
}
