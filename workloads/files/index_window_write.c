#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "workloads/files/index_layout.h"
#include "workloads/files/index_private.h"

#define NAMES_MAX (2 * RMILL_INDEX_PAGE_ENTRIES)

/* The page of entries being filled: three runs of bytes that are joined when it closes. */
struct page {
    uint32_t entry_count;
    uint32_t name_count;
    uint32_t name_offsets[NAMES_MAX];
    uint32_t name_bytes[NAMES_MAX];
    struct rmill_buffer names;
    struct rmill_buffer rows;
    struct rmill_buffer digests;
    uint64_t raw_block_before; /* raw_offset / 512 of the entry before, 0 for the first. */
};

struct rmill_index_window_writer {
    ZSTD_CCtx *zstd;
    uint32_t window;           /* Its number. */
    uint64_t file_offset_end;  /* Behind the data frames added so far. */
    struct rmill_buffer frame; /* The skippable frame as it grows. */
    struct rmill_index_window_parts parts;
    struct page page;
    uint8_t *raw; /* RMILL_INDEX_PAGE_BYTES_MAX: a page before compression. */
    uint32_t pending_count;
    struct rmill_index_frame pending[RMILL_INDEX_FRAME_PAGE_FRAMES];
};

_Static_assert(RMILL_INDEX_FRAME_PAGE_FRAMES *RMILL_INDEX_FRAME_RECORD_BYTES <=
                   RMILL_INDEX_PAGE_BYTES_MAX,
               "a page of frame records fits the scratch");

int
rmill_index_window_writer_create(struct rmill_index_window_writer **writer)
{
    struct rmill_index_window_writer *self = calloc(1, sizeof(*self));

    *writer = NULL;
    if (self == NULL) {
        return -ENOMEM;
    }
    self->zstd = ZSTD_createCCtx();
    self->raw = malloc(RMILL_INDEX_PAGE_BYTES_MAX);
    if (self->zstd == NULL || self->raw == NULL ||
        ZSTD_isError(
            ZSTD_CCtx_setParameter(self->zstd, ZSTD_c_compressionLevel, INDEX_ZSTD_LEVEL))) {
        rmill_index_window_writer_destroy(self);
        return -ENOMEM;
    }
    *writer = self;
    return 0;
}

void
rmill_index_window_writer_destroy(struct rmill_index_window_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    (void)ZSTD_freeCCtx(writer->zstd);
    free(writer->raw);
    rmill_buffer_deinit(&writer->frame);
    rmill_buffer_deinit(&writer->parts.frame_pages);
    rmill_buffer_deinit(&writer->parts.pages);
    rmill_buffer_deinit(&writer->parts.paths);
    rmill_buffer_deinit(&writer->parts.last_path);
    rmill_buffer_deinit(&writer->page.names);
    rmill_buffer_deinit(&writer->page.rows);
    rmill_buffer_deinit(&writer->page.digests);
    free(writer);
}

const struct rmill_index_window_parts *
rmill_index_window_parts(const struct rmill_index_window_writer *writer)
{
    return &writer->parts;
}

static void
page_reset(struct page *page)
{
    page->entry_count = 0;
    page->name_count = 0;
    page->names.bytes = 0;
    page->rows.bytes = 0;
    page->digests.bytes = 0;
    page->raw_block_before = 0;
}

int
rmill_index_window_begin(struct rmill_index_window_writer *writer,
                         const struct rmill_index_window_start *start)
{
    static const uint8_t zeros[RMILL_INDEX_HEADER_BYTES + WINDOW_HEAD_BYTES];

    page_reset(&writer->page);
    writer->pending_count = 0;
    writer->window = start->window;
    writer->file_offset_end = start->first_file_offset;
    writer->frame.bytes = 0;
    writer->parts.frame_pages.bytes = 0;
    writer->parts.pages.bytes = 0;
    writer->parts.paths.bytes = 0;
    writer->parts.last_path.bytes = 0;
    writer->parts.window =
        (struct rmill_index_window){.first_frame = start->first_frame,
                                    .first_file_offset = start->first_file_offset,
                                    .first_raw_offset = start->first_raw_offset};
    return rmill_buffer_append(&writer->frame, zeros, sizeof(zeros));
}

