/* engine/sim/files.c — descriptors of the simulated process and the calls on them. */
#include "engine/sim/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ringmill.h"
#include "engine/sim/internal.h"

#define FD_FIRST       1000
#define FILES_MAX      4096u
#define FILE_BYTES_MAX (1ull << 44)
#define OPEN_FLAGS                                                                                 \
    (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW | O_PATH |       \
     O_CLOEXEC | O_DIRECT | O_NOATIME | O_NONBLOCK | O_NOCTTY | O_SYNC | O_DSYNC | O_LARGEFILE)
#define PATH_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define RESOLVE_FLAGS                                                                              \
    (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV |                   \
     RESOLVE_NO_MAGICLINKS)

struct rmill_sim_description {
    uint32_t inode;
    uint32_t references;
    uint64_t flags;
    uint64_t position; /* Of a directory: how many records were given. */
    bool holds_lock;
    /* Of a directory, in the order it is given; made at the first read. */
    struct rmill_sim_entries listing;
};

struct rmill_sim_files {
    struct rmill_sim_description *table[FILES_MAX];
    uint32_t open_count;
};

struct rmill_sim_files *
rmill_sim_files_create(void)
{
    return calloc(1, sizeof(struct rmill_sim_files));
}

uint32_t
rmill_sim_files_open(const struct rmill_sim_files *files)
{
    return files->open_count;
}

static void
listing_free(struct rmill_sim_entries *listing)
{
    for (uint32_t i = 0; i < listing->count; i++) {
        free(listing->items[i].name);
    }
    free(listing->items);
    *listing = (struct rmill_sim_entries){0};
}

static void
description_drop(struct rmill_sim_disk *disk, struct rmill_sim_description *description)
{
    if (--description->references > 0) {
        return;
    }
    struct rmill_sim_inode *inode = rmill_sim_inode(disk, description->inode);

    if (description->holds_lock) {
        inode->locked = false;
    }
    inode->holders--;
    rmill_sim_inode_release(disk, description->inode);
    listing_free(&description->listing);
    free(description);
}

void
rmill_sim_files_destroy(struct rmill_sim_files *files, struct rmill_sim_disk *disk)
{
    for (uint32_t i = 0; i < FILES_MAX; i++) {
        if (files->table[i] != NULL) {
            description_drop(disk, files->table[i]);
        }
    }
    free(files);
}

static struct rmill_sim_description *
description_of(const struct rmill_sim *sim, int fd)
{
    return fd >= FD_FIRST && fd < FD_FIRST + (int)FILES_MAX ? sim->files->table[fd - FD_FIRST]
                                                            : NULL;
}

struct rmill_sim_description *
rmill_sim_description_hold(struct rmill_sim *sim, int fd)
{
    struct rmill_sim_description *description = description_of(sim, fd);

    if (description != NULL) {
        description->references++;
    }
    return description;
}

struct rmill_sim_description *
rmill_sim_description_again(struct rmill_sim_description *description)
{
    description->references++;
    return description;
}

void
rmill_sim_description_release(struct rmill_sim *sim, struct rmill_sim_description *description)
{
    description_drop(sim->disk, description);
}

static struct rmill_sim_inode *
inode_of(const struct rmill_sim *sim, const struct rmill_sim_description *description)
{
    return rmill_sim_inode(sim->disk, description->inode);
}

/* --- open ------------------------------------------------------------------------------------- */

/* Where a path relative to `directory` begins. */
static int
start_of(const struct rmill_sim *sim, int directory, const char *path, uint32_t *start)
{
    const struct rmill_sim_description *description = description_of(sim, directory);

    *start = RMILL_SIM_ROOT;
    if (directory == AT_FDCWD || path[0] == '/') {
        return 0;
    }
    if (description == NULL) {
        return -EBADF;
    }
    *start = description->inode;
    return S_ISDIR(inode_of(sim, description)->now.mode) ? 0 : -ENOTDIR;
}

static int
walk_from(const struct rmill_sim *sim, int directory, const char *path, unsigned flags,
          uint64_t resolve, struct rmill_sim_where *where)
{
    uint32_t start;
    int code = start_of(sim, directory, path, &start);

    return code < 0 ? code : rmill_sim_walk(sim->disk, start, path, flags, resolve, where);
}

