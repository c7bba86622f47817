/* uring/setup.h — io_uring_setup and its mappings, tried from the best flags down.
 *
 * liburing 2.3's own set-up does not know IORING_SETUP_NO_SQARRAY: it writes the identity array
 * at offset 0, on top of the ring's header. So the mapping is done here and fills liburing's
 * public struct io_uring, whose inlines then work as ever. Internal to uring/ and to those who
 * measure rings bare. */
#ifndef RMILL_URING_SETUP_H
#define RMILL_URING_SETUP_H

#include "base/error.h"
#include "uring/abi.h"

/* The smallest submission queue tried before giving up for want of memory. */
#define RMILL_SETUP_ENTRIES_MIN 32u

struct rmill_setup {
    uint32_t sq_entries; /* In: wanted. Out: got (memory may have allowed less). */
    uint32_t cq_entries; /* As sq_entries. */
    uint32_t wanted;     /* In: optional IORING_SETUP_* flags, tried best first. */
    uint32_t required;   /* In: flags the ring is useless without (SQPOLL). */
    uint32_t flags;      /* Out: what the kernel took. */
    uint32_t features;   /* Out: IORING_FEAT_*. */
    uint32_t dummy;      /* Where sq.array points when the kernel has none. */
};

/* Every optional flag the ladder knows, best rung. */
#define RMILL_SETUP_WANTED_ALL                                                     \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY | \
     IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL)

/* Set up `ring` for the calling thread. `setup` stays with the ring (sq.array may point into
 * it). 0, or -errno with advice as rmill_ring_create documents; then `ring` holds nothing.
 * Thread: the ring's. */
int rmill_setup_open(struct rmill_setup *setup, struct io_uring *ring, struct rmill_error *error);

/* Unmap and close. Nothing may be in flight. Thread: the ring's. */
void rmill_setup_close(struct io_uring *ring);

/* Bound the kernel's helper threads of `ring` to `workers_max` per kind. True when it agreed. */
bool rmill_setup_workers_bound(struct io_uring *ring, uint32_t workers_max);

/* Keep the helper threads on these CPUs; NULL or none = where the calling thread may run. True
 * when it agreed. */
bool rmill_setup_workers_pin(struct io_uring *ring, const uint32_t *cpus, uint32_t cpu_count);

/* Why io_uring_setup answered `code`, and which knob mends it, in one sentence. Returns `code`.
 * Thread: any. */
int rmill_setup_explain(int code, struct rmill_error *error);

#endif
