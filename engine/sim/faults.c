/* engine/sim/faults.c — which failure can befall which call, and calls with them. */
#include <errno.h>
#include <stdlib.h>

#include "engine/sim/files.h"
#include "engine/sim/internal.h"

#define BIT(fault) (1u << RMILL_SIM_##fault)
#define NAMES      (BIT(IO_ERROR) | BIT(NO_MEMORY))
#define CREATES    (NAMES | BIT(NO_SPACE))

/* What the kernel can answer, see uring/verdict.c. Anything but a write, a sync or a close has
 * no effect when it fails. */
static const uint32_t faults_of[RMILL_OP_COUNT] = {
    [RMILL_OP_READ] = BIT(INTERRUPTED) | BIT(AGAIN) | BIT(IO_ERROR) | BIT(NO_MEMORY),
    [RMILL_OP_WRITE] =
        BIT(INTERRUPTED) | BIT(AGAIN) | BIT(IO_ERROR) | BIT(NO_MEMORY) | BIT(NO_SPACE),
    [RMILL_OP_FSYNC] = BIT(INTERRUPTED) | BIT(IO_ERROR),
    [RMILL_OP_OPEN] = BIT(INTERRUPTED) | BIT(IO_ERROR) | BIT(NO_MEMORY),
    [RMILL_OP_CLOSE] = BIT(INTERRUPTED) | BIT(IO_ERROR),
    [RMILL_OP_STATX] = BIT(INTERRUPTED) | NAMES,
    [RMILL_OP_FALLOCATE] = BIT(INTERRUPTED) | BIT(NO_SPACE) | BIT(IO_ERROR),
    [RMILL_OP_FTRUNCATE] = BIT(INTERRUPTED) | BIT(IO_ERROR),
    [RMILL_OP_RENAME] = CREATES,
    [RMILL_OP_UNLINK] = NAMES,
    [RMILL_OP_MKDIR] = CREATES,
    [RMILL_OP_LINK] = CREATES,
    [RMILL_OP_SYMLINK] = CREATES,
};

static const struct {
    enum rmill_sim_fault fault;
    int code;
} codes[] = {
    {RMILL_SIM_INTERRUPTED, -EINTR}, {RMILL_SIM_AGAIN, -EAGAIN},     {RMILL_SIM_IO_ERROR, -EIO},
    {RMILL_SIM_NO_SPACE, -ENOSPC},   {RMILL_SIM_NO_MEMORY, -ENOMEM},
};

int
rmill_sim_call_fault(struct rmill_sim *sim, unsigned opcode, bool plain)
{
    uint32_t possible = faults_of[opcode];

    if (plain) {
        possible &= ~(BIT(INTERRUPTED) | BIT(AGAIN));
    }
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(codes); i++) {
        if ((possible & 1u << codes[i].fault) && rmill_sim_fault(sim, codes[i].fault)) {
            return codes[i].code;
        }
    }
    return 0;
}

int64_t
rmill_sim_transfer(struct rmill_sim *sim, struct rmill_sim_description *description,
                   unsigned opcode, void *buffer, uint64_t bytes, uint64_t offset, bool plain)
{
    int code = rmill_sim_call_fault(sim, opcode, plain);

    if (code == -EIO && opcode == RMILL_OP_WRITE && bytes > 0) {
        /* Part of it may be there; nobody may believe otherwise. */
        (void)rmill_sim_description_write(sim, description, buffer, rmill_sim_up_to(sim, bytes - 1),
                                          offset);
    }
    if (code < 0) {
        return code;
    }
    if (bytes > 1 && rmill_sim_fault(sim, RMILL_SIM_SHORT)) {
        bytes = 1 + rmill_sim_up_to(sim, bytes - 2);
    }
    return opcode == RMILL_OP_WRITE
               ? rmill_sim_description_write(sim, description, buffer, bytes, offset)
               : rmill_sim_description_read(sim, description, buffer, bytes, offset);
}

int
rmill_sim_sync(struct rmill_sim *sim, struct rmill_sim_description *description, bool data_only,
               bool plain)
{
    int code = rmill_sim_call_fault(sim, RMILL_OP_FSYNC, plain);

    if (code < 0 && code != -EIO) {
        return code;
    }
    return rmill_sim_description_sync(sim, description, data_only, code == -EIO);
}
