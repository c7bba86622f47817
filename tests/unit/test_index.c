/* Goal: what the index writes is what it reads, every look-up answers, every contradiction is
 * refused by name. Method: tiny archives in memory, read back the way a reader goes: footer,
 * seek table, directory, pages. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/archive_sample.h"
#include "workloads/files/digest.h"
#include "workloads/files/index.h"

/* An archive opened from memory. */
struct opened {
    struct rmill_buffer bytes;
    struct rmill_seekable_location table_location;
    struct rmill_seekable_table table;
    struct rmill_index_location location;
    struct rmill_index_directory *directory;
    struct rmill_index_decoder *decoder;
    struct rmill_error error;
};

/* The reader's way to the directory. Returns the first code that is not 0. */
static int
archive_open(struct opened *opened)
{
    const uint8_t *data = opened->bytes.data;
    uint64_t bytes = opened->bytes.bytes;
    int code = rmill_seekable_footer_parse(data + bytes - RMILL_SEEKABLE_FOOTER_BYTES, bytes,
                                           &opened->table_location, &opened->error);

    if (code == 0) {
        code = rmill_seekable_parse(data + opened->table_location.file_offset,
                                    &opened->table_location, &opened->table, &opened->error);
    }
    if (code == 0) {
        uint64_t end = opened->table_location.file_offset;

        code = rmill_index_footer_parse(data + end - RMILL_INDEX_FOOTER_BYTES, end,
                                        &opened->location, &opened->error);
    }
    if (code == 0) {
        code = rmill_index_directory_decode(data + opened->location.file_offset, &opened->location,
                                            &opened->directory, &opened->error);
    }
    return code;
}

static void
archive_make(struct opened *opened, struct sample_member *members, uint32_t count,
             uint32_t window_entries, enum rmill_pathname_order order)
{
    struct sample_options options = {
        .window_entries = window_entries, .frame_bytes = 8192, .order = order};

    *opened = (struct opened){0};
    sample_archive_build(members, count, &options, &opened->bytes);
    if (archive_open(opened) != 0) {
        fail_msg("%s", opened->error.advice);
    }
    assert_int_equal(rmill_index_decoder_create(&opened->decoder), 0);
}

static void
archive_close(struct opened *opened)
{
    rmill_index_decoder_destroy(opened->decoder);
    rmill_index_directory_destroy(opened->directory);
    rmill_buffer_deinit(&opened->bytes);
}

static int
page_open(struct opened *opened, uint64_t index)
{
    struct rmill_index_page page;

    rmill_index_page_get(opened->directory, index, &page);
    return rmill_index_page_decode(opened->decoder, opened->directory, index,
                                   opened->bytes.data + page.file_offset, &opened->error);
}

static void
assert_same_text(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes)
{
    assert_int_equal(a_bytes, b_bytes);
    if (a_bytes > 0) {
        assert_memory_equal(a, b, a_bytes);
    }
}

static void
assert_same_entry(const struct rmill_entry *a, const struct rmill_entry *b)
{
    assert_same_text(a->path, a->path_bytes, b->path, b->path_bytes);
    assert_same_text(a->link, a->link_bytes, b->link, b->link_bytes);
    assert_same_text(a->uname, a->uname_bytes, b->uname, b->uname_bytes);
    assert_same_text(a->gname, a->gname_bytes, b->gname, b->gname_bytes);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->mtime_s, b->mtime_s);
    assert_int_equal(a->mtime_ns, b->mtime_ns);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->raw_offset, b->raw_offset);
    assert_int_equal(a->header_bytes, b->header_bytes);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->hash_type, b->hash_type);
    assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
}

static void
entries_come_back_sorted_and_whole(void **state)
{
    struct sample_member members[8];
    uint32_t count = sample_tiny(members);
    struct opened opened;
    struct rmill_entry entry;

    archive_make(&opened, members, count, 65536, RMILL_PATHNAME_GROUPED);
    assert_int_equal(opened.directory->entry_count, count);
    assert_int_equal(opened.directory->page_count, 1);
    assert_int_equal(page_open(&opened, 0), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(rmill_index_page_next(opened.decoder, &entry, &opened.error), 1);
        assert_same_entry(&entry, &members[i].entry); /* Building sorted the members by path. */
    }
    assert_int_equal(rmill_index_page_next(opened.decoder, &entry, &opened.error), 0);
    assert_int_equal(rmill_index_page_next(opened.decoder, &entry, &opened.error), 0);
    archive_close(&opened);
}

