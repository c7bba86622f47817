/* workloads/files/index_layout.h — where the fields of the index are, for the index_*.c files only.
 *
 * docs/FORMAT.md says what they mean. All integers are little-endian; varints are LEB128 in
 * their shortest form. */
#ifndef RMILL_FILES_INDEX_LAYOUT_H
#define RMILL_FILES_INDEX_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "workloads/files/index.h"

/* Header of both kinds of frame. */
#define HEADER_FRAME_SIZE 4
#define HEADER_MAGIC      8
#define HEADER_VERSION    16
#define HEADER_KIND       18
#define HEADER_RESERVED1  19
#define HEADER_WINDOW     20
#define HEADER_BODY_BYTES 24
#define HEADER_RESERVED2  32
#define HEADER_BODY_HASH  40
#define HEADER_HASH       56

#define INDEX_MAGIC_TEXT     "RMILLIDX"
#define DIRECTORY_MAGIC_TEXT "RMILLDIR"
#define SKIPPABLE_BYTES      8u

/* Head of a window's body. */
#define WINDOW_HEAD_FIRST_FRAME       0
#define WINDOW_HEAD_FIRST_FILE_OFFSET 8
#define WINDOW_HEAD_FIRST_RAW_OFFSET  16
#define WINDOW_HEAD_RAW_BYTES         24
#define WINDOW_HEAD_FRAME_COUNT       32
#define WINDOW_HEAD_ENTRY_COUNT       36
#define WINDOW_HEAD_FRAME_PAGE_COUNT  40
#define WINDOW_HEAD_PAGE_COUNT        44
#define WINDOW_HEAD_BYTES             48u

/* Columns of a page of n frame records. */
#define FRAME_COMPRESSED_BYTES(n)  ((size_t)0 * (n))
#define FRAME_RAW_BYTES(n)         ((size_t)4 * (n))
#define FRAME_FLAGS(n)             ((size_t)8 * (n))
#define FRAME_COMPRESSED_HASHES(n) ((size_t)9 * (n))
#define FRAME_RAW_HASHES(n)        ((size_t)25 * (n))
_Static_assert(RMILL_INDEX_FRAME_RECORD_BYTES == 41, "two sizes, flags, two hashes");

/* Head of a page of entries. */
#define PAGE_ENTRY_COUNT   0
#define PAGE_NAMES_BYTES   4
#define PAGE_ROWS_BYTES    8
#define PAGE_DIGESTS_BYTES 12
#define PAGE_HEAD_BYTES    16u

/* More than an entry's row, digest and two names take beside path and link. */
#define ENTRY_FIXED_BYTES_MAX 640u
_Static_assert(PAGE_HEAD_BYTES + ENTRY_FIXED_BYTES_MAX + 2 * RMILL_ENTRY_PATH_BYTES_MAX <=
                   RMILL_INDEX_PAGE_BYTES_MAX,
               "the largest entry fits a page");

/* Head of the directory's body. */
#define DIRECTORY_ZSTD_VERSION     0
#define DIRECTORY_LEVEL            4
#define DIRECTORY_CHUNK_BYTES      8
#define DIRECTORY_LEAF_BYTES       12
#define DIRECTORY_HASH_TYPE        16
#define DIRECTORY_ORDER            17
#define DIRECTORY_RESERVED1        18
#define DIRECTORY_WINDOW_COUNT     20
#define DIRECTORY_ENTRY_COUNT      24
#define DIRECTORY_RAW_BYTES        32
#define DIRECTORY_FRAME_COUNT      40
#define DIRECTORY_FRAME_PAGE_COUNT 48
#define DIRECTORY_PAGE_COUNT       56
#define DIRECTORY_PATHS_BYTES      64
#define DIRECTORY_RESERVED2        72
#define DIRECTORY_HEAD_BYTES       96u

/* A window in the directory. */
#define WINDOW_FILE_OFFSET       0
#define WINDOW_FRAME_BYTES       8
#define WINDOW_FIRST_FRAME       16
#define WINDOW_FIRST_FILE_OFFSET 24
#define WINDOW_FIRST_RAW_OFFSET  32
#define WINDOW_RAW_BYTES         40
#define WINDOW_FIRST_FRAME_PAGE  48
#define WINDOW_FIRST_PAGE        56
#define WINDOW_FRAME_COUNT       64
#define WINDOW_ENTRY_COUNT       68
#define WINDOW_FRAME_PAGE_COUNT  72
#define WINDOW_PAGE_COUNT        76
#define WINDOW_BYTES             80u

/* A page of frame records in the directory. */
#define FRAME_PAGE_FIRST_FRAME       0
#define FRAME_PAGE_FIRST_FILE_OFFSET 8
#define FRAME_PAGE_FIRST_RAW_OFFSET  16
#define FRAME_PAGE_WINDOW            24
#define FRAME_PAGE_OFFSET            28
#define FRAME_PAGE_COMPRESSED_BYTES  32
#define FRAME_PAGE_FRAME_COUNT       36
#define FRAME_PAGE_HASH              40
#define FRAME_PAGE_BYTES             56u

