/* The modelled disk: rules of names and files as Linux has them, and what a power loss keeps and
 * takes.
 *
 * Method: calls of part 4 of engine/ringmill.h inside rmill_sim_run (checked by RMILL_ASSERT),
 * the disk inspected between runs; power losses over many seeds, counting that every outcome the
 * model allows occurs and none that it forbids. */
#include "tests/common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"
#include "engine/ringmill.h"
#include "engine/sim/sim.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif
#define CWD    AT_FDCWD
#define LOSSES 300u

static void
run_on(struct rmill_sim_disk *disk, uint64_t seed, int (*control)(void *argument), void *argument)
{
    struct rmill_sim_result result;

    assert_int_equal(rmill_sim_run(&(struct rmill_sim_options){.seed = seed, .disk = disk}, control,
                                   argument, &result),
                     0);
    assert_int_equal(result.value, 0);
    assert_int_equal(result.descriptors_open, 0);
}

static void
run_fresh(int (*control)(void *argument))
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);

        run_on(disk, seed, control, NULL);
        rmill_sim_disk_destroy(disk);
    }
}

static int
make_file(const char *path, const char *text)
{
    int fd = rmill_plain_open(CWD, path, O_RDWR | O_CREAT | O_TRUNC, 0640, 0);

    RMILL_ASSERT(fd >= 0);
    RMILL_ASSERT(rmill_plain_write(fd, text, strlen(text), 0) == (int64_t)strlen(text));
    return fd;
}

static void
make_closed(const char *path, const char *text)
{
    RMILL_ASSERT(rmill_plain_close(make_file(path, text)) == 0);
}

static struct stat
stat_of(const char *path)
{
    struct stat status;

    RMILL_ASSERT(rmill_plain_stat(CWD, path, &status) == 0);
    return status;
}

/* --- rules ------------------------------------------------------------------------------------ */

static int
open_rules(void *argument)
{
    int fd;

    (void)argument;
    make_closed("file", "hello");
    RMILL_ASSERT(rmill_plain_mkdir(CWD, "dir", 0755) == 0);
    RMILL_ASSERT(rmill_plain_mkdir(CWD, "dir", 0755) == -EEXIST);
    RMILL_ASSERT(rmill_plain_symlink("file", CWD, "link") == 0);
    RMILL_ASSERT(rmill_plain_symlink("loop", CWD, "loop") == 0);
    RMILL_ASSERT(rmill_plain_open(CWD, "missing", O_RDONLY, 0, 0) == -ENOENT);
    /* Mode without O_CREAT. */
    RMILL_ASSERT(rmill_plain_open(CWD, "file", O_RDONLY, 0600, 0) == -EINVAL);
    RMILL_ASSERT(rmill_plain_open(CWD, "file", O_RDWR | O_CREAT | O_EXCL, 0600, 0) == -EEXIST);
    RMILL_ASSERT(rmill_plain_open(CWD, "link", O_RDWR | O_CREAT | O_EXCL, 0600, 0) == -EEXIST);
    RMILL_ASSERT(rmill_plain_open(CWD, "link", O_RDONLY | O_NOFOLLOW, 0, 0) == -ELOOP);
    RMILL_ASSERT(rmill_plain_open(CWD, "loop", O_RDONLY, 0, 0) == -ELOOP);
    RMILL_ASSERT(rmill_plain_open(CWD, "file", O_RDONLY | O_DIRECTORY, 0, 0) == -ENOTDIR);
    RMILL_ASSERT(rmill_plain_open(CWD, "file/", O_RDONLY, 0, 0) == -ENOTDIR);
    RMILL_ASSERT(rmill_plain_open(CWD, "file/x", O_RDONLY, 0, 0) == -ENOTDIR);
    RMILL_ASSERT(rmill_plain_open(CWD, "dir", O_WRONLY, 0, 0) == -EISDIR);
    RMILL_ASSERT(rmill_plain_open(7, "file", O_RDONLY, 0, 0) == -EBADF);
    RMILL_ASSERT(rmill_plain_close(7) == -EBADF);
    fd = rmill_plain_open(CWD, "link", O_RDONLY, 0, 0);
    char text[8];

    RMILL_ASSERT(fd >= 0 && rmill_plain_read(fd, text, 8, 1) == 4 && memcmp(text, "ello", 4) == 0);
    RMILL_ASSERT(rmill_plain_read(fd, text, 2, RMILL_STREAM) == 2);
    RMILL_ASSERT(rmill_plain_read(fd, text, 8, RMILL_STREAM) == 3 && memcmp(text, "llo", 3) == 0);
    RMILL_ASSERT(rmill_plain_write(fd, "x", 1, 0) == -EBADF);
    RMILL_ASSERT(rmill_plain_close(fd) == 0);
    fd = rmill_plain_open(CWD, "link", O_PATH | O_NOFOLLOW, 0, 0);
    RMILL_ASSERT(fd >= 0 && rmill_plain_read(fd, text, 8, 0) == -EBADF);
    RMILL_ASSERT(rmill_plain_readlink(fd, "", text, 8) == 4 && memcmp(text, "file", 4) == 0);
    return rmill_plain_close(fd);
}

