#include "uring/operation.h"

#include "base/macros.h"

static const char *const names[] = {
    [RMILL_OP_NOP] = "NOP",
    [RMILL_OP_READ] = "READ",
    [RMILL_OP_WRITE] = "WRITE",
    [RMILL_OP_READV] = "READV",
    [RMILL_OP_WRITEV] = "WRITEV",
    [RMILL_OP_FSYNC] = "FSYNC",
    [RMILL_OP_OPEN] = "OPEN",
    [RMILL_OP_CLOSE] = "CLOSE",
    [RMILL_OP_STATX] = "STATX",
    [RMILL_OP_FALLOCATE] = "FALLOCATE",
    [RMILL_OP_FTRUNCATE] = "FTRUNCATE",
    [RMILL_OP_RENAME] = "RENAME",
    [RMILL_OP_UNLINK] = "UNLINK",
    [RMILL_OP_MKDIR] = "MKDIR",
    [RMILL_OP_LINK] = "LINK",
    [RMILL_OP_SYMLINK] = "SYMLINK",
    [RMILL_OP_POLL] = "POLL",
    [RMILL_OP_TIMEOUT] = "TIMEOUT",
    [RMILL_OP_CANCEL] = "CANCEL",
};
_Static_assert(RMILL_ARRAY_COUNT(names) == RMILL_OP_COUNT, "every opcode has a name");

const char *
rmill_opcode_name(enum rmill_opcode opcode)
{
    return (unsigned)opcode < RMILL_OP_COUNT ? names[opcode] : "?";
}
