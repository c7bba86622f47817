#include "uring/probe.h"

#include <stdlib.h>

#include "base/macros.h"
#include "uring/prepare.h"

void
rmill_probe_opcodes(struct io_uring *ring, struct rmill_ring_features *features)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);

    for (unsigned i = 0; i < RMILL_OP_COUNT; i++) {
        uint8_t opcode = rmill_opcode_kernel((enum rmill_opcode)i);

        /* liburing's helper reads ops[] beyond what the kernel filled only as zeros. */
        features->opcode[i] = probe != NULL && io_uring_opcode_supported(probe, opcode);
    }
    if (probe != NULL) {
        io_uring_free_probe(probe);
    }
}

/* One non-sleeping pass through the kernel with what is queued. */
static int
pass(struct io_uring *ring)
{
    unsigned flags = IORING_ENTER_GETEVENTS;
    unsigned submit = io_uring_sq_ready(ring);

    if (ring->flags & IORING_SETUP_SQPOLL) {
        flags |= IORING_ENTER_SQ_WAKEUP;
    }
    io_uring_smp_store_release(ring->sq.ktail, ring->sq.sqe_tail);
    return io_uring_enter(ring->ring_fd, submit, 1, flags, NULL);
}

bool
rmill_probe_message(struct io_uring *ring)
{
    const uint64_t sent = 0x6d73, arrived = 0x7267;
    bool seen = false;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

    io_uring_prep_msg_ring(sqe, ring->ring_fd, 0, arrived, 0);
    sqe->user_data = sent;
    /* The answer of the sender's own entry comes in any case, so that one wait always ends. */
    for (int answers = 0, tries = 0; answers < 2 && tries < 16; tries++) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        bool failed = false;

        if (io_uring_cq_ready(ring) == 0) {
            (void)pass(ring);
        }
        io_uring_for_each_cqe(ring, head, cqe)
        {
            seen = seen || cqe->user_data == arrived;
            failed = failed || (cqe->user_data == sent && cqe->res < 0);
            count++;
        }
        io_uring_cq_advance(ring, count);
        answers += (int)count;
        if (failed) {
            break;
        }
    }
    return seen;
}