/* Compress writer->raw behind what the frame has. Returns the compressed bytes or -errno. */
static int64_t
page_compress(struct rmill_index_window_writer *writer, size_t raw_bytes)
{
    struct rmill_buffer *frame = &writer->frame;
    int code = rmill_buffer_reserve(frame, ZSTD_compressBound(raw_bytes));

    if (code < 0) {
        return code;
    }
    size_t bytes = ZSTD_compress2(writer->zstd, frame->data + frame->bytes,
                                  frame->capacity - frame->bytes, writer->raw, raw_bytes);

    if (ZSTD_isError(bytes)) {
        return -ENOMEM; /* The output fits by its bound: nothing else is left to fail. */
    }
    if (frame->bytes + bytes > UINT32_MAX) {
        return -EFBIG;
    }
    return (int64_t)bytes;
}

/* ---- frames
 * ----------------------------------------------------------------------------------------- */

static void
frame_columns_put(uint8_t *raw, const struct rmill_index_frame *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rmill_store_le32(raw + FRAME_COMPRESSED_BYTES(count) + (size_t)4 * i,
                         frames[i].compressed_bytes);
        rmill_store_le32(raw + FRAME_RAW_BYTES(count) + (size_t)4 * i, frames[i].raw_bytes);
        raw[FRAME_FLAGS(count) + i] = (uint8_t)frames[i].flags;
        hash_put(raw + FRAME_COMPRESSED_HASHES(count) + (size_t)16 * i, frames[i].compressed_hash);
        hash_put(raw + FRAME_RAW_HASHES(count) + (size_t)16 * i, frames[i].raw_hash);
    }
}

/* Close the page of frame records, if one is open. */
static int
frame_page_close(struct rmill_index_window_writer *writer)
{
    uint32_t count = writer->pending_count;
    struct rmill_index_window *window = &writer->parts.window;
    uint64_t file_bytes = 0, raw_bytes = 0;
    uint8_t record[FRAME_PAGE_BYTES] = {0};

    if (count == 0) {
        return 0;
    }
    frame_columns_put(writer->raw, writer->pending, count);
    int64_t bytes = page_compress(writer, (size_t)count * RMILL_INDEX_FRAME_RECORD_BYTES);

    if (bytes < 0) {
        return (int)bytes;
    }
    for (uint32_t i = 0; i < count; i++) {
        file_bytes += writer->pending[i].compressed_bytes;
        raw_bytes += writer->pending[i].raw_bytes;
    }
    rmill_store_le64(record + FRAME_PAGE_FIRST_FRAME,
                     window->first_frame + window->frame_count - count);
    rmill_store_le64(record + FRAME_PAGE_FIRST_FILE_OFFSET, writer->file_offset_end - file_bytes);
    rmill_store_le64(record + FRAME_PAGE_FIRST_RAW_OFFSET,
                     window->first_raw_offset + window->raw_bytes - raw_bytes);
    rmill_store_le32(record + FRAME_PAGE_OFFSET, (uint32_t)writer->frame.bytes);
    rmill_store_le32(record + FRAME_PAGE_COMPRESSED_BYTES, (uint32_t)bytes);
    rmill_store_le32(record + FRAME_PAGE_FRAME_COUNT, count);
    hash_put(record + FRAME_PAGE_HASH,
             rmill_hash128(writer->frame.data + writer->frame.bytes, (size_t)bytes));
    writer->frame.bytes += (size_t)bytes;
    writer->pending_count = 0;
    window->frame_page_count++;
    return rmill_buffer_append(&writer->parts.frame_pages, record, sizeof(record));
}

