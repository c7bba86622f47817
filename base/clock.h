/* base/clock.h — the machine's monotonic clock, for code below the engine and for benchmarks.
 *
 * The engine and the workloads never call this: they ask the seam (engine/seam.h), whose clock is
 * virtual in the simulator. `make check` holds them to it. */
#ifndef RMILL_BASE_CLOCK_H
#define RMILL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/macros.h"

/* CLOCK_MONOTONIC in nanoseconds. Thread: any. Cost: one vDSO call, 20-70 ns. */
static inline uint64_t
rmill_clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail: the clock id is a constant. */
    return (uint64_t)now.tv_sec * RMILL_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* CPU time this thread has used, in nanoseconds. Thread: any. */
static inline uint64_t
rmill_clock_thread_cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * RMILL_NS_PER_S + (uint64_t)now.tv_nsec;
}

#endif
