/* perf/record/counters.h — event counters that one core writes and anybody reads.
 *
 * Owner: shared; `value` is written by one core (the owner) only and read by any thread. Because
 * there is one writer, adding is a plain load and a plain store, never a locked instruction.
 * Relaxed order is enough: a counter publishes nothing but itself, so two counters read together
 * may disagree by what happened in between. Counters wrap at 2^64.
 *
 * Which counters exist is the business of whoever owns them. Keep the counters of two writers on
 * different cache lines. Zero-initialised memory is a valid counter. */
#ifndef RMILL_PERF_RECORD_COUNTERS_H
#define RMILL_PERF_RECORD_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct rmill_counter {
    _Atomic uint64_t value; /* Writer: the owner core. Readers: any thread. */
};

/* Add `amount`. Thread: owner core. Cost: one load, one store, no fence. */
static inline void
rmill_counter_add(struct rmill_counter *counter, uint64_t amount)
{
    /* Relaxed, no partner: nothing else is published through a counter. */
    uint64_t old = atomic_load_explicit(&counter->value, memory_order_relaxed);

    atomic_store_explicit(&counter->value, old + amount, memory_order_relaxed);
}

/* The value now, or a moment ago; never torn, never going backwards for one reader. Thread: any. */
static inline uint64_t
rmill_counter_get(const struct rmill_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

#endif