static void
directory_tells_what_the_archive_was_made_with(void **state)
{
    struct sample_member members[8];
    struct opened opened;

    archive_make(&opened, members, sample_tiny(members), 65536, RMILL_PATHNAME_WALK);
    assert_int_equal(opened.directory->options.level, 3);
    assert_int_equal(opened.directory->options.chunk_bytes, RMILL_INDEX_CHUNK_BYTES_DEFAULT);
    assert_int_equal(opened.directory->options.order, RMILL_PATHNAME_WALK);
    assert_int_not_equal(opened.directory->options.zstd_version, 0);
    assert_int_equal(opened.directory->raw_bytes, opened.table.raw_bytes);
    assert_int_equal(rmill_index_directory_check(opened.directory, &opened.table, &opened.error),
                     0);
    archive_close(&opened);
}

static void
empty_archive_has_a_window_without_entries(void **state)
{
    struct opened opened;
    uint64_t index;

    archive_make(&opened, NULL, 0, 65536, RMILL_PATHNAME_GROUPED);
    assert_int_equal(opened.directory->entry_count, 0);
    assert_int_equal(opened.directory->page_count, 0);
    assert_int_equal(opened.directory->raw_bytes, 1024);
    assert_int_equal(rmill_index_directory_check(opened.directory, &opened.table, &opened.error),
                     0);
    assert_int_equal(rmill_index_page_find(opened.directory, "a", 1, &index), -ENOENT);
    archive_close(&opened);
}

/* Names of 6 digits: more than one page, and windows of 300 entries. */
#define MANY 1000

static struct sample_member *
many_members(char names[MANY][8])
{
    struct sample_member *members = calloc(MANY, sizeof(*members));
    struct sample_member tiny[8];

    assert_non_null(members);
    (void)sample_tiny(tiny);
    for (uint32_t i = 0; i < MANY; i++) {
        members[i] = tiny[1];
        (void)snprintf(names[i], sizeof(names[i]), "%06u", i * 2);
        members[i].entry.path = names[i];
        members[i].entry.path_bytes = 6;
    }
    return members;
}

static void
every_path_is_found_in_one_page_and_no_other_is(void **state)
{
    static char names[MANY][8];
    struct sample_member *members = many_members(names);
    struct opened opened;
    struct rmill_entry entry;
    uint64_t index;
    char absent[8];

    archive_make(&opened, members, MANY, 300, RMILL_PATHNAME_GROUPED);
    assert_int_equal(opened.directory->window_count, 4);
    assert_int_equal(opened.directory->page_count, 3 * 2 + 1);
    assert_int_equal(rmill_index_directory_check(opened.directory, &opened.table, &opened.error),
                     0);
    for (uint32_t i = 0; i < MANY; i += 37) {
        assert_int_equal(rmill_index_page_find(opened.directory, names[i], 6, &index), 0);
        assert_int_equal(page_open(&opened, index), 0);
        assert_int_equal(rmill_index_page_seek(opened.decoder, names[i], 6, &entry, &opened.error),
                         1);
        assert_same_entry(&entry, &members[i].entry);
        (void)snprintf(absent, sizeof(absent), "%06u", i * 2 + 1);
        assert_int_equal(rmill_index_page_find(opened.directory, absent, 6, &index), 0);
        assert_int_equal(page_open(&opened, index), 0);
        assert_int_equal(rmill_index_page_seek(opened.decoder, absent, 6, &entry, &opened.error),
                         0);
    }
    assert_int_equal(rmill_index_page_find(opened.directory, "", 0, &index), -ENOENT);
    archive_close(&opened);
    free(members);
}

