#include "uring/prepare.h"

#include "base/assert.h"

static const uint8_t kernel_opcodes[] = {
    [RMILL_OP_NOP] = IORING_OP_NOP,
    [RMILL_OP_READ] = IORING_OP_READ,
    [RMILL_OP_WRITE] = IORING_OP_WRITE,
    [RMILL_OP_READV] = IORING_OP_READV,
    [RMILL_OP_WRITEV] = IORING_OP_WRITEV,
    [RMILL_OP_FSYNC] = IORING_OP_FSYNC,
    [RMILL_OP_OPEN] = IORING_OP_OPENAT2,
    [RMILL_OP_CLOSE] = IORING_OP_CLOSE,
    [RMILL_OP_STATX] = IORING_OP_STATX,
    [RMILL_OP_FALLOCATE] = IORING_OP_FALLOCATE,
    [RMILL_OP_FTRUNCATE] = IORING_OP_FTRUNCATE,
    [RMILL_OP_RENAME] = IORING_OP_RENAMEAT,
    [RMILL_OP_UNLINK] = IORING_OP_UNLINKAT,
    [RMILL_OP_MKDIR] = IORING_OP_MKDIRAT,
    [RMILL_OP_LINK] = IORING_OP_LINKAT,
    [RMILL_OP_SYMLINK] = IORING_OP_SYMLINKAT,
    [RMILL_OP_POLL] = IORING_OP_POLL_ADD,
    [RMILL_OP_TIMEOUT] = IORING_OP_TIMEOUT,
    [RMILL_OP_CANCEL] = IORING_OP_ASYNC_CANCEL,
};
_Static_assert(RMILL_ARRAY_COUNT(kernel_opcodes) == RMILL_OP_COUNT,
               "every opcode has a kernel opcode");

uint8_t
rmill_opcode_kernel(enum rmill_opcode opcode)
{
    RMILL_ASSERT((unsigned)opcode < RMILL_OP_COUNT);
    return kernel_opcodes[opcode];
}

/* Opcodes whose `fd` may be an index of the registered files. */
static bool
takes_fixed_file(uint8_t opcode)
{
    switch (opcode) {
    case RMILL_OP_READ:
    case RMILL_OP_WRITE:
    case RMILL_OP_READV:
    case RMILL_OP_WRITEV:
    case RMILL_OP_FSYNC:
    case RMILL_OP_FALLOCATE:
    case RMILL_OP_FTRUNCATE:
    case RMILL_OP_POLL:
        return true;
    default:
        return false;
    }
}

static void
prepare_modifiers(const struct rmill_operation *operation, struct io_uring_sqe *sqe)
{
    if (operation->modifiers & RMILL_OPERATION_FIXED_BUFFER) {
        RMILL_ASSERT(operation->opcode == RMILL_OP_READ || operation->opcode == RMILL_OP_WRITE);
        sqe->opcode =
            operation->opcode == RMILL_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
        sqe->buf_index = operation->buffer_index;
    }
    if (operation->modifiers & RMILL_OPERATION_FIXED_FILE) {
        RMILL_ASSERT(takes_fixed_file(operation->opcode));
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

static void
prepare_names(const struct rmill_operation *operation, struct io_uring_sqe *sqe)
{
    const char *name = operation->address;
    const char *name2 = operation->address2;
    int flags = (int)operation->flags;

    switch (operation->opcode) {
    case RMILL_OP_OPEN:
        io_uring_prep_openat2(sqe, operation->fd, name, operation->address2);
        break;
    case RMILL_OP_STATX:
        io_uring_prep_statx(sqe, operation->fd, name, flags, operation->bytes, operation->address2);
        break;
    case RMILL_OP_RENAME:
        io_uring_prep_renameat(sqe, operation->fd, name, operation->fd2, name2, operation->flags);
        break;
    case RMILL_OP_UNLINK:
        io_uring_prep_unlinkat(sqe, operation->fd, name, flags);
        break;
    case RMILL_OP_MKDIR:
        io_uring_prep_mkdirat(sqe, operation->fd, name, operation->bytes);
        break;
    case RMILL_OP_LINK:
        io_uring_prep_linkat(sqe, operation->fd, name, operation->fd2, name2, flags);
        break;
    case RMILL_OP_SYMLINK:
        io_uring_prep_symlinkat(sqe, name, operation->fd2, name2);
        break;
    default:
        RMILL_PANIC("not an operation on names");
    }
}

void
rmill_operation_prepare(const struct rmill_operation *operation, struct io_uring_sqe *sqe,
                        struct __kernel_timespec *time)
{
    uint8_t opcode = operation->opcode;

    switch (opcode) {
    case RMILL_OP_NOP:
        io_uring_prep_nop(sqe);
        break;
    case RMILL_OP_READ:
    case RMILL_OP_WRITE:
    case RMILL_OP_READV:
    case RMILL_OP_WRITEV:
        io_uring_prep_rw(kernel_opcodes[opcode], sqe, operation->fd, operation->address,
                         operation->bytes, operation->offset);
        break;
    case RMILL_OP_FSYNC:
        io_uring_prep_fsync(sqe, operation->fd,
                            operation->flags & RMILL_FSYNC_DATA ? IORING_FSYNC_DATASYNC : 0);
        break;
    case RMILL_OP_CLOSE:
        io_uring_prep_close(sqe, operation->fd);
        break;
    case RMILL_OP_FALLOCATE:
        io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, operation->fd, NULL, operation->flags,
                         operation->offset);
        sqe->addr = operation->length;
        break;
    case RMILL_OP_FTRUNCATE:
        io_uring_prep_rw(IORING_OP_FTRUNCATE, sqe, operation->fd, NULL, 0, operation->length);
        break;
    case RMILL_OP_POLL:
        io_uring_prep_poll_add(sqe, operation->fd, operation->flags);
        break;
    case RMILL_OP_TIMEOUT:
        time->tv_sec = (long long)(operation->offset / RMILL_NS_PER_S);
        time->tv_nsec = (long long)(operation->offset % RMILL_NS_PER_S);
        io_uring_prep_timeout(sqe, time, 0, 0);
        break;
    case RMILL_OP_CANCEL:
        io_uring_prep_cancel64(sqe, 0, 0);
        break;
    default:
        prepare_names(operation, sqe);
        break;
    }
    if (operation->modifiers != 0) {
        prepare_modifiers(operation, sqe);
    }
}
