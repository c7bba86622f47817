#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "workloads/files/digest.h"
#include "workloads/files/index_layout.h"
#include "workloads/files/index_private.h"

struct rmill_index_directory_writer {
    struct rmill_index_options options;
    struct rmill_buffer windows; /* Records as they go to disk; so the next three. */
    struct rmill_buffer frame_pages;
    struct rmill_buffer pages;
    struct rmill_buffer paths;
    struct rmill_buffer last_path;
    uint32_t window_count;
    uint64_t entry_count;
    uint64_t frame_count;
    uint64_t raw_bytes;
    uint64_t file_offset; /* Where the next window's first data frame must be. */
};

int
rmill_index_directory_writer_create(const struct rmill_index_options *options,
                                    struct rmill_index_directory_writer **writer)
{
    *writer = NULL;
    if (!rmill_is_power_of_two(options->chunk_bytes) ||
        options->chunk_bytes < RMILL_INDEX_CHUNK_BYTES_MIN ||
        options->chunk_bytes > RMILL_INDEX_CHUNK_BYTES_MAX ||
        options->order > RMILL_PATHNAME_WALK) {
        return -EINVAL;
    }
    struct rmill_index_directory_writer *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return -ENOMEM;
    }
    self->options = *options;
    *writer = self;
    return 0;
}

void
rmill_index_directory_writer_destroy(struct rmill_index_directory_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    rmill_buffer_deinit(&writer->windows);
    rmill_buffer_deinit(&writer->frame_pages);
    rmill_buffer_deinit(&writer->pages);
    rmill_buffer_deinit(&writer->paths);
    rmill_buffer_deinit(&writer->last_path);
    free(writer);
}

/* The window goes on where the one before ended, in the file, in the tar and in the order of
 * paths. */
static int
follows(const struct rmill_index_directory_writer *writer,
        const struct rmill_index_window_parts *parts, uint64_t file_offset,
        struct rmill_error *error)
{
    const struct rmill_index_window *window = &parts->window;

    if (window->frame_bytes == 0 || window->first_frame != writer->frame_count ||
        window->first_raw_offset != writer->raw_bytes ||
        window->first_file_offset != writer->file_offset || file_offset < writer->file_offset) {
        return rmill_error_set(error, -EINVAL, "window %u does not begin where the last one ended",
                               writer->window_count);
    }
    if (parts->pages.bytes > 0 && writer->last_path.bytes > 0 &&
        rmill_pathname_compare((const char *)writer->last_path.data, writer->last_path.bytes,
                               (const char *)parts->paths.data,
                               rmill_load_le32(parts->pages.data + ENTRY_PAGE_PATH_BYTES)) >= 0) {
        return rmill_error_set(error, -EINVAL,
                               "the paths of window %u do not follow those before it",
                               writer->window_count);
    }
    return 0;
}

static int
append(struct rmill_buffer *to, const struct rmill_buffer *from)
{
    return rmill_buffer_append(to, from->data, from->bytes);
}

static int
window_record_append(struct rmill_index_directory_writer *writer,
                     const struct rmill_index_window *window, uint64_t file_offset)
{
    uint8_t record[WINDOW_BYTES] = {0};

    rmill_store_le64(record + WINDOW_FILE_OFFSET, file_offset);
    rmill_store_le64(record + WINDOW_FRAME_BYTES, window->frame_bytes);
    rmill_store_le64(record + WINDOW_FIRST_FRAME, window->first_frame);
    rmill_store_le64(record + WINDOW_FIRST_FILE_OFFSET, window->first_file_offset);
    rmill_store_le64(record + WINDOW_FIRST_RAW_OFFSET, window->first_raw_offset);
    rmill_store_le64(record + WINDOW_RAW_BYTES, window->raw_bytes);
    rmill_store_le64(record + WINDOW_FIRST_FRAME_PAGE,
                     writer->frame_pages.bytes / FRAME_PAGE_BYTES);
    rmill_store_le64(record + WINDOW_FIRST_PAGE, writer->pages.bytes / ENTRY_PAGE_BYTES);
    rmill_store_le32(record + WINDOW_FRAME_COUNT, window->frame_count);
    rmill_store_le32(record + WINDOW_ENTRY_COUNT, window->entry_count);
    rmill_store_le32(record + WINDOW_FRAME_PAGE_COUNT, window->frame_page_count);
    rmill_store_le32(record + WINDOW_PAGE_COUNT, window->page_count);
    return rmill_buffer_append(&writer->windows, record, sizeof(record));
}