static void
frame_records_cover_every_byte_of_the_tar(void **state)
{
    static char names[MANY][8];
    struct sample_member *members = many_members(names);
    static struct rmill_index_frame frames[RMILL_INDEX_FRAME_PAGE_FRAMES];
    struct opened opened;
    uint64_t raw = 0, file_offset, index;

    archive_make(&opened, members, MANY, 300, RMILL_PATHNAME_GROUPED);
    assert_int_equal(opened.directory->frame_page_count, 4);
    for (uint64_t i = 0; i < opened.directory->frame_page_count; i++) {
        struct rmill_index_frame_page page;

        rmill_index_frame_page_get(opened.directory, i, &page);
        assert_int_equal(page.first_raw_offset, raw);
        assert_int_equal(rmill_index_frame_page_decode(opened.decoder, opened.directory, i,
                                                       opened.bytes.data + page.file_offset, frames,
                                                       &opened.error),
                         0);
        file_offset = page.first_file_offset;
        for (uint32_t k = 0; k < page.frame_count; k++) {
            struct rmill_hash128 hash =
                rmill_hash128(opened.bytes.data + file_offset, frames[k].compressed_bytes);

            assert_memory_equal(hash.bytes, frames[k].compressed_hash.bytes, sizeof(hash.bytes));
            assert_int_equal(rmill_index_frame_page_find(opened.directory, raw, &index), 0);
            assert_int_equal(index, i);
            raw += frames[k].raw_bytes;
            file_offset += frames[k].compressed_bytes;
        }
    }
    assert_int_equal(raw, opened.directory->raw_bytes);
    assert_int_equal(rmill_index_frame_page_find(opened.directory, raw, &index), -ENOENT);
    archive_close(&opened);
    free(members);
}

static void
forward_scan_meets_every_window(void **state)
{
    static char names[MANY][8];
    struct sample_member *members = many_members(names);
    struct opened opened;

    archive_make(&opened, members, MANY, 300, RMILL_PATHNAME_WALK);
    for (uint32_t i = 0; i < opened.directory->window_count; i++) {
        struct rmill_index_window window;
        struct rmill_index_header header;

        rmill_index_window_get(opened.directory, i, &window);
        const uint8_t *frame = opened.bytes.data + window.file_offset;

        assert_int_equal(rmill_index_header_parse(frame, window.file_offset, &header, NULL), 0);
        assert_int_equal(header.kind, RMILL_INDEX_KIND_WINDOW);
        assert_int_equal(header.window, i);
        assert_int_equal(header.frame_bytes, window.frame_bytes);
        assert_int_equal(rmill_index_window_check(opened.directory, i, frame, NULL), 0);
    }
    archive_close(&opened);
    free(members);
}

static void
long_names_close_pages_early_and_still_fit(void **state)
{
    struct sample_member members[3];
    struct sample_member tiny[8];
    char *text = malloc(RMILL_ENTRY_PATH_BYTES_MAX + 3);
    struct opened opened;
    struct rmill_entry entry;

    assert_non_null(text);
    (void)sample_tiny(tiny);
    memset(text, 'n', RMILL_ENTRY_PATH_BYTES_MAX + 3);
    for (uint32_t i = 0; i < 3;
         i++) { /* "nnn...", each one byte shorter: ascending from the last. */
        members[i] = tiny[4];
        members[i].entry.path = text;
        members[i].entry.link = text + 3;
        members[i].entry.path_bytes = RMILL_ENTRY_PATH_BYTES_MAX - i;
        members[i].entry.link_bytes = RMILL_ENTRY_PATH_BYTES_MAX;
    }
    archive_make(&opened, members, 3, 65536, RMILL_PATHNAME_WALK);
    assert_int_equal(opened.directory->page_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(page_open(&opened, i), 0);
        assert_int_equal(rmill_index_page_next(opened.decoder, &entry, &opened.error), 1);
        assert_same_entry(&entry, &members[i].entry);
    }
    archive_close(&opened);
    free(text);
}

/* A window writer with one frame of 64 KiB raw. */
static struct rmill_index_window_writer *
window_with_a_frame(void)
{
    struct rmill_index_window_writer *writer;
    struct rmill_index_window_start start = {0};
    struct rmill_index_frame frame = {.compressed_bytes = 100, .raw_bytes = 65536};

    assert_int_equal(rmill_index_window_writer_create(&writer), 0);
    assert_int_equal(rmill_index_window_begin(writer, &start), 0);
    assert_int_equal(rmill_index_window_frame_add(writer, &frame), 0);
    return writer;
}

