/* workloads/files/entry.h — one member of an archive, as the walk, the tar header and the index see
 * it.
 *
 * A plain value. Texts are pointer + bytes, not terminated, never owned by the struct: they live as
 * long as whoever filled it says. Ownership of the struct itself: whoever declared it.
 *
 * Invariants of an entry that may be written (rmill_entry_check holds them):
 *   I1  the path passes rmill_pathname_check; it has no trailing slash, whatever the type
 *   I2  only regular files have a size above 0, and every regular file has a digest
 *   I3  symlinks and hard links have a link text of 1 byte or more, other types have none
 *   I4  raw_offset and header_bytes are multiples of 512, header_bytes is above 0
 *   I5  the fields stay inside the limits below */
#ifndef RMILL_FILES_ENTRY_H
#define RMILL_FILES_ENTRY_H

#include <stdint.h>

#include "base/error.h"

#define RMILL_ENTRY_PATH_BYTES_MAX   65535u /* Of a path or a link's text. */
#define RMILL_ENTRY_NAME_BYTES_MAX   255u   /* Of a user's or a group's name. */
#define RMILL_ENTRY_DIGEST_BYTES_MAX 32u
#define RMILL_ENTRY_SIZE_MAX         ((uint64_t)1 << 62)
#define RMILL_ENTRY_MODE_MASK        07777u

/* On disk: never renumber. */
enum rmill_entry_type {
    RMILL_ENTRY_FILE = 1,
    RMILL_ENTRY_DIRECTORY = 2,
    RMILL_ENTRY_SYMLINK = 3,
    RMILL_ENTRY_HARDLINK = 4, /* `link` is the path of an earlier member that is no directory. */
};

/* On disk: never renumber. */
enum rmill_entry_hash {
    RMILL_ENTRY_HASH_NONE = 0,
    RMILL_ENTRY_HASH_XXH3_128 = 1,
    RMILL_ENTRY_HASH_SHA_256 = 2, /* Reserved: this version neither writes nor accepts it. */
};

/* What happened while the file was read. On disk: never renumber. */
#define RMILL_ENTRY_SHRANK     1u /* Ended early; zeros stand for what was missing. */
#define RMILL_ENTRY_GREW       2u /* Was longer at the end; cut at the announced size. */
#define RMILL_ENTRY_CHANGED    4u /* Its times or size moved while it was read. */
#define RMILL_ENTRY_UNREADABLE 8u /* A read failed; zeros stand for what could not be read. */
#define RMILL_ENTRY_FLAGS      15u

struct rmill_entry {
    const char *path;
    const char *link;  /* Symlink: its text. Hard link: the target's path. Else NULL. */
    const char *uname; /* May be NULL with 0 bytes: not known. */
    const char *gname;
    uint32_t path_bytes;
    uint32_t link_bytes;
    uint32_t uname_bytes;
    uint32_t gname_bytes;
    uint64_t size;      /* Bytes of content in the tar: 0 for everything but a regular file. */
    int64_t mtime_s;    /* Seconds since 1970, rounded down, may be negative. */
    uint32_t mtime_ns;  /* 0..999,999,999, always added. */
    uint32_t mode;      /* Permission bits 07777. */
    uint32_t uid;
    uint32_t gid;
    uint64_t raw_offset;   /* Of its first header block in the tar. */
    uint32_t header_bytes; /* All of its header blocks; the content follows them. */
    uint32_t flags;        /* RMILL_ENTRY_SHRANK ... */
    uint8_t type;          /* enum rmill_entry_type */
    uint8_t hash_type;     /* enum rmill_entry_hash */
    uint8_t digest[RMILL_ENTRY_DIGEST_BYTES_MAX]; /* rmill_entry_digest_bytes of it. */
};

/* Bytes of a digest of this type: 0 for none, 16, 32; -1 for a type nobody defined. Thread: any. */
static inline int
rmill_entry_digest_bytes(uint32_t hash_type)
{
    switch (hash_type) {
    case RMILL_ENTRY_HASH_NONE:
        return 0;
    case RMILL_ENTRY_HASH_XXH3_128:
        return 16;
    case RMILL_ENTRY_HASH_SHA_256:
        return 32;
    default:
        return -1;
    }
}

/* Where the next member's header begins: after content and padding. Thread: any. */
static inline uint64_t
rmill_entry_raw_end(const struct rmill_entry *entry)
{
    return entry->raw_offset + entry->header_bytes + ((entry->size + 511) & ~(uint64_t)511);
}

/* Check I1..I5. Returns 0 or -EINVAL with `error` (may be NULL) naming the field. Thread: any. */
int rmill_entry_check(const struct rmill_entry *entry, struct rmill_error *error);

#endif
