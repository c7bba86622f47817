/* workloads/files/index.h — ringmill's own index of an archive: window frames and the directory.
 *
 * docs/FORMAT.md has the bytes. In short, each an own skippable frame 0x184D2A5B:
 *
 *     window     after the data frames of up to 65,536 entries of the walk: pages of frame records
 *                (sizes and hashes of those data frames), then pages of up to 256 entries, sorted
 *                by path; every page is one zstd frame of its own
 *     directory  last but one frame of the file: what the archive was made with, where every
 *                window and page is, their hashes, the first path of every page; ends in a footer
 *                of fixed size
 *
 * A reader: last 9 bytes (seekable.h) -> place of the seek table -> the footer before it ->
 * directory -> any page. A look-up by path is a binary search and one decoded page.
 *
 * No I/O here: the caller reads and writes the bytes. Errors of a reader are -EBADMSG (the bytes
 * contradict each other or their hash; `error` names what and at which file offset), -ENOTSUP
 * (made by a later version, or uses what is reserved), -ENOMEM. Every count is checked against
 * the bytes present before memory is given. `error` may be NULL everywhere. */
#ifndef RMILL_FILES_INDEX_H
#define RMILL_FILES_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "workloads/files/buffer.h"
#include "workloads/files/entry.h"
#include "workloads/files/pathname.h"
#include "workloads/files/seekable.h"

#define RMILL_INDEX_MAGIC          0x184D2A5Bu /* Skippable frame of ours. */
#define RMILL_INDEX_VERSION        1u
#define RMILL_INDEX_WINDOW_ENTRIES 65536u
#define RMILL_INDEX_CHUNK_BYTES_MIN     (64u << 10)
#define RMILL_INDEX_CHUNK_BYTES_DEFAULT (2u << 20)
#define RMILL_INDEX_CHUNK_BYTES_MAX     (64u << 20)

#define RMILL_INDEX_PAGE_ENTRIES        256u
#define RMILL_INDEX_PAGE_BYTES          (64u << 10)  /* A page closes before it passes this ... */
#define RMILL_INDEX_PAGE_BYTES_MAX      (256u << 10) /* ... but one entry may be larger. */
#define RMILL_INDEX_FRAME_PAGE_FRAMES   4096u
#define RMILL_INDEX_FRAME_RECORD_BYTES  41u
#define RMILL_INDEX_HEADER_BYTES        72u /* Skippable header and our own. */
#define RMILL_INDEX_FOOTER_BYTES        48u
#define RMILL_INDEX_PAGE_COMPRESSED_MAX (320u << 10) /* More than any page of either kind takes. */
#define RMILL_INDEX_DIRECTORY_BYTES_MAX (256u << 20) /* Decoded: about 400 million entries. */

/* ---- writing
 * ---------------------------------------------------------------------------------------- */

/* What is recorded of a data frame. */
struct rmill_index_frame {
    uint32_t compressed_bytes;
    uint32_t raw_bytes;
    struct rmill_hash128 compressed_hash; /* XXH3-128 of the whole frame as stored. */
    struct rmill_hash128 raw_hash;        /* XXH3-128 of what it decodes to. */
    uint32_t flags;                       /* RMILL_INDEX_FRAME_* */
};

#define RMILL_INDEX_FRAME_UNIT  1u /* Starts a unit: no leaf, no small member crosses its border. */
#define RMILL_INDEX_FRAME_FLAGS 1u

/* Where the data frames of a window begin. */
struct rmill_index_window_start {
    uint32_t window;            /* Number, from 0. */
    uint64_t first_frame;       /* Number among the data frames of the archive. */
    uint64_t first_file_offset; /* Of that frame. */
    uint64_t first_raw_offset;  /* Of its first byte in the tar. */
};

/* Encodes one window after another. Memory: the encoded window (32 bytes a frame, about 30 an
 * entry), one page, one zstd context. Owned by one task or fiber at a time; no I/O, no waiting. */
struct rmill_index_window_writer;

/* Returns 0 or -ENOMEM. Destroy accepts NULL. */
int rmill_index_window_writer_create(struct rmill_index_window_writer **writer);
void rmill_index_window_writer_destroy(struct rmill_index_window_writer *writer);

/* Start a window, forgetting the one before. Returns 0 or -ENOMEM. */
int rmill_index_window_begin(struct rmill_index_window_writer *writer,
                             const struct rmill_index_window_start *start);

/* Then every data frame of the window in file order, then every entry in ascending path order
 * (rmill_pathname_compare). Each call compresses at most one page (below 256 KiB raw). Texts of the
 * entry are copied. A window may have frames and no entry (the two zero blocks), not entries and no
 * frame. Return 0, or
 *   -EINVAL  entry out of order, outside the limits (rmill_entry_check), or a frame after an entry
 *   -EFBIG   the window would pass 4 GiB: a larger chunk size helps
 *   -ENOMEM
 * and after any of them only begin or destroy. */
