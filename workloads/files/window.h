/* workloads/files/window.h — what is known of up to 65,536 entries of the walk while they are
 * packed.
 *
 * A window is filled by the walk in path order (struct rmill_member is what the walk saw), then
 * ordered (order.h), cut into units (layout.h) and, when all its units are committed, written as
 * one window of the index. Memory: the member below and its texts, nothing else of an entry is
 * kept.
 *
 * Owner: one step at a time, as pack_run.c hands it on. While units are processed each member
 * belongs to the unit it is in. Plain memory; Thread: any, one at a time. */
#ifndef RMILL_FILES_WINDOW_H
#define RMILL_FILES_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "workloads/files/entry.h"
#include "workloads/files/owner.h"
#include "workloads/files/roots.h"

struct rmill_member {
    const char *path; /* Stored name, terminated, in the window's texts. */
    const char *link; /* Symlink: its text. Hard link: the target's stored name. Else NULL. */
    const struct rmill_root *root; /* How to reach it: rmill_root_access. */
    const struct rmill_owner *user, *group;
    uint64_t size;
    uint64_t device, inode;
    uint64_t raw_offset; /* In the unit, from the commit of the unit on in the tar. */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t mode; /* Permission bits. */
    uint32_t uid, gid;
    uint32_t names;        /* Hard links of the inode. */
    uint32_t header_bytes; /* Of its tar headers; 0 until order.h has set it. */
    uint32_t path_bytes, link_bytes;
    uint8_t type; /* enum rmill_entry_type */
    uint8_t flags;
    bool dropped; /* Not in the archive after all: `error` says why. */
    int error;
    struct rmill_hash128 digest; /* Regular files, once read. */
};

struct rmill_window_text;

struct rmill_window {
    struct rmill_member *members; /* In path order. */
    uint32_t count;
    uint32_t capacity;
    uint32_t *order; /* Numbers of members as they are archived; from order.h. */
    uint32_t order_count;
    bool last; /* Nothing follows it. */
    struct rmill_window_text *texts;
};

/* Start from zeros ({0}). Frees everything and returns to zeros. */
void rmill_window_deinit(struct rmill_window *window);

/* A new member of zeros behind the others, or NULL out of memory. Moves the members. At most
 * RMILL_INDEX_WINDOW_ENTRIES (asserted). */
struct rmill_member *rmill_window_add(struct rmill_window *window);

/* Room for a text of `bytes` bytes and its terminator, which is set, alive as long as the window.
 * NULL out of memory. */
char *rmill_window_text(struct rmill_window *window, size_t bytes);

/* The member as tar and index see it. Its texts are the window's. */
void rmill_member_entry(const struct rmill_member *member, struct rmill_entry *entry);

#endif
