#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "workloads/files/digest.h"
#include "workloads/files/index_layout.h"

#define LLU(value) ((unsigned long long)(value))

int
rmill_index_footer_parse(const void *footer, uint64_t end_offset,
                         struct rmill_index_location *location, struct rmill_error *error)
{
    const uint8_t *bytes = footer;
    uint64_t at = end_offset - RMILL_INDEX_FOOTER_BYTES;

    if (end_offset < RMILL_INDEX_HEADER_BYTES + RMILL_INDEX_FOOTER_BYTES ||
        memcmp(bytes + FOOTER_MAGIC, DIRECTORY_MAGIC_TEXT, 8) != 0) {
        return rmill_error_set(error, -ENOENT, "no ringmill index before offset %llu",
                               LLU(end_offset));
    }
    uint16_t version = rmill_load_le16(bytes + FOOTER_VERSION);
    uint64_t frame_bytes = rmill_load_le32(bytes + FOOTER_FRAME_BYTES);
    uint64_t body_bytes = rmill_load_le64(bytes + FOOTER_BODY_BYTES);
    uint64_t raw_bytes = rmill_load_le64(bytes + FOOTER_BODY_RAW_BYTES);

    if (version != RMILL_INDEX_VERSION) {
        return rmill_error_set(error, -ENOTSUP,
                               "the index is of version %u, this program reads version %u", version,
                               RMILL_INDEX_VERSION);
    }
    if (rmill_load_le16(bytes + FOOTER_RESERVED) != 0 || frame_bytes > end_offset ||
        frame_bytes < RMILL_INDEX_HEADER_BYTES + RMILL_INDEX_FOOTER_BYTES ||
        body_bytes != frame_bytes - RMILL_INDEX_HEADER_BYTES - RMILL_INDEX_FOOTER_BYTES ||
        raw_bytes < DIRECTORY_HEAD_BYTES || raw_bytes > RMILL_INDEX_DIRECTORY_BYTES_MAX) {
        return rmill_error_set(
            error, -EBADMSG, "the footer of the index at offset %llu contradicts itself", LLU(at));
    }
    *location = (struct rmill_index_location){.file_offset = end_offset - frame_bytes,
                                              .frame_bytes = frame_bytes,
                                              .body_bytes = body_bytes,
                                              .body_raw_bytes = raw_bytes,
                                              .body_hash = hash_get(bytes + FOOTER_BODY_HASH)};
    return 0;
}

/* ---- checks of the decoded body
 * --------------------------------------------------------------------- */

/* What is being checked, and the sums that must come out. */
struct check {
    const struct rmill_index_directory *directory;
    struct rmill_error *error;
    uint64_t paths_bytes;
};

static RMILL_COLD int
damage(const struct check *check, const char *what, uint64_t number)
{
    return rmill_error_set(check->error, -EBADMSG,
                           "the directory at offset %llu contradicts itself: %s %llu",
                           LLU(check->directory->file_offset), what, LLU(number));
}

