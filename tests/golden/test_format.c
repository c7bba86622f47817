/* Goal: archives written once stay readable, damaged ones stay refused, for the same reason.
 * Method: tests/golden/format/ (its README names each file) is read with today's code; the tiny
 * archive is also built again and compared byte by byte when libzstd is of the release that made
 * it. RMILL_GOLDEN_MAKE=1 writes the files anew: only after a deliberate change of the format. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/bytes.h"
#include "tests/archive_sample.h"
#include "workloads/files/index.h"
#include "workloads/files/seekable.h"
#include "workloads/files/tar.h"

#define FOLDER "tests/golden/format/"

static void
file_read(const char *name, struct rmill_buffer *bytes)
{
    char path[256];
    uint8_t block[4096];
    size_t got;

    (void)snprintf(path, sizeof(path), FOLDER "%s", name);
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fail_msg("%s: %s (run from the root of the tree)", path, strerror(errno));
        return;
    }
    bytes->bytes = 0;
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        assert_int_equal(rmill_buffer_append(bytes, block, got), 0);
    }
    (void)fclose(file);
}

static void
file_write(const char *name, const uint8_t *data, size_t bytes)
{
    char path[256];

    (void)snprintf(path, sizeof(path), FOLDER "%s", name);
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void
tiny_build(struct rmill_buffer *bytes)
{
    struct sample_member members[8];
    struct sample_options options = {
        .window_entries = 65536, .frame_bytes = 2 << 20, .order = RMILL_PATHNAME_GROUPED};

    sample_archive_build(members, sample_tiny(members), &options, bytes);
}

/* What a reader says of a whole archive: 0 and the count of entries, or the first -errno and its
 * advice. */
struct verdict {
    int code;
    uint64_t entry_count;
    struct rmill_error error;
};

static int
pages_read(const struct rmill_buffer *bytes, const struct rmill_index_directory *directory,
           struct verdict *verdict)
{
    struct rmill_index_decoder *decoder;
    struct rmill_entry entry;
    int code = 0;

    assert_int_equal(rmill_index_decoder_create(&decoder), 0);
    for (uint64_t i = 0; code >= 0 && i < directory->page_count; i++) {
        struct rmill_index_page page;

        rmill_index_page_get(directory, i, &page);
        code = rmill_index_page_decode(decoder, directory, i, bytes->data + page.file_offset,
                                       &verdict->error);
        while (code >= 0 && (code = rmill_index_page_next(decoder, &entry, &verdict->error)) == 1) {
            verdict->entry_count++;
        }
    }
    rmill_index_decoder_destroy(decoder);
    return code;
}

static struct verdict
archive_read(const struct rmill_buffer *bytes)
{
    struct verdict verdict = {0};
    struct rmill_seekable_location place;
    struct rmill_seekable_table table;
    struct rmill_index_location location;
    struct rmill_index_directory *directory = NULL;
    const uint8_t *data = bytes->data;
    const uint8_t *footer = data + bytes->bytes - RMILL_SEEKABLE_FOOTER_BYTES;

    verdict.code = rmill_seekable_footer_parse(footer, bytes->bytes, &place, &verdict.error);
    if (verdict.code == 0) {
        verdict.code =
            rmill_seekable_parse(data + place.file_offset, &place, &table, &verdict.error);
    }
    if (verdict.code == 0) {
        verdict.code = rmill_index_footer_parse(data + place.file_offset - RMILL_INDEX_FOOTER_BYTES,
                                                place.file_offset, &location, &verdict.error);
    }
    if (verdict.code == 0) {
        verdict.code = rmill_index_directory_decode(data + location.file_offset, &location,
                                                    &directory, &verdict.error);
    }
    if (verdict.code == 0) {
        verdict.code = rmill_index_directory_check(directory, &table, &verdict.error);
    }
    if (verdict.code == 0) {
        verdict.code = rmill_index_window_check(
            directory, 0, data + rmill_seekable_get(&table, 0).compressed_bytes, &verdict.error);
    }
    if (verdict.code == 0) {
        verdict.code = pages_read(bytes, directory, &verdict);
    }
    rmill_index_directory_destroy(directory);
    return verdict;
}

