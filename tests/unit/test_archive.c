/* Goal: what is not an archive is refused with a sentence that helps; what is damaged or lies is
 * named, by file and range, and everything else is still handed on.
 *
 * Method: archives from tests/files_writer.h in a folder, altered where the seek table says their
 * parts are; opened and read by archive.h and reader.h on a real engine. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/files_writer.h"
#include "workloads/files/archive.h"
#include "workloads/files/reader.h"

static char folder[256], path[300];
static uint8_t large_content[6 << 20];

static int
folder_make(void **state)
{
    (void)state;
    directory_create(folder);
    (void)snprintf(path, sizeof(path), "%s/a.tar.zst", folder);
    for (size_t i = 0; i < sizeof(large_content); i++) {
        large_content[i] = (uint8_t)((i * 2654435761u) >> 13);
    }
    return 0;
}

static int
folder_remove(void **state)
{
    (void)state;
    directory_remove(folder);
    return 0;
}

/* --- opening --------------------------------------------------------------------------------- */

static void
refused(int code, const char *says)
{
    struct rmill_archive archive;
    struct rmill_error error = {0};

    assert_int_equal(rmill_archive_open(path, &archive, &error), code);
    if (strstr(error.advice, says) == NULL) {
        fail_msg("expected \"%s\" in: %s", says, error.advice);
    }
    rmill_archive_close(&archive); /* Accepts what was not opened. */
}

