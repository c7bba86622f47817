/* Goal: what an archive holds is restored as it was; whatever it asks for, nothing outside the
 * target is touched and nothing that exists is replaced.
 *
 * Method: honest and hostile archives from tests/files_writer.h are unpacked by rmill_unpack_run on
 * a real engine into a folder that has a neighbour, "outside", which must stay as it was. */
#include "tests/common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/files_writer.h"
#include "workloads/files/unpack_run.h"

struct place {
    char folder[256], archive[300], target[300], outside[300];
    int code;
    char findings[8192];
    struct rmill_unpack_report report;
    struct rmill_error error;
};

static void
place_make(struct place *place)
{
    char file[400];

    memset(place, 0, sizeof(*place));
    directory_create(place->folder);
    (void)snprintf(place->archive, sizeof(place->archive), "%s/a.tar.zst", place->folder);
    (void)snprintf(place->target, sizeof(place->target), "%s/target", place->folder);
    (void)snprintf(place->outside, sizeof(place->outside), "%s/outside", place->folder);
    assert_int_equal(mkdir(place->outside, 0700), 0);
    (void)snprintf(file, sizeof(file), "%s/secret", place->outside);
    files_put(file, "before", 6);
}

static uint32_t
count_in(const char *path)
{
    DIR *directory = opendir(path);
    uint32_t count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count - 2;
}

static struct stat
stat_of(const struct place *place, const char *name)
{
    struct stat status;
    char path[600];

    (void)snprintf(path, sizeof(path), "%s/%s", place->target, name);
    if (lstat(path, &status) != 0) {
        fail_msg("%s: %s (%s)", name, strerror(errno), place->findings);
    }
    return status;
}

static bool
is_there(const struct place *place, const char *name)
{
    struct stat status;
    char path[600];

    (void)snprintf(path, sizeof(path), "%s/%s", place->target, name);
    return lstat(path, &status) == 0;
}

static void
content_is(const struct place *place, const char *name, const char *expected)
{
    struct rmill_buffer bytes = {0};
    char path[600];

    (void)snprintf(path, sizeof(path), "%s/%s", place->target, name);
    files_get(path, &bytes);
    assert_int_equal(bytes.bytes, strlen(expected));
    assert_memory_equal(bytes.bytes > 0 ? (const char *)bytes.data : "", expected, bytes.bytes);
    rmill_buffer_deinit(&bytes);
}

/* The neighbour has its one file, unchanged, with one name. */
static void
place_remove(struct place *place)
{
    struct rmill_buffer bytes = {0};
    struct stat status;
    char file[400];

    (void)snprintf(file, sizeof(file), "%s/secret", place->outside);
    files_get(file, &bytes);
    assert_int_equal(bytes.bytes, 6);
    assert_memory_equal(bytes.data, "before", 6);
    rmill_buffer_deinit(&bytes);
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(count_in(place->outside), 1);
    assert_true(count_in(place->folder) <= 3);
    directory_remove(place->folder);
}

static void
finding_keep(void *context, const struct rmill_finding *finding)
{
    struct place *place = context;
    size_t at = strlen(place->findings);

    (void)snprintf(place->findings + at, sizeof(place->findings) - at, "%s\n", finding->text);
}

static int
unpack_main(void *argument)
{
    struct place *place = argument;
    struct rmill_unpack_options options = {.archive = place->archive,
                                           .target = place->target,
                                           .unsynced = true,
                                           .owners = geteuid() == 0,
                                           .told = finding_keep,
                                           .context = place};

    place->findings[0] = '\0';
    place->code = rmill_unpack_run(&options, &place->report, &place->error);
    return 0;
}

static void
unpack(struct place *place)
{
    struct rmill_options options = {
        .cores = "2", .unpinned = true, .spin_ns = 1, .arena_bytes = RMILL_READER_ARENA_BYTES};

    assert_int_equal(files_engine_run(&options, unpack_main, place), 0);
}

/* Write, unpack, and expect nothing to be said. */
static void
unpack_members(struct place *place, struct files_member *members, uint32_t count)
{
    files_archive_write(members, count, &(struct files_options){.window_entries = 3},
                        place->archive);
    unpack(place);
}

