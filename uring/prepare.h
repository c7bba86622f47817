/* uring/prepare.h — an operation as the kernel's submission entry. Internal to uring/. */
#ifndef RMILL_URING_PREPARE_H
#define RMILL_URING_PREPARE_H

#include "uring/abi.h"
#include "uring/operation.h"

/* The IORING_OP_* that carries out `opcode` (without modifiers). Thread: any. */
uint8_t rmill_opcode_kernel(enum rmill_opcode opcode);

/* Fill every field of `sqe` but user_data. `time` must live until the kernel has consumed the
 * entry; only TIMEOUT uses it. CANCEL leaves the target's user_data (sqe->addr) to the caller. A
 * modifier that the opcode cannot have is asserted. Thread: the ring's. Cost: one line written. */
void rmill_operation_prepare(const struct rmill_operation *operation, struct io_uring_sqe *sqe,
                             struct __kernel_timespec *time);

#endif