static int
resolve_rules(void *argument)
{
    int dir, fd;

    (void)argument;
    RMILL_ASSERT(rmill_plain_mkdir(CWD, "dir", 0755) == 0);
    RMILL_ASSERT(rmill_plain_mkdir(CWD, "dir/sub", 0755) == 0);
    make_closed("out", "o");
    make_closed("dir/in", "i");
    RMILL_ASSERT(rmill_plain_symlink("../out", CWD, "dir/up") == 0);
    RMILL_ASSERT(rmill_plain_symlink("/out", CWD, "dir/root") == 0);
    RMILL_ASSERT(rmill_plain_symlink("../in", CWD, "dir/sub/near") == 0);
    RMILL_ASSERT(rmill_plain_symlink("sub", CWD, "dir/alias") == 0);
    dir = rmill_plain_open(CWD, "dir", O_RDONLY | O_DIRECTORY, 0, 0);
    RMILL_ASSERT(dir >= 0);
    RMILL_ASSERT(rmill_plain_open(dir, "../out", O_RDONLY, 0, RESOLVE_BENEATH) == -EXDEV);
    RMILL_ASSERT(rmill_plain_open(dir, "/out", O_RDONLY, 0, RESOLVE_BENEATH) == -EXDEV);
    RMILL_ASSERT(rmill_plain_open(dir, "up", O_RDONLY, 0, RESOLVE_BENEATH) == -EXDEV);
    RMILL_ASSERT(rmill_plain_open(dir, "root", O_RDONLY, 0, RESOLVE_BENEATH) == -EXDEV);
    RMILL_ASSERT(rmill_plain_open(dir, "alias/near", O_RDONLY, 0, RESOLVE_NO_SYMLINKS) == -ELOOP);
    RMILL_ASSERT(rmill_plain_open(dir, "up", O_WRONLY | O_CREAT, 0600, RESOLVE_BENEATH) == -EXDEV);
    const char *good[] = {"in", "sub/../in", "./sub/./near", "alias/near", "alias/../in"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(good); i++) {
        fd = rmill_plain_open(dir, good[i], O_RDONLY, 0, RESOLVE_BENEATH);
        char byte = 0;

        RMILL_ASSERT(fd >= 0 && rmill_plain_read(fd, &byte, 1, 0) == 1 && byte == 'i');
        RMILL_ASSERT(rmill_plain_close(fd) == 0);
    }
    fd = rmill_plain_open(dir, "up", O_RDONLY, 0, 0);
    RMILL_ASSERT(fd >= 0 && rmill_plain_close(fd) == 0);
    return rmill_plain_close(dir);
}

