/* engine/linux/files.c — the plain file calls of engine/ringmill.h, part 4, as system calls. EINTR
 * is retried here. */
#include "engine/ringmill.h"
#include "engine/seam.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RETRY(result, call)                                                                        \
    do {                                                                                           \
        (result) = (call);                                                                         \
    } while ((result) < 0 && errno == EINTR)

static int
answer(int64_t result)
{
    return result < 0 ? -errno : (int)result;
}

int
rmill_plain_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    uint32_t tries = 0;
    int64_t result;

    do { /* EAGAIN: a rename raced with RESOLVE_BENEATH; openat2(2) says to try again. */
        RETRY(result, syscall(SYS_openat2, directory, path, &how, sizeof(how)));
    } while (result < 0 && errno == EAGAIN && ++tries < RMILL_OPEN_TRIES_MAX);
    return answer(result);
}

int
rmill_plain_close(int fd)
{
    return close(fd) < 0 && errno != EINTR ? -errno : 0; /* Linux has closed it even after EINTR. */
}

int64_t
rmill_plain_read(int fd, void *buffer, uint64_t bytes, uint64_t offset)
{
    int64_t result;

    if (offset == RMILL_STREAM) {
        RETRY(result, read(fd, buffer, bytes));
    } else {
        RETRY(result, pread(fd, buffer, bytes, (off_t)offset));
    }
    return result < 0 ? -errno : result;
}

int64_t
rmill_plain_write(int fd, const void *buffer, uint64_t bytes, uint64_t offset)
{
    uint64_t done = 0;

    while (done < bytes) {
        const char *from = (const char *)buffer + done;
        int64_t result;

        if (offset == RMILL_STREAM) {
            RETRY(result, write(fd, from, bytes - done));
        } else {
            RETRY(result, pwrite(fd, from, bytes - done, (off_t)(offset + done)));
        }
        if (result <= 0) {
            return result < 0 ? -errno : -EIO;
        }
        done += (uint64_t)result;
    }
    return (int64_t)done;
}

int
rmill_plain_stat(int directory, const char *path, struct stat *out)
{
    int64_t result;

    RETRY(result,
          fstatat(directory, path, out, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT));
    return answer(result);
}

int
rmill_plain_readlink(int directory, const char *path, char *buffer, uint64_t bytes)
{
    int64_t result;

    RETRY(result, readlinkat(directory, path, buffer, bytes));
    return answer(result);
}

int64_t
rmill_plain_directory_read(int fd, void *buffer, uint64_t bytes)
{
    int64_t result;

    RETRY(result, syscall(SYS_getdents64, fd, buffer, bytes));
    return result < 0 ? -errno : result;
}

int
rmill_plain_mkdir(int directory, const char *path, mode_t mode)
{
    int64_t result;

    RETRY(result, mkdirat(directory, path, mode));
    return answer(result);
}

int
rmill_plain_unlink(int directory, const char *path, bool is_directory)
{
    int64_t result;

    RETRY(result, unlinkat(directory, path, is_directory ? AT_REMOVEDIR : 0));
    return answer(result);
}

int
rmill_plain_rename(int old_directory, const char *old_path, int new_directory, const char *new_path,
                   unsigned flags)
{
    int64_t result;

    RETRY(result, renameat2(old_directory, old_path, new_directory, new_path, flags));
    return answer(result);
}

int
rmill_plain_link(int old_directory, const char *old_path, int new_directory, const char *new_path)
{
    int64_t result;

    RETRY(result, linkat(old_directory, old_path, new_directory, new_path, 0));
    return answer(result);
}

int
rmill_plain_symlink(const char *target, int directory, const char *path)
{
    int64_t result;

    RETRY(result, symlinkat(target, directory, path));
    return answer(result);
}

int
rmill_plain_chmod(int fd, mode_t mode)
{
    int64_t result;

    RETRY(result, fchmod(fd, mode));
    return answer(result);
}

int
rmill_plain_chown(int directory, const char *path, uid_t uid, gid_t gid)
{
    int64_t result;

    RETRY(result, fchownat(directory, path, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    return answer(result);
}

int
rmill_plain_times(int directory, const char *path, const struct timespec times[2])
{
    int64_t result;

    if (path[0] == '\0') {
        RETRY(result, futimens(directory, times));
    } else {
        RETRY(result, utimensat(directory, path, times, AT_SYMLINK_NOFOLLOW));
    }
    return answer(result);
}

int
rmill_plain_truncate(int fd, uint64_t bytes)
{
    int64_t result;

    RETRY(result, ftruncate(fd, (off_t)bytes));
    return answer(result);
}

int
rmill_plain_fsync(int fd, bool data_only)
{
    int64_t result;

    RETRY(result, data_only ? fdatasync(fd) : fsync(fd));
    return answer(result);
}

int
rmill_plain_syncfs(int fd)
{
    int64_t result;

    RETRY(result, syncfs(fd));
    return answer(result);
}

int
rmill_plain_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t result;

    RETRY(result, fcntl(fd, F_OFD_SETLK, &lock));
    if (result < 0 && errno == EACCES) {
        return -EAGAIN; /* POSIX allows either. */
    }
    return answer(result);
}