static void
unpack_clean(struct place *place, struct files_member *members, uint32_t count)
{
    unpack_members(place, members, count);
    assert_int_equal(place->code, 0);
    assert_string_equal(place->findings, "");
    assert_false(is_there(place, ".ringmill-unpack"));
}

static void
finds(const struct place *place, const char *text)
{
    if (strstr(place->findings, text) == NULL) {
        fail_msg("expected \"%s\" in: %s (%s)", text, place->findings, place->error.advice);
    }
}

static uint64_t
counted(const struct place *place, enum rmill_finding_kind kind)
{
    return place->report.reader.count[kind];
}

/* --- honest archives ------------------------------------------------------------------------- */

static void
everything_is_restored_as_it_was(void **state)
{
    struct place place;
    struct files_member members[] = {
        files_directory("d"),
        files_file("d/old", "1", 1),
        files_file("d/set", "22", 2),
        files_hardlink("d/twin", "d/old"),
        files_symlink("d/dangling", "nowhere at all"),
        files_directory("shut"),
        files_directory("shut/in"),
        files_file("shut/in/f", "333", 3),
        files_file("no/entry/f", "4", 1),
    };

    (void)state;
    place_make(&place);
    members[1].entry.mtime_s = -2;
    members[1].entry.mtime_ns = 500000000;
    members[2].entry.mode = 06751;
    members[2].entry.uid = geteuid() == 0 ? 1234 : geteuid();
    members[2].entry.gid = geteuid() == 0 ? 2345 : getegid();
    members[5].entry.mode = 0500;
    members[6].entry.mode = 0;
    members[6].entry.mtime_s = 1234567890;
    unpack_clean(&place, members, RMILL_ARRAY_COUNT(members));

    struct stat old = stat_of(&place, "d/old"), set = stat_of(&place, "d/set");

    assert_int_equal(old.st_mtim.tv_sec, -2);
    assert_int_equal(old.st_mtim.tv_nsec, 500000000);
    assert_int_equal(old.st_nlink, 2);
    assert_int_equal(old.st_ino, stat_of(&place, "d/twin").st_ino);
    assert_int_equal(set.st_mode & 07777, 06751);
    assert_int_equal(set.st_uid, geteuid() == 0 ? 1234 : geteuid());
    assert_int_equal(set.st_gid, geteuid() == 0 ? 2345 : getegid());
    assert_true(S_ISLNK(stat_of(&place, "d/dangling").st_mode));
    assert_int_equal(stat_of(&place, "d/dangling").st_mtim.tv_sec, 1700000000);
    assert_int_equal(stat_of(&place, "d").st_mtim.tv_sec, 1700000000);
    assert_int_equal(stat_of(&place, "shut").st_mode & 07777, 0500);
    assert_int_equal(stat_of(&place, "shut/in").st_mode & 07777, 0);
    assert_int_equal(stat_of(&place, "shut/in").st_mtim.tv_sec, 1234567890);
    content_is(&place, "no/entry/f", "4");
    assert_int_equal(place.report.file_count, 4);
    if (geteuid() != 0) {
        (void)chmod(place.target, 0700);
    }
    place_remove(&place);
}

static void
large_files_are_restored_whole(void **state)
{
    struct place place;
    size_t bytes = RMILL_MIB(7) + 12345;
    uint8_t *content = malloc(bytes);
    struct rmill_buffer read = {0};
    char path[400];

    (void)state;
    assert_non_null(content);
    for (size_t i = 0; i < bytes; i++) {
        content[i] = (uint8_t)((i * 2654435761u) >> 11);
    }
    place_make(&place);
    struct files_member members[] = {files_file("big", content, bytes),
                                     files_file("exact", content, RMILL_MIB(4)),
                                     files_file("leaf", content, RMILL_MIB(2))};

    unpack_clean(&place, members, 3);
    (void)snprintf(path, sizeof(path), "%s/big", place.target);
    files_get(path, &read);
    assert_int_equal(read.bytes, bytes);
    assert_memory_equal(read.data, content, bytes);
    assert_int_equal(stat_of(&place, "exact").st_size, RMILL_MIB(4));
    assert_int_equal(stat_of(&place, "leaf").st_size, RMILL_MIB(2));
    rmill_buffer_deinit(&read);
    free(content);
    place_remove(&place);
}

