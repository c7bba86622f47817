/* uring/operation.h — one request to the kernel, as plain data, and who gets its answer.
 *
 * An operation is intrusive: it lives in its caller's memory (a fiber's stack, a driver's
 * struct) and nothing is allocated for it. From rmill_ring_submit until its callback runs it
 * belongs to the ring, and so does every byte it points at; the callback runs exactly once, on
 * the ring's thread, after the kernel's last word on it.
 *
 * The struct says what to do, not how: uring/ring.c turns it into a submission entry,
 * engine/sim/ring.c carries it out on a modelled disk. It refuses to know fibers, cores or
 * retries. */
#ifndef RMILL_URING_OPERATION_H
#define RMILL_URING_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

/* What each opcode uses. Unlisted fields are ignored.
 *
 *   NOP         -
 *   READ        fd address bytes offset             result = bytes read, may be short
 *   WRITE       fd address bytes offset             result = bytes written, may be short
 *   READV       fd address (struct iovec *) bytes (how many iovecs) offset
 *   WRITEV      as READV
 *   FSYNC       fd flags (RMILL_FSYNC_DATA or 0)
 *   OPEN        fd (directory) address (path) address2 (struct open_how *)      result = descriptor
 *   CLOSE       fd
 *   STATX       fd (directory) address (path) flags (AT_*) bytes (mask) address2 (struct statx *)
 *   FALLOCATE   fd flags (mode) offset length
 *   FTRUNCATE   fd length                           kernel 6.9 and later, else -EOPNOTSUPP
 *   RENAME      fd address (old) fd2 address2 (new) flags (RENAME_*)
 *   UNLINK      fd address flags (AT_REMOVEDIR or 0)
 *   MKDIR       fd address bytes (mode)
 *   LINK        fd address (old) fd2 address2 (new) flags (AT_*)
 *   SYMLINK     address (target) fd2 address2 (new name)
 *   POLL        fd flags (POLLIN ...)               result = events
 *   TIMEOUT     offset (ns from now)                result = -ETIME when it ran out
 *   CANCEL      address (the struct rmill_operation * to cancel, still readable at this submit)
 *               result = 0, -ENOENT (no longer there) or -EALREADY (it runs and will end by
 *               itself); the target's own callback runs in any case, with -ECANCELED or with what
 *               it did
 *
 * An opcode the kernel does not know answers -EOPNOTSUPP. */
enum rmill_opcode {
    RMILL_OP_NOP,
    RMILL_OP_READ,
    RMILL_OP_WRITE,
    RMILL_OP_READV,
    RMILL_OP_WRITEV,
    RMILL_OP_FSYNC,
    RMILL_OP_OPEN,
    RMILL_OP_CLOSE,
    RMILL_OP_STATX,
    RMILL_OP_FALLOCATE,
    RMILL_OP_FTRUNCATE,
    RMILL_OP_RENAME,
    RMILL_OP_UNLINK,
    RMILL_OP_MKDIR,
    RMILL_OP_LINK,
    RMILL_OP_SYMLINK,
    RMILL_OP_POLL,
    RMILL_OP_TIMEOUT,
    RMILL_OP_CANCEL,
    RMILL_OP_COUNT,
};

#define RMILL_FSYNC_DATA 1u

/* Offset of a stream (a pipe, a terminal): read or write at the descriptor's own position. */
#define RMILL_OFFSET_STREAM UINT64_MAX

/* Operation modifiers. */
#define RMILL_OPERATION_FIXED_FILE   1u /* fd is an index of the ring's registered files. */
#define RMILL_OPERATION_FIXED_BUFFER 2u /* address lies in registered region buffer_index. */

struct rmill_operation {
    /* Set by the caller before submit. */
    void (*complete)(struct rmill_operation *operation); /* Runs on the ring's thread. Not NULL. */
    void *address;
    void *address2;
    uint64_t offset;
    uint64_t length;
    uint32_t bytes;
    uint32_t flags;
    int32_t fd;
    int32_t fd2;
    uint8_t opcode;    /* enum rmill_opcode */
    uint8_t modifiers; /* RMILL_OPERATION_* */
    uint16_t buffer_index;

    /* Set by the ring before it calls `complete`. */
    int32_t result; /* As the opcode says, or -errno. */

    /* The ring's own while the operation is in flight. */
    uint32_t slot;
    uint32_t slot_generation;
    struct rmill_operation *next;
};

/* "READ", for traces and messages. Static. Thread: any. */
const char *rmill_opcode_name(enum rmill_opcode opcode);

#endif
