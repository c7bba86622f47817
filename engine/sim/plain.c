/* engine/sim/plain.c — part 4 of engine/ringmill.h on the modelled disk. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "engine/ringmill.h"
#include "engine/sim/files.h"
#include "engine/sim/internal.h"

#define CALL_NS_MIN 500u
#define CALL_NS_MAX 5000u

/* Every call begins here: it takes time, reaches the disk, and may fail. */
static struct rmill_sim *
begin(unsigned opcode, int *code)
{
    struct rmill_sim *sim = rmill_sim_self();
    uint64_t cost_ns = CALL_NS_MIN + rmill_sim_up_to(sim, CALL_NS_MAX - CALL_NS_MIN);

    if (sim->running != NULL) {
        sim->running->clock_ns += cost_ns;
        sim->running->busy_ns += cost_ns;
    }
    sim->result.calls++;
    rmill_sim_reach(sim);
    *code = opcode < RMILL_OP_COUNT ? rmill_sim_call_fault(sim, opcode, true) : 0;
    return sim;
}

/* And ends here. `name` has at most eight characters. */
static int64_t
end(struct rmill_sim *sim, const char *name, int64_t result)
{
    uint64_t word = 0;

    memcpy(&word, name, strnlen(name, sizeof(word)));
    rmill_sim_record(sim, RMILL_SIM_RECORD_CALL, word, (uint64_t)result);
    return result;
}

int
rmill_plain_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_OPEN, &code);

    return (int)end(sim, "open", code < 0 ? code : rmill_sim_open(sim, directory, path, &how));
}

int
rmill_plain_close(int fd)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_CLOSE, &code);
    int closed = rmill_sim_close(sim, fd); /* Whatever close answers, the descriptor is gone. */

    return (int)end(sim, "close", closed < 0 ? closed : code);
}

int64_t
rmill_plain_read(int fd, void *buffer, uint64_t bytes, uint64_t offset)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_COUNT, &code);
    struct rmill_sim_description *description = rmill_sim_description_hold(sim, fd);
    int64_t result = -EBADF;

    if (description != NULL) {
        result = rmill_sim_transfer(sim, description, RMILL_OP_READ, buffer, bytes, offset, true);
        rmill_sim_description_release(sim, description);
    }
    return end(sim, "read", result);
}

int64_t
rmill_plain_write(int fd, const void *buffer, uint64_t bytes, uint64_t offset)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_COUNT, &code);
    struct rmill_sim_description *description = rmill_sim_description_hold(sim, fd);
    uint64_t done = 0;
    int64_t part = description != NULL ? 0 : -EBADF;

    while (description != NULL && done < bytes && part >= 0) {
        part =
            rmill_sim_transfer(sim, description, RMILL_OP_WRITE, (char *)(uintptr_t)buffer + done,
                               bytes - done, offset == RMILL_STREAM ? offset : offset + done, true);
        done += part > 0 ? (uint64_t)part : 0;
    }
    if (description != NULL) {
        rmill_sim_description_release(sim, description);
    }
    return end(sim, "write", part < 0 ? part : (int64_t)bytes);
}

int
rmill_plain_stat(int directory, const char *path, struct stat *out)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_STATX, &code);

    if (code == 0) {
        code = rmill_sim_stat(sim, directory, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, out);
    }
    return (int)end(sim, "stat", code);
}

int
rmill_plain_readlink(int directory, const char *path, char *buffer, uint64_t bytes)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_STATX, &code);

    return (int)end(sim, "readlink",
                    code < 0 ? code : rmill_sim_readlink(sim, directory, path, buffer, bytes));
}

int64_t
rmill_plain_directory_read(int fd, void *buffer, uint64_t bytes)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_STATX, &code);

    return end(sim, "getdents", code < 0 ? code : rmill_sim_directory_read(sim, fd, buffer, bytes));
}

int
rmill_plain_mkdir(int directory, const char *path, mode_t mode)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_MKDIR, &code);

    return (int)end(sim, "mkdir", code < 0 ? code : rmill_sim_mkdir(sim, directory, path, mode));
}

int
rmill_plain_unlink(int directory, const char *path, bool is_directory)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_UNLINK, &code);

    return (int)end(sim, "unlink",
                    code < 0 ? code : rmill_sim_unlink(sim, directory, path, is_directory));
}

int
rmill_plain_rename(int old_directory, const char *old_path, int new_directory, const char *new_path,
                   unsigned flags)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_RENAME, &code);

    if (code == 0) {
        code = rmill_sim_rename(sim, old_directory, old_path, new_directory, new_path, flags);
    }
    return (int)end(sim, "rename", code);
}

