#include "workloads/files/seekable.h"

#include <errno.h>

#include "base/assert.h"
#include "base/bytes.h"

#define SKIPPABLE_MAGIC 0x184D2A5Eu
#define SEEKABLE_MAGIC  0x8F92EAB1u
#define HEADER_BYTES    8u
#define HAS_CHECKSUM    0x80u
#define RESERVED_BITS   0x7Cu

_Static_assert((uint64_t)RMILL_SEEKABLE_ENTRIES_MAX *RMILL_SEEKABLE_ENTRY_BYTES +
                       RMILL_SEEKABLE_FOOTER_BYTES <=
                   UINT32_MAX,
               "the longest table fits the size field of a skippable frame");

int
rmill_seekable_writer_add(struct rmill_seekable_writer *writer,
                          const struct rmill_seekable_entry *entry)
{
    uint8_t bytes[HEADER_BYTES + RMILL_SEEKABLE_ENTRY_BYTES] = {0};
    size_t skip =
        writer->entry_count == 0 ? 0 : HEADER_BYTES; /* The header is filled in at the end. */

    if (entry->compressed_bytes == 0 || entry->raw_bytes > RMILL_SEEKABLE_RAW_BYTES_MAX) {
        return -EINVAL;
    }
    if (writer->entry_count == RMILL_SEEKABLE_ENTRIES_MAX) {
        return -EFBIG;
    }
    rmill_store_le32(bytes + HEADER_BYTES, entry->compressed_bytes);
    rmill_store_le32(bytes + HEADER_BYTES + 4, entry->raw_bytes);
    rmill_store_le32(bytes + HEADER_BYTES + 8, entry->checksum);
    int code = rmill_buffer_append(&writer->frame, bytes + skip, sizeof(bytes) - skip);

    writer->entry_count += code == 0;
    return code;
}

int
rmill_seekable_writer_end(struct rmill_seekable_writer *writer)
{
    uint8_t footer[HEADER_BYTES + RMILL_SEEKABLE_FOOTER_BYTES] = {0};
    size_t skip = writer->entry_count == 0 ? 0 : HEADER_BYTES;

    rmill_store_le32(footer + HEADER_BYTES, writer->entry_count);
    footer[HEADER_BYTES + 4] = HAS_CHECKSUM;
    rmill_store_le32(footer + HEADER_BYTES + 5, SEEKABLE_MAGIC);
    int code = rmill_buffer_append(&writer->frame, footer + skip, sizeof(footer) - skip);

    if (code == 0) {
        rmill_store_le32(writer->frame.data, SKIPPABLE_MAGIC);
        rmill_store_le32(writer->frame.data + 4, (uint32_t)(writer->frame.bytes - HEADER_BYTES));
    }
    return code;
}

void
rmill_seekable_writer_deinit(struct rmill_seekable_writer *writer)
{
    rmill_buffer_deinit(&writer->frame);
    writer->entry_count = 0;
}

int
rmill_seekable_footer_parse(const void *footer, uint64_t file_bytes,
                            struct rmill_seekable_location *location, struct rmill_error *error)
{
    const uint8_t *bytes = footer;
    uint64_t at = file_bytes - RMILL_SEEKABLE_FOOTER_BYTES;

    if (file_bytes < HEADER_BYTES + RMILL_SEEKABLE_FOOTER_BYTES) {
        return rmill_error_set(error, -EBADMSG, "%llu bytes are too few for an archive",
                               (unsigned long long)file_bytes);
    }
    if (rmill_load_le32(bytes + 5) != SEEKABLE_MAGIC) {
        return rmill_error_set(
            error, -EBADMSG,
            "no seek table at the end (offset %llu): cut short, or not an archive "
            "in the Zstandard seekable format",
            (unsigned long long)at);
    }
    uint32_t count = rmill_load_le32(bytes);
    uint32_t entry_bytes = (bytes[4] & HAS_CHECKSUM) != 0 ? 12 : 8;
    uint64_t frame_bytes =
        (uint64_t)count * entry_bytes + HEADER_BYTES + RMILL_SEEKABLE_FOOTER_BYTES;