/* Counts of the head against the body's length: only then are the records where they should be. */
static int
head_read(struct rmill_index_directory *directory, uint64_t body_raw_bytes, struct check *check)
{
    const uint8_t *head = directory->body;
    uint64_t left = body_raw_bytes - DIRECTORY_HEAD_BYTES;

    directory->options =
        (struct rmill_index_options){.zstd_version = rmill_load_le32(head + DIRECTORY_ZSTD_VERSION),
                                     .level = (int32_t)rmill_load_le32(head + DIRECTORY_LEVEL),
                                     .chunk_bytes = rmill_load_le32(head + DIRECTORY_CHUNK_BYTES),
                                     .order = head[DIRECTORY_ORDER]};
    directory->window_count = rmill_load_le32(head + DIRECTORY_WINDOW_COUNT);
    directory->entry_count = rmill_load_le64(head + DIRECTORY_ENTRY_COUNT);
    directory->raw_bytes = rmill_load_le64(head + DIRECTORY_RAW_BYTES);
    directory->frame_count = rmill_load_le64(head + DIRECTORY_FRAME_COUNT);
    directory->frame_page_count = rmill_load_le64(head + DIRECTORY_FRAME_PAGE_COUNT);
    directory->page_count = rmill_load_le64(head + DIRECTORY_PAGE_COUNT);
    check->paths_bytes = rmill_load_le64(head + DIRECTORY_PATHS_BYTES);
    if (rmill_load_le32(head + DIRECTORY_LEAF_BYTES) != RMILL_DIGEST_LEAF_BYTES ||
        head[DIRECTORY_HASH_TYPE] != RMILL_ENTRY_HASH_XXH3_128 ||
        directory->options.order > RMILL_PATHNAME_WALK ||
        !is_all_zero(head + DIRECTORY_RESERVED1, 2) ||
        !is_all_zero(head + DIRECTORY_RESERVED2, DIRECTORY_HEAD_BYTES - DIRECTORY_RESERVED2)) {
        return rmill_error_set(check->error, -ENOTSUP,
                               "the archive uses a leaf size, hash, order or reserved field that "
                               "this version does not know");
    }
    if (!rmill_is_power_of_two(directory->options.chunk_bytes) ||
        directory->options.chunk_bytes < RMILL_INDEX_CHUNK_BYTES_MIN ||
        directory->options.chunk_bytes > RMILL_INDEX_CHUNK_BYTES_MAX) {
        return damage(check, "a chunk size of", directory->options.chunk_bytes);
    }
    if (directory->window_count > left / WINDOW_BYTES ||
        directory->frame_page_count > left / FRAME_PAGE_BYTES ||
        directory->page_count > left / ENTRY_PAGE_BYTES || check->paths_bytes > left ||
        left != directory->window_count * (uint64_t)WINDOW_BYTES +
                    directory->frame_page_count * FRAME_PAGE_BYTES +
                    directory->page_count * ENTRY_PAGE_BYTES + check->paths_bytes) {
        return damage(check, "counts that do not add up to its bytes,", body_raw_bytes);
    }
    directory->windows = head + DIRECTORY_HEAD_BYTES;
    directory->frame_pages = directory->windows + directory->window_count * (size_t)WINDOW_BYTES;
    directory->pages = directory->frame_pages + directory->frame_page_count * FRAME_PAGE_BYTES;
    directory->paths = (const char *)directory->pages + directory->page_count * ENTRY_PAGE_BYTES;
    return 0;
}

/* The pages of frame records of a window: one after the other, counts as the window says.
 * `*offset` is where the next page of the window's frame begins. */
static int
frame_pages_check(const struct check *check, const struct rmill_index_window *window,
                  uint32_t number, uint64_t *offset)
{
    uint64_t next_frame = window->first_frame;
    uint64_t file_offset = window->first_file_offset;
    uint64_t raw_offset = window->first_raw_offset;

    for (uint32_t i = 0; i < window->frame_page_count; i++) {
        uint64_t index = window->first_frame_page + i;
        const uint8_t *record = check->directory->frame_pages + index * FRAME_PAGE_BYTES;
        uint64_t frames = rmill_load_le32(record + FRAME_PAGE_FRAME_COUNT);
        uint64_t bytes = rmill_load_le32(record + FRAME_PAGE_COMPRESSED_BYTES);
        uint64_t page_file_offset = rmill_load_le64(record + FRAME_PAGE_FIRST_FILE_OFFSET);
        uint64_t page_raw_offset = rmill_load_le64(record + FRAME_PAGE_FIRST_RAW_OFFSET);

        if (rmill_load_le32(record + FRAME_PAGE_WINDOW) != number || frames == 0 ||
            frames > RMILL_INDEX_FRAME_PAGE_FRAMES || bytes == 0 ||
            bytes > RMILL_INDEX_PAGE_COMPRESSED_MAX ||
            rmill_load_le32(record + FRAME_PAGE_OFFSET) != *offset ||
            rmill_load_le64(record + FRAME_PAGE_FIRST_FRAME) != next_frame) {
            return damage(check, "frame page", index);
        }
        if (i == 0 ? page_file_offset != file_offset || page_raw_offset != raw_offset
                   : page_file_offset <= file_offset || page_raw_offset <= raw_offset) {
            return damage(check, "the place of frame page", index);
        }
        file_offset = page_file_offset;
        raw_offset = page_raw_offset;
        next_frame += frames;
        *offset += bytes;
    }
    if (next_frame != window->first_frame + window->frame_count ||
        file_offset > window->file_offset ||
        raw_offset > window->first_raw_offset + window->raw_bytes) {
        return damage(check, "the frames of window", number);
    }
    return 0;
}