static int
how_check(const struct open_how *how)
{
    if ((how->flags & ~(uint64_t)OPEN_FLAGS) != 0 ||
        (how->resolve & ~(uint64_t)RESOLVE_FLAGS) != 0) {
        return -EINVAL;
    }
    if ((how->flags & O_PATH) && (how->flags & ~(uint64_t)PATH_FLAGS) != 0) {
        return -EINVAL;
    }
    if (how->mode != 0 && !(how->flags & O_CREAT)) {
        return -EINVAL; /* openat2 is that strict. */
    }
    return (how->flags & O_CREAT) && (how->flags & O_DIRECTORY) ? -EINVAL : 0;
}

static int
existing_check(const struct rmill_sim_inode *inode, uint64_t flags)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);

    if ((flags & O_CREAT) && (flags & O_EXCL)) {
        return -EEXIST;
    }
    if (S_ISLNK(inode->now.mode) && !(flags & O_PATH)) {
        return flags & O_DIRECTORY ? -ENOTDIR : -ELOOP; /* Only reached with O_NOFOLLOW. */
    }
    if ((flags & O_DIRECTORY) && !S_ISDIR(inode->now.mode)) {
        return -ENOTDIR;
    }
    if (S_ISDIR(inode->now.mode) && !(flags & O_PATH) && (writes || (flags & O_CREAT))) {
        return -EISDIR;
    }
    return flags & O_PATH ? 0 : inode->open_code;
}

static int
descriptor_make(struct rmill_sim *sim, uint32_t inode, uint64_t flags)
{
    struct rmill_sim_files *files = sim->files;
    uint32_t index = 0;

    while (index < FILES_MAX && files->table[index] != NULL) {
        index++;
    }
    struct rmill_sim_description *description =
        index < FILES_MAX ? calloc(1, sizeof(*description)) : NULL;

    if (description == NULL) {
        return -EMFILE;
    }
    description->inode = inode;
    description->references = 1;
    description->flags = flags;
    rmill_sim_inode(sim->disk, inode)->holders++;
    files->table[index] = description;
    files->open_count++;
    return FD_FIRST + (int)index;
}

int
rmill_sim_open(struct rmill_sim *sim, int directory, const char *path, const struct open_how *how)
{
    uint64_t flags = how->flags;
    bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL));
    struct rmill_sim_where where;
    int code = how_check(how);

    if (code == 0) {
        code = walk_from(sim, directory, path,
                         (follow ? RMILL_SIM_FOLLOW : 0) | (flags & O_CREAT ? RMILL_SIM_CREATE : 0),
                         how->resolve, &where);
    }
    if (code < 0) {
        return code;
    }
    if (where.inode == RMILL_SIM_NONE) {
        if (!(flags & O_CREAT)) {
            return -ENOENT;
        }
        code = rmill_sim_create(sim->disk, &where, S_IFREG | (how->mode & 07777),
                                rmill_sim_clock(sim), &where.inode);
    } else {
        struct rmill_sim_inode *inode = rmill_sim_inode(sim->disk, where.inode);

        code = existing_check(inode, flags);
        if (code == 0 && (flags & O_TRUNC) && S_ISREG(inode->now.mode)) {
            rmill_sim_inode_truncate(sim->disk, inode, 0);
            rmill_sim_inode_touch(inode, rmill_sim_clock(sim), true);
        }
    }
    return code < 0 ? code : descriptor_make(sim, where.inode, flags);
}

int
rmill_sim_close(struct rmill_sim *sim, int fd)
{
    struct rmill_sim_description *description = description_of(sim, fd);

    if (description == NULL) {
        return -EBADF;
    }
    sim->files->table[fd - FD_FIRST] = NULL;
    sim->files->open_count--;
    description_drop(sim->disk, description);
    return 0;
}

/* --- data ------------------------------------------------------------------------------------- */