/* The window's pages counted everything from their window; here they learn their place among
 * all. */
static int
pages_append(struct rmill_index_directory_writer *writer,
             const struct rmill_index_window_parts *parts)
{
    size_t frame_pages_before = writer->frame_pages.bytes;
    size_t pages_before = writer->pages.bytes;
    int code = append(&writer->frame_pages, &parts->frame_pages);

    if (code == 0) {
        code = append(&writer->pages, &parts->pages);
    }
    if (code < 0) {
        return code;
    }
    for (size_t at = frame_pages_before; at < writer->frame_pages.bytes; at += FRAME_PAGE_BYTES) {
        rmill_store_le32(writer->frame_pages.data + at + FRAME_PAGE_WINDOW, writer->window_count);
    }
    for (size_t at = pages_before; at < writer->pages.bytes; at += ENTRY_PAGE_BYTES) {
        uint8_t *record = writer->pages.data + at;

        rmill_store_le32(record + ENTRY_PAGE_WINDOW, writer->window_count);
        rmill_store_le64(record + ENTRY_PAGE_PATH_OFFSET,
                         rmill_load_le64(record + ENTRY_PAGE_PATH_OFFSET) + writer->paths.bytes);
    }
    return append(&writer->paths, &parts->paths);
}

int
rmill_index_directory_add(struct rmill_index_directory_writer *writer,
                          const struct rmill_index_window_writer *window, uint64_t file_offset,
                          struct rmill_error *error)
{
    const struct rmill_index_window_parts *parts = rmill_index_window_parts(window);
    int code = follows(writer, parts, file_offset, error);

    if (code < 0) {
        return code;
    }
    code = window_record_append(writer, &parts->window, file_offset);
    if (code == 0) {
        code = pages_append(writer, parts);
    }
    if (code == 0 && parts->last_path.bytes > 0) {
        writer->last_path.bytes = 0;
        code = append(&writer->last_path, &parts->last_path);
    }
    if (code < 0) {
        return rmill_error_set(error, code, "no memory for the directory of window %u",
                               writer->window_count);
    }
    writer->window_count++;
    writer->entry_count += parts->window.entry_count;
    writer->frame_count += parts->window.frame_count;
    writer->raw_bytes += parts->window.raw_bytes;
    writer->file_offset = file_offset + parts->window.frame_bytes;
    return 0;
}

static void
head_put(const struct rmill_index_directory_writer *writer, uint8_t *head)
{
    memset(head, 0, DIRECTORY_HEAD_BYTES);
    rmill_store_le32(head + DIRECTORY_ZSTD_VERSION, writer->options.zstd_version);
    rmill_store_le32(head + DIRECTORY_LEVEL, (uint32_t)writer->options.level);
    rmill_store_le32(head + DIRECTORY_CHUNK_BYTES, writer->options.chunk_bytes);
    rmill_store_le32(head + DIRECTORY_LEAF_BYTES, (uint32_t)RMILL_DIGEST_LEAF_BYTES);
    head[DIRECTORY_HASH_TYPE] = RMILL_ENTRY_HASH_XXH3_128;
    head[DIRECTORY_ORDER] = (uint8_t)writer->options.order;
    rmill_store_le32(head + DIRECTORY_WINDOW_COUNT, writer->window_count);
    rmill_store_le64(head + DIRECTORY_ENTRY_COUNT, writer->entry_count);
    rmill_store_le64(head + DIRECTORY_RAW_BYTES, writer->raw_bytes);
    rmill_store_le64(head + DIRECTORY_FRAME_COUNT, writer->frame_count);
    rmill_store_le64(head + DIRECTORY_FRAME_PAGE_COUNT,
                     writer->frame_pages.bytes / FRAME_PAGE_BYTES);
    rmill_store_le64(head + DIRECTORY_PAGE_COUNT, writer->pages.bytes / ENTRY_PAGE_BYTES);
    rmill_store_le64(head + DIRECTORY_PATHS_BYTES, writer->paths.bytes);
}

