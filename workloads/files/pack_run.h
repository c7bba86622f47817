/* workloads/files/pack_run.h — pack trees into an archive; the job without its command line, so
 * that the simulator runs it too.
 *
 *     filler fiber   walk ─▶ window ─▶ links, order, header sizes (blocking lane); one ahead
 *     produce        window ─▶ units; behind its last one the window's index, also a unit
 *     process        any core: open, read, hash, compress; index: wait for the commits, encode
 *     commit         home, in order: file and tar offsets, frames, seek table, problems
 *     write          the unit's core, at its offset
 *
 * Memory: two windows of members, and on each core `depth / cores` pairs of buffers; plus 12 bytes
 * of seek table a frame and some 120 bytes a page of the index. */
#ifndef RMILL_FILES_PACK_RUN_H
#define RMILL_FILES_PACK_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/ringmill.h"
#include "workloads/files/owner.h"
#include "workloads/files/pathname.h"
#include "workloads/files/problem.h"
#include "workloads/files/roots.h"

struct rmill_pack_options {
    const struct rmill_root_argument *arguments;
    uint32_t argument_count;
    const char *output;
    int level;            /* 1..19; 3. */
    uint32_t chunk_bytes; /* A power of two, 64 KiB to 64 MiB; 2 MiB. */
    uint32_t depth;       /* Units in flight in all; 4 a core. At least one a core is had. */
    enum rmill_pathname_order order;
    rmill_owner_source *user_source, *group_source; /* NULL: nobody has a name. */
    rmill_problem_told *problem;
    void *context;
    _Atomic uint64_t *done_bytes, *done_items, *total_bytes,
        *total_items; /* May be NULL together. */
};

struct rmill_pack_report {
    uint64_t item_count;    /* Entries in the archive. */
    uint64_t content_bytes; /* Of their files. */
    uint64_t raw_bytes;     /* Of the tar. */
    uint64_t archive_bytes;
    uint64_t left_out_count;  /* Entries that are not in it, directories that were not read. */
    uint64_t changed_count;   /* In it, but not as they were. */
    uint64_t in_flight_bytes; /* Of buffers, on all cores. */
    uint32_t in_flight_units;
    uint32_t leftover_count; /* Temporary files of killed runs that were removed. */
    bool slash_removed;
    struct rmill_flow_statistics flow;
};

/* What each core's arena must have. `cores` may be guessed high. Thread: any. */
uint64_t rmill_pack_arena_bytes(const struct rmill_pack_options *options);

/* 0, also when there were problems (they are counted); else -errno with `error`, and the old file
 * of that name, if any, is as it was. -EINVAL: the arguments make no sense. -ECANCELED: stopped.
 * Thread: fiber. */
int rmill_pack_run(const struct rmill_pack_options *options, struct rmill_pack_report *report,
                   struct rmill_error *error);

#endif
