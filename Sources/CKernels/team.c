// A fork-join worker team: static shares, a bounded spin, then sleep.
//
// A decode step joins a hundred times and more, with serial gaps of microseconds between: waking a sleeping thread
// costs 13 to 20 us, noticing a flag while spinning well under one. So both sides spin for a while that covers the gaps
// of one token and sleep after it. Spinning threads that outnumber the CPUs starve each other: such a team never spins.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "CKernels.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { SPIN_NANOSECONDS = 100 * 1000, YIELD_NANOSECONDS = 5 * 1000, PAUSES_PER_CLOCK = 32 };

typedef struct worker {
  sluice_team *team;
  int index;
  pthread_t thread;
} worker;

struct sluice_team {
  int threads;
  long spin_nanoseconds;
  pthread_mutex_t turn;  // held by the caller whose work is running
  void (*body)(void *context, int thread, int threads);
  void *context;
  int stopping;
  _Alignas(64) atomic_uint generation;  // one more for each run; workers wait for it to change
  atomic_uint sleepers;                 // workers that may be asleep on `generation`
  _Alignas(64) atomic_uint pending;     // workers that have not finished the run; the caller waits for 0
  atomic_uint caller_sleeps;
#if !defined(__linux__)
  pthread_mutex_t lock;
  pthread_cond_t changed;
#endif
  worker workers[];
};

/// The team whose body this thread is running, so that a nested run is recognised.
static _Thread_local const sluice_team *running;

static void sleep_while_equal(sluice_team *team, atomic_uint *word, unsigned value) {
#if defined(__linux__)
  (void)team;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
  pthread_mutex_lock(&team->lock);
  while (atomic_load(word) == value) pthread_cond_wait(&team->changed, &team->lock);
  pthread_mutex_unlock(&team->lock);
#endif
}

static void wake_all(sluice_team *team, atomic_uint *word) {
#if defined(__linux__)
  (void)team;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
#else
  (void)word;
  pthread_mutex_lock(&team->lock);
  pthread_cond_broadcast(&team->changed);
  pthread_mutex_unlock(&team->lock);
#endif
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void sluice_pause(int times) {
  for (int i = 0; i < times; i++) pause_briefly();
}

static long nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000L + now.tv_nsec;
}

/// Spins while the word has the value; returns 1 when it changed within the budget.
///
/// After the first microseconds every round yields: where the thread that is waited for sits on this very CPU, as
/// happens after a wake-up, it would otherwise wait for the whole budget. On a CPU of its own a yield returns at once.
static int spin_while_equal(const sluice_team *team, atomic_uint *word, unsigned value) {
  if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
  if (team->spin_nanoseconds == 0) return 0;
  long start = nanoseconds(), elapsed = 0;
  do {
    for (int i = 0; i < PAUSES_PER_CLOCK; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
      pause_briefly();
    }
    if (elapsed > YIELD_NANOSECONDS) sched_yield();
    elapsed = nanoseconds() - start;
  } while (elapsed < team->spin_nanoseconds);
  return 0;
}

static void wait_for_run(sluice_team *team, unsigned seen) {
  if (spin_while_equal(team, &team->generation, seen)) return;
  atomic_fetch_add(&team->sleepers, 1);
  while (atomic_load(&team->generation) == seen) sleep_while_equal(team, &team->generation, seen);
  atomic_fetch_sub(&team->sleepers, 1);
}

static void wait_for_workers(sluice_team *team) {
  unsigned pending;
  while ((pending = atomic_load_explicit(&team->pending, memory_order_acquire)) != 0) {
    if (spin_while_equal(team, &team->pending, pending)) continue;
    atomic_store(&team->caller_sleeps, 1);
    while ((pending = atomic_load(&team->pending)) != 0) sleep_while_equal(team, &team->pending, pending);
    atomic_store(&team->caller_sleeps, 0);
  }
}

static void *work(void *argument) {
  const worker *self = argument;
  sluice_team *team = self->team;
  running = team;
  for (unsigned seen = 0;; seen++) {
    wait_for_run(team, seen);
    if (team->stopping) return NULL;
    team->body(team->context, self->index, team->threads);
    // The caller may leave, and even destroy the team, only after every worker is out of it: nothing of the team is
    // touched after the last decrement but the wake-up, for which the caller waits by joining in destroy.
    if (atomic_fetch_sub(&team->pending, 1) == 1 && atomic_load(&team->caller_sleeps)) wake_all(team, &team->pending);
  }
}

sluice_team *sluice_team_create(int threads) {
  if (threads < 1) threads = 1;
  size_t size = sizeof(sluice_team) + (size_t)(threads - 1) * sizeof(worker);
  sluice_team *team = aligned_alloc(64, (size + 63) / 64 * 64);
  if (!team) return NULL;
  *team = (sluice_team){.threads = threads};
  if (threads <= sluice_available_cpus()) team->spin_nanoseconds = SPIN_NANOSECONDS;
  pthread_mutex_init(&team->turn, NULL);
#if !defined(__linux__)
  pthread_mutex_init(&team->lock, NULL);
  pthread_cond_init(&team->changed, NULL);
#endif
  for (int i = 0; i < threads - 1; i++) {
    team->workers[i] = (worker){.team = team, .index = i + 1};
    if (pthread_create(&team->workers[i].thread, NULL, work, &team->workers[i]) != 0) {
      team->threads = i + 1;
      sluice_team_destroy(team);
      return NULL;
    }
  }
  return team;
}

void sluice_team_destroy(sluice_team *team) {
  if (!team) return;
  team->stopping = 1;
  atomic_fetch_add(&team->generation, 1);
  wake_all(team, &team->generation);
  for (int i = 0; i < team->threads - 1; i++) pthread_join(team->workers[i].thread, NULL);
  pthread_mutex_destroy(&team->turn);
#if !defined(__linux__)
  pthread_mutex_destroy(&team->lock);
  pthread_cond_destroy(&team->changed);
#endif
  free(team);
}

int sluice_team_threads(const sluice_team *team) { return team->threads; }

void sluice_team_run(sluice_team *team, void (*body)(void *context, int thread, int threads), void *context) {
  if (team->threads == 1 || running == team) {
    for (int i = 0; i < team->threads; i++) body(context, i, team->threads);
    return;
  }
  pthread_mutex_lock(&team->turn);
  const sluice_team *outer = running;
  running = team;
  team->body = body;
  team->context = context;
  atomic_store_explicit(&team->pending, (unsigned)team->threads - 1, memory_order_relaxed);
  atomic_fetch_add(&team->generation, 1);
  if (atomic_load(&team->sleepers) > 0) wake_all(team, &team->generation);
  body(context, 0, team->threads);
  wait_for_workers(team);
  running = outer;
  pthread_mutex_unlock(&team->turn);
}
