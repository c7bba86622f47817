/* Goal: no altered byte and no cut of an archive passes verify; nothing crashes; unpack writes
 * right content or none, and only inside its target.
 *
 * Method: small archives that have every part of the format (several windows, a large file of
 * several units, links, pax headers) are altered at every single byte, by a seeded pattern, and cut
 * at every length. Each is verified and unpacked by the program's own jobs on a real engine. The
 * archive with the large file is altered at a seeded choice of bytes, at all with
 * RMILL_TEST_SCALE=8. */
#include "tests/common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "tests/files_writer.h"
#include "workloads/files/archive.h"
#include "workloads/files/reader.h"
#include "workloads/files/unpack_run.h"

#define LARGE_BYTES (RMILL_MIB(2) + 70001)
#define MEMBERS     9u

static uint8_t large_content[LARGE_BYTES];

struct trial {
    char folder[256];
    char archive[300], target[300];
    struct rmill_buffer bytes;
    struct files_member members[MEMBERS];
    uint32_t member_count;
    struct rmill_prng random;
    uint64_t count;  /* Alterations there are. */
    uint64_t one_of; /* Try one alteration of so many. */
    bool cut;        /* Cut instead of altering a byte. */
    uint64_t tried, passed, last_passed, wrong_content, escaped, detected;
    uint64_t findings;
};

/* --- what a job makes of the file as it is --------------------------------------------------- */

static void
finding_count(void *context, const struct rmill_finding *finding)
{
    struct trial *trial = context;

    (void)finding;
    trial->findings++;
}

/* True when verify finds nothing wrong. */
static bool
verify_passes(struct trial *trial)
{
    struct rmill_reader_sink sink = {.context = trial, .told = finding_count};
    struct rmill_reader_options options = {.frame_hashes = true, .depth = 2};
    struct rmill_reader_report report = {0};
    struct rmill_archive archive;
    struct rmill_error error = {0};
    int code = rmill_archive_open(trial->archive, &archive, &error);

    if (code == 0) {
        trial->findings = 0;
        code = rmill_archive_table_check(&archive, &error);
    }
    if (code == 0) {
        code = rmill_reader_run(&archive, &sink, &options, &report, &error);
    }
    rmill_archive_close(&archive);
    return code == 0 && trial->findings == 0 && report.count[RMILL_FINDING_DAMAGE] == 0;
}

/* A file that is there has its own content: nothing else would be a restored file. */
static bool
file_right(const char *path, const struct files_member *member)
{
    struct stat status;
    bool right = false;

    if (lstat(path, &status) != 0) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != member->entry.size) {
        return false;
    }
    int fd = open(path, O_RDONLY);
    char *content = malloc(member->entry.size + 1);

    if (fd >= 0 && content != NULL) {
        right = read(fd, content, member->entry.size) == (ssize_t)member->entry.size &&
                memcmp(content, member->content, member->entry.size) == 0;
    }
    free(content);
    (void)close(fd);
    return right;
}

static bool
target_right(const struct trial *trial)
{
    char path[400];

    for (uint32_t i = 0; i < trial->member_count; i++) {
        const struct files_member *member = &trial->members[i];

        if (member->entry.type == RMILL_ENTRY_FILE) {
            (void)snprintf(path, sizeof(path), "%s/%s", trial->target, member->entry.path);
            if (!file_right(path, member)) {
                return false;
            }
        }
    }
    return true;
}

