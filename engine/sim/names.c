/* engine/sim/names.c — directories: entries, paths, and changes of names by Linux's rules. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"
#include "engine/sim/disk.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif
#define LINKS_MAX      40u /* Symbolic links followed in one path. */
#define PATH_BYTES     4096u
#define HARD_LINKS_MAX 65000u

/* --- entries ---------------------------------------------------------------------------------- */

static uint32_t
entry_index(const struct rmill_sim_entries *entries, const char *name)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (strcmp(entries->items[i].name, name) == 0) {
            return i;
        }
    }
    return RMILL_SIM_NONE;
}

uint32_t
rmill_sim_entry_find(const struct rmill_sim_entries *entries, const char *name)
{
    uint32_t at = entry_index(entries, name);

    return at != RMILL_SIM_NONE ? entries->items[at].inode : RMILL_SIM_NONE;
}

void
rmill_sim_entry_put(struct rmill_sim_entries *entries, const char *name, uint32_t inode)
{
    uint32_t at = entry_index(entries, name);

    if (at != RMILL_SIM_NONE) {
        entries->items[at].inode = inode;
        return;
    }
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity * 2 + 8;
        entries->items = realloc(entries->items, entries->capacity * sizeof(*entries->items));
        RMILL_ASSERT(entries->items != NULL);
    }
    entries->items[entries->count++] =
        (struct rmill_sim_entry){.name = strdup(name), .inode = inode};
}

void
rmill_sim_entry_drop(struct rmill_sim_entries *entries, const char *name)
{
    uint32_t at = entry_index(entries, name);

    if (at != RMILL_SIM_NONE) {
        free(entries->items[at].name);
        entries->items[at] = entries->items[--entries->count];
    }
}

/* --- paths ------------------------------------------------------------------------------------ */

struct walk {
    const struct rmill_sim_disk *disk;
    uint32_t start, at; /* Directories. */
    uint64_t resolve;
    uint32_t links;
    char rest[PATH_BYTES]; /* What is still to be walked. */
};

/* Put the target of a symbolic link before what is left. */
static int
link_follow(struct walk *walk, const struct rmill_sim_inode *link)
{
    char joined[2 * PATH_BYTES];

    if ((walk->resolve & RESOLVE_NO_SYMLINKS) || ++walk->links > LINKS_MAX) {
        return -ELOOP;
    }
    if (link->target[0] == '/') {
        if (walk->resolve & RESOLVE_BENEATH) {
            return -EXDEV;
        }
        walk->at = walk->resolve & RESOLVE_IN_ROOT ? walk->start : RMILL_SIM_ROOT;
    }
    size_t length = strlen(link->target), left = strlen(walk->rest);

    memcpy(joined, link->target, length);
    joined[length] = '/';
    memcpy(joined + length + (left > 0), walk->rest, left + 1);
    if (left == 0) {
        joined[length] = '\0';
    }
    if (strlen(joined) >= PATH_BYTES) {
        return -ENAMETOOLONG;
    }
    memcpy(walk->rest, joined, strlen(joined) + 1);
    return 0;
}

static int
up(struct walk *walk)
{
    if (walk->at == walk->start) {
        if (walk->resolve & RESOLVE_BENEATH) {
            return -EXDEV;
        }
        if (walk->resolve & RESOLVE_IN_ROOT) {
            return 0;
        }
    }
    walk->at = rmill_sim_inode(walk->disk, walk->at)->parent;
    return 0;
}

/* Take the next component off walk->rest into `name`. 1: it is the last one; *slash: slashes
 * followed it. */
