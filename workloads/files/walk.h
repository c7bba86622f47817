/* workloads/files/walk.h — the trees below the roots, depth first, names in byte order, read ahead
 * in parallel.
 *
 *     directories in the order they will be needed
 *     [being emitted] ─▶ [read] [read] [being read] [being read] [wanted] [wanted] ...
 *                         several fibers, each with one directory on the blocking lane
 *
 * One blocking job opens a directory, lists it and looks at its first entries; a directory's place
 * in the order is taken by its own directories as soon as they are known. So the members come in
 * path order whatever finishes first, and a cold tree has several look-ups under way.
 *
 * No descriptor is held between two jobs: directories are opened by their path from the root,
 * without passing a symlink, and must be the inode their parent showed. Memory: the names of the
 * directories on the way and read ahead, and the status of at most 1,024 entries of each.
 *
 * Owner: one fiber calls; its core runs the readers. */
#ifndef RMILL_FILES_WALK_H
#define RMILL_FILES_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "workloads/files/problem.h"
#include "workloads/files/roots.h"
#include "workloads/files/window.h"

struct rmill_walk;

/* A file that is no input though it lies in the tree: what is being written. */
struct rmill_walk_exclude {
    uint64_t device, inode;
};

struct rmill_walk_options {
    const struct rmill_roots *roots; /* Borrowed for the life of the walk, as all here. */
    const struct rmill_walk_exclude *excludes;
    uint32_t exclude_count;
    uint32_t readers;      /* Directories read at once; 4. */
    const bool *abandoned; /* Becomes true when nobody wants the rest. May be NULL. */
    rmill_problem_told *problem;
    void *context;
};

/* Returns 0 or -ENOMEM. Thread: fiber. */
int rmill_walk_create(const struct rmill_walk_options *options, struct rmill_walk **walk);

/* Append members until the window has `limit` of them (at most RMILL_INDEX_WINDOW_ENTRIES).
 * Returns 1 when there may be more, 0 at the end, -ECANCELED when the engine stops or the walk was
 * abandoned, -ENOMEM. Thread: fiber. */
int rmill_walk_fill(struct rmill_walk *walk, struct rmill_window *window, uint32_t limit);

/* Waits for the readers. NULL is allowed. Thread: fiber. */
void rmill_walk_destroy(struct rmill_walk *walk);

#endif
