/* workloads/files/tar.h — POSIX pax tar headers, to and from bytes.
 *
 * Writes what docs/FORMAT.md says: a ustar header, before it one pax 'x' header only when a
 * value does not fit: the same entry gives the same bytes everywhere. Reads that, and what GNU
 * tar (pax, gnu, ustar) and bsdtar write: prefix, pax x and g, GNU L and K, base-256 numbers.
 * Holds no file and knows no position. */
#ifndef RMILL_FILES_TAR_H
#define RMILL_FILES_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "workloads/files/entry.h"

#define RMILL_TAR_BLOCK_BYTES      512u
#define RMILL_TAR_END_BYTES        1024u           /* Two zero blocks. */
#define RMILL_TAR_HEADER_BYTES_MAX (1024u * 1024u) /* Of one member's headers, on reading. */

/* Exact bytes rmill_tar_header_write will write for this entry: 512, or 1,024 and more with a
 * pax header. At most 160 KiB for an entry within the limits of entry.h. Thread: any. */
uint32_t rmill_tar_header_bytes(const struct rmill_entry *entry);

/* Write the header blocks to `buffer`, which has rmill_tar_header_bytes(entry) bytes. Looks at
 * type, path, link, names, ids, mode, size and mtime only. The entry must be within the limits
 * of entry.h (asserted). Returns the bytes written. Thread: any. */
uint32_t rmill_tar_header_write(const struct rmill_entry *entry, void *buffer);

/* Zero bytes that follow `size` bytes of content: 0..511. Thread: any. */
static inline uint32_t
rmill_tar_padding(uint64_t size)
{
    return (uint32_t)(-size & (RMILL_TAR_BLOCK_BYTES - 1));
}

/* What a reader must carry from member to member: values of pax 'g' headers. Start from zeros.
 * Holds the joined prefix + name of the last parsed header too, so one parser belongs to one
 * sequence of headers. */
struct rmill_tar_parser {
    uint32_t global_set; /* Which of the following a 'g' header gave. */
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t uname_bytes;
    uint32_t gname_bytes;
    char uname[RMILL_ENTRY_NAME_BYTES_MAX];
    char gname[RMILL_ENTRY_NAME_BYTES_MAX];
    char path[260];
};

enum rmill_tar_result {
    RMILL_TAR_MEMBER = 0, /* An entry of a type we keep. */
    RMILL_TAR_SKIP = 1,   /* A member we do not keep (device, fifo, sparse ...). */
    RMILL_TAR_END = 2,    /* The two zero blocks. */
};

/* Read all header blocks of the member that begins at `bytes` (a block border), `available` bytes
 * present. RMILL_TAR_MEMBER and RMILL_TAR_SKIP: `entry` is filled but for raw_offset and digest;
 * its texts point into `bytes` or `parser` and live as long as those stay untouched; the path of a
 * directory has lost its trailing slashes and is otherwise as stored: *not* checked for safety.
 * *header_bytes is how many bytes of headers there were; entry->size bytes of content and the
 * padding follow. RMILL_TAR_END: *header_bytes is 1,024. `error` may be NULL and also says, for
 * RMILL_TAR_SKIP, what kind of member it is. Returns an enum rmill_tar_result, or
 *   -EAGAIN   more is needed: at least *header_bytes bytes from `bytes` on
 *   -EBADMSG  damage: `error` names the field and the offset from `bytes`
 * On -errno `entry` is undefined and the globals in `parser` are unchanged. Thread: any; one at a
 * time per parser. */
int rmill_tar_header_parse(struct rmill_tar_parser *parser, const void *bytes, size_t available,
                           struct rmill_entry *entry, size_t *header_bytes,
                           struct rmill_error *error);

#endif
