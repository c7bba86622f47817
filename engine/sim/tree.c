/* engine/sim/tree.c — the disk between runs: prepared and inspected by tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/sim/disk.h"
#include "engine/sim/sim.h"

static int
find(const struct rmill_sim_disk *disk, const char *path, struct rmill_sim_inode **inode)
{
    struct rmill_sim_where where;
    int code = rmill_sim_walk(disk, RMILL_SIM_ROOT, path, 0, 0, &where);

    if (code < 0 || where.inode == RMILL_SIM_NONE) {
        return code < 0 ? code : -ENOENT;
    }
    *inode = rmill_sim_inode(disk, where.inode);
    return 0;
}

/* The inode at `path`, made with `mode` when there is none. */
static int
find_or_make(struct rmill_sim_disk *disk, const char *path, mode_t mode,
             struct rmill_sim_inode **inode)
{
    struct rmill_sim_where where;
    int code = rmill_sim_walk(disk, RMILL_SIM_ROOT, path, 0, 0, &where);

    if (code == 0 && where.inode == RMILL_SIM_NONE) {
        code = rmill_sim_create(disk, &where, mode, 0, &where.inode);
    }
    if (code == 0) {
        *inode = rmill_sim_inode(disk, where.inode);
        code = ((*inode)->now.mode & S_IFMT) == (mode & S_IFMT) ? 0 : -EEXIST;
    }
    return code;
}

static int
parents_make(struct rmill_sim_disk *disk, const char *path)
{
    char part[4096];
    struct rmill_sim_inode *inode;

    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);

        if (length == 0 || length >= sizeof(part)) {
            continue;
        }
        memcpy(part, path, length);
        part[length] = '\0';
        int code = find_or_make(disk, part, S_IFDIR | 0755, &inode);

        if (code < 0) {
            return code;
        }
    }
    return 0;
}

int
rmill_sim_disk_put(struct rmill_sim_disk *disk, const char *path, mode_t mode, const void *data,
                   uint64_t bytes)
{
    struct rmill_sim_inode *inode;
    int code = parents_make(disk, path);

    if (code == 0) {
        code = find_or_make(disk, path, S_IFREG | (mode & 07777), &inode);
    }
    if (code < 0) {
        return code;
    }
    rmill_sim_inode_truncate(disk, inode, 0);
    inode->now.mode = S_IFREG | (mode & 07777);
    return rmill_sim_inode_write(disk, inode, data, bytes, 0) == bytes ? 0 : -ENOSPC;
}

int
rmill_sim_disk_mkdir(struct rmill_sim_disk *disk, const char *path, mode_t mode)
{
    struct rmill_sim_inode *inode;
    int code = parents_make(disk, path);

    return code < 0 ? code : find_or_make(disk, path, S_IFDIR | (mode & 07777), &inode);
}

int
rmill_sim_disk_symlink(struct rmill_sim_disk *disk, const char *target, const char *path)
{
    struct rmill_sim_inode *inode;
    int code = parents_make(disk, path);

    if (code == 0) {
        code = find_or_make(disk, path, S_IFLNK | 0777, &inode);
    }
    if (code == 0) {
        free(inode->target);
        inode->target = strdup(target);
    }
    return code;
}

int
rmill_sim_disk_get(const struct rmill_sim_disk *disk, const char *path, void **data,
                   uint64_t *bytes)
{
    struct rmill_sim_inode *inode;
    int code = find(disk, path, &inode);

    if (code < 0 || !S_ISREG(inode->now.mode)) {
        return code < 0 ? code : -EINVAL;
    }
    *bytes = inode->bytes_now;
    *data = malloc(inode->bytes_now + 1);
    if (*data == NULL) {
        return -ENOMEM;
    }
    (void)rmill_sim_inode_read(inode, *data, *bytes, 0);
    return 0;
}

/* --- in order --------------------------------------------------------------------------------- */

static int
entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct rmill_sim_entry *)a)->name,
                  ((const struct rmill_sim_entry *)b)->name);
}

/* The entries sorted by name; the array is the caller's, the names are not. */
static struct rmill_sim_entry *
entries_sorted(const struct rmill_sim_entries *entries)
{
    struct rmill_sim_entry *items = malloc((entries->count + 1) * sizeof(*items));

    RMILL_ASSERT(items != NULL);
    if (entries->count > 0) {
        memcpy(items, entries->items, entries->count * sizeof(*items));
        qsort(items, entries->count, sizeof(*items), entry_compare);
    }
    return items;
}

int
rmill_sim_disk_list(const struct rmill_sim_disk *disk, const char *path,
                    void (*name)(void *context, const char *name), void *context)
{
    struct rmill_sim_inode *inode;
    int code = find(disk, path, &inode);

    if (code < 0 || !S_ISDIR(inode->now.mode)) {
        return code < 0 ? code : -ENOTDIR;
    }
    struct rmill_sim_entry *items = entries_sorted(&inode->entries_now);

    for (uint32_t i = 0; i < inode->entries_now.count; i++) {
        name(context, items[i].name);
    }
    free(items);
    return 0;
}

static uint64_t
inode_hash(const struct rmill_sim_disk *disk, uint32_t index, uint64_t seed)
{
    const struct rmill_sim_inode *inode = rmill_sim_inode(disk, index);
    uint64_t attributes[3] = {inode->now.mode, inode->now.uid, inode->now.gid};
    uint64_t hash = rmill_hash64(attributes, sizeof(attributes), seed);
    uint8_t page[RMILL_SIM_PAGE_BYTES];

    for (uint64_t at = 0; at < inode->bytes_now; at += sizeof(page)) {
        hash = rmill_hash64(page, rmill_sim_inode_read(inode, page, sizeof(page), at), hash);
    }
    if (inode->target != NULL) {
        hash = rmill_hash64(inode->target, strlen(inode->target), hash);
    }
    struct rmill_sim_entry *items = entries_sorted(&inode->entries_now);

    for (uint32_t i = 0; i < inode->entries_now.count; i++) {
        hash = rmill_hash64(items[i].name, strlen(items[i].name) + 1, hash);
        hash = inode_hash(disk, items[i].inode, hash);
    }
    free(items);
    return hash;
}

uint64_t
rmill_sim_disk_hash(const struct rmill_sim_disk *disk)
{
    return inode_hash(disk, RMILL_SIM_ROOT, 0);
}

uint64_t
rmill_sim_disk_bytes_used(const struct rmill_sim_disk *disk)
{
    return disk->used_pages * RMILL_SIM_PAGE_BYTES;
}

int
rmill_sim_disk_break(struct rmill_sim_disk *disk, const char *path, int open_code, int read_code)
{
    struct rmill_sim_inode *inode;
    int code = find(disk, path, &inode);

    if (code == 0) {
        inode->open_code = open_code;
        inode->read_code = read_code;
    }
    return code;
}
