/* uring/selftest.h — proof that one thread can wake another that sleeps in its ring.
 *
 * Two rings, one of them on a helper thread, and every way of waking; for the start of an engine
 * and for doctor. Behaviour is believed, version numbers are not: where the message does not
 * arrive, rings are to be made with options.event_wakes. */
#ifndef RMILL_URING_SELFTEST_H
#define RMILL_URING_SELFTEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "uring/ring.h"

struct rmill_selftest {
    struct rmill_ring_features features; /* Of the ring that was tried. */
    bool message_wake;                   /* MSG_RING ended the sleep of another thread. */
    bool event_wake;                     /* So did a write to its event descriptor. */
    uint64_t message_wake_ns;            /* From the send to the sleeper's word; once. */
    uint64_t event_wake_ns;
};

/* Try. Takes about a millisecond when all is well, and at most a second for each wake that does
 * not arrive.
 * 0 with `result` filled, also when a wake failed; else what rmill_ring_create answers, or
 * -EAGAIN (no thread), with advice, and `result` untouched. Thread: any; the calling thread's
 * signals and affinity are untouched. */
int rmill_selftest_run(const struct rmill_ring_options *options, struct rmill_selftest *result,
                       struct rmill_error *error);

#endif
