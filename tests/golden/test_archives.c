/* Goal: the archives in tests/golden/archives/ stay what they are: what tests/cli/test_archives.sh
 * expects the commands to say of them is kept beside each.
 * Method: each is built again by tests/files_writer.h and compared byte by byte when libzstd is of
 * the release that made it. RMILL_GOLDEN_MAKE=1 writes them anew. */
#include "tests/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "tests/files_writer.h"

#define FOLDER       "tests/golden/archives/"
#define ZSTD_RELEASE 10504u /* That compressed the files. */

static uint8_t large_content[(5 << 20) + 1000];

static void
same_as_kept(const char *name, struct rmill_buffer *built)
{
    struct rmill_buffer kept = {0};
    char path[256];

    (void)snprintf(path, sizeof(path), FOLDER "%s.tar.zst", name);
    if (getenv("RMILL_GOLDEN_MAKE") != NULL) {
        files_put(path, built->data, built->bytes);
    }
    files_get(path, &kept);
    assert_true(kept.bytes > 100);
    if (ZSTD_versionNumber() == ZSTD_RELEASE) {
        assert_int_equal(kept.bytes, built->bytes);
        assert_memory_equal(kept.data, built->data, built->bytes);
    } else {
        print_message("%s: not compared, libzstd is of another release\n", name);
    }
    rmill_buffer_deinit(&kept);
    rmill_buffer_deinit(built);
}

static void
golden(const char *name, struct files_member *members, uint32_t count,
       const struct files_options *options)
{
    struct rmill_buffer built = {0};

    files_archive_build(members, count, options, &built);
    same_as_kept(name, &built);
}

static const struct files_options usual = {0};

static void
names_of_any_bytes(void **state)
{
    struct files_member members[] = {
        files_directory("d"),
        files_file("d/new\nline", "1", 1),
        files_file("esc\x1b[31m", "2", 1),
        files_file("latin\xe9", "3", 1),
        files_file("back\\slash", "4", 1),
        files_file("-rf", "5", 1),
        files_symlink("way", "to\tnowhere"),
        files_file("gr\xc3\xbc\xc3\x9f", "6", 1),
        files_file("turn\xe2\x80\xae", "7", 1),
    };

    (void)state;
    golden("names", members, RMILL_ARRAY_COUNT(members), &usual);
}

static void
kinds_of_entries(void **state)
{
    struct files_member members[] = {
        files_directory("d"),
        files_file("d/f", "content\n", 8),
        files_hardlink("d/same", "d/f"),
        files_symlink("d/way", "f"),
        files_file("shrank", "\0\0\0\0", 4),
        files_file("set", "x", 1),
    };

    (void)state;
    members[0].entry.mode = 01777;
    members[1].entry.uname = members[1].entry.gname = "ann";
    members[1].entry.uname_bytes = members[1].entry.gname_bytes = 3;
    members[1].entry.mtime_ns = 5;
    members[4].entry.flags = RMILL_ENTRY_SHRANK;
    members[5].entry.mode = 06710;
    members[5].entry.uid = 1234;
    members[5].entry.gid = 70000;
    golden("kinds", members, RMILL_ARRAY_COUNT(members), &usual);
}

/* Several windows, a large file of three units, frames of 1 MiB; and the same with damage. */
static void
damaged_parts(void **state)
{
    static const uint32_t places[] = {60, 300, 600}; /* In frames of `big`, in a window. */
    const struct files_options options = {.chunk_bytes = 1 << 20, .window_entries = 2};
    struct files_member members[] = {files_file("big", large_content, sizeof(large_content)),
                                     files_file("first", "1\n", 2), files_file("last", "2\n", 2),
                                     files_hardlink("twin", "last")};
    struct rmill_buffer built = {0};
    char name[32];

    (void)state;
    for (size_t i = 0; i < sizeof(large_content); i++) {
        large_content[i] = (uint8_t)(i >> 17);
    }
    golden("windows", members, 4, &options);
    for (uint32_t i = 0; i < RMILL_ARRAY_COUNT(places); i++) {
        files_archive_build(members, 4, &options, &built);
        built.data[places[i]] ^= 1;
        (void)snprintf(name, sizeof(name), "damaged-%u", places[i]);
        same_as_kept(name, &built);
    }
    files_archive_build(members, 4, &options, &built);
    built.bytes -= 100;
    same_as_kept("cut", &built);
}

static void
hostile_archives(void **state)
{
    struct files_member out[] = {files_file("../out", "x", 1)};
    struct files_member absolute[] = {files_file("/tmp/ringmill-out", "x", 1)};
    struct files_member link[] = {files_file("f", "1", 1), files_hardlink("g", "../out")};
    struct files_member first[] = {files_directory("d"), files_symlink("way", "..")};
    struct files_member second[] = {files_directory("d"), files_file("way/out", "x", 1)};
    struct files_member header[] = {files_file("f", "1", 1), files_file("g", "2", 1)};
    struct files_member digest[] = {files_file("f", "1", 1), files_file("g", "2", 1)};

    (void)state;
    header[0].header = &out[0].entry;
    digest[0].lies = FILES_WRONG_DIGEST;
    golden("hostile-parent", out, 1, &usual);
    golden("hostile-absolute", absolute, 1, &usual);
    golden("hostile-hardlink", link, 2, &usual);
    golden("hostile-way-1", first, 2, &usual);
    golden("hostile-way-2", second, 2, &usual);
    golden("hostile-header", header, 2, &usual);
    golden("hostile-digest", digest, 2, &usual);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_any_bytes),
        cmocka_unit_test(kinds_of_entries),
        cmocka_unit_test(damaged_parts),
        cmocka_unit_test(hostile_archives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
