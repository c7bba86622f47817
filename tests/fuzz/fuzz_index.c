/* tests/fuzz/fuzz_index.c — hostile indexes. The first byte of the input says what the rest is:
 *
 *     0  a whole archive, as it is
 *     1  the decoded body of a directory: wrapped with sound sizes and hashes, so that what is
 *        checked behind them is reached
 *     2  u8 bytes of first path, u8 entry count, the first path, then the decoded page of entries:
 *        the same
 *     3  u8 frame count, then the decoded page of frame records: the same
 *
 * Whatever is accepted is read to the end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/assert.h"
#include "workloads/files/digest.h"
#include "workloads/files/index.h"
#include "workloads/files/index_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
pages_read(const struct rmill_index_directory *directory, const uint8_t *file, uint64_t file_bytes)
{
    static struct rmill_index_frame frames[RMILL_INDEX_FRAME_PAGE_FRAMES];
    struct rmill_index_decoder *decoder;
    struct rmill_error error;
    struct rmill_entry entry;
    uint64_t found;

    RMILL_ASSERT(rmill_index_decoder_create(&decoder) == 0);
    for (uint64_t i = 0; i < directory->page_count; i++) {
        struct rmill_index_page page;

        rmill_index_page_get(directory, i, &page);
        RMILL_ASSERT(
            rmill_index_page_find(directory, page.first_path, page.first_path_bytes, &found) == 0 &&
            found == i);
        if (page.file_offset + page.compressed_bytes <= file_bytes &&
            rmill_index_page_decode(decoder, directory, i, file + page.file_offset, &error) == 0) {
            while (rmill_index_page_next(decoder, &entry, &error) == 1) {
                RMILL_ASSERT(rmill_entry_check(&entry, NULL) == 0);
            }
        }
    }
    for (uint64_t i = 0; i < directory->frame_page_count; i++) {
        struct rmill_index_frame_page page;

        rmill_index_frame_page_get(directory, i, &page);
        if (page.file_offset + page.compressed_bytes <= file_bytes) {
            (void)rmill_index_frame_page_decode(decoder, directory, i, file + page.file_offset,
                                                frames, &error);
        }
    }
    rmill_index_decoder_destroy(decoder);
}

static void
archive_read(const uint8_t *file, size_t bytes)
{
    struct rmill_seekable_location place;
    struct rmill_seekable_table table;
    struct rmill_index_location location;
    struct rmill_index_directory *directory;
    struct rmill_error error;

    if (bytes < RMILL_SEEKABLE_FOOTER_BYTES ||
        rmill_seekable_footer_parse(file + bytes - RMILL_SEEKABLE_FOOTER_BYTES, bytes, &place,
                                    &error) < 0 ||
        place.file_offset < RMILL_INDEX_FOOTER_BYTES ||
        rmill_index_footer_parse(file + place.file_offset - RMILL_INDEX_FOOTER_BYTES,
                                 place.file_offset, &location, &error) < 0 ||
        rmill_index_directory_decode(file + location.file_offset, &location, &directory, &error) <
            0) {
        return;
    }
    if (rmill_seekable_parse(file + place.file_offset, &place, &table, &error) == 0) {
        (void)rmill_index_directory_check(directory, &table, &error);
    }
    for (uint32_t i = 0; i < directory->window_count; i++) {
        struct rmill_index_window window;

        rmill_index_window_get(directory, i, &window);
        (void)rmill_index_window_check(directory, i, file + window.file_offset, &error);
    }
    pages_read(directory, file, location.file_offset);
    rmill_index_directory_destroy(directory);
}

/* Wrap a directory body into a frame at `file_offset` behind the bytes of `file`, and decode it. */
static void
directory_read(struct rmill_buffer *file, const uint8_t *body, size_t bytes, uint32_t windows)
{
    struct rmill_index_location location;
    struct rmill_index_directory *directory;
    struct rmill_error error;
    size_t offset = file->bytes;

    if (bytes < DIRECTORY_HEAD_BYTES ||
        rmill_buffer_reserve(file, 4096 + ZSTD_compressBound(bytes)) < 0) {
        return;
    }
    uint8_t *header = file->data + offset;
    uint8_t *to = header + RMILL_INDEX_HEADER_BYTES;
    size_t packed = ZSTD_compress(to, ZSTD_compressBound(bytes), body, bytes, 1);

    RMILL_ASSERT(!ZSTD_isError(packed));
    header_put(header, RMILL_INDEX_KIND_DIRECTORY, windows, to, packed, RMILL_INDEX_FOOTER_BYTES);
    location = (struct rmill_index_location){.file_offset = offset,
                                             .frame_bytes = RMILL_INDEX_HEADER_BYTES + packed +
                                                            RMILL_INDEX_FOOTER_BYTES,
                                             .body_bytes = packed,
                                             .body_raw_bytes = bytes,
                                             .body_hash = rmill_hash128(to, packed)};
    memset(to + packed, 0, RMILL_INDEX_FOOTER_BYTES);
    rmill_store_le64(to + packed + FOOTER_BODY_RAW_BYTES, bytes);
    if (rmill_index_directory_decode(header, &location, &directory, &error) == 0) {
        pages_read(directory, file->data, offset);
        rmill_index_directory_destroy(directory);
    }
}