static int
name_rules(void *argument)
{
    char long_name[300];
    struct stat before, after;

    (void)argument;
    memset(long_name, 'n', sizeof(long_name));
    long_name[256] = '\0';
    RMILL_ASSERT(rmill_plain_mkdir(CWD, long_name, 0755) == -ENAMETOOLONG);
    long_name[255] = '\0';
    RMILL_ASSERT(rmill_plain_mkdir(CWD, long_name, 0755) == 0);
    RMILL_ASSERT(rmill_plain_mkdir(CWD, "a", 0755) == 0 &&
                 rmill_plain_mkdir(CWD, "a/b", 0755) == 0);
    RMILL_ASSERT(rmill_plain_rename(CWD, "a", CWD, "a/b/c", 0) == -EINVAL);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "a", true) == -ENOTEMPTY);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "a", false) == -EISDIR);
    make_closed("f", "one");
    make_closed("g", "two");
    RMILL_ASSERT(rmill_plain_unlink(CWD, "f", true) == -ENOTDIR);
    RMILL_ASSERT(rmill_plain_rename(CWD, "f", CWD, "a", 0) == -EISDIR);
    RMILL_ASSERT(rmill_plain_rename(CWD, "a", CWD, "f", 0) == -ENOTDIR);
    RMILL_ASSERT(rmill_plain_rename(CWD, "f", CWD, "g", RENAME_NOREPLACE) == -EEXIST);
    RMILL_ASSERT(rmill_plain_rename(CWD, long_name, CWD, "a", 0) == -ENOTEMPTY);
    before = stat_of("f");
    RMILL_ASSERT(rmill_plain_rename(CWD, "f", CWD, "g", 0) == 0);
    after = stat_of("g");
    RMILL_ASSERT(before.st_ino == after.st_ino && after.st_nlink == 1);
    RMILL_ASSERT(rmill_plain_link(CWD, "g", CWD, "h") == 0 && stat_of("g").st_nlink == 2);
    RMILL_ASSERT(rmill_plain_rename(CWD, "g", CWD, "h", 0) == 0); /* The same file: both stay. */
    RMILL_ASSERT(stat_of("g").st_ino == stat_of("h").st_ino);
    RMILL_ASSERT(rmill_plain_link(CWD, "a", CWD, "hard") == -EPERM);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "g", false) == 0 && stat_of("h").st_nlink == 1);
    RMILL_ASSERT(stat_of("a").st_nlink == 3 && stat_of(".").st_nlink == 4);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "a/b", true) == 0 && stat_of("a").st_nlink == 2);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "a/.", true) == -EINVAL);
    return 0;
}

static int
attribute_rules(void *argument)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 77, .tv_nsec = 123456789}};
    int fd = make_file("file", "0123456789");
    int other;

    (void)argument;
    RMILL_ASSERT(rmill_plain_chmod(fd, 04755) == 0);
    RMILL_ASSERT(rmill_plain_chown(CWD, "file", 5, (gid_t)-1) == 0);
    RMILL_ASSERT(rmill_plain_times(fd, "", times) == 0);
    struct stat status = stat_of("file");

    RMILL_ASSERT((status.st_mode & 07777) == 0755 && status.st_uid == 5 && status.st_gid == 0);
    RMILL_ASSERT(status.st_mtim.tv_sec == 77 && status.st_mtim.tv_nsec == 123456789);
    RMILL_ASSERT(rmill_plain_truncate(fd, 4) == 0 && rmill_plain_truncate(fd, 9000) == 0);
    char bytes[16];

    RMILL_ASSERT(rmill_plain_read(fd, bytes, 8, 0) == 8 && memcmp(bytes, "0123\0\0\0\0", 8) == 0);
    RMILL_ASSERT(stat_of("file").st_blocks == 8); /* Sparse. */
    RMILL_ASSERT(rmill_plain_lock(fd) == 0 && rmill_plain_lock(fd) == 0);
    other = rmill_plain_open(CWD, "file", O_RDWR, 0, 0);
    RMILL_ASSERT(rmill_plain_lock(other) == -EAGAIN);
    RMILL_ASSERT(rmill_plain_close(fd) == 0 && rmill_plain_lock(other) == 0);
    RMILL_ASSERT(rmill_plain_unlink(CWD, "file", false) == 0); /* Open, so it lives on. */
    RMILL_ASSERT(rmill_plain_read(other, bytes, 4, 0) == 4);
    RMILL_ASSERT(rmill_plain_stat(other, "", &status) == 0 && status.st_nlink == 0);
    return rmill_plain_close(other);
}

