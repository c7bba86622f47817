/* Goal: tar headers are exact in size, minimal, deterministic, and read back whole; what other
 * programs wrote is read; damage is named. Interoperation with tar programs is in
 * tests/property/test_tar.c. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/files/tar.h"

static uint8_t buffer[256 * 1024];

static struct rmill_entry
file_entry(const char *path, uint32_t bytes)
{
    return (struct rmill_entry){.path = path,
                                .path_bytes = bytes,
                                .type = RMILL_ENTRY_FILE,
                                .mode = 0640,
                                .uid = 10,
                                .gid = 20,
                                .mtime_s = 1000000000,
                                .uname = "u",
                                .uname_bytes = 1,
                                .gname = "g",
                                .gname_bytes = 1};
}

/* Write, check the size, parse, compare everything a header holds. Returns the header bytes. */
static uint32_t
round_trip(const struct rmill_entry *entry)
{
    struct rmill_tar_parser parser = {0};
    struct rmill_entry again;
    struct rmill_error error = {0};
    size_t header_bytes;
    uint32_t bytes = rmill_tar_header_bytes(entry);

    assert_true(bytes <= sizeof(buffer));
    memset(buffer, 0xAA, bytes + 1);
    assert_int_equal(rmill_tar_header_write(entry, buffer), bytes);
    assert_int_equal(buffer[bytes], 0xAA);
    int result = rmill_tar_header_parse(&parser, buffer, bytes, &again, &header_bytes, &error);

    if (result != RMILL_TAR_MEMBER) {
        fail_msg("%d %s", result, error.advice);
    }
    assert_int_equal(header_bytes, bytes);
    assert_int_equal(again.path_bytes, entry->path_bytes);
    assert_memory_equal(again.path, entry->path, entry->path_bytes);
    assert_int_equal(again.link_bytes, entry->link_bytes);
    if (entry->link_bytes > 0) {
        assert_memory_equal(again.link, entry->link, entry->link_bytes);
    }
    assert_int_equal(again.uname_bytes, entry->uname_bytes);
    assert_int_equal(again.gname_bytes, entry->gname_bytes);
    assert_int_equal(again.type, entry->type);
    assert_int_equal(again.mode, entry->mode);
    assert_int_equal(again.uid, entry->uid);
    assert_int_equal(again.gid, entry->gid);
    assert_int_equal(again.size, entry->size);
    assert_int_equal(again.mtime_s, entry->mtime_s);
    assert_int_equal(again.mtime_ns, entry->mtime_ns);
    return bytes;
}

static void
plain_file_takes_one_block(void **state)
{
    struct rmill_entry entry = file_entry("a/b", 3);

    entry.size = 077777777777;
    entry.uid = 07777777;
    assert_int_equal(round_trip(&entry), 512);
    assert_memory_equal(buffer, "a/b\0", 4);
    assert_memory_equal(buffer + 100, "0000640\0007777777\0000000024\00077777777777\00007346545000",
                        48);
    assert_memory_equal(buffer + 257, "ustar\00000u\0", 10);
}

static void
values_that_do_not_fit_take_a_pax_header(void **state)
{
    struct rmill_entry entry = file_entry("a/b", 3);

    entry.mtime_ns = 1;
    assert_int_equal(round_trip(&entry), 1536);
    assert_memory_equal(buffer, "././@PaxHeader\0", 15);
    assert_memory_equal(buffer + 512, "30 mtime=1000000000.000000001\n\0", 31);

    entry = file_entry("a/b", 3);
    entry.size = 0100000000000;
    entry.uid = UINT32_MAX;
    entry.gid = 010000000;
    assert_int_equal(round_trip(&entry), 1536);
    assert_memory_equal(buffer + 512, "19 size=8589934592\n18 uid=4294967295\n15 gid=2097152\n",
                        52);
}

static void
times_before_1970_keep_their_nanoseconds(void **state)
{
    static const struct {
        int64_t s;
        uint32_t ns;
        const char *record;
    } rows[] = {
        {-1, 500000000, "22 mtime=-0.500000000\n"}, {-2, 0, "12 mtime=-2\n"},
        {-2, 1, "22 mtime=-1.999999999\n"},         {0, 1, "21 mtime=0.000000001\n"},
        {8589934592, 0, "20 mtime=8589934592\n"},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rows); i++) {
        struct rmill_entry entry = file_entry("a", 1);

        entry.mtime_s = rows[i].s;
        entry.mtime_ns = rows[i].ns;
        (void)round_trip(&entry);
        assert_memory_equal(buffer + 512, rows[i].record, strlen(rows[i].record));
    }
}

