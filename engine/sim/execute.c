/* engine/sim/execute.c — the operations of a ring, on the modelled disk. */
#include "engine/sim/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "engine/sim/internal.h"

/* READV and WRITEV: one transfer per vector until one is short. */
static int64_t
transfer_vectors(struct rmill_sim *sim, const struct rmill_operation *operation,
                 struct rmill_sim_description *file, unsigned opcode)
{
    const struct iovec *vectors = operation->address;
    int64_t done = 0;

    for (uint32_t i = 0; i < operation->bytes; i++) {
        uint64_t offset = operation->offset;
        int64_t part = rmill_sim_transfer(
            sim, file, opcode, vectors[i].iov_base, vectors[i].iov_len,
            offset == RMILL_OFFSET_STREAM ? offset : offset + (uint64_t)done, false);

        if (part < 0) {
            return done > 0 ? done : part;
        }
        done += part;
        if ((uint64_t)part < vectors[i].iov_len) {
            break;
        }
    }
    return done;
}

static int64_t
execute_data(struct rmill_sim *sim, const struct rmill_operation *operation,
             struct rmill_sim_description *file)
{
    switch (operation->opcode) {
    case RMILL_OP_READ:
    case RMILL_OP_WRITE:
        return rmill_sim_transfer(sim, file, operation->opcode, operation->address,
                                  operation->bytes, operation->offset, false);
    case RMILL_OP_READV:
        return transfer_vectors(sim, operation, file, RMILL_OP_READ);
    case RMILL_OP_WRITEV:
        return transfer_vectors(sim, operation, file, RMILL_OP_WRITE);
    case RMILL_OP_FSYNC:
        return rmill_sim_sync(sim, file, operation->flags & RMILL_FSYNC_DATA, false);
    case RMILL_OP_POLL:
        return (int64_t)(operation->flags & (POLLIN | POLLOUT)); /* A file is always ready. */
    default:
        break;
    }
    int code = rmill_sim_call_fault(sim, operation->opcode, false);

    if (code < 0) {
        return code;
    }
    return operation->opcode == RMILL_OP_FALLOCATE
               ? rmill_sim_description_allocate(sim, file, (int)operation->flags, operation->offset,
                                                operation->length)
               : rmill_sim_description_truncate(sim, file, operation->length);
}

static struct statx_timestamp
statx_time(struct timespec time)
{
    return (struct statx_timestamp){.tv_sec = time.tv_sec, .tv_nsec = (uint32_t)time.tv_nsec};
}

static int
execute_statx(struct rmill_sim *sim, const struct rmill_operation *operation)
{
    struct statx *out = operation->address2;
    struct stat status;
    int code =
        rmill_sim_stat(sim, operation->fd, operation->address, (int)operation->flags, &status);

    if (code < 0) {
        return code;
    }
    memset(out, 0, sizeof(*out));
    out->stx_mask = STATX_BASIC_STATS;
    out->stx_blksize = (uint32_t)status.st_blksize;
    out->stx_nlink = (uint32_t)status.st_nlink;
    out->stx_uid = status.st_uid;
    out->stx_gid = status.st_gid;
    out->stx_mode = (uint16_t)status.st_mode;
    out->stx_ino = status.st_ino;
    out->stx_size = (uint64_t)status.st_size;
    out->stx_blocks = (uint64_t)status.st_blocks;
    out->stx_atime = statx_time(status.st_atim);
    out->stx_mtime = statx_time(status.st_mtim);
    out->stx_ctime = statx_time(status.st_ctim);
    out->stx_dev_major = 8;
    out->stx_dev_minor = 1;
    return 0;
}

static int
execute_names(struct rmill_sim *sim, const struct rmill_operation *operation)
{
    const char *name = operation->address, *name2 = operation->address2;
    int code = rmill_sim_call_fault(sim, operation->opcode, false);

    if (code < 0) {
        return code;
    }
    switch (operation->opcode) {
    case RMILL_OP_OPEN:
        if ((((const struct open_how *)operation->address2)->resolve & RESOLVE_BENEATH) &&
            rmill_sim_fault(sim, RMILL_SIM_AGAIN)) {
            return -EAGAIN;
        }
        return rmill_sim_open(sim, operation->fd, name, operation->address2);
    case RMILL_OP_STATX:
        return execute_statx(sim, operation);
    case RMILL_OP_RENAME:
        return rmill_sim_rename(sim, operation->fd, name, operation->fd2, name2, operation->flags);
    case RMILL_OP_UNLINK:
        return rmill_sim_unlink(sim, operation->fd, name, operation->flags & AT_REMOVEDIR);
    case RMILL_OP_MKDIR:
        return rmill_sim_mkdir(sim, operation->fd, name, operation->bytes);
    case RMILL_OP_LINK:
        return rmill_sim_link(sim, operation->fd, name, operation->fd2, name2,
                              (int)operation->flags);
    case RMILL_OP_SYMLINK:
        return rmill_sim_symlink(sim, name, operation->fd2, name2);
    default:
        RMILL_PANIC("not an operation on names");
    }
}

int32_t
rmill_sim_execute(struct rmill_sim *sim, struct rmill_operation *operation,
                  struct rmill_sim_description *file)
{
    switch (operation->opcode) {
    case RMILL_OP_NOP:
        return 0;
    case RMILL_OP_TIMEOUT:
        return -ETIME;
    case RMILL_OP_CLOSE: {
        rmill_sim_reach(sim);
        int fault = rmill_sim_call_fault(sim, RMILL_OP_CLOSE, false);
        int code = rmill_sim_close(sim, operation->fd); /* Whatever is answered, it is closed. */

        return code < 0 ? code : fault;
    }
    case RMILL_OP_READ:
    case RMILL_OP_WRITE:
    case RMILL_OP_READV:
    case RMILL_OP_WRITEV:
    case RMILL_OP_FSYNC:
    case RMILL_OP_FALLOCATE:
    case RMILL_OP_FTRUNCATE:
    case RMILL_OP_POLL:
        rmill_sim_reach(sim);
        return file == NULL ? -EBADF : (int32_t)execute_data(sim, operation, file);
    default:
        rmill_sim_reach(sim);
        return execute_names(sim, operation);
    }
}