/* A directory of one window with one page of `kind` 2 or 3, raw, that stands in the file. */
static void
page_read(int kind, const uint8_t *data, size_t bytes)
{
    static uint8_t zeros[RMILL_INDEX_HEADER_BYTES + WINDOW_HEAD_BYTES];
    uint8_t body[DIRECTORY_HEAD_BYTES + WINDOW_BYTES + FRAME_PAGE_BYTES + 256] = {0};
    uint8_t *window = body + DIRECTORY_HEAD_BYTES;
    uint8_t *page = window + WINDOW_BYTES;
    size_t path_bytes = kind == 2 ? data[0] : 0;
    uint32_t count = kind == 2 ? data[1] : data[0];
    const uint8_t *raw = data + (kind == 2 ? 2 + path_bytes : 1);
    struct rmill_buffer file = {0};

    if (2 + path_bytes > bytes || rmill_buffer_append(&file, zeros, sizeof(zeros)) < 0 ||
        rmill_buffer_reserve(&file, ZSTD_compressBound(bytes)) < 0) {
        return;
    }
    size_t raw_bytes = bytes - (size_t)(raw - data);
    uint8_t *to = file.data + file.bytes;
    size_t packed = ZSTD_compress(to, ZSTD_compressBound(bytes), raw, raw_bytes, 1);

    rmill_store_le32(body + DIRECTORY_CHUNK_BYTES, RMILL_INDEX_CHUNK_BYTES_DEFAULT);
    rmill_store_le32(body + DIRECTORY_LEAF_BYTES, (uint32_t)RMILL_DIGEST_LEAF_BYTES);
    body[DIRECTORY_HASH_TYPE] = RMILL_ENTRY_HASH_XXH3_128;
    rmill_store_le32(body + DIRECTORY_WINDOW_COUNT, 1);
    rmill_store_le64(window + WINDOW_FRAME_BYTES, file.bytes + packed);
    rmill_store_le64(window + WINDOW_RAW_BYTES, (uint64_t)1 << 40);
    rmill_store_le64(body + DIRECTORY_RAW_BYTES, (uint64_t)1 << 40);
    if (kind == 2) {
        rmill_store_le64(body + DIRECTORY_ENTRY_COUNT, count);
        rmill_store_le64(body + DIRECTORY_PAGE_COUNT, 1);
        rmill_store_le64(body + DIRECTORY_PATHS_BYTES, path_bytes);
        rmill_store_le32(window + WINDOW_ENTRY_COUNT, count);
        rmill_store_le32(window + WINDOW_PAGE_COUNT, 1);
        rmill_store_le32(page + ENTRY_PAGE_PATH_BYTES, (uint32_t)path_bytes);
        rmill_store_le32(page + ENTRY_PAGE_OFFSET, sizeof(zeros));
        rmill_store_le32(page + ENTRY_PAGE_COMPRESSED_BYTES, (uint32_t)packed);
        rmill_store_le32(page + ENTRY_PAGE_RAW_BYTES, (uint32_t)raw_bytes);
        rmill_store_le32(page + ENTRY_PAGE_ENTRY_COUNT, count);
        hash_put(page + ENTRY_PAGE_HASH, rmill_hash128(to, packed));
        memcpy(page + ENTRY_PAGE_BYTES, data + 2, path_bytes);
    } else {
        rmill_store_le64(body + DIRECTORY_FRAME_COUNT, count);
        rmill_store_le64(body + DIRECTORY_FRAME_PAGE_COUNT, 1);
        rmill_store_le32(window + WINDOW_FRAME_COUNT, count);
        rmill_store_le32(window + WINDOW_FRAME_PAGE_COUNT, 1);
        rmill_store_le32(page + FRAME_PAGE_OFFSET, sizeof(zeros));
        rmill_store_le32(page + FRAME_PAGE_COMPRESSED_BYTES, (uint32_t)packed);
        rmill_store_le32(page + FRAME_PAGE_FRAME_COUNT, count);
        hash_put(page + FRAME_PAGE_HASH, rmill_hash128(to, packed));
    }
    file.bytes += packed;
    directory_read(&file, body,
                   DIRECTORY_HEAD_BYTES + WINDOW_BYTES +
                       (kind == 2 ? ENTRY_PAGE_BYTES + path_bytes : FRAME_PAGE_BYTES),
                   1);
    rmill_buffer_deinit(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rmill_buffer none = {0};

    if (bytes < 4) {
        return 0;
    }
    switch (data[0] & 3) {
    case 0:
        archive_read(data + 1, bytes - 1);
        break;
    case 1:
        directory_read(&none, data + 1, bytes - 1,
                       bytes > 24 ? rmill_load_le32(data + 1 + DIRECTORY_WINDOW_COUNT) : 0);
        rmill_buffer_deinit(&none);
        break;
    default:
        page_read(data[0] & 3, data + 1, bytes - 1);
        break;
    }
    return 0;
}