int
rmill_index_window_frame_add(struct rmill_index_window_writer *writer,
                             const struct rmill_index_frame *frame)
{
    struct rmill_index_window *window = &writer->parts.window;

    if (window->entry_count > 0 || frame->compressed_bytes == 0 || frame->raw_bytes == 0 ||
        frame->raw_bytes > RMILL_SEEKABLE_RAW_BYTES_MAX ||
        (frame->flags & ~RMILL_INDEX_FRAME_FLAGS) != 0) {
        return -EINVAL;
    }
    if (window->frame_count == RMILL_SEEKABLE_ENTRIES_MAX) {
        return -EFBIG;
    }
    writer->pending[writer->pending_count++] = *frame;
    writer->file_offset_end += frame->compressed_bytes;
    window->raw_bytes += frame->raw_bytes;
    window->frame_count++;
    return writer->pending_count == RMILL_INDEX_FRAME_PAGE_FRAMES ? frame_page_close(writer) : 0;
}

/* ---- entries
 * ---------------------------------------------------------------------------------------- */

/* The record of the page that closes; its first path was put behind the others when it began. */
static void
entry_page_record(struct rmill_index_window_writer *writer, size_t raw_bytes, size_t bytes)
{
    uint8_t *record = writer->parts.pages.data + writer->parts.pages.bytes - ENTRY_PAGE_BYTES;

    rmill_store_le32(record + ENTRY_PAGE_OFFSET, (uint32_t)writer->frame.bytes);
    rmill_store_le32(record + ENTRY_PAGE_COMPRESSED_BYTES, (uint32_t)bytes);
    rmill_store_le32(record + ENTRY_PAGE_RAW_BYTES, (uint32_t)raw_bytes);
    rmill_store_le32(record + ENTRY_PAGE_ENTRY_COUNT, writer->page.entry_count);
    hash_put(record + ENTRY_PAGE_HASH,
             rmill_hash128(writer->frame.data + writer->frame.bytes, bytes));
    writer->frame.bytes += bytes;
    writer->parts.window.page_count++;
}

static void
run_put(uint8_t **to, const struct rmill_buffer *run)
{
    if (run->bytes > 0) {
        memcpy(*to, run->data, run->bytes);
        *to += run->bytes;
    }
}

/* Close the page of entries, if one is open. */
static int
entry_page_close(struct rmill_index_window_writer *writer)
{
    struct page *page = &writer->page;
    uint8_t *to = writer->raw;
    size_t raw_bytes = PAGE_HEAD_BYTES + page->names.bytes + page->rows.bytes + page->digests.bytes;

    if (page->entry_count == 0) {
        return 0;
    }
    RMILL_ASSERT(raw_bytes <= RMILL_INDEX_PAGE_BYTES_MAX);
    rmill_store_le32(to + PAGE_ENTRY_COUNT, page->entry_count);
    rmill_store_le32(to + PAGE_NAMES_BYTES, (uint32_t)page->names.bytes);
    rmill_store_le32(to + PAGE_ROWS_BYTES, (uint32_t)page->rows.bytes);
    rmill_store_le32(to + PAGE_DIGESTS_BYTES, (uint32_t)page->digests.bytes);
    to += PAGE_HEAD_BYTES;
    run_put(&to, &page->names);
    run_put(&to, &page->rows);
    run_put(&to, &page->digests);
    int64_t bytes = page_compress(writer, raw_bytes);

    if (bytes < 0) {
        return (int)bytes;
    }
    entry_page_record(writer, raw_bytes, (size_t)bytes);
    page_reset(page);
    return 0;
}

/* The first path of a page opens its record. */
static int
entry_page_open(struct rmill_index_window_writer *writer, const struct rmill_entry *entry)
{
    uint8_t record[ENTRY_PAGE_BYTES] = {0};

    rmill_store_le64(record + ENTRY_PAGE_PATH_OFFSET, writer->parts.paths.bytes);
    rmill_store_le32(record + ENTRY_PAGE_PATH_BYTES, entry->path_bytes);
    int code = rmill_buffer_append(&writer->parts.pages, record, sizeof(record));

    if (code == 0) {
        code = rmill_buffer_append(&writer->parts.paths, entry->path, entry->path_bytes);
    }
    return code;
}