/* Damage done to the tiny archive: a byte changed, or the end cut off. Offsets count from the
 * place named. */
enum place { FROM_START, FROM_WINDOW, FROM_DIRECTORY, FROM_FOOTER, FROM_TABLE, FROM_END };

static const struct damage {
    const char *name;
    enum place place;
    int64_t offset;
    uint8_t flip; /* 0: cut here. */
    int code;
    const char *advice; /* Part of what must be said. */
} damages[] = {
    {"cut.tar.zst", FROM_END, -1, 0, -EBADMSG, "no seek table at the end"},
    {"table-magic.tar.zst", FROM_END, -1, 0x01, -EBADMSG, "no seek table at the end"},
    {"table-count.tar.zst", FROM_END, -7, 0x40, -EBADMSG, "more than the file has room for"},
    {"table-reserved.tar.zst", FROM_END, -5, 0x04, -EBADMSG, "reserved bits"},
    {"table-size.tar.zst", FROM_TABLE, 8, 0x01, -EBADMSG, "add up to"},
    {"table-header.tar.zst", FROM_TABLE, 4, 0x01, -EBADMSG, "no seek table begins"},
    {"footer-magic.tar.zst", FROM_FOOTER, 47, 0x20, -ENOENT, "no ringmill index"},
    {"footer-version.tar.zst", FROM_FOOTER, 32, 0x03, -ENOTSUP, "version 2"},
    {"footer-size.tar.zst", FROM_FOOTER, 36, 0x08, -EBADMSG, "contradicts itself"},
    {"footer-hash.tar.zst", FROM_FOOTER, 20, 0x10, -EBADMSG, "contradicts its footer"},
    {"directory-header.tar.zst", FROM_DIRECTORY, 24, 0x01, -EBADMSG, "header of the index frame"},
    {"directory-body.tar.zst", FROM_DIRECTORY, 100, 0x80, -EBADMSG, "hash does not match"},
    {"window-header.tar.zst", FROM_WINDOW, 20, 0x01, -EBADMSG, "header of the index frame"},
    {"window-body.tar.zst", FROM_WINDOW, 200, 0x01, -EBADMSG, "hash does not match"},
};

static uint64_t
offset_of(const struct damage *damage, const struct rmill_buffer *tiny)
{
    struct rmill_seekable_location table;
    struct rmill_index_location directory;
    struct rmill_seekable_table view;
    uint64_t base[] = {0, 0, 0, 0, 0, tiny->bytes};

    assert_int_equal(
        rmill_seekable_footer_parse(tiny->data + tiny->bytes - 9, tiny->bytes, &table, NULL), 0);
    assert_int_equal(rmill_seekable_parse(tiny->data + table.file_offset, &table, &view, NULL), 0);
    base[FROM_TABLE] = table.file_offset;
    base[FROM_FOOTER] = table.file_offset - RMILL_INDEX_FOOTER_BYTES;
    assert_int_equal(rmill_index_footer_parse(tiny->data + base[FROM_FOOTER], table.file_offset,
                                              &directory, NULL),
                     0);
    base[FROM_DIRECTORY] = directory.file_offset;
    base[FROM_WINDOW] = rmill_seekable_get(&view, 0).compressed_bytes;
    return (uint64_t)((int64_t)base[damage->place] + damage->offset);
}

static int
golden_make(void **state)
{
    struct rmill_buffer tiny = {0};

    if (getenv("RMILL_GOLDEN_MAKE") == NULL) {
        return 0;
    }
    tiny_build(&tiny);
    file_write("tiny.tar.zst", tiny.data, tiny.bytes);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(damages); i++) {
        uint64_t at = offset_of(&damages[i], &tiny);

        tiny.data[at] ^= damages[i].flip;
        file_write(damages[i].name, tiny.data, damages[i].flip != 0 ? tiny.bytes : at);
        tiny.data[at] ^= damages[i].flip;
    }
    rmill_buffer_deinit(&tiny);
    return 0;
}