/* The pages of entries of a window, and that their first paths ascend from `*before` on. */
static int
entry_pages_check(const struct check *check, const struct rmill_index_window *window,
                  uint32_t number, uint64_t *offset)
{
    uint64_t entries = 0;

    for (uint32_t i = 0; i < window->page_count; i++) {
        struct rmill_index_page page;
        uint64_t index = window->first_page + i;
        const uint8_t *record = check->directory->pages + index * ENTRY_PAGE_BYTES;
        uint64_t path_offset = rmill_load_le64(record + ENTRY_PAGE_PATH_OFFSET);
        uint32_t path_bytes = rmill_load_le32(record + ENTRY_PAGE_PATH_BYTES);
        uint64_t bytes = rmill_load_le32(record + ENTRY_PAGE_COMPRESSED_BYTES);

        if (rmill_load_le32(record + ENTRY_PAGE_WINDOW) != number ||
            rmill_load_le32(record + ENTRY_PAGE_OFFSET) != *offset || bytes == 0 ||
            bytes > RMILL_INDEX_PAGE_COMPRESSED_MAX || path_offset > check->paths_bytes ||
            path_bytes > check->paths_bytes - path_offset) {
            return damage(check, "page", index);
        }
        rmill_index_page_get(check->directory, index, &page);
        if (page.entry_count == 0 || page.entry_count > RMILL_INDEX_PAGE_ENTRIES ||
            page.raw_bytes < PAGE_HEAD_BYTES || page.raw_bytes > RMILL_INDEX_PAGE_BYTES_MAX ||
            rmill_pathname_check(page.first_path, page.first_path_bytes, NULL) < 0) {
            return damage(check, "the size or first path of page", index);
        }
        if (index > 0) {
            struct rmill_index_page before;

            rmill_index_page_get(check->directory, index - 1, &before);
            if (path_offset != (uint64_t)(before.first_path - check->directory->paths) +
                                   before.first_path_bytes ||
                rmill_pathname_compare(before.first_path, before.first_path_bytes, page.first_path,
                                       page.first_path_bytes) >= 0) {
                return damage(check, "the order of page", index);
            }
        } else if (path_offset != 0) {
            return damage(check, "the first path of page", index);
        }
        entries += page.entry_count;
        *offset += bytes;
    }
    return entries == window->entry_count ? 0 : damage(check, "the entries of window", number);
}

/* Where a window must begin: after all that came before. */
struct position {
    uint64_t frame, file_offset, raw_offset, frame_page, page, entries;
};

static int
window_check(const struct check *check, uint32_t number, struct position *at)
{
    const struct rmill_index_directory *directory = check->directory;
    struct rmill_index_window window;
    uint64_t offset = RMILL_INDEX_HEADER_BYTES + WINDOW_HEAD_BYTES;

    rmill_index_window_get(directory, number, &window);
    if (window.first_frame != at->frame || window.first_file_offset != at->file_offset ||
        window.first_raw_offset != at->raw_offset || window.first_frame_page != at->frame_page ||
        window.first_page != at->page) {
        return damage(check, "the place of window", number);
    }
    if (window.frame_count > directory->frame_count - at->frame ||
        window.frame_page_count > directory->frame_page_count - at->frame_page ||
        window.page_count > directory->page_count - at->page ||
        window.entry_count > directory->entry_count - at->entries ||
        window.entry_count > RMILL_INDEX_WINDOW_ENTRIES ||
        window.raw_bytes > directory->raw_bytes - at->raw_offset ||
        window.file_offset < at->file_offset || window.file_offset > directory->file_offset ||
        window.frame_bytes > directory->file_offset - window.file_offset) {
        return damage(check, "the size of window", number);
    }
    int code = frame_pages_check(check, &window, number, &offset);

    if (code == 0) {
        code = entry_pages_check(check, &window, number, &offset);
    }
    if (code == 0 && offset != window.frame_bytes) {
        code = damage(check, "the pages of window", number);
    }
    at->frame += window.frame_count;
    at->file_offset = window.file_offset + window.frame_bytes;
    at->raw_offset += window.raw_bytes;
    at->frame_page += window.frame_page_count;
    at->page += window.page_count;
    at->entries += window.entry_count;
    return code;
}