static int
list_directory(void *argument)
{
    char *order = argument;
    _Alignas(struct dirent64) char buffer[304];
    int fd = rmill_plain_open(CWD, ".", O_RDONLY | O_DIRECTORY, 0, 0);
    int64_t bytes;
    uint32_t count = 0;

    RMILL_ASSERT(rmill_plain_directory_read(fd, buffer, 10) == -EINVAL);
    while ((bytes = rmill_plain_directory_read(fd, buffer, sizeof(buffer))) > 0) {
        for (int64_t at = 0; at < bytes;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);

            if (entry->d_name[0] != '.') {
                RMILL_ASSERT(entry->d_type == DT_REG &&
                             stat_of(entry->d_name).st_ino == entry->d_ino);
                order[count++] = entry->d_name[0];
            }
            at += entry->d_reclen;
        }
    }
    order[count] = '\0';
    RMILL_ASSERT(bytes == 0 && count == 20);
    return rmill_plain_close(fd);
}

static void
files_and_names_follow_the_rules_of_linux(void **state)
{
    (void)state;
    run_fresh(open_rules);
    run_fresh(resolve_rules);
    run_fresh(name_rules);
    run_fresh(attribute_rules);
}

static void
directory_order_depends_on_the_seed(void **state)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(1, 0);
    char name[2] = "a", orders[3][32];

    (void)state;
    for (; name[0] < 'a' + 20; name[0]++) {
        assert_int_equal(rmill_sim_disk_put(disk, name, 0600, "x", 1), 0);
    }
    run_on(disk, 1, list_directory, orders[0]);
    run_on(disk, 1, list_directory, orders[1]);
    run_on(disk, 2, list_directory, orders[2]);
    assert_string_equal(orders[0], orders[1]);
    assert_string_not_equal(orders[0], orders[2]);
    rmill_sim_disk_destroy(disk);
}

static int
fill_disk(void *argument)
{
    static char block[10000];
    int fd = rmill_plain_open(CWD, "big", O_RDWR | O_CREAT, 0600, 0);
    uint64_t done = 0;
    int64_t wrote;

    (void)argument;
    while ((wrote = rmill_plain_write(fd, block, sizeof(block), done)) > 0) {
        done += (uint64_t)wrote;
    }
    RMILL_ASSERT(wrote == -ENOSPC && done >= 50000 && done <= 65536);
    RMILL_ASSERT(rmill_plain_truncate(fd, 0) == 0); /* Gives the space back. */
    RMILL_ASSERT(rmill_plain_write(fd, block, sizeof(block), 0) == sizeof(block));
    RMILL_ASSERT(rmill_plain_unlink(CWD, "big", false) == 0);
    return rmill_plain_close(fd);
}

static void
full_disk_answers_enospc_and_space_comes_back(void **state)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(1, 65536);

    (void)state;
    run_on(disk, 1, fill_disk, NULL);
    assert_int_equal(rmill_sim_disk_bytes_used(disk), 0);
    rmill_sim_disk_destroy(disk);
}

/* --- power loss ------------------------------------------------------------------------------- */

#define BLOCKS 4u

static void
blocks_fill(char *blocks, char with)
{
    memset(blocks, with, (size_t)BLOCKS * 4096);
}

/* Overwrite a durable file of 'a' with 'b' and sync what is asked. */
static int
overwrite(void *argument)
{
    bool sync = *(bool *)argument;
    char blocks[BLOCKS * 4096];
    int fd = rmill_plain_open(CWD, "file", O_RDWR, 0, 0);

    blocks_fill(blocks, 'b');
    RMILL_ASSERT(rmill_plain_write(fd, blocks, sizeof(blocks), 0) == sizeof(blocks));
    RMILL_ASSERT(!sync || rmill_plain_fsync(fd, true) == 0);
    return rmill_plain_close(fd);
}

/* How many bytes of the file are 'b' after a power loss; nothing else than 'a' and 'b' may be
 * there. */
