/* The modelled disk against the real one: the same calls must give the same answers.
 *
 * Method: seeded sequences of calls on names and files, many of them wrong on purpose (slashes
 * at the end, dots, links to nowhere, names on the way that are no directories), once by part 4
 * of engine/ringmill.h in the simulator and once by system calls below a fresh directory that a
 * child process takes for its root. Both write a log; the logs must be equal. Left out of the
 * logs: what file systems do differently (sizes and link counts of directories, inode numbers). */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/prng.h"
#include "engine/ringmill.h"
#include "engine/sim/sim.h"

#define STEPS     150
#define FILES     4u
#define LOG_BYTES 32768u
#define SEEDS     150u

static const char *const paths[] = {"a",     "b",   "a/x",   "a/y",    "b/x",     "b/y",    "a/x/z",
                                    "b/y/z", "a/",  "b/.",   "a/..",   "a/x/",    "a/../b", "l",
                                    "a/l",   "l/x", "a/l/z", "./a",    "l/",      "a//x",   ".",
                                    "..",    "/a",  "a/l/",  "nope/x", "b/y/../x"};
static const char *const targets[] = {"a", "b", "../b", "x", "l", "/a", "a/x", "nope", "..", "."};
static const int open_flags[] = {O_RDONLY,
                                 O_RDWR,
                                 O_RDWR | O_CREAT,
                                 O_RDWR | O_CREAT | O_EXCL,
                                 O_WRONLY | O_TRUNC,
                                 O_RDONLY | O_DIRECTORY,
                                 O_RDONLY | O_NOFOLLOW,
                                 O_PATH | O_NOFOLLOW,
                                 O_RDWR | O_CREAT | O_NOFOLLOW,
                                 O_PATH};
static const uint64_t resolves[] = {0, 0, RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT};

/* The two worlds. Everything returns >= 0 or -errno. */
struct world {
    int (*open)(int, const char *, int, mode_t, uint64_t);
    int (*close)(int);
    int64_t (*read)(int, void *, uint64_t, uint64_t);
    int64_t (*write)(int, const void *, uint64_t, uint64_t);
    int (*stat)(int, const char *, struct stat *);
    int (*readlink)(int, const char *, char *, uint64_t);
    int (*mkdir)(int, const char *, mode_t);
    int (*unlink)(int, const char *, bool);
    int (*rename)(int, const char *, int, const char *, unsigned);
    int (*link)(int, const char *, int, const char *);
    int (*symlink)(const char *, int, const char *);
    int (*truncate)(int, uint64_t);
};

static const struct world simulated = {
    rmill_plain_open,   rmill_plain_close,    rmill_plain_read,    rmill_plain_write,
    rmill_plain_stat,   rmill_plain_readlink, rmill_plain_mkdir,   rmill_plain_unlink,
    rmill_plain_rename, rmill_plain_link,     rmill_plain_symlink, rmill_plain_truncate};

/* --- the real one ----------------------------------------------------------------------------- */

static int64_t
answer(int64_t result)
{
    return result < 0 ? -errno : result;
}

static int
real_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = resolve};

    return (int)answer(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}

static int
real_close(int fd)
{
    return (int)answer(close(fd));
}

static int64_t
real_read(int fd, void *buffer, uint64_t bytes, uint64_t offset)
{
    return answer(offset == RMILL_STREAM ? read(fd, buffer, bytes)
                                         : pread(fd, buffer, bytes, (off_t)offset));
}

static int64_t
real_write(int fd, const void *buffer, uint64_t bytes, uint64_t offset)
{
    return answer(offset == RMILL_STREAM ? write(fd, buffer, bytes)
                                         : pwrite(fd, buffer, bytes, (off_t)offset));
}