/* Compress `body` into a whole frame behind what `out` has. */
static int
frame_append(uint32_t window_count, const struct rmill_buffer *body, struct rmill_buffer *out)
{
    size_t bound = ZSTD_compressBound(body->bytes);
    int code =
        rmill_buffer_reserve(out, RMILL_INDEX_HEADER_BYTES + bound + RMILL_INDEX_FOOTER_BYTES);

    if (code < 0) {
        return code;
    }
    uint8_t *header = out->data + out->bytes;
    uint8_t *to = header + RMILL_INDEX_HEADER_BYTES;
    size_t bytes = ZSTD_compress(to, bound, body->data, body->bytes, INDEX_ZSTD_LEVEL);

    if (ZSTD_isError(bytes)) {
        return -ENOMEM;
    }
    header_put(header, RMILL_INDEX_KIND_DIRECTORY, window_count, to, bytes,
               RMILL_INDEX_FOOTER_BYTES);
    uint8_t *footer = to + bytes;
    size_t frame_bytes = RMILL_INDEX_HEADER_BYTES + bytes + RMILL_INDEX_FOOTER_BYTES;

    memset(footer, 0, RMILL_INDEX_FOOTER_BYTES);
    rmill_store_le64(footer + FOOTER_BODY_BYTES, bytes);
    rmill_store_le64(footer + FOOTER_BODY_RAW_BYTES, body->bytes);
    hash_put(footer + FOOTER_BODY_HASH, rmill_hash128(to, bytes));
    rmill_store_le16(footer + FOOTER_VERSION, RMILL_INDEX_VERSION);
    rmill_store_le32(footer + FOOTER_FRAME_BYTES, (uint32_t)frame_bytes);
    memcpy(footer + FOOTER_MAGIC, DIRECTORY_MAGIC_TEXT, 8);
    out->bytes += frame_bytes;
    return 0;
}

int
rmill_index_directory_end(struct rmill_index_directory_writer *writer, uint64_t file_offset,
                          uint64_t raw_bytes, struct rmill_buffer *out, struct rmill_error *error)
{
    struct rmill_buffer body = {0};
    uint8_t head[DIRECTORY_HEAD_BYTES];

    if (raw_bytes != writer->raw_bytes || file_offset != writer->file_offset) {
        return rmill_error_set(
            error, -EINVAL,
            "the windows end at file offset %llu and tar offset %llu, not %llu and %llu",
            (unsigned long long)writer->file_offset, (unsigned long long)writer->raw_bytes,
            (unsigned long long)file_offset, (unsigned long long)raw_bytes);
    }
    if (DIRECTORY_HEAD_BYTES + writer->windows.bytes + writer->frame_pages.bytes +
            writer->pages.bytes + writer->paths.bytes >
        RMILL_INDEX_DIRECTORY_BYTES_MAX) {
        return rmill_error_set(error, -EFBIG,
                               "the index of this many entries passes the format's limit: make "
                               "several archives");
    }
    head_put(writer, head);
    int code = rmill_buffer_append(&body, head, sizeof(head));

    code = code == 0 ? append(&body, &writer->windows) : code;
    code = code == 0 ? append(&body, &writer->frame_pages) : code;
    code = code == 0 ? append(&body, &writer->pages) : code;
    code = code == 0 ? append(&body, &writer->paths) : code;
    code = code == 0 ? frame_append(writer->window_count, &body, out) : code;
    rmill_buffer_deinit(&body);
    return code < 0 ? rmill_error_set(error, code, "no memory for the directory") : 0;
}