int rmill_index_window_frame_add(struct rmill_index_window_writer *writer,
                                 const struct rmill_index_frame *frame);
int rmill_index_window_entry_add(struct rmill_index_window_writer *writer,
                                 const struct rmill_entry *entry, struct rmill_error *error);

/* Complete the skippable frame: *frame points at *frame_bytes bytes inside the writer, alive
 * until the next begin or destroy. Returns 0, -EFBIG or -ENOMEM. */
int rmill_index_window_end(struct rmill_index_window_writer *writer, const uint8_t **frame,
                           size_t *frame_bytes);

/* What the archive was made with. */
struct rmill_index_options {
    uint32_t zstd_version; /* ZSTD_versionNumber() */
    int32_t level;
    uint32_t chunk_bytes;
    uint32_t order; /* enum rmill_pathname_order */
};

/* Collects windows as they are placed, then writes the directory. Memory: some 120 bytes a page
 * of entries. */
struct rmill_index_directory_writer;

/* Returns 0, -EINVAL (chunk size or order outside the format) or -ENOMEM. Destroy accepts NULL. */
int rmill_index_directory_writer_create(const struct rmill_index_options *options,
                                        struct rmill_index_directory_writer **writer);
void rmill_index_directory_writer_destroy(struct rmill_index_directory_writer *writer);

/* Remember the window that `window` has just ended, whose frame goes to `file_offset`. Windows
 * come in the order of the file; each must begin where the last one ended (frames, raw bytes)
 * and its first path must come after the last path of the one before. Copies what it needs.
 * Returns 0, -EINVAL (does not follow) or -ENOMEM. */
int rmill_index_directory_add(struct rmill_index_directory_writer *writer,
                              const struct rmill_index_window_writer *window, uint64_t file_offset,
                              struct rmill_error *error);

/* Append the complete directory frame to `out`; it goes to `file_offset`, directly before the
 * seek table. `raw_bytes` is the length of the whole tar. Returns 0, -EINVAL (raw_bytes is not
 * the sum of the windows), -EFBIG (above RMILL_INDEX_DIRECTORY_BYTES_MAX) or -ENOMEM. */
int rmill_index_directory_end(struct rmill_index_directory_writer *writer, uint64_t file_offset,
                              uint64_t raw_bytes, struct rmill_buffer *out,
                              struct rmill_error *error);

/* ---- reading the directory
 * -------------------------------------------------------------------------- */

/* Where the directory frame is, from the footer. */
struct rmill_index_location {
    uint64_t file_offset;
    uint64_t frame_bytes; /* Whole: read this much, then rmill_index_directory_decode. */
    uint64_t body_bytes;  /* Compressed. */
    uint64_t body_raw_bytes;
    struct rmill_hash128 body_hash;
};

/* Read the RMILL_INDEX_FOOTER_BYTES bytes that end at `end_offset`, which is where the seek
 * table begins. Returns 0, -EBADMSG or -ENOTSUP. -ENOENT: no footer of ours; the file may still
 * be a seekable tar.zst. */
int rmill_index_footer_parse(const void *footer, uint64_t end_offset,
                             struct rmill_index_location *location, struct rmill_error *error);

/* The decoded directory. Read-only after decode: any number of threads may ask it. */
struct rmill_index_directory {
    struct rmill_index_options options;
    uint64_t file_offset; /* Of its frame. */
    uint64_t entry_count;
    uint64_t raw_bytes; /* Of the whole tar, the two zero blocks included. */
    uint64_t frame_count;
    uint64_t frame_page_count;
    uint64_t page_count;
    uint32_t window_count;
    const uint8_t *body; /* Private from here on: views into one block of memory. */
    const uint8_t *windows;
    const uint8_t *frame_pages;
    const uint8_t *pages;
    const char *paths;
};

/* Check and decode the frame at location->file_offset; `frame` has location->frame_bytes bytes
 * and may be freed afterwards. Returns 0, -EBADMSG, -ENOTSUP or -ENOMEM; *directory is NULL on
 * failure. */
int rmill_index_directory_decode(const void *frame, const struct rmill_index_location *location,
                                 struct rmill_index_directory **directory,
                                 struct rmill_error *error);
void rmill_index_directory_destroy(struct rmill_index_directory *directory); /* Accepts NULL. */

/* Does every window, data frame and raw byte of the directory stand in the seek table, and
 * nothing else? Cost: one pass over the table. Returns 0 or -EBADMSG. */
int rmill_index_directory_check(const struct rmill_index_directory *directory,
                                const struct rmill_seekable_table *table,
                                struct rmill_error *error);

struct rmill_index_window {
    uint64_t file_offset; /* Of its skippable frame. */
    uint64_t frame_bytes; /* Of that frame, whole. */
    uint64_t first_frame;
    uint64_t first_file_offset;
    uint64_t first_raw_offset;
    uint64_t raw_bytes;
    uint32_t frame_count; /* Data frames. */
    uint32_t entry_count;
    uint64_t first_frame_page; /* Numbers in the directory. */
    uint64_t first_page;
    uint32_t frame_page_count;
    uint32_t page_count;
};