static void
writer_refuses_what_the_format_cannot_hold(void **state)
{
    struct sample_member members[8];
    struct rmill_index_window_writer *writer = window_with_a_frame();
    struct rmill_index_frame frame = {.compressed_bytes = 100, .raw_bytes = 65536};
    struct rmill_error error;

    (void)sample_tiny(members);
    struct rmill_entry entry = members[3].entry;

    entry.header_bytes = 512;
    entry.raw_offset = 65536;
    assert_int_equal(rmill_index_window_entry_add(writer, &entry, &error), -EINVAL);
    assert_non_null(strstr(error.advice, "outside its window"));
    entry.raw_offset = 0;
    assert_int_equal(rmill_index_window_entry_add(writer, &entry, &error), 0);
    assert_int_equal(rmill_index_window_entry_add(writer, &entry, &error), -EINVAL);
    assert_non_null(strstr(error.advice, "out of order"));
    assert_int_equal(rmill_index_window_frame_add(writer, &frame), -EINVAL);
    rmill_index_window_writer_destroy(writer);
}

static void
directory_refuses_a_window_that_does_not_follow(void **state)
{
    struct rmill_index_window_writer *writer = window_with_a_frame();
    struct rmill_index_options options = {.chunk_bytes = RMILL_INDEX_CHUNK_BYTES_DEFAULT};
    struct rmill_index_directory_writer *directory;
    struct rmill_buffer out = {0};
    const uint8_t *frame;
    size_t bytes;

    assert_int_equal(rmill_index_directory_writer_create(&options, &directory), 0);
    assert_int_equal(rmill_index_window_end(writer, &frame, &bytes), 0);
    assert_int_equal(rmill_index_directory_add(directory, writer, 100, NULL), 0);
    assert_int_equal(rmill_index_directory_add(directory, writer, 100, NULL), -EINVAL);
    assert_int_equal(rmill_index_directory_end(directory, 100 + bytes, 1, &out, NULL), -EINVAL);
    assert_int_equal(rmill_index_directory_end(directory, 100 + bytes, 65536, &out, NULL), 0);
    rmill_index_directory_writer_destroy(directory);
    options.chunk_bytes = 100000;
    assert_int_equal(rmill_index_directory_writer_create(&options, &directory), -EINVAL);
    assert_null(directory);
    rmill_index_window_writer_destroy(writer);
    rmill_buffer_deinit(&out);
}

static void
later_version_is_refused_as_such(void **state)
{
    struct sample_member members[8];
    struct opened opened;

    archive_make(&opened, members, sample_tiny(members), 65536, RMILL_PATHNAME_GROUPED);
    rmill_index_directory_destroy(opened.directory);
    opened.directory = NULL;
    uint8_t *footer =
        opened.bytes.data + opened.table_location.file_offset - RMILL_INDEX_FOOTER_BYTES;

    rmill_store_le16(footer + 32, RMILL_INDEX_VERSION + 1);
    assert_int_equal(archive_open(&opened), -ENOTSUP);
    assert_non_null(strstr(opened.error.advice, "version 2"));
    footer[47] ^= 1;
    assert_int_equal(archive_open(&opened), -ENOENT);
    archive_close(&opened);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_back_sorted_and_whole),
        cmocka_unit_test(directory_tells_what_the_archive_was_made_with),
        cmocka_unit_test(empty_archive_has_a_window_without_entries),
        cmocka_unit_test(every_path_is_found_in_one_page_and_no_other_is),
        cmocka_unit_test(frame_records_cover_every_byte_of_the_tar),
        cmocka_unit_test(forward_scan_meets_every_window),
        cmocka_unit_test(long_names_close_pages_early_and_still_fit),
        cmocka_unit_test(writer_refuses_what_the_format_cannot_hold),
        cmocka_unit_test(directory_refuses_a_window_that_does_not_follow),
        cmocka_unit_test(later_version_is_refused_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
