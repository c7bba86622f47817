#include <errno.h>

#include "workloads/files/index_layout.h"

#define LLU(value) ((unsigned long long)(value))

int
rmill_index_header_parse(const void *bytes, uint64_t file_offset, struct rmill_index_header *header,
                         struct rmill_error *error)
{
    const uint8_t *from = bytes;
    uint64_t frame_bytes = (uint64_t)rmill_load_le32(from + HEADER_FRAME_SIZE) + SKIPPABLE_BYTES;
    uint64_t body_bytes = rmill_load_le64(from + HEADER_BODY_BYTES);
    uint16_t version = rmill_load_le16(from + HEADER_VERSION);
    uint8_t kind = from[HEADER_KIND];
    uint64_t tail_bytes = kind == RMILL_INDEX_KIND_DIRECTORY ? RMILL_INDEX_FOOTER_BYTES : 0;

    if (rmill_load_le32(from) != RMILL_INDEX_MAGIC ||
        memcmp(from + HEADER_MAGIC, INDEX_MAGIC_TEXT, 8) != 0) {
        return rmill_error_set(error, -ENOENT, "no frame of ringmill's at offset %llu",
                               LLU(file_offset));
    }
    if (!hash_is(from + HEADER_HASH, from, HEADER_HASH)) {
        return rmill_error_set(error, -EBADMSG,
                               "the header of the index frame at offset %llu is damaged",
                               LLU(file_offset));
    }
    if (version != RMILL_INDEX_VERSION ||
        (kind != RMILL_INDEX_KIND_WINDOW && kind != RMILL_INDEX_KIND_DIRECTORY) ||
        from[HEADER_RESERVED1] != 0 || !is_all_zero(from + HEADER_RESERVED2, 8)) {
        return rmill_error_set(error, -ENOTSUP,
                               "the index frame at offset %llu is of version %u, kind %u; this "
                               "program reads version %u, kinds 1 and 2",
                               LLU(file_offset), version, kind, RMILL_INDEX_VERSION);
    }
    if (frame_bytes < RMILL_INDEX_HEADER_BYTES + tail_bytes ||
        body_bytes != frame_bytes - RMILL_INDEX_HEADER_BYTES - tail_bytes) {
        return rmill_error_set(error, -EBADMSG,
                               "the header of the index frame at offset %llu contradicts itself",
                               LLU(file_offset));
    }
    *header = (struct rmill_index_header){.frame_bytes = frame_bytes,
                                          .kind = kind,
                                          .window = rmill_load_le32(from + HEADER_WINDOW),
                                          .body_hash = hash_get(from + HEADER_BODY_HASH)};
    return 0;
}

/* The counts at the head of the window's body are the directory's. */
static int
head_is(const uint8_t *head, const struct rmill_index_window *window)
{
    return rmill_load_le64(head + WINDOW_HEAD_FIRST_FRAME) == window->first_frame &&
           rmill_load_le64(head + WINDOW_HEAD_FIRST_FILE_OFFSET) == window->first_file_offset &&
           rmill_load_le64(head + WINDOW_HEAD_FIRST_RAW_OFFSET) == window->first_raw_offset &&
           rmill_load_le64(head + WINDOW_HEAD_RAW_BYTES) == window->raw_bytes &&
           rmill_load_le32(head + WINDOW_HEAD_FRAME_COUNT) == window->frame_count &&
           rmill_load_le32(head + WINDOW_HEAD_ENTRY_COUNT) == window->entry_count &&
           rmill_load_le32(head + WINDOW_HEAD_FRAME_PAGE_COUNT) == window->frame_page_count &&
           rmill_load_le32(head + WINDOW_HEAD_PAGE_COUNT) == window->page_count;
}

int
rmill_index_window_check(const struct rmill_index_directory *directory, uint32_t index,
                         const void *frame, struct rmill_error *error)
{
    const uint8_t *bytes = frame;
    const uint8_t *body = bytes + RMILL_INDEX_HEADER_BYTES;
    struct rmill_index_window window;
    struct rmill_index_header header;

    rmill_index_window_get(directory, index, &window);
    int code = rmill_index_header_parse(frame, window.file_offset, &header, error);

    if (code == -ENOENT) {
        return rmill_error_set(error, -EBADMSG, "no index of window %u at offset %llu", index,
                               LLU(window.file_offset));
    }
    if (code < 0) {
        return code;
    }
    if (header.kind != RMILL_INDEX_KIND_WINDOW || header.window != index ||
        header.frame_bytes != window.frame_bytes || !head_is(body, &window)) {
        return rmill_error_set(error, -EBADMSG,
                               "the index of window %u at offset %llu contradicts the directory",
                               index, LLU(window.file_offset));
    }
    if (!hash_is(header.body_hash.bytes, body, window.frame_bytes - RMILL_INDEX_HEADER_BYTES)) {
        return rmill_error_set(error, -EBADMSG,
                               "the index of window %u (offset %llu, %llu bytes) is damaged: its "
                               "hash does not match",
                               index, LLU(window.file_offset), LLU(window.frame_bytes));
    }
    return 0;
}