/* Deeper than PATH_MAX: no call of the kernel takes such a path. */
static void
paths_of_any_length_are_restored(void **state)
{
    enum { LEVELS = 60, NAME = 200 };
    struct place place;
    struct files_member members[LEVELS + 3];
    char *path = malloc(LEVELS * (NAME + 1) + 16);
    size_t at = 0;

    (void)state;
    assert_non_null(path);
    place_make(&place);
    for (uint32_t level = 0; level < LEVELS; level++) {
        at += level > 0 ? (size_t)sprintf(path + at, "/") : 0;
        memset(path + at, 'a' + (int)(level % 26), NAME);
        at += NAME;
        path[at] = '\0';
        members[level] = files_directory(strdup(path));
    }
    strcpy(path + at, "/f");
    members[LEVELS] = files_file(strdup(path), "deep", 4);
    strcpy(path + at, "/l");
    members[LEVELS + 1] = files_hardlink(strdup(path), members[LEVELS].entry.path);
    strcpy(path + at, "/s");
    members[LEVELS + 2] = files_symlink(strdup(path), "f");
    unpack_clean(&place, members, LEVELS + 3);

    int directory = open(place.target, O_PATH | O_DIRECTORY);

    for (uint32_t level = 0; level < LEVELS; level++) {
        char name[NAME + 1] = {0};

        memset(name, 'a' + (int)(level % 26), NAME);
        int next = openat(directory, name, O_PATH | O_DIRECTORY);

        assert_true(next >= 0);
        (void)close(directory);
        directory = next;
    }
    struct stat status;

    assert_int_equal(fstatat(directory, "l", &status, 0), 0);
    assert_int_equal(status.st_size, 4);
    assert_int_equal(status.st_nlink, 2);
    assert_int_equal(fstatat(directory, "s", &status, 0), 0);
    (void)close(directory);
    for (uint32_t i = 0; i < LEVELS + 3; i++) {
        free((void *)(uintptr_t)members[i].entry.path);
    }
    free(path);
    char command[400];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", place.target); /* nftw cannot. */
    assert_int_equal(system(command), 0);
    place_remove(&place);
}

static void
names_of_any_bytes_are_restored(void **state)
{
    struct place place;
    struct files_member members[] = {
        files_file("\n", "1", 1),   files_file("-rf", "2", 1), files_file("\xff\xfe", "3", 1),
        files_file("a\\b", "4", 1), files_file("...", "5", 1), files_file("\x1b[2J", "6", 1),
    };

    (void)state;
    place_make(&place);
    unpack_clean(&place, members, RMILL_ARRAY_COUNT(members));
    content_is(&place, "\n", "1");
    content_is(&place, "\xff\xfe", "3");
    content_is(&place, "...", "5");
    content_is(&place, "\x1b[2J", "6");
    place_remove(&place);
}

/* --- what is there already ------------------------------------------------------------------- */