/* The number of an owner's name in the page's table, from 1; 0 for none; -ENOMEM. */
static int
name_number(struct page *page, const char *name, uint32_t bytes)
{
    uint8_t length[VARINT_BYTES_MAX];

    if (bytes == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < page->name_count; i++) {
        if (page->name_bytes[i] == bytes &&
            memcmp(page->names.data + page->name_offsets[i], name, bytes) == 0) {
            return (int)i + 1;
        }
    }
    int code =
        rmill_buffer_append(&page->names, length, (size_t)(varint_put(length, bytes) - length));

    page->name_offsets[page->name_count] = (uint32_t)page->names.bytes;
    page->name_bytes[page->name_count] = bytes;
    if (code == 0) {
        code = rmill_buffer_append(&page->names, name, bytes);
    }
    return code < 0 ? code : (int)++page->name_count;
}

/* Bytes both paths begin with; the page's first entry shares none. */
static size_t
shared_bytes(const struct rmill_index_window_writer *writer, const struct rmill_entry *entry)
{
    const struct rmill_buffer *before = &writer->parts.last_path;
    size_t limit = rmill_min_u64(before->bytes, entry->path_bytes);
    size_t shared = 0;

    if (writer->page.entry_count == 0) {
        return 0;
    }
    while (shared < limit && before->data[shared] == (uint8_t)entry->path[shared]) {
        shared++;
    }
    return shared;
}

/* Append the row; room for it is there. */
static void
row_put(struct page *page, const struct rmill_entry *entry, size_t shared, const int names[2])
{
    uint8_t *to = page->rows.data + page->rows.bytes;
    uint64_t raw_block = entry->raw_offset / 512;

    to = varint_put(to, shared);
    to = varint_put(to, entry->path_bytes - shared);
    memcpy(to, entry->path + shared, entry->path_bytes - shared);
    to += entry->path_bytes - shared;
    *to++ = entry->type;
    *to++ = entry->hash_type;
    to = varint_put(to, entry->flags);
    to = varint_put(to, entry->mode);
    to = varint_put(to, entry->uid);
    to = varint_put(to, entry->gid);
    to = varint_put(to, (uint64_t)names[0]);
    to = varint_put(to, (uint64_t)names[1]);
    to = varint_put(to, zigzag(entry->mtime_s));
    to = varint_put(to, entry->mtime_ns);
    to = varint_put(to, entry->size);
    to = varint_put(to, zigzag((int64_t)(raw_block - page->raw_block_before)));
    to = varint_put(to, entry->header_bytes / 512);
    to = varint_put(to, entry->link_bytes);
    if (entry->link_bytes > 0) {
        memcpy(to, entry->link, entry->link_bytes);
        to += entry->link_bytes;
    }
    to = varint_put(to, 0); /* References to chunks stored elsewhere: reserved. */
    page->rows.bytes = (size_t)(to - page->rows.data);
    page->raw_block_before = raw_block;
}

static int
entry_append(struct rmill_index_window_writer *writer, const struct rmill_entry *entry)
{
    struct page *page = &writer->page;
    size_t shared = shared_bytes(writer, entry);
    int names[2] = {name_number(page, entry->uname, entry->uname_bytes),
                    name_number(page, entry->gname, entry->gname_bytes)};
    int code = names[0] < 0 ? names[0] : names[1] < 0 ? names[1] : 0;

    if (code == 0) {
        code = rmill_buffer_reserve(&page->rows,
                                    ENTRY_FIXED_BYTES_MAX + entry->path_bytes + entry->link_bytes);
    }
    if (code == 0) {
        code = rmill_buffer_append(&page->digests, entry->digest,
                                   (size_t)rmill_entry_digest_bytes(entry->hash_type));
    }
    if (code == 0) {
        row_put(page, entry, shared, names);
        page->entry_count++;
        writer->parts.last_path.bytes = 0;
        code = rmill_buffer_append(&writer->parts.last_path, entry->path, entry->path_bytes);
    }
    return code;
}

