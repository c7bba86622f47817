/* uring/ring.h — one submission and completion ring, used by the one thread that created it.
 *
 * This header is part of the seam: uring/ring.c implements it on io_uring, engine/sim/ring.c on
 * a modelled disk with virtual time; which one a program gets is decided when it is linked.
 *
 *     submit(op) ──▶ [queued here] ──enter()──▶ kernel ──enter()──▶ op->complete(op)
 *
 * Invariants
 *   I1  submit never refuses and never drops: what does not fit waits in a list, in order.
 *   I2  at most `in_flight_max` operations are with the kernel, and besides them at most `entries`
 *       cancels, so that a cancel never waits for what it is to end. The completion queue has room
 *       for all of them and for an eighth of its size in wakes, so it cannot overflow; an overflow
 *       loses nothing, but is counted as a bug.
 *   I3  every operation handed in is completed exactly once, also after a cancel.
 *   I4  an answer carries index and generation; one that fits no operation in flight is a panic.
 * It knows no fiber, no core, no retry: a short read or -EINTR is handed on as it came.
 * Cost: submit = one SQE filled (two lines); enter = at most one system call per `entries` of
 * them. */
#ifndef RMILL_URING_RING_H
#define RMILL_URING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "uring/operation.h"

struct rmill_ring;

/* Zero means default. */
struct rmill_ring_options {
    uint32_t entries;        /* Submission entries, a power of two; 256. */
    uint32_t in_flight_max;  /* Operations with the kernel at once; 4 x entries. */
    uint32_t files_max;      /* Sparse registered file table; 64. */
    uint32_t workers_max;    /* Bound of the kernel's helper threads (io-wq) per kind; 32. */
    bool submission_polling; /* SQPOLL. Costs a core; off. */
    bool plain;              /* No optional flag at all. For tests and doctor. */
    bool event_wakes;        /* Wake through the event descriptor even where MSG_RING works. */
    uint32_t setup_refused;  /* IORING_SETUP_* not to ask for: an older kernel's ring. */
    const uint32_t *worker_cpus; /* Of the helper threads; NULL = as the creator's. Borrowed. */
    uint32_t worker_cpu_count;
};

/* What this ring got. Filled at creation by trying, not by version number; read-only afterwards. */
struct rmill_ring_features {
    uint32_t setup_flags;      /* IORING_SETUP_* the kernel took. */
    uint32_t feature_flags;    /* IORING_FEAT_* it reported. */
    bool single_issuer;        /* 6.0 */
    bool defer_taskrun;        /* 6.1 */
    bool coop_taskrun;         /* 5.19 */
    bool no_sqarray;           /* 6.6 */
    bool ring_fd_registered;   /* 5.18: saves the file look-up of every enter. */
    bool files_registered;     /* 5.19: sparse table. */
    bool buffers_registered;   /* the arena's regions are fixed buffers. */
    bool message_ring;         /* 5.18, and one sent to itself arrived; see selftest.h. */
    bool workers_bounded;      /* 5.15: IORING_REGISTER_IOWQ_MAX_WORKERS. */
    bool workers_pinned;       /* 5.14: IORING_REGISTER_IOWQ_AFF. */
    bool no_iowait;            /* 6.15: an idle wait is not counted as iowait. */
    bool opcode[RMILL_OP_COUNT]; /* The kernel knows it. */
};

/* Counters since creation. Written by the owner thread only; read by it, or after it stopped. */
struct rmill_ring_statistics {
    uint64_t submitted, completed;
    uint64_t enters;         /* System calls. */
    uint64_t waits;          /* Of those, the ones allowed to sleep. */
    uint64_t queued;         /* Operations that had to wait in the list. */
    uint64_t overflows;      /* Always 0, or a bug. */
    uint64_t wakes_sent;
};

/* Create a ring for the calling thread, which alone may use it from then on (but for the calls
 * that say "any"). On failure *ring is untouched and `error` names the call and the knob:
 * -EPERM / -ENOSYS: io_uring is forbidden or missing (kernel.io_uring_disabled, seccomp): exit
 * 77 material.
 * -ENOMEM: the memlock limit or memory is too small even for the smallest ring.
 * -EMFILE / -ENFILE: no descriptors. -EINVAL: options. */
int rmill_ring_create(const struct rmill_ring_options *options, struct rmill_ring **ring,
                      struct rmill_error *error);

/* Nothing may be in flight (asserted). NULL is allowed. Thread: the creator. */
void rmill_ring_destroy(struct rmill_ring *ring);

/* Hand in an operation. It and its memory are the ring's until its callback has run. Thread: the
 * creator. */
void rmill_ring_submit(struct rmill_ring *ring, struct rmill_operation *operation);

/* Submit what is queued, reap what is done, run the callbacks; callbacks may submit more.
 * `wait_ns`: 0 = never sleep (no system call at all when nothing is queued and the kernel has
 * nothing for us); UINT64_MAX = sleep until something completes or a wake arrives; else at most
 * that long. Returns how many callbacks ran (0 after a wake, a time-out or a signal; also, at
 * most once a millisecond, when the kernel is short of memory). EINTR, EAGAIN and EBUSY of the
 * system call are dealt with inside. Not from within a callback (asserted). Thread: the creator. */
uint32_t rmill_ring_enter(struct rmill_ring *ring, uint64_t wait_ns);

/* True when enter(0) would find something to do. Cost: two or three loads. Thread: the creator. */
bool rmill_ring_ready(const struct rmill_ring *ring);

/* How many operations are submitted or queued and not yet completed. Thread: the creator. */
uint32_t rmill_ring_in_flight(const struct rmill_ring *ring);

/* Make the thread that sleeps in rmill_ring_enter(target) return, or its next sleeping enter
 * return at once. `from` is the caller's own ring: one MSG_RING, or a write to the target's
 * event descriptor where MSG_RING does not work. The message leaves at the caller's next enter;
 * `target` must live until then. A wake that arrives while the target is awake is kept for its
 * next sleeping enter, which may thus return once too often, never too seldom. Thread: the
 * creator of `from`. */
void rmill_ring_wake(struct rmill_ring *from, struct rmill_ring *target);

/* The same for a thread that has no ring: one write to the target's event descriptor. Thread:
 * any. */
void rmill_ring_wake_foreign(struct rmill_ring *target);

/* Put `fd` into slot `index` of the registered files (fd = -1 empties it). The table holds its
 * own reference. 0, -EINVAL (no such slot), -EOPNOTSUPP (no table). Thread: the creator. */
int rmill_ring_file_register(struct rmill_ring *ring, uint32_t index, int fd);

/* Register memory as fixed buffers 0..count-1, each at most 1 GiB; pins every page of it.
 * Replaces what was registered before; nothing that uses it may be in flight. 0; -ENOMEM names
 * the memlock limit in `error`; -EINVAL (count, size); -EFAULT (not all mapped readable and
 * writable). After an error the ring goes on with none registered. Thread: the creator. */
int rmill_ring_buffers_register(struct rmill_ring *ring, const struct iovec *regions,
                                uint32_t count, struct rmill_error *error);

const struct rmill_ring_features *rmill_ring_features(const struct rmill_ring *ring);
const struct rmill_ring_statistics *rmill_ring_statistics(const struct rmill_ring *ring);

#endif
