#include "CKernels.h"

/// A Swift closure of type (Range<Int>) -> Void: the range's two words, and its captures in the context register.
typedef __attribute__((swiftcall)) void (*range_body)(intptr_t first, intptr_t last,
                                                      __attribute__((swift_context)) void *captures);

typedef struct shares {
  intptr_t count;
  range_body body;
  void *captures;
} shares;

static void run_share(void *context, int thread, int threads) {
  const shares *work = context;
  intptr_t first = work->count * thread / threads, last = work->count * (thread + 1) / threads;
  if (first < last) work->body(first, last, work->captures);
}

__attribute__((swiftcall)) void sluice_team_parallel_for(sluice_team *team, intptr_t count, range_body body,
                                                         void *captures);

/// Splits [0, count) into one contiguous range a thread. Declared in WorkerTeam.swift: the closure does not escape.
__attribute__((swiftcall)) void sluice_team_parallel_for(sluice_team *team, intptr_t count, range_body body,
                                                         void *captures) {
  shares work = {count, body, captures};
  sluice_team_run(team, run_share, &work);
}
