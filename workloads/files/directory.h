/* workloads/files/directory.h — one directory as the walk reads it: sorted names, and the status
 * of a slice of them.
 *
 * rmill_directory_read is one job of the blocking lane. Owner: the job while it runs, else the
 * walk. */
#ifndef RMILL_FILES_DIRECTORY_H
#define RMILL_FILES_DIRECTORY_H

#include <stdint.h>

#include "workloads/files/roots.h"

#define RMILL_DIRECTORY_SLICE 1024u /* Entries looked at in one job. */

struct rmill_directory_item {
    const char *name; /* In the directory's names. */
    uint32_t name_bytes;
    uint32_t link_bytes;
    char *link;                    /* A symlink's text. */
    struct rmill_directory *below; /* The walk's: the record of a directory. */
    int error;                     /* 0, or why there is no status. */
    uint32_t mode, uid, gid, names;
    uint32_t mtime_ns;
    int64_t mtime_s;
    uint64_t size, device, inode;
};

struct rmill_directory {
    struct rmill_directory *next, *previous; /* The walk's. */
    struct rmill_directory *parent;
    enum { RMILL_DIRECTORY_WANTED, RMILL_DIRECTORY_READING, RMILL_DIRECTORY_READY } state;

    const struct rmill_root *root;
    char *path; /* Stored name. */
    uint32_t path_bytes;
    uint64_t device, inode;

    int error;       /* Not, or not wholly, read. */
    char *text;      /* Names, each terminated. */
    uint32_t *names; /* Where each begins, sorted. */
    uint32_t name_count;
    struct rmill_directory_item *items; /* Of the names [item_first, item_first + item_count). */
    uint32_t item_first, item_count;
    uint32_t cursor; /* Number of the next name to emit. */
};

/* List the directory if that has not been done, then look at the slice that begins at
 * directory->cursor. What goes wrong stays in `error` of the directory or of an item. Blocks.
 * Argument: the directory. Returns 0. */
int64_t rmill_directory_read(void *argument);

/* The record of a directory with this stored name, which is copied; NULL out of memory. */
struct rmill_directory *rmill_directory_create(const struct rmill_root *root, const char *above,
                                               uint32_t above_bytes, const char *name,
                                               uint32_t name_bytes);
void rmill_directory_destroy(struct rmill_directory *directory); /* Accepts NULL. */

/* A member's status from stat(2). */
void rmill_directory_item_set(struct rmill_directory_item *item, const struct stat *status);

/* Bytes of the stored name of `name` in the directory `above`, and the name itself. */
uint32_t rmill_directory_join_bytes(const char *above, uint32_t above_bytes, uint32_t name_bytes);
void rmill_directory_join(char *to, const char *above, uint32_t above_bytes, const char *name,
                          uint32_t name_bytes);

#endif
