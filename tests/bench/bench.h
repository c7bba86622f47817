/* tests/bench/bench.h — what the benchmarks share: options, interleaved repetitions, medians,
 * floors.
 *
 * A benchmark is a table of cases. Every repetition runs each case once, one after the other, so
 * that a host whose speed changes changes it for all of them; the median and the quartiles over the
 * repetitions are reported, and for a case with a floor also the ratio of the two medians: what the
 * engine costs over what the machine can do at all, in the same run.
 *
 *     bench-fiber
 *     2 cores, Intel(R) Xeon(R) Processor @ 2.50GHz, Linux 6.18.44
 *     context switch             3.1 ns   [3.0 .. 3.3]   1.90 x empty call
 *
 * Options: --quick (one tiny repetition: proves that it runs), --json (one object a line),
 * --repetitions N. Numbers of two runs, or of two machines, are not comparable; ratios are. */
#ifndef RMILL_TESTS_BENCH_H
#define RMILL_TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/macros.h"

#define BENCH_REPETITIONS_MAX 101u
#define BENCH_CASES_MAX       48u

struct bench_case {
    const char *name;
    /* Do the thing `count` times; returns ns for one. Negative: cannot be done here. */
    double (*run)(const struct bench_case *self, uint64_t count);
    uint64_t count;      /* Of one repetition; a hundredth of it with --quick. */
    const char *floor;   /* Name of the case it is held against; NULL: none. */
    double floor_factor; /* The floor is that median times this; 0 means 1. */
    uint64_t parameter;  /* The case's own. */
    uint64_t parameter2;
};

/* Read the options, run the table, print. Returns what main returns. */
int bench_main(int argc, char **argv, const char *name, const struct bench_case *cases,
               uint32_t case_count);

/* Run `main_fiber(argument)` on a fresh engine of that many cores ("2"); ends the program with the
 * advice (77: io_uring is not to be had) when that fails. `spin_ns` 0 = the default. */
void bench_on_engine(const char *cores, uint64_t spin_ns, int (*main_fiber)(void *argument),
                     void *argument);

/* A thread pinned to the second allowed CPU (or the only one) while the caller is pinned to the
 * first; join gives the caller its CPUs back. */
struct bench_peer {
    unsigned long thread; /* pthread_t */
    void *(*entry)(void *argument);
    void *argument;
};
void bench_peer_start(struct bench_peer *peer, void *(*entry)(void *argument), void *argument);
void bench_peer_join(struct bench_peer *peer);

/* One turn of a waiting loop. With a single CPU the other side needs it. */
void bench_relax(void);

/* A cache line there and back between two pinned CPUs: ns for one round. */
double bench_line_round_trip(uint64_t count);

/* Let the compiler believe that the value is used. */
static inline void
bench_keep(uint64_t value)
{
    __asm__ volatile("" ::"r"(value) : "memory");
}

/* ns from `begin_ns` to now, for each of `count`. */
static inline double
bench_each(uint64_t begin_ns, uint64_t count)
{
    return (double)(rmill_clock_ns() - begin_ns) / (double)(count > 0 ? count : 1);
}

#define BENCH_MAIN(name, cases)                                                                    \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return bench_main(argc, argv, name, cases, RMILL_ARRAY_COUNT(cases));                      \
    }

#endif