static void
tiny_archive_is_read_whole(void **state)
{
    struct rmill_buffer bytes = {0};

    file_read("tiny.tar.zst", &bytes);
    struct verdict verdict = archive_read(&bytes);

    assert_int_equal(verdict.code, 0);
    assert_int_equal(verdict.entry_count, 5);
    rmill_buffer_deinit(&bytes);
}

static void
tiny_archive_is_built_the_same_today(void **state)
{
    struct rmill_buffer stored = {0}, built = {0};

    if (ZSTD_versionNumber() != 10504) {
        SKIP_BECAUSE("the golden archive was made with libzstd 1.5.4");
    }
    file_read("tiny.tar.zst", &stored);
    tiny_build(&built);
    assert_int_equal(stored.bytes, built.bytes);
    assert_memory_equal(stored.data, built.data, stored.bytes);
    rmill_buffer_deinit(&stored);
    rmill_buffer_deinit(&built);
}

static void
damaged_archives_are_refused_for_their_reason(void **state)
{
    struct rmill_buffer bytes = {0};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(damages); i++) {
        file_read(damages[i].name, &bytes);
        struct verdict verdict = archive_read(&bytes);

        if (verdict.code != damages[i].code ||
            strstr(verdict.error.advice, damages[i].advice) == NULL) {
            fail_msg("%s: %d \"%s\"", damages[i].name, verdict.code, verdict.error.advice);
        }
    }
    rmill_buffer_deinit(&bytes);
}

static void
tar_headers_are_read_or_refused_for_their_reason(void **state)
{
    static const struct {
        const char *name;
        int result;
        const char *path;   /* Of the member, or NULL. */
        const char *advice; /* Part of what must be said, or NULL. */
    } rows[] = {
        {"pax.tar", RMILL_TAR_MEMBER, "mill/grain.txt", NULL},
        {"checksum.tar", -EBADMSG, NULL, "checksum"},
        {"pax-length.tar", -EBADMSG, NULL, "pax record"},
        {"pax-cut.tar", -EAGAIN, NULL, NULL},
        {"lone-zero-block.tar", -EBADMSG, NULL, "single zero block"},
    };
    struct rmill_buffer bytes = {0};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rows); i++) {
        struct rmill_tar_parser parser = {0};
        struct rmill_entry entry;
        struct rmill_error error = {0};
        size_t header_bytes;

        file_read(rows[i].name, &bytes);
        int result =
            rmill_tar_header_parse(&parser, bytes.data, bytes.bytes, &entry, &header_bytes, &error);

        assert_int_equal(result, rows[i].result);
        if (rows[i].path != NULL) {
            assert_int_equal(entry.path_bytes, strlen(rows[i].path));
            assert_memory_equal(entry.path, rows[i].path, entry.path_bytes);
        }
        assert_true(rows[i].advice == NULL || strstr(error.advice, rows[i].advice) != NULL);
    }
    rmill_buffer_deinit(&bytes);
}

/* The tar headers beside the archives: written by the same switch. */
static int
golden_make_tar(void **state)
{
    struct sample_member members[8];
    uint8_t bytes[4096];

    if (getenv("RMILL_GOLDEN_MAKE") == NULL) {
        return golden_make(state);
    }
    (void)sample_tiny(members);
    uint32_t count = rmill_tar_header_write(&members[1].entry, bytes);

    file_write("pax.tar", bytes, count);
    file_write("pax-cut.tar", bytes, 1024);
    bytes[count - 512] ^= 1;
    file_write("checksum.tar", bytes, count);
    bytes[count - 512] ^= 1;
    bytes[512] = '9'; /* LEN of the first record: longer than its records. */
    file_write("pax-length.tar", bytes, count);
    memset(bytes, 0, 512);
    bytes[512] = 1;
    file_write("lone-zero-block.tar", bytes, 1024);
    return golden_make(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_archive_is_read_whole),
        cmocka_unit_test(tiny_archive_is_built_the_same_today),
        cmocka_unit_test(damaged_archives_are_refused_for_their_reason),
        cmocka_unit_test(tar_headers_are_read_or_refused_for_their_reason),
    };

    return cmocka_run_group_tests(tests, golden_make_tar, NULL);
}