struct rmill_index_frame_page {
    uint64_t file_offset; /* Of the compressed page: read compressed_bytes from here. */
    uint32_t compressed_bytes;
    uint32_t frame_count;
    uint64_t first_frame;
    uint64_t first_file_offset; /* Of its first data frame; the others follow without a gap. */
    uint64_t first_raw_offset;
    struct rmill_hash128 hash;
};

struct rmill_index_page {
    uint64_t file_offset; /* Of the compressed page: read compressed_bytes from here. */
    uint32_t compressed_bytes;
    uint32_t raw_bytes;
    uint32_t entry_count;
    uint32_t window;
    uint32_t first_path_bytes;
    const char *first_path; /* Into the directory. */
    struct rmill_hash128 hash;
};

/* Number `index` below the respective count. */
void rmill_index_window_get(const struct rmill_index_directory *directory, uint32_t index,
                            struct rmill_index_window *window);
void rmill_index_frame_page_get(const struct rmill_index_directory *directory, uint64_t index,
                                struct rmill_index_frame_page *page);
void rmill_index_page_get(const struct rmill_index_directory *directory, uint64_t index,
                          struct rmill_index_page *page);

/* The only page that can hold `path`: -ENOENT through the return value when it would sort before
 * all. A path that is not there gives the page where it would be. The names below "dir" begin at
 * the page of "dir" and run on while they begin with "dir/". */
int rmill_index_page_find(const struct rmill_index_directory *directory, const char *path,
                          size_t bytes, uint64_t *index);

/* The page of frame records that covers this byte of the tar; -ENOENT at or behind the end. */
int rmill_index_frame_page_find(const struct rmill_index_directory *directory, uint64_t raw_offset,
                                uint64_t *index);

/* ---- reading pages
 * ---------------------------------------------------------------------------------- */

/* A zstd context, one decoded page and the current path. Memory: below 600 KiB, allocated at
 * create. One owner at a time (a task or a fiber). */
struct rmill_index_decoder;

/* Returns 0 or -ENOMEM. */
int rmill_index_decoder_create(struct rmill_index_decoder **decoder);
void rmill_index_decoder_destroy(struct rmill_index_decoder *decoder); /* Accepts NULL. */

/* Check and decode the page's compressed bytes into the decoder, and stand before its first entry.
 * Returns 0, -EBADMSG or -ENOTSUP. */
int rmill_index_page_decode(struct rmill_index_decoder *decoder,
                            const struct rmill_index_directory *directory, uint64_t index,
                            const void *compressed, struct rmill_error *error);

/* The next entry, checked (rmill_entry_check, order, inside its window). Texts live until the
 * next call with this decoder. Returns 1, 0 after the last, -EBADMSG or -ENOTSUP. */
int rmill_index_page_next(struct rmill_index_decoder *decoder, struct rmill_entry *entry,
                          struct rmill_error *error);

/* Go on to `path` in the decoded page: 1 and the entry, or 0 when it is not there, or as `next`. */
int rmill_index_page_seek(struct rmill_index_decoder *decoder, const char *path, size_t bytes,
                          struct rmill_entry *entry, struct rmill_error *error);

/* Check and decode a page of frame records into `frames`, which has room for
 * RMILL_INDEX_FRAME_PAGE_FRAMES or at least the page's frame_count. Returns 0, -EBADMSG or
 * -ENOTSUP. */
int rmill_index_frame_page_decode(struct rmill_index_decoder *decoder,
                                  const struct rmill_index_directory *directory, uint64_t index,
                                  const void *compressed, struct rmill_index_frame *frames,
                                  struct rmill_error *error);

/* ---- a forward scan
 * --------------------------------------------------------------------------------- */

enum rmill_index_kind {
    RMILL_INDEX_KIND_WINDOW = 1,
    RMILL_INDEX_KIND_DIRECTORY = 2,
};

/* Our frame's header, from its first RMILL_INDEX_HEADER_BYTES bytes. */
struct rmill_index_header {
    uint64_t frame_bytes; /* Whole frame. */
    uint32_t kind;        /* enum rmill_index_kind */
    uint32_t window;      /* Its number; of the directory: how many windows there are. */
    struct rmill_hash128 body_hash; /* Of the body as stored; a directory's footer is not in it. */
};

/* Read a header met at `file_offset`. Returns 0, -ENOENT (not a frame of ours), -EBADMSG or
 * -ENOTSUP. */
int rmill_index_header_parse(const void *bytes, uint64_t file_offset,
                             struct rmill_index_header *header, struct rmill_error *error);

/* Check a whole window frame by itself and against the directory: header, hash, counts, that its
 * pages lie where the directory says. `frame` has rmill_index_window.frame_bytes bytes. Returns
 * 0, -EBADMSG or -ENOTSUP. */
int rmill_index_window_check(const struct rmill_index_directory *directory, uint32_t index,
                             const void *frame, struct rmill_error *error);

#endif
