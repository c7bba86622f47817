#include "uring/verdict.h"

#include <errno.h>

#include "base/assert.h"
#include "base/macros.h"

#define OP(name) (1u << RMILL_OP_##name)

/* Groups of operations that meet the same errnos for the same reasons. */
#define ALL     ((1u << RMILL_OP_COUNT) - 1)
#define READS   (OP(READ) | OP(READV))
#define WRITES  (OP(WRITE) | OP(WRITEV))
#define NAMED   (OP(OPEN) | OP(STATX) | CHANGES)
#define CHANGES (OP(RENAME) | OP(UNLINK) | OP(MKDIR) | OP(LINK) | OP(SYMLINK))
#define CREATES (OP(OPEN) | OP(RENAME) | OP(MKDIR) | OP(LINK) | OP(SYMLINK))
#define SIZES   (OP(FALLOCATE) | OP(FTRUNCATE))
#define STORES  (WRITES | SIZES | OP(FSYNC) | OP(CLOSE))
#define OWN     (OP(NOP) | OP(POLL) | OP(TIMEOUT) | OP(CANCEL)) /* Not of the world. */
#define HOLDS   (ALL & ~(OP(NOP) | OP(TIMEOUT) | OP(CANCEL))) /* Takes a descriptor. */
_Static_assert(RMILL_OP_COUNT <= 32, "one bit per opcode");

struct rule {
    int code;
    uint32_t opcodes;
    enum rmill_verdict verdict;
};