/* Beside the archive and the target there is nothing in the folder. */
static bool
folder_clean(const struct trial *trial)
{
    DIR *folder = opendir(trial->folder);
    struct dirent *entry;
    uint32_t count = 0;

    if (folder == NULL) {
        return false;
    }
    while ((entry = readdir(folder)) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count <= 4; /* "." and ".." among them */
}

static void
unpack_try(struct trial *trial)
{
    struct rmill_unpack_options options = {
        .archive = trial->archive, .target = trial->target, .unsynced = true, .depth = 2};
    struct rmill_unpack_report report;
    struct rmill_error error = {0};

    (void)rmill_unpack_run(&options, &report, &error);
    trial->wrong_content += !target_right(trial);
    trial->escaped += !folder_clean(trial);
    directory_remove(trial->target);
}

/* --- the alterations ------------------------------------------------------------------------- */

static void
byte_put(const struct trial *trial, uint64_t at, uint8_t byte)
{
    int fd = open(trial->archive, O_WRONLY);

    (void)!pwrite(fd, &byte, 1, (off_t)at);
    (void)close(fd);
}

/* Longest first, so that each cut is one truncation more. */
static void
alteration_try(struct trial *trial, uint64_t number)
{
    uint64_t at = trial->cut ? trial->count - 1 - number : number;
    uint8_t byte = trial->bytes.data[at];

    if (trial->cut) {
        (void)!truncate(trial->archive, (off_t)at);
    } else {
        byte_put(trial, at, byte ^ (uint8_t)(1 + rmill_prng_below(&trial->random, 255)));
    }
    if (verify_passes(trial)) {
        trial->passed++;
        trial->last_passed = at;
    } else {
        trial->detected++;
    }
    unpack_try(trial);
    if (!trial->cut) {
        byte_put(trial, at, byte);
    }
}

/* In a fiber, where cmocka's assertions must not be used. */
static int
trial_main(void *argument)
{
    struct trial *trial = argument;

    if (!verify_passes(trial)) {
        return -EBADMSG;
    }
    for (uint64_t number = 0; number < trial->count; number++) {
        if (rmill_prng_below(&trial->random, trial->one_of) == 0) {
            trial->tried++;
            alteration_try(trial, number);
        }
    }
    return 0;
}

static void
trial_run(struct trial *trial, const struct files_options *options, uint64_t one_of)
{
    struct rmill_options engine = {
        .cores = "2", .unpinned = true, .spin_ns = 1, .arena_bytes = RMILL_READER_ARENA_BYTES};

    trial->one_of = one_of;
    trial->random = rmill_prng_seeded(seed_get());
    if (access("/dev/shm", W_OK) == 0) { /* Thousands of small trees: not on a disk. */
        (void)setenv("TMPDIR", "/dev/shm", 1);
    }
    directory_create(trial->folder);
    (void)snprintf(trial->archive, sizeof(trial->archive), "%s/a.tar.zst", trial->folder);
    (void)snprintf(trial->target, sizeof(trial->target), "%s/out", trial->folder);
    files_archive_build(trial->members, trial->member_count, options, &trial->bytes);
    files_put(trial->archive, trial->bytes.data, trial->bytes.bytes);
    trial->count = trial->bytes.bytes;
    assert_int_equal(files_engine_run(&engine, trial_main, trial), 0);
    directory_remove(trial->folder);
    rmill_buffer_deinit(&trial->bytes);
    if (trial->passed > 0) {
        fail_msg("%llu of %llu alterations passed verify, the last at byte %llu",
                 (unsigned long long)trial->passed, (unsigned long long)trial->tried,
                 (unsigned long long)trial->last_passed);
    }
    assert_int_equal(trial->wrong_content, 0);
    assert_int_equal(trial->escaped, 0);
    assert_int_equal(trial->detected, trial->tried);
    assert_true(trial->tried > 100); /* The test did real work. */
}

static void
small_members(struct trial *trial)
{
    static const char content[] = "rye, oats, wheat\n";
    struct files_member *members = trial->members;

    members[0] = files_directory("mill");
    members[1] = files_file("mill/empty", "", 0);
    members[2] = files_file("mill/grain.txt", content, sizeof(content) - 1);
    members[3] = files_symlink("mill/flour", "grain.txt");
    members[4] = files_hardlink("mill/same.txt", "mill/grain.txt");
    members[5] = files_directory("water");
    members[6] = files_file("water/wheel", content, 5);
    members[2].entry.mtime_ns = 250000000; /* Takes a pax header. */
    members[2].entry.uname = "ann";
    members[2].entry.uname_bytes = 3;
    trial->member_count = 7;
}

static void
large_members(struct trial *trial)
{
    small_members(trial);
    for (uint64_t i = 0; i < LARGE_BYTES; i++) {
        large_content[i] = (uint8_t)(i >> 16);
    }
    trial->members[7] = files_file("water/race", large_content, LARGE_BYTES);
    trial->member_count = 8;
}

static void
every_altered_byte_is_found(void **state)
{
    struct trial trial = {0};

    (void)state;
    small_members(&trial);
    trial_run(&trial, &(struct files_options){.window_entries = 4}, 1);
}

static void
every_altered_byte_around_a_large_file_is_found(void **state)
{
    struct trial trial = {0};

    (void)state;
    large_members(&trial);
    uint64_t one_of = 8 / rmill_min_u64(scale_get(1), 8);

    trial_run(&trial, &(struct files_options){.chunk_bytes = 1 << 20}, one_of);
}

static void
every_cut_is_found(void **state)
{
    struct trial trial = {.cut = true};

    (void)state;
    large_members(&trial);
    trial_run(&trial, &(struct files_options){.window_entries = 3}, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_altered_byte_is_found),
        cmocka_unit_test(every_altered_byte_around_a_large_file_is_found),
        cmocka_unit_test(every_cut_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