/* Order, limits, and that the entry lies in the window's part of the tar. */
static int
entry_accept(const struct rmill_index_window_writer *writer, const struct rmill_entry *entry,
             struct rmill_error *error)
{
    const struct rmill_index_window *window = &writer->parts.window;
    const struct rmill_buffer *before = &writer->parts.last_path;
    const char *fault = NULL;
    int code = rmill_entry_check(entry, error);

    if (code < 0) {
        return code;
    }
    if (before->bytes > 0 && rmill_pathname_compare((const char *)before->data, before->bytes,
                                                    entry->path, entry->path_bytes) >= 0) {
        fault = "comes out of order or twice";
    } else if (entry->raw_offset < window->first_raw_offset ||
               rmill_entry_raw_end(entry) > window->first_raw_offset + window->raw_bytes) {
        fault = "lies outside its window";
    } else if (window->entry_count == RMILL_INDEX_WINDOW_ENTRIES) {
        fault = "is one too many for a window";
    }
    if (fault != NULL) {
        char name[128];

        (void)rmill_pathname_escape(name, sizeof(name), entry->path, entry->path_bytes);
        return rmill_error_set(error, -EINVAL, "entry %s %s", name, fault);
    }
    return 0;
}

int
rmill_index_window_entry_add(struct rmill_index_window_writer *writer,
                             const struct rmill_entry *entry, struct rmill_error *error)
{
    struct page *page = &writer->page;
    int code = entry_accept(writer, entry, error);

    if (code < 0) {
        return code;
    }
    size_t bytes = PAGE_HEAD_BYTES + page->names.bytes + page->rows.bytes + page->digests.bytes +
                   entry->path_bytes + entry->link_bytes + ENTRY_FIXED_BYTES_MAX;

    if (writer->pending_count > 0) {
        code = frame_page_close(writer);
    }
    if (code == 0 &&
        (page->entry_count == RMILL_INDEX_PAGE_ENTRIES || bytes > RMILL_INDEX_PAGE_BYTES)) {
        code = entry_page_close(writer);
    }
    if (code == 0 && page->entry_count == 0) {
        code = entry_page_open(writer, entry);
    }
    if (code == 0) {
        code = entry_append(writer, entry);
    }
    writer->parts.window.entry_count += code == 0;
    return code < 0 ? rmill_error_set(error, code, "the index of a window cannot be built") : 0;
}

int
rmill_index_window_end(struct rmill_index_window_writer *writer, const uint8_t **frame,
                       size_t *frame_bytes)
{
    struct rmill_index_window *window = &writer->parts.window;
    int code = frame_page_close(writer);

    if (code == 0) {
        code = entry_page_close(writer);
    }
    if (code < 0) {
        return code;
    }
    uint8_t *head = writer->frame.data + RMILL_INDEX_HEADER_BYTES;

    window->frame_bytes = writer->frame.bytes;
    rmill_store_le64(head + WINDOW_HEAD_FIRST_FRAME, window->first_frame);
    rmill_store_le64(head + WINDOW_HEAD_FIRST_FILE_OFFSET, window->first_file_offset);
    rmill_store_le64(head + WINDOW_HEAD_FIRST_RAW_OFFSET, window->first_raw_offset);
    rmill_store_le64(head + WINDOW_HEAD_RAW_BYTES, window->raw_bytes);
    rmill_store_le32(head + WINDOW_HEAD_FRAME_COUNT, window->frame_count);
    rmill_store_le32(head + WINDOW_HEAD_ENTRY_COUNT, window->entry_count);
    rmill_store_le32(head + WINDOW_HEAD_FRAME_PAGE_COUNT, window->frame_page_count);
    rmill_store_le32(head + WINDOW_HEAD_PAGE_COUNT, window->page_count);
    header_put(writer->frame.data, RMILL_INDEX_KIND_WINDOW, writer->window, head,
               writer->frame.bytes - RMILL_INDEX_HEADER_BYTES, 0);
    *frame = writer->frame.data;
    *frame_bytes = writer->frame.bytes;
    return 0;
}