static uint32_t
overwrite_and_lose(uint64_t seed, bool sync, bool *torn)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);
    char blocks[BLOCKS * 4096];
    void *data;
    uint64_t bytes;
    uint32_t count = 0;

    blocks_fill(blocks, 'a');
    assert_int_equal(rmill_sim_disk_put(disk, "file", 0600, blocks, sizeof(blocks)), 0);
    rmill_sim_disk_sync(disk);
    run_on(disk, seed, overwrite, &sync);
    rmill_sim_disk_power_loss(disk, seed);
    assert_int_equal(rmill_sim_disk_get(disk, "file", &data, &bytes), 0);
    assert_int_equal(bytes, sizeof(blocks));
    for (uint64_t i = 0; i < bytes; i++) {
        char byte = ((char *)data)[i];

        assert_true(byte == 'a' || byte == 'b');
        count += byte == 'b';
    }
    *torn |= count % 4096 != 0;
    free(data);
    rmill_sim_disk_destroy(disk);
    return count;
}

static void
synced_data_survives_and_other_data_may_vanish_by_pages(void **state)
{
    uint32_t none = 0, all = 0, some = 0;
    bool torn = false, never = false;

    (void)state;
    for (uint64_t seed = 0; seed < LOSSES; seed++) {
        uint32_t count = overwrite_and_lose(seed, false, &torn);

        none += count == 0;
        all += count == BLOCKS * 4096;
        some += count > 0 && count < BLOCKS * 4096;
        assert_int_equal(overwrite_and_lose(seed, true, &never), BLOCKS * 4096);
    }
    assert_true(none > 0 && all > 0 && some > LOSSES / 2 && torn && !never);
}

struct replace {
    bool sync_file, sync_directory;
};

static int
replace_file(void *argument)
{
    const struct replace *how = argument;
    int fd = make_file("new", "the new one");
    int directory = rmill_plain_open(CWD, ".", O_RDONLY | O_DIRECTORY, 0, 0);

    RMILL_ASSERT(!how->sync_file || rmill_plain_fsync(fd, false) == 0);
    RMILL_ASSERT(rmill_plain_close(fd) == 0);
    RMILL_ASSERT(rmill_plain_rename(CWD, "new", CWD, "file", 0) == 0);
    RMILL_ASSERT(!how->sync_directory || rmill_plain_fsync(directory, false) == 0);
    return rmill_plain_close(directory);
}

enum outcome { OLD_ONE, NEW_ONE, TEMPORARY_LEFT, BROKEN, OUTCOMES };

static enum outcome
replace_and_lose(uint64_t seed, struct replace how)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);
    enum outcome outcome = BROKEN;
    void *data;
    uint64_t bytes;

    assert_int_equal(rmill_sim_disk_put(disk, "file", 0600, "old", 3), 0);
    rmill_sim_disk_sync(disk);
    run_on(disk, seed, replace_file, &how);
    rmill_sim_disk_power_loss(disk, seed);
    assert_int_equal(rmill_sim_disk_get(disk, "file", &data, &bytes), 0); /* Never neither. */
    if (bytes == 3 && memcmp(data, "old", 3) == 0) {
        outcome = OLD_ONE;
    } else if (bytes == 11 && memcmp(data, "the new one", 11) == 0) {
        outcome = NEW_ONE;
    }
    free(data);
    if (rmill_sim_disk_get(disk, "new", &data, &bytes) == 0) {
        assert_int_equal(outcome, OLD_ONE); /* A rename happens whole or not at all. */
        outcome = TEMPORARY_LEFT;
        free(data);
    }
    rmill_sim_disk_destroy(disk);
    return outcome;
}

static void
rename_is_atomic_and_needs_its_fsyncs(void **state)
{
    uint32_t careful[OUTCOMES] = {0}, undecided[OUTCOMES] = {0}, careless[OUTCOMES] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < LOSSES; seed++) {
        careful[replace_and_lose(seed, (struct replace){true, true})]++;
        undecided[replace_and_lose(seed, (struct replace){true, false})]++;
        careless[replace_and_lose(seed, (struct replace){false, true})]++;
    }
    assert_int_equal(careful[NEW_ONE], LOSSES);
    assert_int_equal(undecided[BROKEN], 0);
    assert_true(undecided[OLD_ONE] > 0 && undecided[NEW_ONE] > 0 && undecided[TEMPORARY_LEFT] > 0);
    assert_true(careless[BROKEN] > 0 && careless[NEW_ONE] > 0);
}

