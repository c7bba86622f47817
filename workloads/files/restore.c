#include "workloads/files/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/macros.h"

#define INSIDE         (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
#define MARKER         ".ringmill-unpack"
#define NAME_BYTES_MAX 256u
#define PATH_BYTES_MAX 4096u /* PATH_MAX, with the terminator. */

/* --- small things ---------------------------------------------------------------------------- */

/* A failure of the whole target, not of one entry: nothing after it can succeed. */
static bool
is_fatal(int code)
{
    return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -EIO ||
           code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

/* Say why one entry is not there. Returns the code when the whole run must end, else 0. */
static int
entry_failed(struct rmill_findings *findings, const struct rmill_entry *entry, int code)
{
    if (code == -EEXIST) {
        rmill_findings_add(findings, RMILL_FINDING_LEFT_OUT, entry,
                           "exists already; it is kept as it is");
    } else if (code == -ELOOP || code == -EXDEV) {
        rmill_findings_add(findings, RMILL_FINDING_REFUSED, entry,
                           "refused: its way leads through a symlink or out of the target");
    } else if (is_fatal(code)) {
        return code;
    } else {
        rmill_findings_add(findings, RMILL_FINDING_FAILED, entry, "%s", rmill_errno_text(code));
    }
    return 0;
}

/* Where the last component begins; the directory part is [0, *directory_bytes), 0 = the target. */
static const char *
last_component(const char *path, uint32_t bytes, uint32_t *directory_bytes)
{
    uint32_t at = bytes;

    while (at > 0 && path[at - 1] != '/') {
        at--;
    }
    *directory_bytes = at > 0 ? at - 1 : 0;
    return path + at;
}

/* Open the first `bytes` bytes of `path` below `from`, without following any symlink. */
static int
piece_open(int from, const char *path, uint32_t bytes, int flags, mode_t mode)
{
    char piece[PATH_BYTES_MAX];

    if (bytes >= sizeof(piece)) {
        return -ENAMETOOLONG;
    }
    memcpy(piece, path, bytes);
    piece[bytes] = '\0';
    return rmill_plain_open(from, bytes > 0 ? piece : ".", flags, mode, INSIDE);
}

/* Open a name inside the target; no bytes: the target itself. What is longer than the kernel takes
 * at once goes in pieces, each below the one before. */
static int
inside_open(const struct rmill_restore *restore, const char *path, uint32_t bytes, int flags,
            mode_t mode)
{
    int from = restore->target;

    while (bytes >= PATH_BYTES_MAX) {
        uint32_t cut = PATH_BYTES_MAX - 1;

        while (cut > 0 && path[cut] != '/') {
            cut--;
        }
        int next = cut > 0 ? piece_open(from, path, cut, O_PATH | O_DIRECTORY, 0) : -ENAMETOOLONG;

        if (from != restore->target) {
            (void)rmill_plain_close(from);
        }
        if (next < 0) {
            return next;
        }
        from = next;
        path += cut + 1;
        bytes -= cut + 1;
    }
    int fd = piece_open(from, path, bytes, flags, mode);

    if (from != restore->target) {
        (void)rmill_plain_close(from);
    }
    return fd;
}

/* A directory inside the target, as O_PATH descriptor. */
static int
directory_open(const struct rmill_restore *restore, const char *path, uint32_t bytes)
{
    return inside_open(restore, path, bytes, O_PATH | O_DIRECTORY, 0);
}

/* --- the set of directories this run made
 *     ------------------------------------------------------ */

/* Only seeded hashes. A collision makes a file of an old directory go the direct way, where it
 * still replaces nothing. 0 is no hash. */
static uint64_t
name_hash(const struct rmill_restore *restore, const char *path, uint32_t bytes)
{
    uint64_t hash = rmill_hash64(path, bytes, restore->seed);

    return hash != 0 ? hash : 1;
}

static bool
made_has(const struct rmill_restore *restore, const char *path, uint32_t bytes)
{
    if (restore->made_count == 0) {
        return false;
    }
    uint64_t hash = name_hash(restore, path, bytes), mask = restore->made_capacity - 1;

    for (uint64_t at = hash & mask; restore->made[at] != 0; at = (at + 1) & mask) {
        if (restore->made[at] == hash) {
            return true;
        }
    }
    return false;
}

static void
made_put(uint64_t *table, uint64_t capacity, uint64_t hash)
{
    uint64_t at = hash & (capacity - 1);

    while (table[at] != 0) {
        at = (at + 1) & (capacity - 1);
    }
    table[at] = hash;
}

static int
made_add(struct rmill_restore *restore, const char *path, uint32_t bytes)
{
    if (restore->made_count * 2 >= restore->made_capacity) {
        uint64_t capacity = restore->made_capacity != 0 ? restore->made_capacity * 2 : 1024;
        uint64_t *larger = calloc(capacity, sizeof(uint64_t));

        if (larger == NULL) {
            return -ENOMEM;
        }
        for (uint64_t i = 0; i < restore->made_capacity; i++) {
            if (restore->made[i] != 0) {
                made_put(larger, capacity, restore->made[i]);
            }
        }
        free(restore->made);
        restore->made = larger;
        restore->made_capacity = capacity;
    }
    made_put(restore->made, restore->made_capacity, name_hash(restore, path, bytes));
    restore->made_count++;
    return 0;
}

/* Make the directory `path` in its parent, which is there. 0: this run made it; -EEXIST: something
 * of that name is there. */
static int
directory_create(struct rmill_restore *restore, const char *path, uint32_t bytes, mode_t mode)
{
    uint32_t parent_bytes;
    char name[NAME_BYTES_MAX];
    const char *last = last_component(path, bytes, &parent_bytes);
    uint32_t name_bytes = bytes - (uint32_t)(last - path);

    if (name_bytes >= sizeof(name)) {
        return -ENAMETOOLONG;
    }
    memcpy(name, last, name_bytes);
    name[name_bytes] = '\0';
    int parent = directory_open(restore, path, parent_bytes);

    if (parent < 0) {
        return parent;
    }
    int code = rmill_plain_mkdir(parent, name, mode);

    (void)rmill_plain_close(parent);
    return code == 0 ? made_add(restore, path, bytes) : code;
}

/* Make a directory that has no entry of its own, and what is missing above it: archives of
 * "usr/share" have no entry "usr". */
static int
directory_ensure(struct rmill_restore *restore, const char *path, uint32_t bytes)
{
    int fd = directory_open(restore, path, bytes);

    if (fd >= 0) {
        return rmill_plain_close(fd);
    }
    if (fd != -ENOENT) {
        return fd;
    }
    for (uint32_t at = 1; at <= bytes; at++) {
        if (at != bytes && path[at] != '/') {
            continue;
        }
        int code = directory_create(restore, path, at, 0777);

        if (code < 0 && code != -EEXIST) {
            return code;
        }
    }
    return 0;
}

/* --- opening and closing
 *     ----------------------------------------------------------------------- */

static int
target_open(struct rmill_restore *restore, const char *target, struct rmill_error *error)
{
    const char *shown = restore->options.shown;
    int code = rmill_plain_mkdir(AT_FDCWD, target, 0777);

    restore->target_made = code == 0;
    if (code < 0 && code != -EEXIST) {
        return rmill_error_set(error, code, "cannot make the directory %s: %s", shown,
                               rmill_errno_text(code));
    }
    restore->target = rmill_plain_open(AT_FDCWD, target, O_PATH | O_DIRECTORY, 0, 0);
    if (restore->target < 0) {
        return rmill_error_set(error, restore->target, "cannot open the directory %s: %s", shown,
                               rmill_errno_text(restore->target));
    }
    return restore->target_made ? made_add(restore, "", 0) : 0;
}

/* Exclusive creation decides who is first; the lock tells a living run from a dead one. */
static int
marker_put(struct rmill_restore *restore, struct rmill_error *error)
{
    const char *shown = restore->options.shown;
    int fd = rmill_plain_open(restore->target, MARKER, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600,
                              INSIDE);

    if (fd >= 0) {
        restore->marker = fd;
        (void)rmill_plain_lock(fd); /* A file system without locks: then a crash looks like a live
                                     * run. */
        return 0;
    }
    if (fd != -EEXIST) {
        return rmill_error_set(error, fd, "cannot write into %s: %s", shown, rmill_errno_text(fd));
    }
    fd = rmill_plain_open(restore->target, MARKER, O_RDWR | O_NOFOLLOW, 0, INSIDE);
    bool alive = fd >= 0 && rmill_plain_lock(fd) == -EAGAIN;

    if (fd >= 0) {
        (void)rmill_plain_close(fd);
    }
    return alive ? rmill_error_set(error, -EBUSY, "another unpack is at work in %s", shown)
                 : rmill_error_set(error, -ESTALE,
                                   "an earlier unpack into %s was cut off, and what it "
                                   "left may be incomplete: remove that directory, or, to keep "
                                   "what is there, its file " MARKER " (and .ringmill-*.tmp "
                                   "below), and try again",
                                   shown);
}

/* Bring the target's names to the disk, or all of its file system. */
static int
target_sync(const struct rmill_restore *restore, bool names_only)
{
    int fd = rmill_plain_open(restore->target, ".", O_RDONLY | O_DIRECTORY, 0, INSIDE);

    if (fd < 0) {
        return fd;
    }
    int code = names_only ? rmill_plain_fsync(fd, false) : rmill_plain_syncfs(fd);

    (void)rmill_plain_close(fd);
    return code;
}

int
rmill_restore_open(struct rmill_restore *restore, const char *target,
                   const struct rmill_restore_options *options, struct rmill_error *error)
{
    memset(restore, 0, sizeof(*restore));
    restore->target = restore->marker = -1;
    restore->options = *options;
    restore->seed = rmill_random();
    int code = target_open(restore, target, error);

    if (code == -ENOMEM) {
        (void)rmill_error_set(error, code, "no memory to restore");
    }
    code = code < 0 ? code : marker_put(restore, error);
    /* Directories that were there get files before the marker's name is sure to be on the disk;
     * those made below the target cannot get there before it. */
    if (code == 0 && options->sync && !restore->target_made) {
        code = target_sync(restore, true);
        if (code < 0) {
            (void)rmill_error_set(error, code, "cannot write to the directory %s: %s",
                                  options->shown, rmill_errno_text(code));
        }
    }
    return code;
}

int
rmill_restore_finish(struct rmill_restore *restore, struct rmill_error *error)
{
    bool sync = restore->options.sync;
    int code = sync ? target_sync(restore, false) : 0;

    if (code == 0) {
        code = rmill_plain_unlink(restore->target, MARKER, false);
    }
    if (code == 0 && sync) { /* That the marker is gone should survive a power failure too. */
        code = target_sync(restore, true);
    }
    return code < 0 ? rmill_error_set(error, code, "cannot bring the files to the disk: %s",
                                      rmill_errno_text(code))
                    : 0;
}

void
rmill_restore_close(struct rmill_restore *restore)
{
    if (restore->marker >= 0) {
        (void)rmill_plain_close(restore->marker);
    }
    if (restore->target >= 0) {
        (void)rmill_plain_close(restore->target);
    }
    free(restore->made);
    memset(restore, 0, sizeof(*restore));
    restore->target = restore->marker = -1;
}

/* --- directories ----------------------------------------------------------------------------- */

static bool
is_root_entry(const struct rmill_entry *entry)
{
    return entry->path_bytes == 1 && entry->path[0] == '.';
}

/* What is in the way of a directory: another one is fine. */
static int
existing_accept(struct rmill_restore *restore, const struct rmill_entry *entry,
                struct rmill_findings *findings)
{
    int fd = directory_open(restore, entry->path, entry->path_bytes);

    if (fd == -ENOTDIR || fd == -ELOOP) {
        rmill_findings_add(findings, RMILL_FINDING_LEFT_OUT, entry,
                           "something that is no directory is in its place");
        return 0;
    }
    return fd < 0 ? entry_failed(findings, entry, fd) : rmill_plain_close(fd);
}

static int
directory_make(struct rmill_restore *restore, const struct rmill_entry *entry,
               struct rmill_findings *findings)
{
    if (is_root_entry(entry)) {
        return 0;
    }
    int code = directory_create(restore, entry->path, entry->path_bytes, 0700);

    if (code == -EEXIST) {
        return existing_accept(restore, entry, findings);
    }
    return code < 0 ? entry_failed(findings, entry, code) : 0;
}

/* The directory of the members at hand: in path order most have the one of the member before. */
struct parent {
    const char *path;
    uint32_t bytes;
    bool made;
};

static int
parent_prepare(struct rmill_restore *restore, const struct rmill_entry *entry,
               struct parent *parent)
{
    uint32_t bytes;

    (void)last_component(entry->path, entry->path_bytes, &bytes);
    if (parent->path != NULL && parent->bytes == bytes &&
        memcmp(parent->path, entry->path, bytes) == 0) {
        return 0;
    }
    int code = 0;

    *parent = (struct parent){.path = entry->path, .bytes = bytes};
    if (!made_has(restore, entry->path, bytes)) {
        code = directory_ensure(restore, entry->path, bytes);
    }
    parent->made = made_has(restore, entry->path, bytes);
    return is_fatal(code) ? code : 0; /* Else the member itself will meet it, and tell. */
}

int
rmill_restore_directories(struct rmill_restore *restore, struct rmill_catalog *catalog,
                          struct rmill_findings *findings)
{
    struct parent parent = {0};

    for (uint32_t i = 0; i < catalog->window.entry_count; i++) {
        struct rmill_catalog_member *member = &catalog->members[catalog->by_path[i]];
        int code = parent_prepare(restore, &member->entry, &parent);

        member->in_old_directory = !parent.made;
        if (code == 0 && member->entry.type == RMILL_ENTRY_DIRECTORY) {
            code = directory_make(restore, &member->entry, findings);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static void
times_of(const struct rmill_entry *entry, struct timespec times[2])
{
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    times[1] = (struct timespec){.tv_sec = (time_t)entry->mtime_s, .tv_nsec = entry->mtime_ns};
}

/* Not everything can be kept everywhere: a warning, and no set-id bits for a wrong owner. */
static void
attribute_failed(struct rmill_findings *findings, const struct rmill_entry *entry, const char *what,
                 int code)
{
    rmill_findings_add(findings, RMILL_FINDING_WARNING, entry, "its %s cannot be kept: %s", what,
                       rmill_errno_text(code));
}

static bool
is_refusal(int code)
{
    return code == -EPERM || code == -EACCES || code == -EINVAL || code == -EOPNOTSUPP;
}

/* Owner first, because a change of owner clears the set-id bits; times last. */
static int
attributes_set(const struct rmill_restore *restore, int fd, const struct rmill_entry *entry,
               struct rmill_findings *findings)
{
    struct timespec times[2];
    uint32_t mode = entry->mode;
    int code = restore->options.owners ? rmill_plain_chown(fd, "", entry->uid, entry->gid) : 0;

    times_of(entry, times);
    if (is_refusal(code)) {
        attribute_failed(findings, entry, "owner", code);
        mode &= 0777;
        code = 0;
    }
    if (code == 0) {
        code = rmill_plain_chmod(fd, mode);
        if (is_refusal(code)) {
            attribute_failed(findings, entry, "mode", code);
            code = 0;
        }
    }
    return code == 0 ? rmill_plain_times(fd, "", times) : code;
}

int
rmill_restore_directories_end(struct rmill_restore *restore, const struct rmill_catalog *catalog,
                              struct rmill_findings *findings)
{
    for (uint32_t i = catalog->window.entry_count; i-- > 0;) {
        const struct rmill_entry *entry = &catalog->members[catalog->by_path[i]].entry;
        uint32_t bytes = is_root_entry(entry) ? 0 : entry->path_bytes;

        if (entry->type != RMILL_ENTRY_DIRECTORY || !made_has(restore, entry->path, bytes)) {
            continue;
        }
        int fd = inside_open(restore, entry->path, bytes, O_RDONLY | O_DIRECTORY, 0);
        int code = fd < 0 ? fd : attributes_set(restore, fd, entry, findings);

        if (fd >= 0) {
            (void)rmill_plain_close(fd);
        }
        if (code < 0) {
            code = entry_failed(findings, entry, code);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

/* --- files
 *     ------------------------------------------------------------------------------------- */

/* A file being made: its descriptor, and, under a temporary name, where and how it is called. */
struct making {
    int fd;
    int parent; /* -1: made directly under its name. */
    char temporary[48];
};

static int
making_open_at(struct rmill_restore *restore, const struct rmill_entry *entry,
               struct making *making)
{
    making->fd = inside_open(restore, entry->path, entry->path_bytes,
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    return making->fd < 0 ? making->fd : 0;
}

static int
making_open_temporary(struct rmill_restore *restore, const struct rmill_entry *entry,
                      struct making *making)
{
    uint32_t parent_bytes;
    const char *name = last_component(entry->path, entry->path_bytes, &parent_bytes);
    struct stat status;
    int code;

    making->parent = directory_open(restore, entry->path, parent_bytes);
    if (making->parent < 0) {
        return making->parent;
    }
    code = rmill_plain_stat(making->parent, name, &status);
    if (code != -ENOENT) { /* Known before any work; the rename decides. */
        return code == 0 ? -EEXIST : code;
    }
    (void)snprintf(making->temporary, sizeof(making->temporary), ".ringmill-%08x-%llu.tmp",
                   (uint32_t)restore->seed,
                   (unsigned long long)atomic_fetch_add_explicit(&restore->next_temporary, 1,
                                                                 memory_order_relaxed));
    making->fd = rmill_plain_open(making->parent, making->temporary,
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, INSIDE);
    return making->fd < 0 ? making->fd : 0;
}

static int
making_open(struct rmill_restore *restore, const struct rmill_catalog_member *member,
            struct making *making)
{
    *making = (struct making){.fd = -1, .parent = -1};
    int code = member->in_old_directory ? making_open_temporary(restore, &member->entry, making)
                                        : making_open_at(restore, &member->entry, making);

    if (code < 0 && making->parent >= 0) {
        (void)rmill_plain_close(making->parent);
        making->parent = -1;
    }
    return code;
}

/* Take away what is not to stay. */
static void
making_undo(const struct rmill_restore *restore, const struct rmill_entry *entry,
            const struct making *making)
{
    if (making->parent >= 0) {
        (void)rmill_plain_unlink(making->parent, making->temporary, false);
        return;
    }
    uint32_t parent_bytes;
    const char *name = last_component(entry->path, entry->path_bytes, &parent_bytes);
    int parent = directory_open(restore, entry->path, parent_bytes);

    if (parent >= 0) {
        (void)rmill_plain_unlink(parent, name, false);
        (void)rmill_plain_close(parent);
    }
}

/* Close it under its final name (`code` 0), or take it away. */
static int
making_close(struct rmill_restore *restore, const struct rmill_entry *entry, struct making *making,
             int code, struct rmill_findings *findings)
{
    if (code == 0) {
        code = attributes_set(restore, making->fd, entry, findings);
    }
    int close_code = rmill_plain_close(making->fd);

    code = code == 0 ? close_code : code; /* NFS tells of a full disk here. */
    if (code == 0 && making->parent >= 0) {
        uint32_t parent_bytes;
        const char *name = last_component(entry->path, entry->path_bytes, &parent_bytes);

        code = rmill_plain_rename(making->parent, making->temporary, making->parent, name,
                                  RENAME_NOREPLACE);
    }
    if (code < 0) {
        making_undo(restore, entry, making);
    } else {
        atomic_fetch_add_explicit(&restore->files, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&restore->bytes, entry->size, memory_order_relaxed);
    }
    if (making->parent >= 0) {
        (void)rmill_plain_close(making->parent);
    }
    return code;
}

int
rmill_restore_file(struct rmill_restore *restore, const struct rmill_catalog_member *member,
                   const void *content, struct rmill_findings *findings)
{
    const struct rmill_entry *entry = &member->entry;
    struct making making;
    int code = making_open(restore, member, &making);

    if (code == 0) {
        if (entry->size > 0) {
            int64_t written = rmill_plain_write(making.fd, content, entry->size, 0);

            code = written < 0 ? (int)written : 0;
        }
        code = making_close(restore, entry, &making, code, findings);
    }
    return code < 0 ? entry_failed(findings, entry, code) : 0;
}

/* --- large files ------------------------------------------------------------------------------ */

struct rmill_restore_large {
    struct making making;
};

int
rmill_restore_large_begin(struct rmill_restore *restore, const struct rmill_catalog_member *member,
                          struct rmill_restore_large **out, struct rmill_findings *findings)
{
    struct rmill_restore_large *large = calloc(1, sizeof(*large));
    int code = large != NULL ? making_open(restore, member, &large->making) : -ENOMEM;

    if (code < 0) {
        free(large);
        return entry_failed(findings, &member->entry, code);
    }
    /* Not fallocate: a file system without it would write zeros. */
    code = rmill_plain_truncate(large->making.fd, member->entry.size);
    if (code < 0) {
        code = making_close(restore, &member->entry, &large->making, code, findings);
        free(large);
        return entry_failed(findings, &member->entry, code);
    }
    *out = large;
    return 0;
}

int
rmill_restore_large_part(struct rmill_restore_large *large, const void *content, uint64_t bytes,
                         uint64_t offset)
{
    int64_t written =
        rmill_write((struct rmill_file){.fd = large->making.fd}, content, bytes, offset);

    return written < 0 ? (int)written : 0;
}

int
rmill_restore_large_end(struct rmill_restore *restore, const struct rmill_catalog_member *member,
                        struct rmill_restore_large *large, bool good,
                        struct rmill_findings *findings)
{
    int code =
        making_close(restore, &member->entry, &large->making, good ? 0 : -ECANCELED, findings);

    free(large);
    return !good || code == 0 ? 0 : entry_failed(findings, &member->entry, code);
}

/* --- links ------------------------------------------------------------------------------------ */

static int
symlink_make(struct rmill_restore *restore, const struct rmill_entry *entry,
             struct rmill_findings *findings)
{
    uint32_t parent_bytes;
    const char *name = last_component(entry->path, entry->path_bytes, &parent_bytes);
    int parent = directory_open(restore, entry->path, parent_bytes);
    struct timespec times[2];

    if (parent < 0) {
        return parent;
    }
    times_of(entry, times);
    int code = rmill_plain_symlink(entry->link, parent, name);

    if (code == 0 && restore->options.owners) {
        code = rmill_plain_chown(parent, name, entry->uid, entry->gid);
        if (is_refusal(code)) {
            attribute_failed(findings, entry, "owner", code);
            code = 0;
        }
    }
    if (code == 0) {
        code = rmill_plain_times(parent, name, times);
    }
    (void)rmill_plain_close(parent);
    return code;
}

/* In a directory that was there before, the target may be a file that was kept: a link to it would
 * give the entry another's content. Names of one inode have one time. */
static int
target_ours(int directory, const char *name, const struct rmill_entry *entry)
{
    struct stat status;
    int code = rmill_plain_stat(directory, name, &status);

    if (code == 0 && (status.st_mtim.tv_sec != (time_t)entry->mtime_s ||
                      status.st_mtim.tv_nsec != (long)entry->mtime_ns)) {
        return -ESTALE;
    }
    return code;
}

/* Both ends by a descriptor of their directory and a last component that is not followed. */
static int
hardlink_make(struct rmill_restore *restore, const struct rmill_entry *entry)
{
    uint32_t target_bytes, parent_bytes;
    const char *target_name = last_component(entry->link, entry->link_bytes, &target_bytes);
    const char *name = last_component(entry->path, entry->path_bytes, &parent_bytes);

    if (rmill_pathname_check(entry->link, entry->link_bytes, NULL) < 0) {
        return -EXDEV;
    }
    int parent = directory_open(restore, entry->path, parent_bytes);
    struct stat status;

    if (parent < 0) {
        return parent;
    }
    int code = rmill_plain_stat(parent, name, &status) == 0 ? -EEXIST : 0;
    int target = code == 0 ? directory_open(restore, entry->link, target_bytes) : code;

    code = target < 0 ? target : 0;
    if (code == 0 && !made_has(restore, entry->link, target_bytes)) {
        code = target_ours(target, target_name, entry);
    }
    if (code == 0) {
        code = rmill_plain_link(target, target_name, parent, name);
    }
    if (target >= 0) {
        (void)rmill_plain_close(target);
    }
    (void)rmill_plain_close(parent);
    return code;
}

int
rmill_restore_links(struct rmill_restore *restore, const struct rmill_catalog *catalog,
                    const _Atomic uint64_t *good, struct rmill_findings *findings)
{
    for (uint32_t i = 0; i < catalog->window.entry_count; i++) {
        const struct rmill_catalog_member *member = &catalog->members[i];
        const struct rmill_entry *entry = &member->entry;
        int code = 0;

        uint64_t word = atomic_load_explicit(&good[member->number / 64], memory_order_relaxed);

        if ((word >> (member->number % 64) & 1) == 0) {
            continue; /* Found damaged: told already. */
        }
        if (entry->type == RMILL_ENTRY_SYMLINK) {
            code = symlink_make(restore, entry, findings);
        } else if (entry->type == RMILL_ENTRY_HARDLINK) {
            code = hardlink_make(restore, entry);
            if (code == -ENOENT) {
                rmill_findings_add(findings, RMILL_FINDING_FAILED, entry,
                                   "the file it is a hard link to is not there");
                code = 0;
            } else if (code == -ESTALE) {
                rmill_findings_add(findings, RMILL_FINDING_LEFT_OUT, entry,
                                   "the file it would be a link to existed already and was kept");
                code = 0;
            }
        }
        if (code < 0 && (code = entry_failed(findings, entry, code)) < 0) {
            return code;
        }
    }
    return 0;
}