    if ((bytes[4] & RESERVED_BITS) != 0) {
        return rmill_error_set(error, -EBADMSG,
                               "the seek table at offset %llu has reserved bits set (0x%02x)",
                               (unsigned long long)at + 4, bytes[4]);
    }
    if (count > RMILL_SEEKABLE_ENTRIES_MAX || frame_bytes > file_bytes) {
        return rmill_error_set(
            error, -EBADMSG, "the seek table at offset %llu claims %u frames, more than %s",
            (unsigned long long)at, count,
            frame_bytes > file_bytes ? "the file has room for" : "the format allows");
    }
    *location = (struct rmill_seekable_location){.file_offset = file_bytes - frame_bytes,
                                                 .frame_bytes = frame_bytes,
                                                 .entry_count = count,
                                                 .entry_bytes = entry_bytes};
    return 0;
}

/* The frame around the entries says what the footer said when it was located. */
static int
check_frame(const uint8_t *bytes, const struct rmill_seekable_location *location,
            struct rmill_error *error)
{
    const uint8_t *footer = bytes + location->frame_bytes - RMILL_SEEKABLE_FOOTER_BYTES;
    uint8_t descriptor = location->entry_bytes == 12 ? HAS_CHECKSUM : 0;

    if (rmill_load_le32(bytes) != SKIPPABLE_MAGIC ||
        rmill_load_le32(bytes + 4) != location->frame_bytes - HEADER_BYTES) {
        return rmill_error_set(
            error, -EBADMSG, "no seek table begins at offset %llu, where the file's last bytes say",
            (unsigned long long)location->file_offset);
    }
    if (rmill_load_le32(footer) != location->entry_count || (footer[4] & 0xFC) != descriptor ||
        rmill_load_le32(footer + 5) != SEEKABLE_MAGIC) {
        return rmill_error_set(error, -EBADMSG, "the seek table changed while it was read");
    }
    return 0;
}

int
rmill_seekable_parse(const void *frame, const struct rmill_seekable_location *location,
                     struct rmill_seekable_table *table, struct rmill_error *error)
{
    const uint8_t *bytes = frame;
    struct rmill_seekable_table view = {.entries = bytes + HEADER_BYTES,
                                        .entry_count = location->entry_count,
                                        .entry_bytes = location->entry_bytes};
    uint64_t compressed = 0;
    int code = check_frame(bytes, location, error);

    for (uint32_t i = 0; code == 0 && i < view.entry_count; i++) {
        struct rmill_seekable_entry entry = rmill_seekable_get(&view, i);

        if (entry.compressed_bytes == 0 || entry.raw_bytes > RMILL_SEEKABLE_RAW_BYTES_MAX) {
            return rmill_error_set(
                error, -EBADMSG, "entry %u of the seek table at offset %llu has an impossible size",
                i, (unsigned long long)location->file_offset);
        }
        compressed += entry.compressed_bytes; /* 2^27 entries of 2^32 bytes do not overflow. */
        view.raw_bytes += entry.raw_bytes;
    }
    if (code == 0 && compressed != location->file_offset) {
        return rmill_error_set(
            error, -EBADMSG,
            "the seek table's frames add up to %llu bytes, but it begins at offset %llu",
            (unsigned long long)compressed, (unsigned long long)location->file_offset);
    }
    if (code == 0) {
        *table = view;
    }
    return code;
}

struct rmill_seekable_entry
rmill_seekable_get(const struct rmill_seekable_table *table, uint32_t index)
{
    RMILL_ASSERT(index < table->entry_count);
    const uint8_t *bytes = table->entries + (size_t)index * table->entry_bytes;

    return (struct rmill_seekable_entry){
        .compressed_bytes = rmill_load_le32(bytes),
        .raw_bytes = rmill_load_le32(bytes + 4),
        .checksum = table->entry_bytes == 12 ? rmill_load_le32(bytes + 8) : 0};
}