static int
body_check(const struct check *check)
{
    const struct rmill_index_directory *directory = check->directory;
    struct position at = {0};
    uint64_t paths_end = 0;

    if (directory->frame_count > RMILL_SEEKABLE_ENTRIES_MAX) {
        return damage(check, "a count of frames of", directory->frame_count);
    }
    for (uint32_t i = 0; i < directory->window_count; i++) {
        int code = window_check(check, i, &at);

        if (code < 0) {
            return code;
        }
    }
    if (directory->page_count > 0 && at.page == directory->page_count) {
        struct rmill_index_page last;

        rmill_index_page_get(directory, directory->page_count - 1, &last);
        paths_end = (uint64_t)(last.first_path - directory->paths) + last.first_path_bytes;
    }
    if (at.frame != directory->frame_count || at.frame_page != directory->frame_page_count ||
        at.page != directory->page_count || at.entries != directory->entry_count ||
        at.raw_offset != directory->raw_bytes || at.file_offset != directory->file_offset ||
        paths_end != check->paths_bytes) {
        return damage(check, "its windows do not add up to its totals, windows",
                      directory->window_count);
    }
    return 0;
}

/* ---- decoding
 * --------------------------------------------------------------------------------------- */

/* The header of the frame says what the footer said, and the body has the hash both name. */
static int
frame_check(const uint8_t *frame, const struct rmill_index_location *location,
            struct rmill_index_header *header, struct rmill_error *error)
{
    const uint8_t *body = frame + RMILL_INDEX_HEADER_BYTES;
    int code = rmill_index_header_parse(frame, location->file_offset, header, error);

    if (code == -ENOENT) {
        code =
            rmill_error_set(error, -EBADMSG, "no index begins at offset %llu, as its footer says",
                            LLU(location->file_offset));
    }
    if (code < 0) {
        return code;
    }
    if (header->kind != RMILL_INDEX_KIND_DIRECTORY ||
        header->frame_bytes != location->frame_bytes ||
        memcmp(header->body_hash.bytes, location->body_hash.bytes, RMILL_HASH128_BYTES) != 0) {
        return rmill_error_set(error, -EBADMSG,
                               "the directory's header at offset %llu contradicts its footer",
                               LLU(location->file_offset));
    }
    if (!hash_is(location->body_hash.bytes, body, location->body_bytes)) {
        return rmill_error_set(error, -EBADMSG,
                               "the directory at offset %llu is damaged: its hash does not match",
                               LLU(location->file_offset + RMILL_INDEX_HEADER_BYTES));
    }
    /* The frame must end in the footer that led here. */
    const uint8_t *footer = body + location->body_bytes;

    if (rmill_load_le64(footer + FOOTER_BODY_RAW_BYTES) != location->body_raw_bytes ||
        ZSTD_getFrameContentSize(body, location->body_bytes) != location->body_raw_bytes ||
        ZSTD_findFrameCompressedSize(body, location->body_bytes) != location->body_bytes) {
        return rmill_error_set(error, -EBADMSG,
                               "the directory at offset %llu is not of the size its footer says",
                               LLU(location->file_offset));
    }
    return 0;
}

int
rmill_index_directory_decode(const void *frame, const struct rmill_index_location *location,
                             struct rmill_index_directory **directory, struct rmill_error *error)
{
    struct rmill_index_header header;
    int code = frame_check(frame, location, &header, error);

    *directory = NULL;
    if (code < 0) {
        return code;
    }
    /* One block: the struct, then the decoded body. */
    struct rmill_index_directory *self = malloc(sizeof(*self) + location->body_raw_bytes);

