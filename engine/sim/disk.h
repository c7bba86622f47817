/* engine/sim/disk.h — the modelled file system: what is seen, and what a power loss would leave.
 *
 * Inodes are known by index. Each has two layers: `now` is what every call sees (the page
 * cache), `kept` is what the device has for certain. fsync copies now to kept; power loss goes
 * back to kept, but for what had got out by chance.
 *
 *     now:  pages, size, attributes, entries      kept: pages, size, attributes, entries
 *                      │  write, mkdir ...                 ▲  fsync; by chance: write-back
 *                      └───▶ dirty pages; log of changes of names, in order ─────┘
 *
 * Knows no thread, no descriptor and no fault. */
#ifndef RMILL_ENGINE_SIM_DISK_H
#define RMILL_ENGINE_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/prng.h"

#define RMILL_SIM_PAGE_BYTES 4096u
#define RMILL_SIM_ROOT       0u
#define RMILL_SIM_NONE       UINT32_MAX
#define RMILL_SIM_NAME_MAX   255u

struct rmill_sim_page {
    uint8_t *now;  /* NULL: a hole. */
    uint8_t *kept; /* NULL: a hole. */
    bool dirty;    /* now may differ from kept. */
};

struct rmill_sim_entry {
    char *name;
    uint32_t inode;
};

struct rmill_sim_entries {
    struct rmill_sim_entry *items;
    uint32_t count, capacity;
};

struct rmill_sim_attributes {
    uint32_t mode; /* With the kind of file. */
    uid_t uid;
    gid_t gid;
    struct timespec accessed, modified, changed;
};

struct rmill_sim_inode {
    uint64_t number; /* st_ino */
    struct rmill_sim_attributes now, kept;
    uint32_t links;   /* Names (and for a directory its own and its children's), now. */
    uint32_t holders; /* Open descriptions. */
    uint32_t parent;  /* Of a directory. */
    bool locked;      /* By one open description. */
    bool released;    /* No name and no holder: its pages are given back. */
    uint64_t bytes_now, bytes_kept;
    struct rmill_sim_page *pages;
    uint64_t page_count;
    char *target; /* Of a symbolic link. */
    struct rmill_sim_entries entries_now, entries_kept;
    int open_code, read_code; /* rmill_sim_disk_break */
};

/* One change of names that is not durable yet. A name is taken from one directory, or put into
 * one, or both. */
struct rmill_sim_change {
    uint32_t from, to; /* Directories, or RMILL_SIM_NONE. */
    char *from_name, *to_name;
    /* That `to_name` stands for afterwards; of a pure removal, what was removed. */
    uint32_t inode;
    /* A directory this takes away: its own changes come first. RMILL_SIM_NONE: none. */
    uint32_t emptied;
    /* A directory changes its parent: everything before comes first, or a tree could be lost in
     * a circle. */
    bool barrier;
};

struct rmill_sim_disk {
    struct rmill_prng chance;
    uint64_t capacity_pages; /* 0: without bound. */
    uint64_t used_pages;
    struct rmill_sim_inode **inodes;
    uint32_t inode_count, inode_capacity;
    struct rmill_sim_change *changes;
    uint32_t change_count, change_capacity;
    uint64_t seed;
};

/* disk.c ------------------------------------------------------------------------------------ */

/* A new inode without a name; `parent` for directories. */
uint32_t rmill_sim_inode_new(struct rmill_sim_disk *disk, uint32_t mode, uint32_t parent,
                             uint64_t now_ns);
struct rmill_sim_inode *rmill_sim_inode(const struct rmill_sim_disk *disk, uint32_t index);
/* Give its pages back when nothing needs it any more. */
void rmill_sim_inode_release(struct rmill_sim_disk *disk, uint32_t index);

uint64_t rmill_sim_inode_read(const struct rmill_sim_inode *inode, void *buffer, uint64_t bytes,
                              uint64_t offset);
/* How many of `bytes` were written: fewer only when the disk is full. */
uint64_t rmill_sim_inode_write(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                               const void *buffer, uint64_t bytes, uint64_t offset);
void rmill_sim_inode_truncate(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                              uint64_t bytes);
/* Back [offset, offset + bytes) with pages, or with none (punch). False: the disk is full. */
bool rmill_sim_inode_allocate(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                              uint64_t offset, uint64_t bytes);
void rmill_sim_inode_punch(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                           uint64_t offset, uint64_t bytes);
void rmill_sim_inode_stat(const struct rmill_sim_disk *disk, uint32_t index, struct stat *out);
void rmill_sim_inode_touch(struct rmill_sim_inode *inode, uint64_t now_ns, bool data);

/* Durability. `lose`: the device failed: pages may be forgotten as if they were written. */
void rmill_sim_inode_sync(struct rmill_sim_disk *disk, uint32_t index, bool data_only, bool lose);
/* Note a change of names; strings are copied. */
void rmill_sim_disk_change(struct rmill_sim_disk *disk, const struct rmill_sim_change *change);
/* Drop inodes that nothing refers to. */
void rmill_sim_disk_settle(struct rmill_sim_disk *disk);
/* `disk` becomes what `other` is; `other` is gone. */
void rmill_sim_disk_replace(struct rmill_sim_disk *disk, struct rmill_sim_disk *other);

/* names.c ----------------------------------------------------------------------------------- */

enum rmill_sim_last {
    RMILL_SIM_LAST_NAME,
    RMILL_SIM_LAST_DOT,
    RMILL_SIM_LAST_UP,
    RMILL_SIM_LAST_ROOT
};

struct rmill_sim_where {
    uint32_t directory; /* That holds (or would hold) the last component. */
    uint32_t inode;     /* RMILL_SIM_NONE: there is none of that name. */
    enum rmill_sim_last last;
    char name[RMILL_SIM_NAME_MAX + 1]; /* "" when the last component is no name. */
    bool slash;                        /* The path ended with a slash: it must be a directory. */
};

#define RMILL_SIM_FOLLOW 1u /* The last component's symbolic link is followed. */
/* It never is, even before a slash, and need not be a directory then. */
#define RMILL_SIM_PARENT 2u
#define RMILL_SIM_CREATE 4u /* For O_CREAT: a slash after the last name is an error. */

uint32_t rmill_sim_entry_find(const struct rmill_sim_entries *entries, const char *name);
void rmill_sim_entry_put(struct rmill_sim_entries *entries, const char *name, uint32_t inode);
void rmill_sim_entry_drop(struct rmill_sim_entries *entries, const char *name);

/* Resolve `path` from the directory `start`. 0, also when only the last component is missing;
 * -errno. */
int rmill_sim_walk(const struct rmill_sim_disk *disk, uint32_t start, const char *path,
                   unsigned flags, uint64_t resolve, struct rmill_sim_where *where);
/* Changes of names at resolved places; 0 or -errno. */
int rmill_sim_create(struct rmill_sim_disk *disk, const struct rmill_sim_where *where,
                     uint32_t mode, uint64_t now_ns, uint32_t *inode);
int rmill_sim_remove(struct rmill_sim_disk *disk, const struct rmill_sim_where *where,
                     bool directory, uint64_t now_ns);
int rmill_sim_move(struct rmill_sim_disk *disk, const struct rmill_sim_where *from,
                   const struct rmill_sim_where *to, unsigned flags, uint64_t now_ns);
int rmill_sim_join(struct rmill_sim_disk *disk, uint32_t inode, const struct rmill_sim_where *to,
                   uint64_t now_ns);

#endif
