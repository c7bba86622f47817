/* workloads/files/seekable.h — the seek table of the Zstandard seekable format 0.1.0.
 *
 * The last frame of an archive: magic 0x184D2A5E, u32 size, N entries of 12 bytes (compressed
 * bytes, raw bytes, low 32 bits of the XXH64 of the raw bytes), u32 N, u8 descriptor, u32
 * 0x8F92EAB1; all little-endian. Every frame of the file but the table itself has an entry;
 * skippable frames have one with 0 raw bytes. Memory: 12 bytes a frame on writing, none on
 * reading. */
#ifndef RMILL_FILES_SEEKABLE_H
#define RMILL_FILES_SEEKABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "workloads/files/buffer.h"

#define RMILL_SEEKABLE_ENTRIES_MAX    0x8000000u        /* Limit of the reference implementation. */
#define RMILL_SEEKABLE_RAW_BYTES_MAX  ((uint32_t)1 << 30) /* The same, of one frame. */
#define RMILL_SEEKABLE_FOOTER_BYTES   9u
#define RMILL_SEEKABLE_ENTRY_BYTES    12u
#define RMILL_SEEKABLE_NOTHING        0x51D8E999u /* Checksum of a skippable frame: of no bytes. */

struct rmill_seekable_entry {
    uint32_t compressed_bytes; /* Whole frame; a skippable one with its 8 bytes of header. */
    uint32_t raw_bytes;
    uint32_t checksum; /* 0 when the table has none. */
};

/* Writing: from zeros ({0}). One owner at a time. */
struct rmill_seekable_writer {
    struct rmill_buffer frame; /* The table frame as it grows. */
    uint32_t entry_count;
};

/* Append the entry of the next frame of the file. Returns 0, -ENOMEM, -EFBIG (more than
 * RMILL_SEEKABLE_ENTRIES_MAX: a larger chunk size helps), -EINVAL (no compressed bytes, or a raw
 * size above the limit). Nothing changes on failure. */
int rmill_seekable_writer_add(struct rmill_seekable_writer *writer,
                              const struct rmill_seekable_entry *entry) RMILL_MUST_CHECK;

/* Complete the frame: writer->frame.data, .bytes. Afterwards only deinit. Returns 0 or -ENOMEM. */
int rmill_seekable_writer_end(struct rmill_seekable_writer *writer) RMILL_MUST_CHECK;

void rmill_seekable_writer_deinit(struct rmill_seekable_writer *writer);

/* Where the table is, from the footer alone. */
struct rmill_seekable_location {
    uint64_t file_offset; /* Of the table's frame; what is before it are all other frames. */
    uint64_t frame_bytes; /* Whole frame: read this much, then rmill_seekable_parse. */
    uint32_t entry_count;
    uint32_t entry_bytes; /* 8 or 12. */
};

/* Read the last RMILL_SEEKABLE_FOOTER_BYTES bytes of a file of `file_bytes` bytes. Nothing is
 * believed that the file is too short for. Returns 0 or -EBADMSG. Thread: any. */
int rmill_seekable_footer_parse(const void *footer, uint64_t file_bytes,
                                struct rmill_seekable_location *location,
                                struct rmill_error *error);

/* A view over a table frame in the caller's memory. */
struct rmill_seekable_table {
    const uint8_t *entries;
    uint32_t entry_count;
    uint32_t entry_bytes;
    uint64_t raw_bytes; /* Of all frames together. */
};

/* Check the whole frame against the footer's promise: magic, size, every entry within limits,
 * compressed sizes adding up to location->file_offset. `frame` has location->frame_bytes bytes
 * and must outlive the table. Returns 0 or -EBADMSG. Thread: any. */
int rmill_seekable_parse(const void *frame, const struct rmill_seekable_location *location,
                         struct rmill_seekable_table *table, struct rmill_error *error);

/* Entry `index` < table->entry_count. Thread: any. */
struct rmill_seekable_entry rmill_seekable_get(const struct rmill_seekable_table *table,
                                               uint32_t index);

#endif