    if (self == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for a directory of %llu bytes",
                               LLU(location->body_raw_bytes));
    }
    uint8_t *body = (uint8_t *)(self + 1);
    size_t bytes =
        ZSTD_decompress(body, location->body_raw_bytes,
                        (const uint8_t *)frame + RMILL_INDEX_HEADER_BYTES, location->body_bytes);

    *self = (struct rmill_index_directory){.file_offset = location->file_offset, .body = body};
    struct check check = {.directory = self, .error = error};

    if (ZSTD_isError(bytes) || bytes != location->body_raw_bytes) {
        code = rmill_error_set(error, -EBADMSG, "the directory at offset %llu does not decode: %s",
                               LLU(location->file_offset), ZSTD_getErrorName(bytes));
    }
    if (code == 0) {
        code = head_read(self, location->body_raw_bytes, &check);
    }
    if (code == 0 && header.window != self->window_count) {
        code = damage(&check, "its header names another count of windows,", header.window);
    }
    if (code == 0) {
        code = body_check(&check);
    }
    if (code < 0) {
        rmill_index_directory_destroy(self);
        return code;
    }
    *directory = self;
    return 0;
}

void
rmill_index_directory_destroy(struct rmill_index_directory *directory)
{
    free(directory);
}

/* ---- questions
 * -------------------------------------------------------------------------------------- */

void
rmill_index_window_get(const struct rmill_index_directory *directory, uint32_t index,
                       struct rmill_index_window *window)
{
    RMILL_ASSERT(index < directory->window_count);
    const uint8_t *record = directory->windows + (size_t)index * WINDOW_BYTES;

    *window = (struct rmill_index_window){
        .file_offset = rmill_load_le64(record + WINDOW_FILE_OFFSET),
        .frame_bytes = rmill_load_le64(record + WINDOW_FRAME_BYTES),
        .first_frame = rmill_load_le64(record + WINDOW_FIRST_FRAME),
        .first_file_offset = rmill_load_le64(record + WINDOW_FIRST_FILE_OFFSET),
        .first_raw_offset = rmill_load_le64(record + WINDOW_FIRST_RAW_OFFSET),
        .raw_bytes = rmill_load_le64(record + WINDOW_RAW_BYTES),
        .frame_count = rmill_load_le32(record + WINDOW_FRAME_COUNT),
        .entry_count = rmill_load_le32(record + WINDOW_ENTRY_COUNT),
        .first_frame_page = rmill_load_le64(record + WINDOW_FIRST_FRAME_PAGE),
        .first_page = rmill_load_le64(record + WINDOW_FIRST_PAGE),
        .frame_page_count = rmill_load_le32(record + WINDOW_FRAME_PAGE_COUNT),
        .page_count = rmill_load_le32(record + WINDOW_PAGE_COUNT)};
}

/* Where the frame of window `number` is in the file. */
static uint64_t
window_file_offset(const struct rmill_index_directory *directory, uint32_t number)
{
    return rmill_load_le64(directory->windows + (size_t)number * WINDOW_BYTES + WINDOW_FILE_OFFSET);
}

void
rmill_index_frame_page_get(const struct rmill_index_directory *directory, uint64_t index,
                           struct rmill_index_frame_page *page)
{
    RMILL_ASSERT(index < directory->frame_page_count);
    const uint8_t *record = directory->frame_pages + index * FRAME_PAGE_BYTES;

    *page = (struct rmill_index_frame_page){
        .file_offset = window_file_offset(directory, rmill_load_le32(record + FRAME_PAGE_WINDOW)) +
                       rmill_load_le32(record + FRAME_PAGE_OFFSET),
        .compressed_bytes = rmill_load_le32(record + FRAME_PAGE_COMPRESSED_BYTES),
        .frame_count = rmill_load_le32(record + FRAME_PAGE_FRAME_COUNT),
        .first_frame = rmill_load_le64(record + FRAME_PAGE_FIRST_FRAME),
        .first_file_offset = rmill_load_le64(record + FRAME_PAGE_FIRST_FILE_OFFSET),
        .first_raw_offset = rmill_load_le64(record + FRAME_PAGE_FIRST_RAW_OFFSET),
        .hash = hash_get(record + FRAME_PAGE_HASH)};
}