/* A page of entries in the directory. */
#define ENTRY_PAGE_PATH_OFFSET      0
#define ENTRY_PAGE_PATH_BYTES       8
#define ENTRY_PAGE_WINDOW           12
#define ENTRY_PAGE_OFFSET           16
#define ENTRY_PAGE_COMPRESSED_BYTES 20
#define ENTRY_PAGE_RAW_BYTES        24
#define ENTRY_PAGE_ENTRY_COUNT      28
#define ENTRY_PAGE_HASH             32
#define ENTRY_PAGE_BYTES            48u

/* The footer of the directory's frame. */
#define FOOTER_BODY_BYTES     0
#define FOOTER_BODY_RAW_BYTES 8
#define FOOTER_BODY_HASH      16
#define FOOTER_VERSION        32
#define FOOTER_RESERVED       34
#define FOOTER_FRAME_BYTES    36
#define FOOTER_MAGIC          40

static inline void
hash_put(uint8_t *to, struct rmill_hash128 hash)
{
    memcpy(to, hash.bytes, sizeof(hash.bytes));
}

static inline struct rmill_hash128
hash_get(const uint8_t *from)
{
    struct rmill_hash128 hash;

    memcpy(hash.bytes, from, sizeof(hash.bytes));
    return hash;
}

static inline bool
hash_is(const uint8_t *from, const void *data, size_t bytes)
{
    struct rmill_hash128 hash = rmill_hash128(data, bytes);

    return memcmp(from, hash.bytes, sizeof(hash.bytes)) == 0;
}

static inline bool
is_all_zero(const uint8_t *from, size_t bytes)
{
    uint8_t seen = 0;

    for (size_t i = 0; i < bytes; i++) {
        seen |= from[i];
    }
    return seen == 0;
}

/* The header in front of `body_bytes` bytes of body and `tail_bytes` more of the same frame. */
static inline void
header_put(uint8_t *header, enum rmill_index_kind kind, uint32_t window, const uint8_t *body,
           size_t body_bytes, size_t tail_bytes)
{
    memset(header, 0, RMILL_INDEX_HEADER_BYTES);
    rmill_store_le32(header, RMILL_INDEX_MAGIC);
    size_t follow_bytes = RMILL_INDEX_HEADER_BYTES - SKIPPABLE_BYTES + body_bytes + tail_bytes;

    rmill_store_le32(header + HEADER_FRAME_SIZE, (uint32_t)follow_bytes);
    memcpy(header + HEADER_MAGIC, INDEX_MAGIC_TEXT, 8);
    rmill_store_le16(header + HEADER_VERSION, RMILL_INDEX_VERSION);
    header[HEADER_KIND] = (uint8_t)kind;
    rmill_store_le32(header + HEADER_WINDOW, window);
    rmill_store_le64(header + HEADER_BODY_BYTES, body_bytes);
    hash_put(header + HEADER_BODY_HASH, rmill_hash128(body, body_bytes));
    hash_put(header + HEADER_HASH, rmill_hash128(header, HEADER_HASH));
}

/* ---- varints
 * ---------------------------------------------------------------------------------------- */

#define VARINT_BYTES_MAX 10u

static inline uint8_t *
varint_put(uint8_t *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (uint8_t)(value | 0x80);
    }
    *to++ = (uint8_t)value;
    return to;
}

static inline uint64_t
zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t
unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/* Reads a run of bytes; `bad` sticks once something did not fit, and everything read after it is
 * 0. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static inline const uint8_t *
cursor_bytes(struct cursor *cursor, uint64_t bytes)
{
    const uint8_t *at = cursor->at;

    if (cursor->bad || bytes > (uint64_t)(cursor->end - at)) {
        cursor->bad = true;
        return NULL;
    }
    cursor->at += bytes;
    return at;
}

static inline uint64_t
cursor_varint(struct cursor *cursor)
{
    uint64_t value = 0;
    unsigned shift = 0;

    while (!cursor->bad && cursor->at < cursor->end && shift < 64) {
        uint8_t byte = *cursor->at++;

        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            bool longer = byte == 0 && shift > 0;      /* Not the shortest form. */
            bool overflow = shift == 63 && byte > 1;

            cursor->bad = longer || overflow;
            return cursor->bad ? 0 : value;
        }
        shift += 7;
    }
    cursor->bad = true;
    return 0;
}

/* A varint that must not pass `max`. */
static inline uint64_t
cursor_varint_max(struct cursor *cursor, uint64_t max)
{
    uint64_t value = cursor_varint(cursor);

    cursor->bad |= value > max;
    return cursor->bad ? 0 : value;
}

#endif