static int
real_stat(int directory, const char *path, struct stat *out)
{
    return (int)answer(fstatat(directory, path, out, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
}

static int
real_readlink(int directory, const char *path, char *buffer, uint64_t bytes)
{
    return (int)answer(readlinkat(directory, path, buffer, bytes));
}

static int
real_mkdir(int directory, const char *path, mode_t mode)
{
    return (int)answer(mkdirat(directory, path, mode));
}

static int
real_unlink(int directory, const char *path, bool is_directory)
{
    return (int)answer(unlinkat(directory, path, is_directory ? AT_REMOVEDIR : 0));
}

static int
real_rename(int old_directory, const char *old_path, int new_directory, const char *new_path,
            unsigned flags)
{
    return (int)answer(
        syscall(SYS_renameat2, old_directory, old_path, new_directory, new_path, flags));
}

static int
real_link(int old_directory, const char *old_path, int new_directory, const char *new_path)
{
    return (int)answer(linkat(old_directory, old_path, new_directory, new_path, 0));
}

static int
real_symlink(const char *target, int directory, const char *path)
{
    return (int)answer(symlinkat(target, directory, path));
}

static int
real_truncate(int fd, uint64_t bytes)
{
    return (int)answer(ftruncate(fd, (off_t)bytes));
}

static const struct world real = {real_open,   real_close,    real_read,    real_write,
                                  real_stat,   real_readlink, real_mkdir,   real_unlink,
                                  real_rename, real_link,     real_symlink, real_truncate};

/* --- the calls -------------------------------------------------------------------------------- */

struct session {
    const struct world *world;
    struct rmill_prng chance;
    int fds[FILES];
    char log[LOG_BYTES];
    size_t used;
};

static uint64_t
below(struct session *session, uint64_t bound)
{
    return rmill_prng_below(&session->chance, bound);
}

static void __attribute__((format(printf, 2, 3)))
note(struct session *session, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length =
        vsnprintf(session->log + session->used, LOG_BYTES - session->used, format, arguments);

    va_end(arguments);
    session->used = (size_t)rmill_min_u64(session->used + (uint64_t)length, LOG_BYTES - 1);
}

static void
note_status(struct session *session, int code, const struct stat *status)
{
    if (code == 0 && S_ISDIR(status->st_mode)) {
        note(session, " mode %o", (unsigned)status->st_mode);
    } else if (code == 0) {
        note(session, " mode %o links %u size %lld", (unsigned)status->st_mode,
             (unsigned)status->st_nlink, (long long)status->st_size);
    }
}

static int64_t
open_one(struct session *session, int *fd, const char *path)
{
    int flags = open_flags[below(session, RMILL_ARRAY_COUNT(open_flags))];
    uint64_t resolve = resolves[below(session, RMILL_ARRAY_COUNT(resolves))];

    if (*fd >= 0) {
        note(session, "close %d ", session->world->close(*fd));
    }
    *fd = session->world->open(AT_FDCWD, path, flags, flags & O_CREAT ? 0600 : 0, resolve);
    note(session, "open %x %llx", (unsigned)flags, (unsigned long long)resolve);
    return *fd >= 0 ? 0 : *fd; /* The numbers themselves differ. */
}

static int64_t
transfer(struct session *session, int fd, bool writes)
{
    static char buffer[20000];
    /* A write of nothing is no call at all in the engine: write(2) would still look at the mode. */
    uint64_t bytes = writes ? 1 + below(session, 9000) : below(session, sizeof(buffer));
    uint64_t offset = below(session, 5) == 0 ? RMILL_STREAM : below(session, 10000);
    char fill = (char)('a' + below(session, 26));

    if (fd < 0) {
        return -1;
    }
    if (writes) {
        memset(buffer, fill, bytes);
        return session->world->write(fd, buffer, bytes, offset);
    }
    int64_t got = session->world->read(fd, buffer, bytes, offset);
    unsigned sum = 0;

    for (int64_t i = 0; i < got; i++) {
        sum = sum * 31 + (unsigned char)buffer[i];
    }
    note(session, "sum %x", sum);
    return got;
}

static int64_t
look(struct session *session, const char *path, bool link)
{
    struct stat status;
    char text[64];

    if (link) {
        int64_t length = session->world->readlink(AT_FDCWD, path, text, sizeof(text));

        note(session, "readlink %.*s", length > 0 ? (int)length : 0, text);
        return length;
    }
    int code = session->world->stat(AT_FDCWD, path, &status);

    note_status(session, code, &status);
    return code;
}

static int64_t
change_names(struct session *session, uint64_t kind, const char *one, const char *two)
{
    const struct world *world = session->world;
    const char *target = targets[below(session, RMILL_ARRAY_COUNT(targets))];

    switch (kind) {
    case 0:
    case 1:
        return world->mkdir(AT_FDCWD, one, 0700);
    case 2:
        return world->unlink(AT_FDCWD, one, false);
    case 3:
        return world->unlink(AT_FDCWD, one, true);
    case 4:
        return world->link(AT_FDCWD, one, AT_FDCWD, two);
    case 5:
        note(session, "to %s", target);
        return world->symlink(target, AT_FDCWD, one);
    default:
        return world->rename(AT_FDCWD, one, AT_FDCWD, two, below(session, 4) == 0);
    }
}

static void
step(struct session *session)
{
    const char *one = paths[below(session, RMILL_ARRAY_COUNT(paths))];
    const char *two = paths[below(session, RMILL_ARRAY_COUNT(paths))];
    uint64_t kind = below(session, 16);
    int *fd = &session->fds[below(session, FILES)];
    int64_t result;
    struct stat status;

    note(session, "%llu %s %s: ", (unsigned long long)kind, one, two);
    switch (kind) {
    case 9:
        result = open_one(session, fd, one);
        break;
    case 10:
    case 11:
        result = transfer(session, *fd, kind == 10);
        break;
    case 12:
        result = *fd < 0 ? -1 : session->world->truncate(*fd, below(session, 15000));
        break;
    case 13:
    case 14:
    case 15:
        result = look(session, one, kind == 13);
        break;
    default:
        result = change_names(session, kind, one, two);
        break;
    }
    note(session, " = %lld", (long long)result);
    if (*fd >= 0) {
        note_status(session, session->world->stat(*fd, "", &status), &status);
    }
    note(session, "\n");
}

static int
session_run(void *argument)
{
    struct session *session = argument;

    for (int i = 0; i < STEPS; i++) {
        step(session);
    }
    for (uint32_t i = 0; i < FILES; i++) {
        if (session->fds[i] >= 0) {
            (void)session->world->close(session->fds[i]);
        }
    }
    return 0;
}

static struct session *
session_new(const struct world *world, uint64_t seed)
{
    struct session *session = calloc(1, sizeof(*session));

    assert_non_null(session);
    session->world = world;
    session->chance = rmill_prng_seeded(seed);
    for (uint32_t i = 0; i < FILES; i++) {
        session->fds[i] = -1;
    }
    return session;
}

/* In a child, whose root is the directory; its log comes back through a pipe. False: it may not. */
static bool
run_real(struct session *session, const char *directory)
{
    int ends[2], status = 0;
    ssize_t got = 1;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)umask(0);
        if (chdir(directory) != 0 || chroot(".") != 0) {
            _exit(77);
        }
        (void)session_run(session);
        _exit(write(ends[1], session->log, session->used) != (ssize_t)session->used);
    }
    (void)close(ends[1]);
    while (got > 0) {
        got = read(ends[0], session->log + session->used, LOG_BYTES - session->used);
        session->used += got > 0 ? (size_t)got : 0;
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
    return WEXITSTATUS(status) == 0;
}

/* Fails with the first line in which the two logs differ, and the seed that alone replays it. */
static void
difference_show(const char *ours, const char *theirs, uint64_t seed)
{
    size_t at = 0, line = 0;

    while (ours[at] == theirs[at] && ours[at] != '\0') {
        at++;
        line = ours[at - 1] == '\n' ? at : line;
    }
    if (ours[at] != theirs[at]) {
        print_message("RMILL_SEED=%llu: simulated '%.*s', real '%.*s'\n", (unsigned long long)seed,
                 (int)strcspn(ours + line, "\n"), ours + line, (int)strcspn(theirs + line, "\n"),
                 theirs + line);
        fail();
    }
}

static void
simulated_disk_answers_as_the_real_one_does(void **state)
{
    char directory[256], path[300];
    uint64_t first = seed_get(), count = scale_get(SEEDS);

    (void)state;
    directory_create(directory);
    for (uint64_t i = 0; i < count; i++) {
        struct session *ours = session_new(&simulated, first + i),
                       *theirs = session_new(&real, first + i);

        (void)snprintf(path, sizeof(path), "%s/%llu", directory, (unsigned long long)i);
        assert_int_equal(mkdir(path, 0755), 0);
        if (!run_real(theirs, path)) {
            free(ours);
            free(theirs);
            directory_remove(directory);
            SKIP_BECAUSE("not allowed to change the root directory");
        }
        assert_int_equal(
            rmill_sim_run(&(struct rmill_sim_options){.seed = i}, session_run, ours, NULL), 0);
        assert_true(theirs->used > 2000 && theirs->used < LOG_BYTES - 1);
        difference_show(ours->log, theirs->log, first + i);
        free(ours);
        free(theirs);
    }
    directory_remove(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_disk_answers_as_the_real_one_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