void
rmill_index_page_get(const struct rmill_index_directory *directory, uint64_t index,
                     struct rmill_index_page *page)
{
    RMILL_ASSERT(index < directory->page_count);
    const uint8_t *record = directory->pages + index * ENTRY_PAGE_BYTES;
    uint32_t window = rmill_load_le32(record + ENTRY_PAGE_WINDOW);

    *page = (struct rmill_index_page){
        .file_offset =
            window_file_offset(directory, window) + rmill_load_le32(record + ENTRY_PAGE_OFFSET),
        .compressed_bytes = rmill_load_le32(record + ENTRY_PAGE_COMPRESSED_BYTES),
        .raw_bytes = rmill_load_le32(record + ENTRY_PAGE_RAW_BYTES),
        .entry_count = rmill_load_le32(record + ENTRY_PAGE_ENTRY_COUNT),
        .window = window,
        .first_path_bytes = rmill_load_le32(record + ENTRY_PAGE_PATH_BYTES),
        .first_path = directory->paths + rmill_load_le64(record + ENTRY_PAGE_PATH_OFFSET),
        .hash = hash_get(record + ENTRY_PAGE_HASH)};
}

int
rmill_index_page_find(const struct rmill_index_directory *directory, const char *path, size_t bytes,
                      uint64_t *index)
{
    uint64_t low = 0,
             high = directory->page_count; /* Pages below low begin at or before the path. */

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        struct rmill_index_page page;

        rmill_index_page_get(directory, middle, &page);
        if (rmill_pathname_compare(page.first_path, page.first_path_bytes, path, bytes) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low > 0 ? low - 1 : 0;
    return low > 0 ? 0 : -ENOENT;
}

int
rmill_index_frame_page_find(const struct rmill_index_directory *directory, uint64_t raw_offset,
                            uint64_t *index)
{
    uint64_t low = 0, high = directory->frame_page_count;

    if (raw_offset >= directory->raw_bytes) {
        return -ENOENT;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const uint8_t *record = directory->frame_pages + middle * FRAME_PAGE_BYTES;

        if (rmill_load_le64(record + FRAME_PAGE_FIRST_RAW_OFFSET) <= raw_offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low > 0 ? low - 1 : 0;
    return low > 0 ? 0 : -ENOENT;
}

/* One window against its part of the seek table, from entry *at on. */
static int
window_compare(const struct rmill_index_directory *directory, uint32_t number,
               const struct rmill_seekable_table *table, uint32_t *at)
{
    struct rmill_index_window window;
    uint64_t compressed = 0, raw = 0;

    rmill_index_window_get(directory, number, &window);
    if ((uint64_t)table->entry_count - *at < (uint64_t)window.frame_count + 1) {
        return -EBADMSG;
    }
    for (uint32_t i = 0; i < window.frame_count; i++) {
        struct rmill_seekable_entry entry = rmill_seekable_get(table, (*at)++);

        if (entry.raw_bytes == 0) {
            return -EBADMSG;
        }
        compressed += entry.compressed_bytes;
        raw += entry.raw_bytes;
    }
    struct rmill_seekable_entry entry = rmill_seekable_get(table, (*at)++);

    if (entry.raw_bytes != 0 || entry.compressed_bytes != window.frame_bytes ||
        raw != window.raw_bytes || window.first_file_offset + compressed != window.file_offset) {
        return -EBADMSG;
    }
    return 0;
}

int
rmill_index_directory_check(const struct rmill_index_directory *directory,
                            const struct rmill_seekable_table *table, struct rmill_error *error)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < directory->window_count; i++) {
        if (window_compare(directory, i, table, &at) < 0) {
            return rmill_error_set(error, -EBADMSG,
                                   "seek table and index disagree about window %u (entry %u of the "
                                   "seek table)",
                                   i, at);
        }
    }
    if (at + (uint64_t)1 != table->entry_count || rmill_seekable_get(table, at).raw_bytes != 0) {
        return rmill_error_set(
            error, -EBADMSG, "seek table and index disagree about the number of frames: %u and %u",
            table->entry_count, at + 1);
    }
    return 0;
}
