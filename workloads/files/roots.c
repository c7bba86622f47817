/* workloads/files/roots.c — see roots.h. */
#include "workloads/files/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ringmill.h"
#include "workloads/files/pathname.h"

#define ESCAPED_BYTES 256

static const char *
escaped(char to[ESCAPED_BYTES], const char *name)
{
    return rmill_pathname_escape(to, ESCAPED_BYTES, name, strlen(name));
}

/* ---- names ----------------------------------------------------------------------------------- */

int
rmill_root_name(const char *path, char *stored, uint32_t *bytes, struct rmill_error *error)
{
    char shown[ESCAPED_BYTES];
    size_t used = 0;

    if (path[0] == 0) {
        return rmill_error_set(error, -EINVAL, "a path is empty");
    }
    for (const char *at = path; *at != 0;) {
        size_t length = strcspn(at, "/");

        if (length == 2 && at[0] == '.' && at[1] == '.') {
            return rmill_error_set(
                error, -EINVAL,
                "%s has the component \"..\", which no archive may hold; use -C DIR",
                escaped(shown, path));
        }
        if (length > 0 && !(length == 1 && at[0] == '.')) {
            if (used > 0) {
                stored[used++] = '/';
            }
            memcpy(stored + used, at, length);
            used += length;
        }
        at += length + (at[length] == '/');
    }
    if (used == 0) {
        stored[used++] = '.';
    }
    stored[used] = 0;
    *bytes = (uint32_t)used;
    return rmill_pathname_check(stored, used, error);
}

/* How the system is asked for a typed path: without trailing slashes, but a path that ended in
 * one, or in "/.", means the directory behind a link. NULL out of memory. */
static char *
access_of(const char *path, uint32_t *bytes)
{
    size_t length = strlen(path);
    size_t kept = length;
    char *access = malloc(length + 3);

    if (access == NULL) {
        return NULL;
    }
    while (kept > 1 &&
           (path[kept - 1] == '/' || (path[kept - 1] == '.' && path[kept - 2] == '/'))) {
        kept--;
    }
    memcpy(access, path, kept);
    if (kept < length) {
        memcpy(access + kept, "/.", 2);
        kept += 2;
    }
    access[kept] = 0;
    *bytes = (uint32_t)kept;
    return access;
}

/* ---- reaching what lies below ---------------------------------------------------------------- */

/* What stands behind the root's own name in a stored name below it. */
static const char *
below_root(const struct rmill_root *root, const char *path, uint32_t path_bytes, uint32_t *bytes)
{
    bool everything = root->stored_bytes == 1 && root->stored[0] == '.';
    uint32_t skip = everything ? 0 : root->stored_bytes + 1;

    if (path_bytes == root->stored_bytes && memcmp(path, root->stored, path_bytes) == 0) {
        *bytes = 0;
        return path + path_bytes;
    }
    *bytes = path_bytes - skip;
    return path + skip;
}

bool
rmill_root_access(const struct rmill_root *root, const char *path, uint32_t path_bytes,
                  char access[RMILL_ROOT_PATH_BYTES])
{
    uint32_t bytes;
    const char *below = below_root(root, path, path_bytes, &bytes);

    if ((uint64_t)root->access_bytes + bytes + 2 > RMILL_ROOT_PATH_BYTES) {
        return false;
    }
    memcpy(access, root->access, root->access_bytes);
    if (bytes > 0) {
        access[root->access_bytes] = '/';
        memcpy(access + root->access_bytes + 1, below, bytes);
        bytes++;
    }
    access[root->access_bytes + bytes] = 0;
    return true;
}

/* Open a path of any length by going down in pieces the kernel takes. */
static int
open_in_steps(int directory, char *path, int flags, uint64_t resolve)
{
    int at = directory;

    for (;;) {
        size_t bytes = strlen(path);
        char *cut =
            bytes < RMILL_ROOT_PATH_BYTES ? NULL : memrchr(path, '/', RMILL_ROOT_PATH_BYTES - 1);

        if (cut != NULL) {
            *cut = 0;
        }
        int fd = cut == NULL ? rmill_plain_open(at, path, flags, 0, resolve)
                             : rmill_plain_open(at, path, O_PATH | O_DIRECTORY, 0, resolve);

        if (at != directory) {
            rmill_plain_close(at);
        }
        if (fd < 0 || cut == NULL) {
            return fd;
        }
        at = fd;
        path = cut + 1;
        path += strspn(path, "/");
    }
}