static void
what_is_no_archive_is_refused(void **state)
{
    char garbage[5000];

    (void)state;
    (void)unlink(path);
    refused(-ENOENT, "No such file");
    files_put(path, "", 0);
    refused(-EBADMSG, "too few");
    memset(garbage, 'x', sizeof(garbage));
    files_put(path, garbage, sizeof(garbage));
    refused(-EBADMSG, "tar --zstd -xf");
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    refused(-EINVAL, "no regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(-EINVAL, "no regular file"); /* And does not wait for a writer. */
    assert_int_equal(unlink(path), 0);
}

/* A seekable tar.zst of another program: data frames and a seek table. */
static void
archive_without_our_index_names_what_reads_it(void **state)
{
    struct rmill_seekable_writer table = {0};
    struct rmill_buffer bytes = {0};
    uint8_t frame[4096];

    (void)state;
    size_t frame_bytes = ZSTD_compress(frame, sizeof(frame), large_content, 3000, 3);
    struct rmill_seekable_entry entry = {.compressed_bytes = (uint32_t)frame_bytes,
                                         .raw_bytes = 3000,
                                         .checksum = rmill_hash_xxh64_low32(large_content, 3000)};

    assert_int_equal(rmill_buffer_append(&bytes, frame, frame_bytes), 0);
    assert_int_equal(rmill_seekable_writer_add(&table, &entry), 0);
    assert_int_equal(rmill_seekable_writer_end(&table), 0);
    assert_int_equal(rmill_buffer_append(&bytes, table.frame.data, table.frame.bytes), 0);
    files_put(path, bytes.data, bytes.bytes);
    refused(-ENOENT, "tar --zstd -xf");
    rmill_seekable_writer_deinit(&table);
    rmill_buffer_deinit(&bytes);
}

/* --- visiting -------------------------------------------------------------------------------- */

struct names {
    char text[4096];
    uint32_t stop_after;
};

static int
name_add(void *context, const struct rmill_entry *entry)
{
    struct names *names = context;

    (void)snprintf(names->text + strlen(names->text), sizeof(names->text) - strlen(names->text),
                   "%.*s ", (int)entry->path_bytes, entry->path);
    return names->stop_after > 0 && --names->stop_after == 0 ? 7 : 0;
}

static void
visit_is(const struct rmill_archive *archive, const char *below, const char *expected)
{
    struct names names = {0};

    assert_int_equal(rmill_archive_visit(archive, below, name_add, &names, NULL), 0);
    assert_string_equal(names.text, expected);
}

static void
visit_gives_a_path_and_all_below_it(void **state)
{
    struct files_member members[] = {
        files_directory("a"),          files_file("a/x", "1", 1),     files_file("a.b", "2", 1),
        files_file("lib/z/q", "3", 1), files_file("lib/z/r", "4", 1), files_symlink("z", "a"),
    };
    struct rmill_archive archive;
    struct rmill_error error = {0};
    struct names names = {.stop_after = 2};

    (void)state;
    files_archive_write(members, 6, &(struct files_options){.window_entries = 2}, path);
    assert_int_equal(rmill_archive_open(path, &archive, &error), 0);
    visit_is(&archive, NULL, "a a/x a.b lib/z/q lib/z/r z ");
    visit_is(&archive, "a", "a a/x ");
    visit_is(&archive, "a/x", "a/x ");
    visit_is(&archive, "a.b", "a.b ");
    visit_is(&archive, "lib", "lib/z/q lib/z/r "); /* Has no entry of its own. */
    visit_is(&archive, ".", "a a/x a.b lib/z/q lib/z/r z ");
    assert_int_equal(rmill_archive_visit(&archive, "li", name_add, &names, &error), -ENOENT);
    assert_int_equal(rmill_archive_visit(&archive, "zz", name_add, &names, &error), -ENOENT);
    assert_int_equal(rmill_archive_visit(&archive, "", name_add, &names, &error), -ENOENT);
    assert_int_equal(rmill_archive_visit(&archive, NULL, name_add, &names, &error), 7);
    assert_string_equal(names.text, "a a/x ");
    rmill_archive_close(&archive);
}

/* --- reading --------------------------------------------------------------------------------- */

struct reading {
    int code;
    char findings[8192]; /* One line each. */
    char members[4096];  /* Names given to the sink, sorted by nothing but the order of units. */
    struct rmill_error error;
    struct rmill_reader_report report;
};

static void
finding_keep(void *context, const struct rmill_finding *finding)
{
    struct reading *reading = context;
    size_t at = strlen(reading->findings);

    (void)snprintf(reading->findings + at, sizeof(reading->findings) - at, "%s\n", finding->text);
}

static int
member_keep(void *context, struct rmill_catalog_member *member, const void *content,
            struct rmill_findings *findings)
{
    struct reading *reading = context;
    size_t at = strlen(reading->members);

    (void)content;
    (void)findings;
    (void)snprintf(reading->members + at, sizeof(reading->members) - at, "%s ", member->entry.path);
    return 0;
}

static int
large_begin_keep(void *context, struct rmill_catalog_member *member, void **handle,
                 struct rmill_findings *findings)
{
    *handle = context;
    (void)member;
    (void)findings;
    return 0;
}

static int
large_part_keep(void *context, struct rmill_catalog_member *member, void *handle,
                const void *content, uint64_t bytes, uint64_t offset)
{
    (void)context;
    (void)member;
    (void)handle;
    return memcmp(content, large_content + offset, bytes) == 0 ? 0 : -EIO;
}

static int
large_end_keep(void *context, struct rmill_catalog_member *member, void *handle, bool good,
               struct rmill_findings *findings)
{
    (void)handle;
    return good ? member_keep(context, member, NULL, findings) : 0;
}

static int
read_main(void *argument)
{
    struct reading *reading = argument;
    struct rmill_reader_sink sink = {.context = reading,
                                     .member = member_keep,
                                     .large_begin = large_begin_keep,
                                     .large_part = large_part_keep,
                                     .large_end = large_end_keep,
                                     .told = finding_keep};
    /* One unit at a time in all: the sink above is not made for two cores at once. */
    struct rmill_reader_options options = {.frame_hashes = true, .depth = 1};
    struct rmill_archive archive;

    reading->code = rmill_archive_open(path, &archive, &reading->error);
    if (reading->code == 0) {
        reading->code =
            rmill_reader_run(&archive, &sink, &options, &reading->report, &reading->error);
    }
    rmill_archive_close(&archive);
    return 0;
}

static void
read_all(struct reading *reading)
{
    struct rmill_options options = {
        .cores = "1", .unpinned = true, .spin_ns = 1, .arena_bytes = RMILL_READER_ARENA_BYTES};

    memset(reading, 0, sizeof(*reading));
    assert_int_equal(files_engine_run(&options, read_main, reading), 0);
}

static void
finds(const struct reading *reading, const char *text)
{
    if (strstr(reading->findings, text) == NULL) {
        fail_msg("expected \"%s\" in: %s (%s)", text, reading->findings, reading->error.advice);
    }
}

static uint32_t
lines_of(const char *text)
{
    uint32_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* Change one byte in the middle of frame `index` of the file, skippable frames counted. */
static void
frame_alter(uint32_t index)
{
    struct rmill_buffer bytes = {0};
    struct rmill_archive archive;
    uint64_t at = 0;

    assert_int_equal(rmill_archive_open(path, &archive, NULL), 0);
    for (uint32_t i = 0; i < index; i++) {
        at += rmill_seekable_get(&archive.table, i).compressed_bytes;
    }
    at += rmill_seekable_get(&archive.table, index).compressed_bytes / 2;
    rmill_archive_close(&archive);
    files_get(path, &bytes);
    bytes.data[at] ^= 0x10;
    files_put(path, bytes.data, bytes.bytes);
    rmill_buffer_deinit(&bytes);
}

/* Four files of 40 KiB in frames of at most 64 KiB: one to a frame. */
static uint32_t
four_files(struct files_member members[4])
{
    static const char *const names[4] = {"a", "b", "c", "d"};

    for (uint32_t i = 0; i < 4; i++) {
        members[i] = files_file(names[i], large_content + 50000 * i, 40960);
    }
    return 4;
}

static void
damaged_frame_names_its_file_and_spares_the_others(void **state)
{
    struct files_member members[4];
    struct reading reading;

    (void)state;
    files_archive_write(members, four_files(members),
                        &(struct files_options){.chunk_bytes = 64 << 10}, path);
    read_all(&reading);
    assert_string_equal(reading.findings, "");
    assert_string_equal(reading.members, "a b c d ");
    frame_alter(1);
    read_all(&reading);
    assert_int_equal(reading.code, 0);
    finds(&reading, "b: bytes 0 to 40960 are damaged (archive bytes ");
    assert_int_equal(lines_of(reading.findings), 1);
    assert_int_equal(reading.report.count[RMILL_FINDING_DAMAGE], 1);
    assert_string_equal(reading.members, "a c d ");
}

static void
damaged_large_file_names_its_first_bad_range(void **state)
{
    struct files_member members[] = {files_file("big", large_content, sizeof(large_content) - 99),
                                     files_file("small", "x", 1)};
    struct reading reading;

    (void)state;
    files_archive_write(members, 2, &(struct files_options){.chunk_bytes = 1 << 20}, path);
    read_all(&reading);
    assert_string_equal(reading.findings, "");
    assert_string_equal(reading.members, "big small ");
    frame_alter(5);
    frame_alter(3);
    read_all(&reading);
    finds(&reading, "big: bytes 3145728 to 4194304 are damaged");
    assert_int_equal(lines_of(reading.findings), 1);
    assert_string_equal(reading.members, "small ");
}

static void
damaged_window_is_told_and_the_others_are_read(void **state)
{
    struct files_member members[4];
    struct reading reading;

    (void)state;
    /* Frames: a b [window 0] c d [window 1] [directory] */
    files_archive_write(members, four_files(members),
                        &(struct files_options){.chunk_bytes = 64 << 10, .window_entries = 2},
                        path);
    frame_alter(2);
    read_all(&reading);
    assert_int_equal(reading.code, 0);
    finds(&reading, "its 2 entries are not read");
    assert_int_equal(lines_of(reading.findings), 1);
    assert_string_equal(reading.members, "c d ");
}

/* --- lies whose hashes are right ------------------------------------------------------------- */

static void
lie_is_found(struct files_member *members, uint32_t count, const struct files_options *options,
             const char *expected)
{
    struct reading reading;

    files_archive_write(members, count, options, path);
    read_all(&reading);
    assert_int_equal(reading.code, 0);
    finds(&reading, expected);
    assert_int_equal(lines_of(reading.findings), 1);
}

static void
index_that_contradicts_a_header_is_damage(void **state)
{
    static const char *const fields[] = {"path", "mode",      "owner",      "mtime",
                                         "link", "user name", "group name", "type"};
    const struct files_options options = {0};

    (void)state;
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(fields); i++) {
        struct files_member members[] = {files_file("a", "1", 1), files_symlink("l", "there")};
        struct rmill_entry header = members[1].entry;
        char expected[100];

        header.path = i == 0 ? "m" : header.path;
        header.mode ^= i == 1;
        header.gid += i == 2;
        header.mtime_s += i == 3;
        header.link = i == 4 ? "elsew" : header.link;
        header.uname = "root";
        header.uname_bytes = i == 5 ? 4 : 0;
        header.gname = "root";
        header.gname_bytes = i == 6 ? 4 : 0;
        header.type = i == 7 ? RMILL_ENTRY_HARDLINK : header.type;
        members[1].header = &header;
        (void)snprintf(expected, sizeof(expected), "l: tar header and index do not agree: %s",
                       fields[i]);
        lie_is_found(members, 2, &options, expected);
    }
}

static void
wrong_digest_padding_and_end_are_damage(void **state)
{
    struct files_member wrong_digest = files_file("f", "12", 2);
    struct files_member wrong_padding = files_file("f", "12", 2);
    struct files_member large = files_file("f", large_content, sizeof(large_content));
    struct files_member large_padding = files_file("f", large_content, sizeof(large_content) - 1);
    struct files_member good = files_file("f", "12", 2);
    const struct files_options options = {0};

    (void)state;
    wrong_digest.lies = large.lies = FILES_WRONG_DIGEST;
    wrong_padding.lies = large_padding.lies = FILES_WRONG_PADDING;
    lie_is_found(&wrong_digest, 1, &options, "f: bytes 0 to 2 do not match the digest");
    lie_is_found(&large, 1, &options, "f: bytes 0 to 6291456 do not match the digest");
    lie_is_found(&wrong_padding, 1, &options, "f: its padding is not zeros");
    lie_is_found(&large_padding, 1, &options, "f: its padding is not zeros");
    lie_is_found(&good, 1, &(struct files_options){.wrong_end = true},
                 "the tar does not end in two zero blocks");
}

static void
forged_names_are_refused(void **state)
{
    static const char *const names[] = {"/etc/passwd", "../out", "a/../../out", "a//b", "a/"};

    (void)state;
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(names); i++) {
        struct files_member member = files_file(names[i], "1", 1);
        struct reading reading;

        files_archive_write(&member, 1, &(struct files_options){0}, path);
        read_all(&reading);
        assert_true(reading.code < 0 || lines_of(reading.findings) > 0);
        assert_string_equal(reading.members, "");
    }
}

static void
archive_of_nothing_is_read(void **state)
{
    struct reading reading;

    (void)state;
    files_archive_write(NULL, 0, &(struct files_options){0}, path);
    read_all(&reading);
    assert_int_equal(reading.code, 0);
    assert_string_equal(reading.findings, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(archive_without_our_index_names_what_reads_it),
        cmocka_unit_test(visit_gives_a_path_and_all_below_it),
        cmocka_unit_test(damaged_frame_names_its_file_and_spares_the_others),
        cmocka_unit_test(damaged_large_file_names_its_first_bad_range),
        cmocka_unit_test(damaged_window_is_told_and_the_others_are_read),
        cmocka_unit_test(index_that_contradicts_a_header_is_damage),
        cmocka_unit_test(wrong_digest_padding_and_end_are_damage),
        cmocka_unit_test(forged_names_are_refused),
        cmocka_unit_test(archive_of_nothing_is_read),
    };

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