static void
nothing_that_exists_is_replaced(void **state)
{
    struct place place;
    struct files_member members[] = {files_directory("d"), files_file("d/f", "new", 3),
                                     files_file("d/g", "new", 3), files_symlink("d/s", "f"),
                                     files_hardlink("d/h", "d/f")};
    char path[400];

    (void)state;
    place_make(&place);
    assert_int_equal(mkdir(place.target, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/d", place.target);
    assert_int_equal(mkdir(path, 0701), 0);
    (void)snprintf(path, sizeof(path), "%s/d/f", place.target);
    files_put(path, "mine", 4);
    unpack_members(&place, members, RMILL_ARRAY_COUNT(members));
    assert_int_equal(place.code, 0);
    finds(&place, "d/f: exists already");
    finds(&place, "d/h: the file it would be a link to existed already");
    assert_int_equal(counted(&place, RMILL_FINDING_LEFT_OUT), 2);
    content_is(&place, "d/f", "mine");
    content_is(&place, "d/g", "new");
    assert_int_equal(stat_of(&place, "d").st_mode & 07777, 0701);
    (void)snprintf(path, sizeof(path), "%s/d", place.target);
    assert_int_equal(count_in(path), 3); /* f, g, s: no temporary file. */

    unpack(&place); /* Once more: everything exists, nothing changes. */
    assert_int_equal(place.code, 0);
    assert_int_equal(counted(&place, RMILL_FINDING_LEFT_OUT), 4);
    assert_int_equal(counted(&place, RMILL_FINDING_FAILED), 0);
    content_is(&place, "d/f", "mine");
    place_remove(&place);
}

static void
file_in_place_of_a_directory_keeps_its_place(void **state)
{
    struct place place;
    struct files_member members[] = {files_directory("d"), files_file("d/f", "1", 1),
                                     files_file("e", "2", 1)};
    char path[400];

    (void)state;
    place_make(&place);
    assert_int_equal(mkdir(place.target, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/d", place.target);
    files_put(path, "a file", 6);
    unpack_members(&place, members, RMILL_ARRAY_COUNT(members));
    assert_int_equal(place.code, 0);
    finds(&place, "d: something that is no directory is in its place");
    finds(&place, "d/f: ");
    content_is(&place, "d", "a file");
    content_is(&place, "e", "2");
    place_remove(&place);
}

/* --- hostile archives ------------------------------------------------------------------------ */

static void
symlink_of_the_archive_is_not_written_through(void **state)
{
    struct place place;
    struct files_member members[] = {files_symlink("a", "../outside"),
                                     files_file("a/secret", "evil", 4),
                                     files_file("a/more", "evil", 4)};

    (void)state;
    place_make(&place);
    unpack_members(&place, members, RMILL_ARRAY_COUNT(members));
    assert_true(counted(&place, RMILL_FINDING_LEFT_OUT) + counted(&place, RMILL_FINDING_REFUSED) >
                0);
    place_remove(&place);
}

/* As CVE-2025-45582 does: the first archive leaves a symlink, the second goes through it. */
static void
symlink_of_an_earlier_archive_is_not_written_through(void **state)
{
    static const char *const ways[] = {"../outside", ".", "/tmp", "inner"};

    (void)state;
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(ways); i++) {
        struct place place;
        struct files_member first[] = {files_directory("inner"), files_symlink("a", ways[i])};
        struct files_member second[] = {
            files_directory("a"),        files_file("a/secret", "evil", 4),
            files_directory("a/deep"),   files_hardlink("a/link", "inner"),
            files_symlink("a/way", "x"), files_hardlink("stolen", "a/secret")};

        place_make(&place);
        unpack_clean(&place, first, 2);
        unpack_members(&place, second, RMILL_ARRAY_COUNT(second));
        assert_int_equal(place.code, 0);
        finds(&place, "a/secret: refused: its way leads through a symlink");
        finds(&place, "a/way: refused");
        assert_false(is_there(&place, "stolen"));
        assert_false(is_there(&place, "inner/secret"));
        assert_false(is_there(&place, "secret"));
        assert_true(S_ISLNK(stat_of(&place, "a").st_mode));
        place_remove(&place);
    }
}

static void
hard_links_reach_nothing_outside(void **state)
{
    static const char *const targets[] = {"../outside/secret", "/etc/passwd", "way/secret", "way",
                                          "nowhere",           "../target/f", "f/"};

    (void)state;
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(targets); i++) {
        struct place place;
        struct files_member first[] = {files_symlink("way", "../outside")};
        struct files_member members[] = {files_file("f", "1", 1), files_hardlink("g", targets[i])};

        place_make(&place);
        unpack_clean(&place, first, 1);
        unpack_members(&place, members, 2);
        if (strcmp(targets[i], "way") == 0 && is_there(&place, "g")) {
            assert_true(S_ISLNK(stat_of(&place, "g").st_mode)); /* The symlink itself. */
        } else {
            assert_false(is_there(&place, "g"));
            assert_true(place.code < 0 || strlen(place.findings) > 0);
        }
        place_remove(&place);
    }
}

static void
names_that_lead_out_are_refused(void **state)
{
    static const char *const names[] = {
        "../outside/secret", "/tmp/ringmill-out", "..", "d/../../x", "d/./f", "d//f"};

    (void)state;
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(names); i++) {
        struct place place;
        struct files_member honest = files_file("f", "1", 1), forged = files_file(names[i], "1", 1);

        place_make(&place);
        unpack_members(&place, &forged, 1); /* In the index. */
        assert_true(place.code < 0 || counted(&place, RMILL_FINDING_DAMAGE) > 0);
        directory_remove(place.target);
        honest.header = &forged.entry; /* In the tar header alone. */
        unpack_members(&place, &honest, 1);
        assert_int_equal(place.code, 0);
        finds(&place, "f: tar header and index do not agree");
        assert_false(is_there(&place, "f"));
        assert_int_not_equal(access("/tmp/ringmill-out", F_OK), 0);
        place_remove(&place);
    }
}

static void
damaged_file_is_not_left_behind(void **state)
{
    struct place place;
    uint8_t *content = calloc(1, RMILL_MIB(5));
    struct files_member members[] = {files_file("bad", "12", 2),
                                     files_file("big", content, RMILL_MIB(5)),
                                     files_file("good", "34", 2), files_hardlink("twin", "bad")};

    (void)state;
    assert_non_null(content);
    place_make(&place);
    members[0].lies = members[1].lies = FILES_WRONG_DIGEST;
    unpack_members(&place, members, RMILL_ARRAY_COUNT(members));
    assert_int_equal(place.code, 0);
    assert_int_equal(counted(&place, RMILL_FINDING_DAMAGE), 2);
    finds(&place, "twin: the file it is a hard link to is not there");
    assert_false(is_there(&place, "bad"));
    assert_false(is_there(&place, "big"));
    content_is(&place, "good", "34");
    assert_int_equal(count_in(place.target), 1);
    free(content);
    place_remove(&place);
}

/* --- runs that were cut off ------------------------------------------------------------------ */

static void
marker_tells_a_dead_run_from_a_living_one(void **state)
{
    struct place place;
    struct files_member members[] = {files_file("f", "1", 1)};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[400];

    (void)state;
    place_make(&place);
    assert_int_equal(mkdir(place.target, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/.ringmill-unpack", place.target);
    files_put(path, "", 0);
    unpack_members(&place, members, 1);
    assert_int_equal(place.code, -ESTALE);
    assert_non_null(strstr(place.error.advice, "was cut off"));
    assert_false(is_there(&place, "f"));

    int other = open(path, O_RDWR);

    assert_int_equal(fcntl(other, F_OFD_SETLK, &lock), 0);
    unpack(&place);
    assert_int_equal(place.code, -EBUSY);
    assert_non_null(strstr(place.error.advice, "another unpack"));
    (void)close(other);
    assert_true(is_there(&place, ".ringmill-unpack"));
    assert_int_equal(unlink(path), 0);
    unpack(&place);
    assert_int_equal(place.code, 0);
    content_is(&place, "f", "1");
    place_remove(&place);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_restored_as_it_was),
        cmocka_unit_test(large_files_are_restored_whole),
        cmocka_unit_test(paths_of_any_length_are_restored),
        cmocka_unit_test(names_of_any_bytes_are_restored),
        cmocka_unit_test(nothing_that_exists_is_replaced),
        cmocka_unit_test(file_in_place_of_a_directory_keeps_its_place),
        cmocka_unit_test(symlink_of_the_archive_is_not_written_through),
        cmocka_unit_test(symlink_of_an_earlier_archive_is_not_written_through),
        cmocka_unit_test(hard_links_reach_nothing_outside),
        cmocka_unit_test(names_that_lead_out_are_refused),
        cmocka_unit_test(damaged_file_is_not_left_behind),
        cmocka_unit_test(marker_tells_a_dead_run_from_a_living_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