static int
component_take(struct walk *walk, char *name, bool *slash)
{
    char *from = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(from, "/");

    if (length > RMILL_SIM_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(name, from, length);
    name[length] = '\0';
    char *rest = from + length;

    *slash = *rest == '/';
    rest += strspn(rest, "/");
    memmove(walk->rest, rest, strlen(rest) + 1);
    return walk->rest[0] == '\0';
}

static bool
is_dots(const char *name)
{
    return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int
step_dots(struct walk *walk, struct rmill_sim_where *where)
{
    bool is_up = strcmp(where->name, "..") == 0;
    int code = is_up ? up(walk) : 0;

    where->last = is_up                    ? RMILL_SIM_LAST_UP
                  : where->name[0] == '\0' ? RMILL_SIM_LAST_ROOT
                                           : RMILL_SIM_LAST_DOT;
    where->name[0] = '\0';
    where->directory = where->inode = walk->at;
    return code;
}

static bool
is_followed(const struct rmill_sim_where *where, bool last, unsigned flags)
{
    return !last || (flags & RMILL_SIM_FOLLOW) || (where->slash && !(flags & RMILL_SIM_PARENT));
}

static int
step(struct walk *walk, unsigned flags, struct rmill_sim_where *where, bool *ended)
{
    int last = component_take(walk, where->name, &where->slash);
    const struct rmill_sim_inode *directory = rmill_sim_inode(walk->disk, walk->at);

    *ended = false;
    if (last < 0) {
        return last;
    }
    if (!S_ISDIR(directory->now.mode)) {
        return -ENOTDIR;
    }
    *ended = last == 1;
    if (is_dots(where->name)) {
        return step_dots(walk, where);
    }
    if (last == 1 && where->slash && (flags & RMILL_SIM_CREATE)) {
        return -EISDIR;
    }
    where->last = RMILL_SIM_LAST_NAME;
    where->directory = walk->at;
    where->inode = rmill_sim_entry_find(&directory->entries_now, where->name);
    if (where->inode == RMILL_SIM_NONE) {
        return last == 1 ? 0 : -ENOENT;
    }
    const struct rmill_sim_inode *inode = rmill_sim_inode(walk->disk, where->inode);

    if (S_ISLNK(inode->now.mode) && is_followed(where, last == 1, flags)) {
        if (where->slash && last == 1) {
            walk->rest[0] = '/'; /* The target, too, must be a directory. */
            walk->rest[1] = '\0';
        }
        *ended = false;
        return link_follow(walk, inode);
    }
    walk->at = where->inode;
    return 0;
}

int
rmill_sim_walk(const struct rmill_sim_disk *disk, uint32_t start, const char *path, unsigned flags,
               uint64_t resolve, struct rmill_sim_where *where)
{
    struct walk walk = {.disk = disk, .start = start, .at = start, .resolve = resolve};
    bool ended = false;

    memset(where, 0, sizeof(*where));
    where->inode = RMILL_SIM_NONE;
    if (*path == '\0') {
        return -ENOENT;
    }
    if (strlen(path) >= PATH_BYTES) {
        return -ENAMETOOLONG;
    }
    memcpy(walk.rest, path, strlen(path) + 1);
    if (path[0] == '/') {
        if (resolve & RESOLVE_BENEATH) {
            return -EXDEV;
        }
        walk.at = resolve & RESOLVE_IN_ROOT ? start : RMILL_SIM_ROOT;
    }
    while (!ended) {
        int code = step(&walk, flags, where, &ended);

        if (code < 0) {
            return code;
        }
    }
    if (where->slash && where->inode != RMILL_SIM_NONE && !(flags & RMILL_SIM_PARENT) &&
        !S_ISDIR(rmill_sim_inode(disk, where->inode)->now.mode)) {
        return -ENOTDIR;
    }
    return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

static bool
is_directory(const struct rmill_sim_disk *disk, uint32_t index)
{
    return S_ISDIR(rmill_sim_inode(disk, index)->now.mode);
}

static void
name_put(struct rmill_sim_disk *disk, const struct rmill_sim_where *to, uint32_t inode,
         uint64_t now_ns)
{
    struct rmill_sim_inode *directory = rmill_sim_inode(disk, to->directory);

    rmill_sim_entry_put(&directory->entries_now, to->name, inode);
    rmill_sim_inode_touch(directory, now_ns, true);
    if (is_directory(disk, inode)) {
        rmill_sim_inode(disk, inode)->parent = to->directory;
        directory->links++;
    }
}

static void
name_drop(struct rmill_sim_disk *disk, const struct rmill_sim_where *from, uint64_t now_ns)
{
    struct rmill_sim_inode *directory = rmill_sim_inode(disk, from->directory);

    rmill_sim_entry_drop(&directory->entries_now, from->name);
    rmill_sim_inode_touch(directory, now_ns, true);
    if (is_directory(disk, from->inode)) {
        directory->links--;
    }
}

/* The inode lost a name. */
static void
link_lose(struct rmill_sim_disk *disk, uint32_t index, uint64_t now_ns)
{
    struct rmill_sim_inode *inode = rmill_sim_inode(disk, index);

    inode->links -= S_ISDIR(inode->now.mode) ? 2 : 1;
    rmill_sim_inode_touch(inode, now_ns, false);
    rmill_sim_inode_release(disk, index);
}

static bool
is_alive(const struct rmill_sim_disk *disk, uint32_t directory)
{
    return rmill_sim_inode(disk, directory)->links > 0; /* A removed one takes no new names. */
}

int
rmill_sim_create(struct rmill_sim_disk *disk, const struct rmill_sim_where *where, uint32_t mode,
                 uint64_t now_ns, uint32_t *inode)
{
    if (where->inode != RMILL_SIM_NONE) {
        return -EEXIST;
    }
    if ((where->slash && !S_ISDIR(mode)) || !is_alive(disk, where->directory)) {
        return -ENOENT;
    }
    *inode = rmill_sim_inode_new(disk, mode, where->directory, now_ns);
    name_put(disk, where, *inode, now_ns);
    rmill_sim_disk_change(disk,
                          &(struct rmill_sim_change){.from = RMILL_SIM_NONE,
                                                     .to = where->directory,
                                                     .to_name = (char *)(uintptr_t)where->name,
                                                     .inode = *inode,
                                                     .emptied = RMILL_SIM_NONE});
    return 0;
}

int
rmill_sim_remove(struct rmill_sim_disk *disk, const struct rmill_sim_where *where, bool directory,
                 uint64_t now_ns)
{
    if (where->last != RMILL_SIM_LAST_NAME) {
        return !directory                           ? -EISDIR
               : where->last == RMILL_SIM_LAST_ROOT ? -EBUSY
               : where->last == RMILL_SIM_LAST_UP   ? -ENOTEMPTY
                                                    : -EINVAL;
    }
    if (where->inode == RMILL_SIM_NONE) {
        return -ENOENT;
    }
    bool is = is_directory(disk, where->inode);

    if (is != directory || (where->slash && !is)) {
        return is ? -EISDIR : -ENOTDIR;
    }
    if (is && rmill_sim_inode(disk, where->inode)->entries_now.count > 0) {
        return -ENOTEMPTY;
    }
    name_drop(disk, where, now_ns);
    rmill_sim_disk_change(
        disk, &(struct rmill_sim_change){.from = where->directory,
                                         .from_name = (char *)(uintptr_t)where->name,
                                         .to = RMILL_SIM_NONE,
                                         .inode = where->inode,
                                         .emptied = is ? where->inode : RMILL_SIM_NONE});
    link_lose(disk, where->inode, now_ns);
    return 0;
}

/* Is `directory` the same as `inside`, or an ancestor of it? */
static bool
is_ancestor(const struct rmill_sim_disk *disk, uint32_t directory, uint32_t inside)
{
    while (inside != directory && inside != RMILL_SIM_ROOT) {
        inside = rmill_sim_inode(disk, inside)->parent;
    }
    return inside == directory;
}

/* The order of these checks is Linux's. */
static int
move_check(const struct rmill_sim_disk *disk, const struct rmill_sim_where *from,
           const struct rmill_sim_where *to, unsigned flags)
{
    if (from->last != RMILL_SIM_LAST_NAME) {
        return -EBUSY;
    }
    if (to->last != RMILL_SIM_LAST_NAME) {
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    }
    if (from->inode == RMILL_SIM_NONE || !is_alive(disk, to->directory)) {
        return -ENOENT;
    }
    if (to->inode != RMILL_SIM_NONE && (flags & RENAME_NOREPLACE)) {
        return -EEXIST;
    }
    bool directory = is_directory(disk, from->inode);

    if ((from->slash || to->slash) && !directory) {
        return -ENOTDIR;
    }
    if (directory && is_ancestor(disk, from->inode, to->directory)) {
        return -EINVAL;
    }
    if (to->inode != RMILL_SIM_NONE && is_directory(disk, to->inode) &&
        is_ancestor(disk, to->inode, from->directory)) {
        return -ENOTEMPTY;
    }
    if (to->inode == RMILL_SIM_NONE || to->inode == from->inode) {
        return 0;
    }
    if (is_directory(disk, to->inode) != directory) {
        return directory ? -ENOTDIR : -EISDIR;
    }
    return directory && rmill_sim_inode(disk, to->inode)->entries_now.count > 0 ? -ENOTEMPTY : 0;
}

int
rmill_sim_move(struct rmill_sim_disk *disk, const struct rmill_sim_where *from,
               const struct rmill_sim_where *to, unsigned flags, uint64_t now_ns)
{
    int code = flags & ~RENAME_NOREPLACE ? -EINVAL : move_check(disk, from, to, flags);

    if (code < 0 || to->inode == from->inode) {
        return code; /* Two names of one file: nothing happens. */
    }
    bool directory = is_directory(disk, from->inode);

    if (to->inode != RMILL_SIM_NONE) {
        name_drop(disk, to, now_ns);
    }
    name_drop(disk, from, now_ns);
    name_put(disk, to, from->inode, now_ns);
    rmill_sim_inode_touch(rmill_sim_inode(disk, from->inode), now_ns, false);
    rmill_sim_disk_change(
        disk, &(struct rmill_sim_change){.from = from->directory,
                                         .from_name = (char *)(uintptr_t)from->name,
                                         .to = to->directory,
                                         .to_name = (char *)(uintptr_t)to->name,
                                         .inode = from->inode,
                                         .emptied = directory ? to->inode : RMILL_SIM_NONE,
                                         .barrier = directory && from->directory != to->directory});
    if (to->inode != RMILL_SIM_NONE) {
        link_lose(disk, to->inode, now_ns);
    }
    return 0;
}

int
rmill_sim_join(struct rmill_sim_disk *disk, uint32_t inode, const struct rmill_sim_where *to,
               uint64_t now_ns)
{
    if (to->inode != RMILL_SIM_NONE) {
        return -EEXIST;
    }
    if (to->slash || !is_alive(disk, to->directory)) {
        return -ENOENT;
    }
    if (is_directory(disk, inode)) {
        return -EPERM;
    }
    if (rmill_sim_inode(disk, inode)->links == 0) {
        return -ENOENT;
    }
    if (rmill_sim_inode(disk, inode)->links >= HARD_LINKS_MAX) {
        return -EMLINK;
    }
    rmill_sim_inode(disk, inode)->links++;
    rmill_sim_inode_touch(rmill_sim_inode(disk, inode), now_ns, false);
    name_put(disk, to, inode, now_ns);
    rmill_sim_disk_change(disk, &(struct rmill_sim_change){.from = RMILL_SIM_NONE,
                                                           .to = to->directory,
                                                           .to_name = (char *)(uintptr_t)to->name,
                                                           .inode = inode,
                                                           .emptied = RMILL_SIM_NONE});
    return 0;
}
