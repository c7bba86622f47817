/* workloads/files/unpack_run.h — restore a whole archive into a directory; the job without its
 * command line, so that the simulator runs it too. */
#ifndef RMILL_FILES_UNPACK_RUN_H
#define RMILL_FILES_UNPACK_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "workloads/files/reader.h"

struct rmill_unpack_options {
    const char *archive;
    const char *target;
    const char *archive_shown,
        *target_shown; /* Their names in messages, escaped; NULL: as above. */
    uint32_t depth;    /* As in struct rmill_reader_options. */
    bool unsynced;     /* Leave syncing to the system. */
    bool owners;       /* Give files to the owners recorded: only root can. */
    /* Told of what was not, or not quite, restored. Home, must not park. May be NULL. */
    void (*told)(void *context, const struct rmill_finding *finding);
    void *context;
    /* For the eye; all four or none. */
    _Atomic uint64_t *done_bytes, *done_items, *total_bytes, *total_items;
};

struct rmill_unpack_report {
    uint64_t entry_count, archive_bytes, raw_bytes, file_count, file_bytes;
    struct rmill_reader_report reader;
};

/* 0, also when there were findings (report->reader.count); else -errno with `error`, and the target
 * keeps its marker: what is in it may be incomplete. Thread: fiber. */
int rmill_unpack_run(const struct rmill_unpack_options *options, struct rmill_unpack_report *report,
                     struct rmill_error *error);

#endif