static int
move_between_directories(void *argument)
{
    int directory = rmill_plain_open(CWD, "to", O_RDONLY | O_DIRECTORY, 0, 0);

    (void)argument;
    make_closed("from/first", "1");
    RMILL_ASSERT(rmill_plain_rename(CWD, "from/file", CWD, "to/file", 0) == 0);
    make_closed("from/last", "3");
    RMILL_ASSERT(rmill_plain_fsync(directory, false) == 0);
    return rmill_plain_close(directory);
}

static void
fsync_of_one_directory_makes_a_move_durable_in_both(void **state)
{
    uint32_t last_survived = 0;

    (void)state;
    for (uint64_t seed = 0; seed < LOSSES; seed++) {
        struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);
        void *data;
        uint64_t bytes;

        assert_int_equal(rmill_sim_disk_put(disk, "from/file", 0600, "x", 1), 0);
        assert_int_equal(rmill_sim_disk_mkdir(disk, "to", 0755), 0);
        rmill_sim_disk_sync(disk);
        run_on(disk, seed, move_between_directories, NULL);
        rmill_sim_disk_power_loss(disk, seed);
        assert_int_equal(rmill_sim_disk_get(disk, "from/file", &data, &bytes), -ENOENT);
        assert_int_equal(rmill_sim_disk_get(disk, "to/file", &data, &bytes), 0);
        free(data);
        /* It came before. */
        assert_int_equal(rmill_sim_disk_get(disk, "from/first", &data, &bytes), 0);
        free(data);
        if (rmill_sim_disk_get(disk, "from/last", &data, &bytes) == 0) {
            last_survived++;
            free(data);
        }
        rmill_sim_disk_destroy(disk);
    }
    assert_in_range(last_survived, LOSSES / 10, LOSSES - LOSSES / 10);
}

static int
build_tree(void *argument)
{
    int fd;

    (void)argument;
    for (char name[4] = "d0"; name[1] < '6'; name[1]++) {
        char path[8] = {0};

        RMILL_ASSERT(rmill_plain_mkdir(CWD, name, 0750) == 0);
        (void)snprintf(path, sizeof(path), "%.2s/f", name);
        make_closed(path, path);
        (void)snprintf(path, sizeof(path), "%.2s/l", name);
        RMILL_ASSERT(rmill_plain_symlink("f", CWD, path) == 0);
    }
    fd = rmill_plain_open(CWD, ".", O_RDONLY | O_DIRECTORY, 0, 0);
    RMILL_ASSERT(rmill_plain_syncfs(fd) == 0);
    return rmill_plain_close(fd);
}

static void
syncfs_makes_a_whole_tree_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0), *before;

        run_on(disk, seed, build_tree, NULL);
        before = rmill_sim_disk_clone(disk);
        rmill_sim_disk_power_loss(disk, seed);
        assert_true(rmill_sim_disk_hash(before) == rmill_sim_disk_hash(disk));
        assert_int_equal(rmill_sim_disk_put(disk, "d0/f", 0644, "y", 1), 0);
        assert_true(rmill_sim_disk_hash(before) != rmill_sim_disk_hash(disk));
        rmill_sim_disk_destroy(before);
        rmill_sim_disk_destroy(disk);
    }
}

/* Seeded changes of names in a small tree, without any sync. */
static int
shuffle_names(void *argument)
{
    static const char *const paths[] = {"a", "b", "a/x", "a/y", "b/x", "b/y", "a/x/z", "b/y/z"};

    (void)argument;
    for (int i = 0; i < 60; i++) {
        const char *one = paths[rmill_sim_random() % RMILL_ARRAY_COUNT(paths)];
        const char *two = paths[rmill_sim_random() % RMILL_ARRAY_COUNT(paths)];
        int fd;

        switch (rmill_sim_random() % 6) {
        case 0:
            (void)rmill_plain_mkdir(CWD, one, 0700);
            break;
        case 1:
            fd = rmill_plain_open(CWD, one, O_WRONLY | O_CREAT, 0600, 0);
            if (fd >= 0) {
                RMILL_ASSERT(rmill_plain_write(fd, one, strlen(one), 0) > 0);
                RMILL_ASSERT(rmill_sim_random() % 2 == 0 || rmill_plain_fsync(fd, false) == 0);
                RMILL_ASSERT(rmill_plain_close(fd) == 0);
            }
            break;
        case 2:
            (void)rmill_plain_unlink(CWD, one, rmill_sim_random() % 2 == 0);
            break;
        case 3:
            (void)rmill_plain_link(CWD, one, CWD, two);
            break;
        default:
            (void)rmill_plain_rename(CWD, one, CWD, two, 0);
            break;
        }
    }
    return 0;
}

