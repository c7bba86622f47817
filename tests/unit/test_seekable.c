/* Goal: the seek table is written to the byte of the specification and read without trusting a
 * number in it. Method: a table of known bytes; every field of it made false in turn. */
#include "tests/common.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "workloads/files/seekable.h"

#define DATA_BYTES 110u /* Of the frames before the table: 100 and 10. */

/* A file: DATA_BYTES that nobody looks at, then the table of two frames. Returns its bytes. */
static size_t
file_make(uint8_t file[256])
{
    struct rmill_seekable_writer writer = {0};
    struct rmill_seekable_entry data = {
        .compressed_bytes = 100, .raw_bytes = 1000, .checksum = 0x11223344};
    struct rmill_seekable_entry skippable = {.compressed_bytes = 10,
                                             .checksum = RMILL_SEEKABLE_NOTHING};

    assert_int_equal(rmill_seekable_writer_add(&writer, &data), 0);
    assert_int_equal(rmill_seekable_writer_add(&writer, &skippable), 0);
    assert_int_equal(rmill_seekable_writer_end(&writer), 0);
    memset(file, 'x', DATA_BYTES);
    memcpy(file + DATA_BYTES, writer.frame.data, writer.frame.bytes);
    size_t bytes = DATA_BYTES + writer.frame.bytes;

    rmill_seekable_writer_deinit(&writer);
    return bytes;
}

static int
file_parse(const uint8_t *file, size_t bytes, struct rmill_seekable_table *table)
{
    struct rmill_seekable_location location;
    int code = rmill_seekable_footer_parse(file + bytes - RMILL_SEEKABLE_FOOTER_BYTES, bytes,
                                           &location, NULL);

    return code < 0 ? code
                    : rmill_seekable_parse(file + location.file_offset, &location, table, NULL);
}

static void
table_has_the_bytes_of_the_specification(void **state)
{
    static const uint8_t expected[] = {
        0x5E, 0x2A, 0x4D, 0x18, 33,   0,    0,    0, /* magic, size */
        100,  0,    0,    0,    0xE8, 3,    0,    0,    0x44,
        0x33, 0x22, 0x11, /* data frame */
        10,   0,    0,    0,    0,    0,    0,    0,    0x99,
        0xE9, 0xD8, 0x51,                                     /* skippable frame */
        2,    0,    0,    0,    0x80, 0xB1, 0xEA, 0x92, 0x8F, /* footer */
    };
    uint8_t file[256];
    struct rmill_seekable_table table;
    size_t bytes = file_make(file);

    assert_int_equal(bytes, DATA_BYTES + sizeof(expected));
    assert_memory_equal(file + DATA_BYTES, expected, sizeof(expected));
    assert_int_equal(file_parse(file, bytes, &table), 0);
    assert_int_equal(table.entry_count, 2);
    assert_int_equal(table.raw_bytes, 1000);
    assert_int_equal(rmill_seekable_get(&table, 0).checksum, 0x11223344);
    assert_int_equal(rmill_seekable_get(&table, 1).compressed_bytes, 10);
}

static void
empty_table_is_a_frame_too(void **state)
{
    struct rmill_seekable_writer writer = {0};
    struct rmill_seekable_table table;

    assert_int_equal(rmill_seekable_writer_end(&writer), 0);
    assert_int_equal(writer.frame.bytes, 17);
    assert_int_equal(file_parse(writer.frame.data, 17, &table), 0);
    assert_int_equal(table.entry_count, 0);
    rmill_seekable_writer_deinit(&writer);
}

static void
tables_without_checksums_are_read(void **state)
{
    uint8_t file[20 + 8 + 8 + 9] = {0};
    struct rmill_seekable_table table;

    rmill_store_le32(file + 20, 0x184D2A5E);
    rmill_store_le32(file + 24, 17);
    rmill_store_le32(file + 28, 20);
    rmill_store_le32(file + 32, 7);
    rmill_store_le32(file + 36, 1);
    file[40] = 0x03; /* Unused bits: ignored. */
    rmill_store_le32(file + 41, 0x8F92EAB1);
    assert_int_equal(file_parse(file, sizeof(file), &table), 0);
    assert_int_equal(rmill_seekable_get(&table, 0).raw_bytes, 7);
    assert_int_equal(rmill_seekable_get(&table, 0).checksum, 0);
}

static void
every_changed_bit_but_checksum_and_raw_size_is_refused(void **state)
{
    uint8_t file[256];
    struct rmill_seekable_table table;
    size_t bytes = file_make(file);

    for (size_t i = DATA_BYTES; i < bytes; i++) {
        size_t field = (i - DATA_BYTES - 8) / 4;
        int is_entry = i >= DATA_BYTES + 8 && i < DATA_BYTES + 32;

        for (unsigned bit = 0; bit < 8; bit++) {
            int is_free = (is_entry && field % 3 != 0) || (i == bytes - 5 && bit < 2);

            file[i] ^= (uint8_t)(1u << bit);
            int code = file_parse(file, bytes, &table);

            if (!is_free) {
                assert_int_equal(code, -EBADMSG);
            }
            file[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void
counts_are_held_against_the_file_before_anything_is_read(void **state)
{
    uint8_t footer[9] = {0xFF, 0xFF, 0xFF, 0x07, 0x80, 0xB1, 0xEA, 0x92, 0x8F};
    struct rmill_seekable_location location;
    struct rmill_error error;

    assert_int_equal(rmill_seekable_footer_parse(footer, 1000, &location, &error), -EBADMSG);
    assert_non_null(strstr(error.advice, "room for"));
    footer[3] = 0xFF;
    assert_int_equal(rmill_seekable_footer_parse(footer, UINT64_MAX / 2, &location, &error),
                     -EBADMSG);
    assert_non_null(strstr(error.advice, "format allows"));
    assert_int_equal(rmill_seekable_footer_parse(footer, 9, &location, &error), -EBADMSG);
}

static void
writer_refuses_impossible_frames(void **state)
{
    struct rmill_seekable_writer writer = {0};
    struct rmill_seekable_entry none = {.raw_bytes = 1};
    struct rmill_seekable_entry big = {.compressed_bytes = 1,
                                       .raw_bytes = RMILL_SEEKABLE_RAW_BYTES_MAX + 1};

    assert_int_equal(rmill_seekable_writer_add(&writer, &none), -EINVAL);
    assert_int_equal(rmill_seekable_writer_add(&writer, &big), -EINVAL);
    writer.entry_count = RMILL_SEEKABLE_ENTRIES_MAX;
    big.raw_bytes = 1;
    assert_int_equal(rmill_seekable_writer_add(&writer, &big), -EFBIG);
    rmill_seekable_writer_deinit(&writer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_the_bytes_of_the_specification),
        cmocka_unit_test(empty_table_is_a_frame_too),
        cmocka_unit_test(tables_without_checksums_are_read),
        cmocka_unit_test(every_changed_bit_but_checksum_and_raw_size_is_refused),
        cmocka_unit_test(counts_are_held_against_the_file_before_anything_is_read),
        cmocka_unit_test(writer_refuses_impossible_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