int
rmill_root_open(const struct rmill_root *root, const char *path, uint32_t path_bytes, int flags)
{
    char access[RMILL_ROOT_PATH_BYTES];
    uint32_t bytes;

    if (rmill_root_access(root, path, path_bytes, access)) {
        return rmill_plain_open(root->directory, access, flags, 0, root->resolve);
    }
    const char *below = below_root(root, path, path_bytes, &bytes);
    char *whole = malloc((size_t)root->access_bytes + bytes + 2);

    if (whole == NULL) {
        return -ENOMEM;
    }
    memcpy(whole, root->access, root->access_bytes);
    whole[root->access_bytes] = '/';
    memcpy(whole + root->access_bytes + 1, below, bytes);
    whole[root->access_bytes + 1 + bytes] = 0;
    int fd = open_in_steps(root->directory, whole, flags, root->resolve);

    free(whole);
    return fd;
}

/* ---- resolving ------------------------------------------------------------------------------- */

struct resolving {
    struct rmill_roots *roots;
    const struct rmill_root_argument *last; /* The argument before, whose -C may be the same. */
    int last_directory;
    rmill_problem_told *problem;
    void *context;
    struct rmill_error *error;
};

static void
root_deinit(struct rmill_root *root)
{
    const char *texts[] = {root->access, root->stored, root->link};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(texts); i++) {
        char *owned;

        memcpy(&owned, &texts[i], sizeof(owned)); /* Ours since malloc. */
        free(owned);
    }
}

void
rmill_roots_deinit(struct rmill_roots *roots)
{
    for (uint32_t i = 0; i < roots->count; i++) {
        root_deinit(&roots->list[i]);
    }
    for (uint32_t i = 0; i < roots->directory_count; i++) {
        rmill_plain_close(roots->directories[i]);
    }
    free(roots->list);
    free(roots->directories);
    *roots = (struct rmill_roots){0};
}

/* The descriptor all -C of an argument lead to. */
static int
directory_of(struct resolving *resolving, const struct rmill_root_argument *argument)
{
    struct rmill_roots *roots = resolving->roots;
    char shown[ESCAPED_BYTES];
    int at = AT_FDCWD;

    if (argument->change_count == 0) {
        return AT_FDCWD;
    }
    if (resolving->last != NULL && resolving->last->change_count == argument->change_count) {
        return resolving->last_directory;
    }
    int *directories =
        realloc(roots->directories, (roots->directory_count + 1) * sizeof(directories[0]));

    if (directories == NULL) {
        return rmill_error_set(resolving->error, -ENOMEM, "out of memory");
    }
    roots->directories = directories;
    for (uint32_t i = 0; i < argument->change_count; i++) {
        int fd = rmill_plain_open(at, argument->changes[i], O_PATH | O_DIRECTORY, 0, 0);

        if (at != AT_FDCWD) {
            rmill_plain_close(at);
        }
        if (fd < 0) {
            return rmill_error_set(resolving->error, fd, "cannot enter %s: %s",
                                   escaped(shown, argument->changes[i]), rmill_errno_text(fd));
        }
        at = fd;
    }
    directories[roots->directory_count++] = at;
    return at;
}

/* lstat of what the root names, its link text, and whether the way there is free of links. */
static int
root_look(struct rmill_root *root)
{
    char link[RMILL_ROOT_PATH_BYTES];
    int fd = rmill_plain_open(root->directory, root->access, O_PATH | O_NOFOLLOW, 0,
                              RESOLVE_NO_SYMLINKS);

    root->resolve = RESOLVE_NO_SYMLINKS;
    if (fd == -ELOOP) {
        root->resolve = 0;
        fd = rmill_plain_open(root->directory, root->access, O_PATH | O_NOFOLLOW, 0, 0);
    }
    if (fd < 0) {
        return fd;
    }
    int code = rmill_plain_stat(fd, "", &root->status);

    if (code >= 0 && S_ISLNK(root->status.st_mode)) {
        code = rmill_plain_readlink(fd, "", link, sizeof(link));
        if (code >= (int)sizeof(link) || code == 0) {
            code = -ENAMETOOLONG;
        }
        if (code > 0) {
            root->link_bytes = (uint32_t)code;
            root->link = strndup(link, (size_t)code);
            code = root->link != NULL ? 0 : -ENOMEM;
        }
    }
    rmill_plain_close(fd);
    return code < 0 ? code : 0;
}