static void
names_of_every_length_come_back(void **state)
{
    char path[700];

    for (uint32_t bytes = 1; bytes <= 600; bytes++) {
        for (uint32_t slash = 0; slash < 200; slash += 33) {
            memset(path, 'p', sizeof(path));
            if (slash > 0 && slash + 1 < bytes) {
                path[slash] = '/';
            }
            struct rmill_entry entry = file_entry(path, bytes);

            (void)round_trip(&entry);
            entry.type = RMILL_ENTRY_DIRECTORY;
            (void)round_trip(&entry);
            entry.type = RMILL_ENTRY_SYMLINK;
            entry.link = path + 1;
            entry.link_bytes = bytes;
            (void)round_trip(&entry);
        }
    }
}

static void
long_name_uses_prefix_when_it_can(void **state)
{
    char path[256];

    memset(path, 'p', sizeof(path));
    path[155] = '/';
    struct rmill_entry entry = file_entry(path, 256);

    assert_int_equal(round_trip(&entry), 512);
    entry.type = RMILL_ENTRY_DIRECTORY; /* Its slash makes the name 101 bytes. */
    assert_int_equal(round_trip(&entry), 1536);
}

static void
largest_entry_fits_the_stated_bound(void **state)
{
    char *text = malloc(RMILL_ENTRY_PATH_BYTES_MAX);
    char name[RMILL_ENTRY_NAME_BYTES_MAX];

    assert_non_null(text);
    memset(text, 0xFF, RMILL_ENTRY_PATH_BYTES_MAX);
    memset(name, 0xFF, sizeof(name));
    struct rmill_entry entry = file_entry(text, RMILL_ENTRY_PATH_BYTES_MAX);

    entry.type = RMILL_ENTRY_SYMLINK;
    entry.link = text;
    entry.link_bytes = RMILL_ENTRY_PATH_BYTES_MAX;
    entry.uname = entry.gname = name;
    entry.uname_bytes = entry.gname_bytes = sizeof(name);
    entry.uid = entry.gid = UINT32_MAX;
    entry.mtime_s = INT64_MIN / 4;
    entry.mtime_ns = 999999999;
    assert_true(round_trip(&entry) <= 160 * 1024);
    assert_memory_equal(buffer + 512, "21 hdrcharset=BINARY\n", 21);
    free(text);
}

static void
every_prefix_asks_for_more_and_says_how_much(void **state)
{
    struct rmill_tar_parser parser = {0};
    struct rmill_entry entry = file_entry("a/b", 3), again;
    size_t header_bytes;

    entry.mtime_ns = 1;
    uint32_t bytes = rmill_tar_header_write(&entry, buffer);

    for (size_t available = 0; available < bytes; available++) {
        assert_int_equal(
            rmill_tar_header_parse(&parser, buffer, available, &again, &header_bytes, NULL),
            -EAGAIN);
        assert_true(header_bytes > available && header_bytes <= bytes);
    }
}

static void
every_changed_byte_is_refused_or_read_without_harm(void **state)
{
    struct rmill_entry entry = file_entry("a/b", 3), again;
    size_t header_bytes;
    unsigned refused = 0;

    entry.mtime_ns = 1;
    uint32_t bytes = rmill_tar_header_write(&entry, buffer);

    for (size_t i = 0; i < bytes; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct rmill_tar_parser parser = {0};

            buffer[i] ^= (uint8_t)(1u << bit);
            refused +=
                rmill_tar_header_parse(&parser, buffer, bytes, &again, &header_bytes, NULL) < 0;
            buffer[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(refused >= 2 * 8 * 500); /* The two checksummed blocks, nearly all of them. */
}

static void
two_zero_blocks_end_an_archive(void **state)
{
    struct rmill_tar_parser parser = {0};
    struct rmill_entry entry;
    size_t header_bytes;

    memset(buffer, 0, 1024);
    assert_int_equal(rmill_tar_header_parse(&parser, buffer, 1024, &entry, &header_bytes, NULL),
                     RMILL_TAR_END);
    assert_int_equal(header_bytes, 1024);
    assert_int_equal(rmill_tar_header_parse(&parser, buffer, 512, &entry, &header_bytes, NULL),
                     -EAGAIN);
    assert_int_equal(rmill_tar_padding(0), 0);
    assert_int_equal(rmill_tar_padding(1), 511);
    assert_int_equal(rmill_tar_padding(512), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_file_takes_one_block),
        cmocka_unit_test(values_that_do_not_fit_take_a_pax_header),
        cmocka_unit_test(times_before_1970_keep_their_nanoseconds),
        cmocka_unit_test(names_of_every_length_come_back),
        cmocka_unit_test(long_name_uses_prefix_when_it_can),
        cmocka_unit_test(largest_entry_fits_the_stated_bound),
        cmocka_unit_test(every_prefix_asks_for_more_and_says_how_much),
        cmocka_unit_test(every_changed_byte_is_refused_or_read_without_harm),
        cmocka_unit_test(two_zero_blocks_end_an_archive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