static int
remove_all(void *argument)
{
    static const char *const paths[] = {"a/x/z", "a/x",   "a/y/z", "a/y", "b/x/z",
                                        "b/x",   "b/y/z", "b/y",   "a",   "b"};
    int rounds = 0;

    (void)argument;
    for (int left = 1; left > 0 && rounds < 20; rounds++) {
        left = 0;
        for (size_t i = 0; i < RMILL_ARRAY_COUNT(paths); i++) {
            left += rmill_plain_unlink(CWD, paths[i], false) == 0;
            left += rmill_plain_unlink(CWD, paths[i], true) == 0;
        }
    }
    return 0;
}

static void
survivor_of_random_changes_is_a_sound_tree(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < LOSSES; seed++) {
        struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);

        run_on(disk, seed, shuffle_names, NULL);
        rmill_sim_disk_power_loss(disk, seed);
        run_on(disk, seed, shuffle_names, NULL); /* It goes on working, */
        rmill_sim_disk_sync(disk);
        uint64_t hash = rmill_sim_disk_hash(disk);

        rmill_sim_disk_power_loss(disk, seed);
        assert_true(hash == rmill_sim_disk_hash(disk)); /* what was synced stays, */
        run_on(disk, seed, remove_all, NULL);
        rmill_sim_disk_sync(disk);
        rmill_sim_disk_destroy(disk);
    }
}

static int
fsync_until_it_works(void *argument)
{
    int fd = make_file("file", "0123456789");
    int directory = rmill_plain_open(CWD, ".", O_RDONLY | O_DIRECTORY, 0, 0);
    int *failures = argument;
    int code;

    rmill_sim_faults_set(true);
    while ((code = rmill_plain_fsync(fd, false)) < 0) {
        RMILL_ASSERT(code == -EIO);
        ++*failures;
    }
    rmill_sim_faults_set(false);
    RMILL_ASSERT(rmill_plain_fsync(directory, false) == 0);
    RMILL_ASSERT(rmill_plain_close(directory) == 0);
    return rmill_plain_close(fd);
}

static int
without_faults(void *argument)
{
    rmill_sim_faults_set(false);
    return fsync_until_it_works(argument);
}

static void
fsync_that_failed_may_have_lost_data_for_good(void **state)
{
    uint32_t lost = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);
        struct rmill_sim_options options = {.seed = seed, .disk = disk};
        int failures = 0;
        void *data;
        uint64_t bytes;

        options.fault_per_million[RMILL_SIM_IO_ERROR] = 500000;
        assert_int_equal(rmill_sim_run(&options, without_faults, &failures, NULL), 0);
        rmill_sim_disk_power_loss(disk, seed);
        assert_int_equal(rmill_sim_disk_get(disk, "file", &data, &bytes), 0);
        assert_int_equal(bytes, 10);
        bool whole = memcmp(data, "0123456789", 10) == 0;

        assert_true(whole || failures > 0);
        lost += !whole;
        free(data);
        rmill_sim_disk_destroy(disk);
    }
    assert_true(lost > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_names_follow_the_rules_of_linux),
        cmocka_unit_test(directory_order_depends_on_the_seed),
        cmocka_unit_test(full_disk_answers_enospc_and_space_comes_back),
        cmocka_unit_test(synced_data_survives_and_other_data_may_vanish_by_pages),
        cmocka_unit_test(rename_is_atomic_and_needs_its_fsyncs),
        cmocka_unit_test(fsync_of_one_directory_makes_a_move_durable_in_both),
        cmocka_unit_test(syncfs_makes_a_whole_tree_durable),
        cmocka_unit_test(survivor_of_random_changes_is_a_sound_tree),
        cmocka_unit_test(fsync_that_failed_may_have_lost_data_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
