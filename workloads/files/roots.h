/* workloads/files/roots.h — what the user named: PATH arguments as stored names in archive order.
 *
 *     typed          stored      reached as
 *     /usr/share/    usr/share   /usr/share/.   leading slashes removed; a trailing one follows
 *     ./a//b         a/b         ./a//b         a link
 *     .              .           .
 *     ../x           refused
 *
 * After rmill_roots_resolve the roots are in path order and no root lies in or under another one:
 * the same path twice, and a path below another, are there once.
 *
 * Plain calls throughout: for a helper of the blocking lane, or where blocking does no harm. */
#ifndef RMILL_FILES_ROOTS_H
#define RMILL_FILES_ROOTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "workloads/files/problem.h"

/* One PATH with the -C before it: the first `change_count` of `changes`, a list all arguments
 * share, apply one after the other, as chdir(2) would. Borrowed for the call of resolve. */
struct rmill_root_argument {
    const char *path;
    const char *const *changes;
    uint32_t change_count;
};

/* Read-only once resolved. */
struct rmill_root {
    int directory;      /* What `access` is relative to: AT_FDCWD or a descriptor of the roots. */
    const char *access; /* As the system is asked for it. */
    const char *stored;
    const char *link; /* A symlink's text, terminated. */
    uint32_t access_bytes, stored_bytes, link_bytes;
    uint64_t resolve; /* RESOLVE_NO_SYMLINKS unless the user's own path has one. */
    struct stat status;
};

struct rmill_roots {
    struct rmill_root *list;
    uint32_t count;
    int *directories; /* Of the -C. */
    uint32_t directory_count;
    bool slash_removed; /* At least one path was absolute. */
};

#define RMILL_ROOT_PATH_BYTES 4096 /* Of a path the kernel takes, terminator included. */

/* The stored name of a typed path. `stored` has room for strlen(path) + 2 bytes; *bytes is its
 * length. Returns 0 or -EINVAL with the reason in `error`. Pure. Thread: any. */
int rmill_root_name(const char *path, char *stored, uint32_t *bytes, struct rmill_error *error);

/* Resolve all arguments. Those that cannot be reached are told to `problem` and left out. Returns
 * 0, or
 *   -EINVAL   a refused name, or two different inputs under one stored name
 *   -ENOENT   not one of the paths can be reached
 *   -ENOMEM, or what opening a -C said
 * with `error` filled and *roots of zeros. */
int rmill_roots_resolve(const struct rmill_root_argument *arguments, uint32_t count,
                        struct rmill_roots *roots, rmill_problem_told *problem, void *context,
                        struct rmill_error *error);
void rmill_roots_deinit(struct rmill_roots *roots);

/* Write how the stored name `path`, which is the root's or below it, is reached. False: it is too
 * long for one call; rmill_root_open goes there in steps. Thread: any. */
bool rmill_root_access(const struct rmill_root *root, const char *path, uint32_t path_bytes,
                       char access[RMILL_ROOT_PATH_BYTES]);

/* Open it, however long it is. `flags` as open(2). Returns the descriptor or -errno. */
int rmill_root_open(const struct rmill_root *root, const char *path, uint32_t path_bytes,
                    int flags);

#endif