static const struct rule rules[] = {
    /* Nothing happened, and trying again is right. */
    {EINTR, READS | WRITES | SIZES | OP(FSYNC) | OP(OPEN) | OP(STATX) | OP(POLL),
     RMILL_VERDICT_RETRY},
    {EAGAIN, READS | WRITES,
     RMILL_VERDICT_RETRY}, /* Of a regular file: the kernel could not wait there. */
    {EAGAIN, OP(OPEN), RMILL_VERDICT_RETRY}, /* RESOLVE_BENEATH raced with a rename. */

    /* The same errnos where trying again is wrong. Linux has closed the descriptor whatever
     * close says: a second close would hit somebody else's. A change of names that a network or
     * user-space filesystem interrupted may have happened: repeating it would turn it into a
     * false EEXIST or ENOENT. */
    {EINTR, OP(CLOSE) | CHANGES | OP(NOP) | OP(TIMEOUT) | OP(CANCEL), RMILL_VERDICT_ANSWER},
    {EAGAIN, ALL & ~(READS | WRITES | OP(OPEN)), RMILL_VERDICT_ANSWER},

    /* The kernel is short of something. */
    {ENOMEM, ALL, RMILL_VERDICT_SCARCE},
    {ENOBUFS, ALL, RMILL_VERDICT_SCARCE},
    {EMFILE, OP(OPEN), RMILL_VERDICT_SCARCE},
    {ENFILE, OP(OPEN), RMILL_VERDICT_SCARCE},

    /* Only a mistake of ours. */
    {EBADF, HOLDS, RMILL_VERDICT_BUG},
    {EFAULT, ALL & ~OP(CLOSE), RMILL_VERDICT_BUG},
    {EINVAL, OWN | OP(CLOSE) | OP(STATX), RMILL_VERDICT_BUG},

    /* EINVAL that the world gives too: O_DIRECT alignment, a filesystem without the mode or
     * flag, a name it cannot hold, a directory moved into itself. */
    {EINVAL, ALL & ~(OWN | OP(CLOSE) | OP(STATX)), RMILL_VERDICT_ANSWER},

    /* Answers of our own machinery. */
    {ECANCELED, ALL, RMILL_VERDICT_ANSWER},
    {ETIME, OP(TIMEOUT), RMILL_VERDICT_ANSWER}, /* It ran out, as asked. */
    {ENOENT, OP(CANCEL), RMILL_VERDICT_ANSWER},
    {EALREADY, OP(CANCEL), RMILL_VERDICT_ANSWER},
    {EOPNOTSUPP, ALL, RMILL_VERDICT_ANSWER},
    {ENOSYS, ALL & ~OWN, RMILL_VERDICT_ANSWER}, /* A filesystem without the operation (FUSE). */

    /* Facts about the world: storage. */
    {EIO, READS | STORES | NAMED, RMILL_VERDICT_ANSWER},
    {ENOSPC, STORES | CREATES | OP(UNLINK), RMILL_VERDICT_ANSWER},
    {EDQUOT, STORES | CREATES | OP(UNLINK), RMILL_VERDICT_ANSWER},
    {EROFS, STORES | CREATES | OP(UNLINK), RMILL_VERDICT_ANSWER},
    {EFBIG, WRITES | SIZES | OP(OPEN), RMILL_VERDICT_ANSWER},
    {ESTALE, READS | STORES | NAMED, RMILL_VERDICT_ANSWER},
    {EREMOTEIO, READS | STORES, RMILL_VERDICT_ANSWER},
    {ETIMEDOUT, READS | STORES | NAMED, RMILL_VERDICT_ANSWER},
    {ENODATA, READS, RMILL_VERDICT_ANSWER}, /* A medium error of some block devices. */
    {EUCLEAN, READS | STORES | NAMED, RMILL_VERDICT_ANSWER}, /* The filesystem is damaged. */
    {EBADMSG, READS | STORES | NAMED, RMILL_VERDICT_ANSWER}, /* A checksum of it is wrong. */
    {ENODEV, READS | STORES | OP(OPEN), RMILL_VERDICT_ANSWER},
    {ENXIO, READS | WRITES | OP(OPEN), RMILL_VERDICT_ANSWER},
    {EBUSY, READS | WRITES | SIZES | CHANGES | OP(OPEN), RMILL_VERDICT_ANSWER},
    {ETXTBSY, WRITES | SIZES | OP(OPEN), RMILL_VERDICT_ANSWER},
    {EPERM, ALL & ~OWN, RMILL_VERDICT_ANSWER},
    {EACCES, READS | STORES | NAMED, RMILL_VERDICT_ANSWER},

    /* What kind of file it is. */
    {EISDIR, READS | WRITES | SIZES | OP(OPEN) | OP(UNLINK) | OP(RENAME), RMILL_VERDICT_ANSWER},
    {ESPIPE, READS | WRITES | SIZES, RMILL_VERDICT_ANSWER},
    {EPIPE, WRITES, RMILL_VERDICT_ANSWER},
    {ECONNRESET, READS | WRITES, RMILL_VERDICT_ANSWER},
    {EOVERFLOW, READS | WRITES | OP(OPEN) | OP(STATX), RMILL_VERDICT_ANSWER},

    /* Names. */
    {ENOENT, NAMED, RMILL_VERDICT_ANSWER},
    {ENOTDIR, NAMED, RMILL_VERDICT_ANSWER},
    {EEXIST, CREATES | OP(UNLINK),
     RMILL_VERDICT_ANSWER}, /* rmdir of some filesystems for ENOTEMPTY. */
    {ENAMETOOLONG, NAMED, RMILL_VERDICT_ANSWER},
    {ELOOP, NAMED, RMILL_VERDICT_ANSWER},
    {EXDEV, OP(RENAME) | OP(LINK) | OP(OPEN), RMILL_VERDICT_ANSWER}, /* OPEN: RESOLVE_BENEATH. */
    {EMLINK, OP(RENAME) | OP(LINK) | OP(MKDIR), RMILL_VERDICT_ANSWER},
    {ENOTEMPTY, OP(RENAME) | OP(UNLINK), RMILL_VERDICT_ANSWER},
    {EILSEQ, NAMED, RMILL_VERDICT_ANSWER},   /* A name that is no UTF-8 where it must be. */
    {E2BIG, OP(OPEN), RMILL_VERDICT_ANSWER}, /* A struct open_how newer than the kernel. */
};

static const struct rule *
rule_of(enum rmill_opcode opcode, int32_t code)
{
    RMILL_ASSERT((unsigned)opcode < RMILL_OP_COUNT);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rules); i++) {
        if (rules[i].code == -code && (rules[i].opcodes & 1u << opcode)) {
            return &rules[i];
        }
    }
    return NULL;
}

enum rmill_verdict
rmill_verdict_of(enum rmill_opcode opcode, int32_t result)
{
    if (RMILL_LIKELY(result >= 0)) {
        return RMILL_VERDICT_DONE;
    }
    const struct rule *rule = rule_of(opcode, result);

    return rule != NULL ? rule->verdict : RMILL_VERDICT_ANSWER;
}

bool
rmill_verdict_listed(enum rmill_opcode opcode, int32_t code)
{
    return code < 0 && rule_of(opcode, code) != NULL;
}