/* Append the root of one argument; one that cannot be reached is told of and left out. */
static int
root_add(struct resolving *resolving, const struct rmill_root_argument *argument)
{
    struct rmill_roots *roots = resolving->roots;
    struct rmill_root *root = &roots->list[roots->count];
    char *stored = malloc(strlen(argument->path) + 2);

    *root = (struct rmill_root){.stored = stored};
    root->access = access_of(argument->path, &root->access_bytes);
    if (stored == NULL || root->access == NULL) {
        root_deinit(root);
        return rmill_error_set(resolving->error, -ENOMEM, "out of memory");
    }
    int code = rmill_root_name(argument->path, stored, &root->stored_bytes, resolving->error);

    if (code == 0) {
        root->directory = directory_of(resolving, argument);
        code = root->directory < 0 && root->directory != AT_FDCWD ? root->directory : 0;
    }
    if (code < 0) {
        root_deinit(root);
        return code;
    }
    resolving->last = argument;
    resolving->last_directory = root->directory;
    roots->slash_removed |= argument->path[0] == '/';
    code = root_look(root);
    if (code < 0) {
        resolving->problem(resolving->context,
                           &(struct rmill_problem){.kind = RMILL_PROBLEM_LEFT_OUT,
                                                   .path = argument->path,
                                                   .path_bytes = (uint32_t)strlen(argument->path),
                                                   .error = code});
        root_deinit(root);
        return 0;
    }
    roots->count++;
    return 0;
}

static int
root_compare(const void *a, const void *b)
{
    const struct rmill_root *left = a, *right = b;

    return rmill_pathname_compare(left->stored, left->stored_bytes, right->stored,
                                  right->stored_bytes);
}

/* Does the walk from `above` come to the very same file at the stored name of `root`? */
static bool
root_covers(const struct rmill_root *above, const struct rmill_root *root)
{
    uint32_t bytes;
    const char *below = below_root(above, root->stored, root->stored_bytes, &bytes);
    struct stat status = above->status;

    if (bytes > 0) {
        int fd = rmill_plain_open(above->directory, above->access, O_PATH | O_DIRECTORY, 0, 0);
        char *copy = fd >= 0 ? strdup(below) : NULL;
        int found =
            copy != NULL ? open_in_steps(fd, copy, O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS) : -1;

        bool seen = found >= 0 && rmill_plain_stat(found, "", &status) >= 0;

        if (found >= 0) {
            rmill_plain_close(found);
        }
        if (fd >= 0) {
            rmill_plain_close(fd);
        }
        free(copy);
        if (!seen) {
            return false;
        }
    }
    return status.st_dev == root->status.st_dev && status.st_ino == root->status.st_ino;
}

static bool
root_is_below(const struct rmill_root *root, const struct rmill_root *above)
{
    if (above->stored_bytes == 1 && above->stored[0] == '.') {
        return true;
    }
    return root->stored_bytes >= above->stored_bytes &&
           memcmp(root->stored, above->stored, above->stored_bytes) == 0 &&
           (root->stored_bytes == above->stored_bytes || root->stored[above->stored_bytes] == '/');
}

/* Keep each name once. In path order a root directly follows the one it lies in, or another one
 * that does. */
static int
roots_merge(struct rmill_roots *roots, struct rmill_error *error)
{
    char one[ESCAPED_BYTES], other[ESCAPED_BYTES];
    uint32_t kept = 0;

    for (uint32_t i = 0; i < roots->count; i++) {
        struct rmill_root *root = &roots->list[i];
        struct rmill_root *above = kept > 0 ? &roots->list[kept - 1] : NULL;

        if (above == NULL || !root_is_below(root, above)) {
            struct rmill_root moved = *root;

            roots->list[i] = (struct rmill_root){0};
            roots->list[kept++] = moved;
            continue;
        }
        if (!root_covers(above, root)) {
            return rmill_error_set(error, -EINVAL,
                                   "%s and %s would both be stored as, or below, \"%s\", but are "
                                   "different inputs",
                                   escaped(one, above->access), escaped(other, root->access),
                                   above->stored_bytes < 100 ? above->stored : "the same name");
        }
        root_deinit(root);
        *root = (struct rmill_root){0};
    }
    roots->count = kept;
    return 0;
}

int
rmill_roots_resolve(const struct rmill_root_argument *arguments, uint32_t count,
                    struct rmill_roots *roots, rmill_problem_told *problem, void *context,
                    struct rmill_error *error)
{
    struct resolving resolving = {
        .roots = roots, .problem = problem, .context = context, .error = error};
    int code = 0;

    *roots = (struct rmill_roots){.list = calloc(count + 1, sizeof(roots->list[0]))};
    if (roots->list == NULL) {
        code = rmill_error_set(error, -ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = root_add(&resolving, &arguments[i]);
    }
    if (code == 0 && roots->count == 0) {
        code = rmill_error_set(error, -ENOENT, "none of the paths can be read");
    }
    if (code == 0) {
        qsort(roots->list, roots->count, sizeof(roots->list[0]), root_compare);
        uint32_t listed = roots->count;

        code = roots_merge(roots, error);
        roots->count = code < 0 ? listed : roots->count; /* On failure all are there to be freed. */
    }
    if (code < 0) {
        rmill_roots_deinit(roots);
    }
    return code;
}