static int
data_check(const struct rmill_sim *sim, const struct rmill_sim_description *description,
           bool writes)
{
    uint64_t mode = description->flags & O_ACCMODE;

    if ((description->flags & O_PATH) || mode == (writes ? O_RDONLY : O_WRONLY)) {
        return -EBADF;
    }
    if (S_ISDIR(inode_of(sim, description)->now.mode)) {
        return -EISDIR;
    }
    return 0;
}

int64_t
rmill_sim_description_read(struct rmill_sim *sim, struct rmill_sim_description *description,
                           void *buffer, uint64_t bytes, uint64_t offset)
{
    struct rmill_sim_inode *inode = inode_of(sim, description);
    bool stream = offset == RMILL_OFFSET_STREAM;
    int code = data_check(sim, description, false);

    if (code < 0) {
        return code;
    }
    if (!stream && offset > INT64_MAX) {
        return -EINVAL;
    }
    if (inode->read_code < 0) {
        return inode->read_code;
    }
    uint64_t done =
        rmill_sim_inode_read(inode, buffer, bytes, stream ? description->position : offset);

    if (stream) {
        description->position += done;
    }
    return (int64_t)done;
}

int64_t
rmill_sim_description_write(struct rmill_sim *sim, struct rmill_sim_description *description,
                            const void *buffer, uint64_t bytes, uint64_t offset)
{
    struct rmill_sim_inode *inode = inode_of(sim, description);
    bool stream = offset == RMILL_OFFSET_STREAM;
    int code = data_check(sim, description, true);

    if (code < 0) {
        return code;
    }
    uint64_t at = description->flags & O_APPEND ? inode->bytes_now
                  : stream                      ? description->position
                                                : offset;

    if (at > FILE_BYTES_MAX || bytes > FILE_BYTES_MAX - at) {
        return at > INT64_MAX ? -EINVAL : -EFBIG;
    }
    uint64_t done = rmill_sim_inode_write(sim->disk, inode, buffer, bytes, at);

    if (done == 0 && bytes > 0) {
        return -ENOSPC;
    }
    rmill_sim_inode_touch(inode, rmill_sim_clock(sim), true);
    if (stream) {
        description->position = at + done;
    }
    rmill_sim_record(sim, RMILL_SIM_RECORD_DATA, done, rmill_hash64(buffer, done, at));
    return (int64_t)done;
}

int
rmill_sim_description_sync(struct rmill_sim *sim, struct rmill_sim_description *description,
                           bool data_only, bool lose)
{
    if (description->flags & O_PATH) {
        return -EBADF;
    }
    rmill_sim_inode_sync(sim->disk, description->inode, data_only, lose);
    return lose ? -EIO : 0;
}

int
rmill_sim_description_allocate(struct rmill_sim *sim, struct rmill_sim_description *description,
                               int mode, uint64_t offset, uint64_t bytes)
{
    struct rmill_sim_inode *inode = inode_of(sim, description);
    int code = data_check(sim, description, true);

    if (code < 0) {
        return code == -EISDIR ? -ENODEV : code;
    }
    if (bytes == 0 || offset > INT64_MAX || bytes > INT64_MAX) {
        return -EINVAL;
    }
    if (offset > FILE_BYTES_MAX || bytes > FILE_BYTES_MAX - offset) {
        return -EFBIG;
    }
    if (mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) {
        rmill_sim_inode_punch(sim->disk, inode, offset, bytes);
    } else if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0) {
        return -EOPNOTSUPP;
    } else if (!rmill_sim_inode_allocate(sim->disk, inode, offset, bytes)) {
        return -ENOSPC;
    } else if (mode == 0) {
        inode->bytes_now = rmill_max_u64(inode->bytes_now, offset + bytes);
    }
    rmill_sim_inode_touch(inode, rmill_sim_clock(sim), true);
    return 0;
}

