/* workloads/files/restore.h — puts proven entries of an archive into a directory, and never
 * outside.
 *
 * Every name is resolved by openat2(2) beneath the target's descriptor without following any
 * symlink (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so neither the archive nor what lies in the
 * target can lead out of it; calls that take a name act on the last component, below a directory
 * opened so. Nothing that exists is replaced. Order: directories of a window (mode 0700), its
 * files, then, when all files are there, symlinks and hard links, and last the directories' owner,
 * mode and times.
 *
 * In a directory that was there before, a file is written under a temporary name and renamed; in
 * one this run made, directly: the marker (`.ringmill-unpack`, locked while a run lives) tells of a
 * run that was cut off.
 *
 * Owner: set-up by home; `file` and the large calls run on any core, everything else on home. */
#ifndef RMILL_FILES_RESTORE_H
#define RMILL_FILES_RESTORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "workloads/files/archive.h"
#include "workloads/files/reader.h"

struct rmill_restore_options {
    bool owners;       /* Give files to the owners recorded: only root can. */
    bool sync;         /* Nothing is said to be done before it is on the disk. */
    const char *shown; /* The target's name in messages, escaped. */
};

struct rmill_restore {
    struct rmill_restore_options options;
    int target;       /* O_PATH | O_DIRECTORY */
    int marker;       /* Locked; -1: none. */
    bool target_made; /* This run made the target. */
    uint64_t seed;    /* Of the hashes below, and for temporary names of this run. */
    uint64_t *made;   /* Hashes of the names of directories this run made; open addressing. */
    uint64_t made_count, made_capacity;
    _Atomic uint64_t files, bytes;
    _Atomic uint64_t next_temporary;
};

/* Open or make the target and put the marker into it. -EBUSY: another run is at it; -ESTALE: one
 * was cut off; others from the system; `error` says what to do. */
int rmill_restore_open(struct rmill_restore *restore, const char *target,
                       const struct rmill_restore_options *options, struct rmill_error *error);

/* Everything is in place: sync when asked, take the marker away. 0 or -errno with `error`. */
int rmill_restore_finish(struct rmill_restore *restore, struct rmill_error *error);

/* Close; without a finish before, the marker stays. */
void rmill_restore_close(struct rmill_restore *restore);

/* Home: the directories of a window, also such as have no entry; marks members whose directory was
 * there before. */
int rmill_restore_directories(struct rmill_restore *restore, struct rmill_catalog *catalog,
                              struct rmill_findings *findings);

/* Any core: a regular file of at most one leaf, whole. */
int rmill_restore_file(struct rmill_restore *restore, const struct rmill_catalog_member *member,
                       const void *content, struct rmill_findings *findings);

/* Large files: begun on home, parts from any core, ended once. */
struct rmill_restore_large;
int rmill_restore_large_begin(struct rmill_restore *restore,
                              const struct rmill_catalog_member *member,
                              struct rmill_restore_large **large, struct rmill_findings *findings);
int rmill_restore_large_part(struct rmill_restore_large *large, const void *content, uint64_t bytes,
                             uint64_t offset);
int rmill_restore_large_end(struct rmill_restore *restore,
                            const struct rmill_catalog_member *member,
                            struct rmill_restore_large *large, bool good,
                            struct rmill_findings *findings);

/* Home, after all files: symlinks and hard links of a window in the order of the tar. `good` has a
 * bit per entry number that was proven. */
int rmill_restore_links(struct rmill_restore *restore, const struct rmill_catalog *catalog,
                        const _Atomic uint64_t *good, struct rmill_findings *findings);

/* Home, windows in descending order: owner, mode and times of the directories this run made. */
int rmill_restore_directories_end(struct rmill_restore *restore,
                                  const struct rmill_catalog *catalog,
                                  struct rmill_findings *findings);

#endif
