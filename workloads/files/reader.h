/* workloads/files/reader.h — reads every data frame of an archive in parallel and proves it, member
 * by member, before anybody gets to see it.
 *
 *   home:      window loaded ─▶ units ───────────────────────────▶ findings told in the tar's order
 *   any core:  read ─▶ hash ─▶ decode ─▶ hash ─▶ headers against index ─▶ digests ─▶ sink
 *
 * A sink gets only content whose frame hashes, tar header and (but for a large file in pieces)
 * digest are right. What is not right becomes a finding that names the bytes, and the reading goes
 * on: damage of one part does not hide the rest, and a window whose index is damaged is left out
 * whole. Units that contradict the index they come from end the reading: the index is hashed, so
 * only a forger gets there.
 *
 * Memory: two windows of the index, and per core `core_units` pairs of buffers of one unit. */
#ifndef RMILL_FILES_READER_H
#define RMILL_FILES_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/ringmill.h"
#include "workloads/files/archive.h"
#include "workloads/files/findings.h"

/* What is done with proven members. Each step returns 0, or -errno to end the whole reading (the
 * disk is full); what concerns one member only goes to `findings`. Steps may be NULL. */
struct rmill_reader_sink {
    void *context;
    /* Home, in a fiber: all entries of the window, before the first of its data. */
    int (*window)(void *context, struct rmill_catalog *catalog, struct rmill_findings *findings);
    /* The unit's core, in a fiber. `content` has entry.size bytes (files only, not large ones). */
    int (*member)(void *context, struct rmill_catalog_member *member, const void *content,
                  struct rmill_findings *findings);
    /* Home, in a fiber, before any part. *handle is the sink's, passed to the following. */
    int (*large_begin)(void *context, struct rmill_catalog_member *member, void **handle,
                       struct rmill_findings *findings);
    /* The unit's core, in a fiber, in any order, several at once. */
    int (*large_part)(void *context, struct rmill_catalog_member *member, void *handle,
                      const void *content, uint64_t bytes, uint64_t offset);
    /* Some core, in a fiber, after all parts; `good`: the whole digest is right. Also called, with
     * false, for large files the reading did not come to the end of; then on home. */
    int (*large_end)(void *context, struct rmill_catalog_member *member, void *handle, bool good,
                     struct rmill_findings *findings);
    /* Home, must not park. */
    void (*told)(void *context, const struct rmill_finding *finding);
};

struct rmill_reader_options {
    uint32_t depth;               /* Units in flight; 0 = 4 a core. */
    bool frame_hashes;            /* Also both hashes of each frame's raw bytes (verify). */
    _Atomic uint64_t *done_bytes; /* Raw bytes dealt with, for the eye; may be NULL. */
    _Atomic uint64_t *done_items;
};

struct rmill_reader_report {
    uint64_t count[RMILL_FINDING_KINDS];
    uint64_t unread_windows, unread_entries; /* Whose index is damaged; one finding each window. */
    uint64_t bytes_in_flight_max;
    struct rmill_flow_statistics flow;
};

/* How much arena each core needs for an archive. Reserved, touched as used. */
#define RMILL_READER_ARENA_BYTES RMILL_MIB(640)

/* Read everything. 0, also when there were findings; -errno with `error` when it had to end:
 * -EBADMSG the index contradicts itself, -ECANCELED stopped, -ENOSPC and others from the sink.
 * Thread: fiber. */
int rmill_reader_run(const struct rmill_archive *archive, const struct rmill_reader_sink *sink,
                     const struct rmill_reader_options *options, struct rmill_reader_report *report,
                     struct rmill_error *error);

#endif
