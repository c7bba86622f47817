/* workloads/files/output.h — one output file that appears whole or not at all.
 *
 *     .NAME.ringmill-XXXXXXXX.tmp   written beside NAME, its owner holds an OFD lock on it
 *     synced ─▶ renamed over NAME ─▶ the directory synced
 *
 * Whatever ends the run before the rename leaves the old NAME as it was. A leftover of a run that
 * was killed has nobody's lock: the next run for the same NAME removes it.
 *
 * Owner: one fiber; `file` may be written from every core. */
#ifndef RMILL_FILES_OUTPUT_H
#define RMILL_FILES_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/ringmill.h"

#define RMILL_OUTPUT_NAME_BYTES 256 /* Of one component, terminator included. */

struct rmill_output {
    struct rmill_file file;
    int directory; /* Descriptor of the directory the name is in. */
    char name[RMILL_OUTPUT_NAME_BYTES];
    char temporary[RMILL_OUTPUT_NAME_BYTES];
    uint64_t device, inode;         /* Of the temporary file. */
    uint64_t old_device, old_inode; /* Of what has the name now. */
    uint32_t old_mode;              /* Its permissions, which the new file gets. */
    bool replaces;                  /* There is something with the name. */
    uint32_t leftover_count;        /* Removed at create. */
};

/* Remove leftovers and make the temporary file. Refuses to replace what is no regular file.
 * Returns 0, or -errno with `error` and nothing left behind. Blocks for moments. Thread: fiber. */
int rmill_output_create(const char *path, struct rmill_output *output, struct rmill_error *error);

/* Make it the file of that name. Returns 0; or -errno with `error`: the temporary file is then
 * removed and the old one intact, unless only the last step, syncing the directory, failed.
 * Thread: fiber. */
int rmill_output_commit(struct rmill_output *output, struct rmill_error *error);

/* Close and remove the temporary file. Thread: fiber. */
void rmill_output_abandon(struct rmill_output *output);

#endif