int
rmill_sim_description_truncate(struct rmill_sim *sim, struct rmill_sim_description *description,
                               uint64_t bytes)
{
    struct rmill_sim_inode *inode = inode_of(sim, description);
    int code = data_check(sim, description, true);

    if (code < 0) {
        return code == -EBADF && !(description->flags & O_PATH) ? -EINVAL : code;
    }
    if (bytes > FILE_BYTES_MAX) {
        return bytes > INT64_MAX ? -EINVAL : -EFBIG;
    }
    rmill_sim_inode_truncate(sim->disk, inode, bytes);
    rmill_sim_inode_touch(inode, rmill_sim_clock(sim), true);
    return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

/* The inode of `path`, or of the descriptor itself when the path is empty and that is allowed. */
static int
inode_find(struct rmill_sim *sim, int directory, const char *path, bool follow, bool empty,
           uint32_t *index)
{
    struct rmill_sim_where where;

    if (empty && path[0] == '\0') {
        const struct rmill_sim_description *description = description_of(sim, directory);

        *index = description != NULL ? description->inode : RMILL_SIM_ROOT;
        return description != NULL || directory == AT_FDCWD ? 0 : -EBADF;
    }
    int code = walk_from(sim, directory, path, follow ? RMILL_SIM_FOLLOW : 0, 0, &where);

    *index = where.inode;
    return code < 0 ? code : where.inode == RMILL_SIM_NONE ? -ENOENT : 0;
}

int
rmill_sim_stat(struct rmill_sim *sim, int directory, const char *path, int flags, struct stat *out)
{
    uint32_t index;
    int code = inode_find(sim, directory, path, !(flags & AT_SYMLINK_NOFOLLOW),
                          flags & AT_EMPTY_PATH, &index);

    if (code == 0) {
        rmill_sim_inode_stat(sim->disk, index, out);
    }
    return code;
}

int
rmill_sim_attributes(struct rmill_sim *sim, int directory, const char *path,
                     struct rmill_sim_inode **inode)
{
    uint32_t index;
    int code = inode_find(sim, directory, path, false, true, &index);

    if (code == 0) {
        *inode = rmill_sim_inode(sim->disk, index);
        rmill_sim_inode_touch(*inode, rmill_sim_clock(sim), false);
    }
    return code;
}

int
rmill_sim_readlink(struct rmill_sim *sim, int directory, const char *path, char *buffer,
                   uint64_t bytes)
{
    uint32_t index;
    int code = inode_find(sim, directory, path, false, true, &index);

    if (code < 0) {
        return code;
    }
    const struct rmill_sim_inode *inode = rmill_sim_inode(sim->disk, index);

    if (inode->target == NULL) {
        return path[0] == '\0' ? -ENOENT : -EINVAL;
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    uint64_t length = rmill_min_u64(strlen(inode->target), bytes);

    memcpy(buffer, inode->target, length);
    return (int)length;
}

int
rmill_sim_mkdir(struct rmill_sim *sim, int directory, const char *path, mode_t mode)
{
    struct rmill_sim_where where;
    uint32_t inode;
    int code = walk_from(sim, directory, path, RMILL_SIM_PARENT, 0, &where);

    return code < 0 ? code
                    : rmill_sim_create(sim->disk, &where, S_IFDIR | (mode & 07777),
                                       rmill_sim_clock(sim), &inode);
}

int
rmill_sim_unlink(struct rmill_sim *sim, int directory, const char *path, bool is_directory)
{
    struct rmill_sim_where where;
    int code = walk_from(sim, directory, path, RMILL_SIM_PARENT, 0, &where);

    return code < 0 ? code
                    : rmill_sim_remove(sim->disk, &where, is_directory, rmill_sim_clock(sim));
}

int
rmill_sim_rename(struct rmill_sim *sim, int old_directory, const char *old_path, int new_directory,
                 const char *new_path, unsigned flags)
{
    struct rmill_sim_where from, to;
    int code = walk_from(sim, old_directory, old_path, RMILL_SIM_PARENT, 0, &from);

    if (code == 0) {
        code = walk_from(sim, new_directory, new_path, RMILL_SIM_PARENT, 0, &to);
    }
    return code < 0 ? code : rmill_sim_move(sim->disk, &from, &to, flags, rmill_sim_clock(sim));
}

int
rmill_sim_link(struct rmill_sim *sim, int old_directory, const char *old_path, int new_directory,
               const char *new_path, int flags)
{
    struct rmill_sim_where to;
    uint32_t inode;
    int code = inode_find(sim, old_directory, old_path, flags & AT_SYMLINK_FOLLOW,
                          flags & AT_EMPTY_PATH, &inode);

    if (code == 0) {
        code = walk_from(sim, new_directory, new_path, RMILL_SIM_PARENT, 0, &to);
    }
    return code < 0 ? code : rmill_sim_join(sim->disk, inode, &to, rmill_sim_clock(sim));
}

int
rmill_sim_symlink(struct rmill_sim *sim, const char *target, int directory, const char *path)
{
    struct rmill_sim_where where;
    uint32_t inode;
    int code = walk_from(sim, directory, path, RMILL_SIM_PARENT, 0, &where);

    if (code == 0 && (target[0] == '\0' || strlen(target) >= RMILL_SIM_PAGE_BYTES)) {
        code = target[0] == '\0' ? -ENOENT : -ENAMETOOLONG;
    }
    if (code == 0) {
        code = rmill_sim_create(sim->disk, &where, S_IFLNK | 0777, rmill_sim_clock(sim), &inode);
    }
    if (code == 0) {
        rmill_sim_inode(sim->disk, inode)->target = strdup(target);
    }
    return code;
}

int
rmill_sim_lock(struct rmill_sim *sim, int fd)
{
    struct rmill_sim_description *description = description_of(sim, fd);

    if (description == NULL || (description->flags & O_PATH) ||
        (description->flags & O_ACCMODE) == O_RDONLY) {
        return -EBADF;
    }
    struct rmill_sim_inode *inode = inode_of(sim, description);

    if (inode->locked && !description->holds_lock) {
        return -EAGAIN;
    }
    inode->locked = description->holds_lock = true;
    return 0;
}

/* --- directories ------------------------------------------------------------------------------ */

/* A copy of the entries in a seeded order: nobody may rely on the order of a directory. */
static void
listing_make(struct rmill_sim *sim, struct rmill_sim_description *description)
{
    const struct rmill_sim_inode *inode = inode_of(sim, description);
    struct rmill_sim_entries *listing = &description->listing;

    rmill_sim_entry_put(listing, ".", description->inode);
    rmill_sim_entry_put(listing, "..", inode->parent);
    for (uint32_t i = 0; i < inode->entries_now.count; i++) {
        const struct rmill_sim_entry *entry = &inode->entries_now.items[i];

        rmill_sim_entry_put(listing, entry->name, entry->inode);
    }
    for (uint32_t i = listing->count; i > 1; i--) {
        uint64_t other = rmill_prng_below(&sim->chance, i);
        struct rmill_sim_entry swap = listing->items[i - 1];

        listing->items[i - 1] = listing->items[other];
        listing->items[other] = swap;
    }
}

int64_t
rmill_sim_directory_read(struct rmill_sim *sim, int fd, void *buffer, uint64_t bytes)
{
    struct rmill_sim_description *description = description_of(sim, fd);
    uint64_t done = 0;

    if (description == NULL || (description->flags & O_PATH)) {
        return -EBADF;
    }
    if (!S_ISDIR(inode_of(sim, description)->now.mode)) {
        return -ENOTDIR;
    }
    if (description->listing.count == 0) {
        listing_make(sim, description);
    }
    while (description->position < description->listing.count) {
        const struct rmill_sim_entry *entry = &description->listing.items[description->position];
        const struct rmill_sim_inode *inode = sim->disk->inodes[entry->inode];
        size_t length = strlen(entry->name) + 1;
        uint64_t record = rmill_align_up(offsetof(struct dirent64, d_name) + length, 8);

        if (done + record > bytes) {
            return done > 0 ? (int64_t)done : -EINVAL;
        }
        struct dirent64 *out = (struct dirent64 *)(void *)((char *)buffer + done);

        memset(out, 0, record);
        out->d_ino = inode->number;
        out->d_off = (off64_t)(description->position + 1) * 7919; /* A cookie, no count. */
        out->d_reclen = (unsigned short)record;
        out->d_type = rmill_sim_fault(sim, RMILL_SIM_TYPE_UNKNOWN)
                          ? DT_UNKNOWN
                          : (unsigned char)IFTODT(inode->now.mode);
        memcpy(out->d_name, entry->name, length);
        description->position++;
        done += record;
    }
    return (int64_t)done;
}
