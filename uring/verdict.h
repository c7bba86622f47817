/* uring/verdict.h — what to do with each errno of each operation, decided by name, in one place.
 *
 * Nobody else compares an operation's result with an errno to decide about a retry. */
#ifndef RMILL_URING_VERDICT_H
#define RMILL_URING_VERDICT_H

#include "uring/operation.h"

enum rmill_verdict {
    RMILL_VERDICT_DONE,     /* result >= 0: it did what was asked, perhaps in part. */
    RMILL_VERDICT_RETRY,    /* Nothing happened; do the same again (EINTR; EAGAIN of a file). */
    RMILL_VERDICT_ANSWER,   /* A fact about the world for the caller: ENOENT, ENOSPC, EIO ... */
    RMILL_VERDICT_SCARCE,   /* The kernel is short of something (ENOMEM, EMFILE): count it. */
    RMILL_VERDICT_BUG,      /* A mistake of the caller (EFAULT, EBADF): answered, never retried. */
};

/* The verdict on `result` (>= 0, or -errno) of an operation `opcode`. An errno the table does
 * not list for the opcode is an ANSWER: the world is larger than our list. Thread: any. */
enum rmill_verdict rmill_verdict_of(enum rmill_opcode opcode, int32_t result);

/* True when the table decides `code` (-errno) for `opcode` by name; false for what nobody
 * foresaw, which is worth a line in a trace. Thread: any. */
bool rmill_verdict_listed(enum rmill_opcode opcode, int32_t code);

#endif