int
rmill_plain_link(int old_directory, const char *old_path, int new_directory, const char *new_path)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_LINK, &code);

    if (code == 0) {
        code = rmill_sim_link(sim, old_directory, old_path, new_directory, new_path, 0);
    }
    return (int)end(sim, "link", code);
}

int
rmill_plain_symlink(const char *target, int directory, const char *path)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_SYMLINK, &code);

    return (int)end(sim, "symlink",
                    code < 0 ? code : rmill_sim_symlink(sim, target, directory, path));
}

/* Change attributes: the inode, when nothing failed. */
static int
attributes_begin(int directory, const char *path, struct rmill_sim **sim,
                 struct rmill_sim_inode **inode)
{
    int code;

    *sim = begin(RMILL_OP_STATX, &code);
    return code < 0 ? code : rmill_sim_attributes(*sim, directory, path, inode);
}

int
rmill_plain_chmod(int fd, mode_t mode)
{
    struct rmill_sim *sim;
    struct rmill_sim_inode *inode;
    int code = fd < 0 ? -EBADF : 0;

    if (code < 0) {
        return code;
    }
    code = attributes_begin(fd, "", &sim, &inode);
    if (code == 0) {
        inode->now.mode = (inode->now.mode & (unsigned)S_IFMT) | (mode & 07777);
    }
    return (int)end(sim, "chmod", code);
}

int
rmill_plain_chown(int directory, const char *path, uid_t uid, gid_t gid)
{
    struct rmill_sim *sim;
    struct rmill_sim_inode *inode;
    int code = attributes_begin(directory, path, &sim, &inode);

    if (code == 0) {
        inode->now.uid = uid != (uid_t)-1 ? uid : inode->now.uid;
        inode->now.gid = gid != (gid_t)-1 ? gid : inode->now.gid;
        if (S_ISREG(inode->now.mode)) {
            inode->now.mode &= ~(unsigned)S_ISUID; /* As Linux does, also for root. */
            if (inode->now.mode & S_IXGRP) {
                inode->now.mode &= ~(unsigned)S_ISGID;
            }
        }
    }
    return (int)end(sim, "chown", code);
}

static int
time_set(struct timespec *to, const struct timespec *from, const struct timespec *now)
{
    if (from->tv_nsec == UTIME_NOW) {
        *to = *now;
    } else if (from->tv_nsec != UTIME_OMIT) {
        if (from->tv_nsec < 0 || from->tv_nsec >= (long)RMILL_NS_PER_S) {
            return -EINVAL;
        }
        *to = *from;
    }
    return 0;
}

int
rmill_plain_times(int directory, const char *path, const struct timespec times[2])
{
    struct rmill_sim *sim;
    struct rmill_sim_inode *inode;
    int code = attributes_begin(directory, path, &sim, &inode);

    if (code == 0) {
        code = time_set(&inode->now.accessed, &times[0], &inode->now.changed);
    }
    if (code == 0) {
        code = time_set(&inode->now.modified, &times[1], &inode->now.changed);
    }
    return (int)end(sim, "times", code);
}

/* A call on what a descriptor stands for. */
enum by_descriptor { TRUNCATE, SYNC, SYNC_DATA };

static int
descriptor_call(enum by_descriptor kind, int fd, uint64_t bytes, const char *name)
{
    int code;
    struct rmill_sim *sim = begin(kind == TRUNCATE ? RMILL_OP_FTRUNCATE : RMILL_OP_COUNT, &code);
    struct rmill_sim_description *description = rmill_sim_description_hold(sim, fd);

    if (description == NULL) {
        return (int)end(sim, name, -EBADF);
    }
    if (code == 0) {
        code = kind == TRUNCATE ? rmill_sim_description_truncate(sim, description, bytes)
                                : rmill_sim_sync(sim, description, kind == SYNC_DATA, true);
    }
    rmill_sim_description_release(sim, description);
    return (int)end(sim, name, code);
}

int
rmill_plain_truncate(int fd, uint64_t bytes)
{
    return descriptor_call(TRUNCATE, fd, bytes, "truncate");
}

int
rmill_plain_fsync(int fd, bool data_only)
{
    return descriptor_call(data_only ? SYNC_DATA : SYNC, fd, 0, "fsync");
}

int
rmill_plain_syncfs(int fd)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_FSYNC, &code);
    struct rmill_sim_description *description = rmill_sim_description_hold(sim, fd);

    if (description == NULL) {
        return (int)end(sim, "syncfs", -EBADF);
    }
    rmill_sim_description_release(sim, description);
    if (code == 0) {
        rmill_sim_disk_sync(sim->disk);
    }
    return (int)end(sim, "syncfs", code);
}

int
rmill_plain_lock(int fd)
{
    int code;
    struct rmill_sim *sim = begin(RMILL_OP_COUNT, &code);

    return (int)end(sim, "lock", rmill_sim_lock(sim, fd));
}
