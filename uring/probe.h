/* uring/probe.h — what the kernel under a ring can do, found by asking and by trying.
 *
 * Internal to uring/; doctor reads the result through struct rmill_ring_features. */
#ifndef RMILL_URING_PROBE_H
#define RMILL_URING_PROBE_H

#include "uring/abi.h"
#include "uring/ring.h"

/* Fill features->opcode from the kernel's own list. A kernel that will not list (5.5 and older)
 * has nothing. */
void rmill_probe_opcodes(struct io_uring *ring, struct rmill_ring_features *features);

/* True when a MSG_RING from this ring to itself arrives as a completion. Nothing else may be in
 * the ring. Whether one from another thread arrives too is uring/selftest.h's. Thread: the
 * ring's. */
bool rmill_probe_message(struct io_uring *ring);

#endif
