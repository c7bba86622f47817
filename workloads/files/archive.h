/* workloads/files/archive.h — an archive opened for reading: its tables, and its windows one by
 * one.
 *
 * Opening reads the end of the file: seek table, footer, directory; checks them against each other,
 * and believes nothing the file is too short for. A window is loaded whole: its frame records and
 * its entries in the order of the tar. All loading uses plain calls and may take milliseconds: run
 * it inside rmill_blocking_call. Reads no data frame: that is reader.h.
 *
 * Memory: the seek table (12 bytes a frame) and the directory while open; a window takes 40 bytes a
 * frame, some 200 bytes an entry and its texts. */
#ifndef RMILL_FILES_ARCHIVE_H
#define RMILL_FILES_ARCHIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/ringmill.h"
#include "workloads/files/entry.h"
#include "workloads/files/index.h"

/* Set-up, then read-only: any core may read it. */
struct rmill_archive {
    struct rmill_file file;
    uint64_t file_bytes;
    uint8_t *table_frame; /* Memory of `table`. */
    struct rmill_seekable_table table;
    struct rmill_seekable_location table_location;
    struct rmill_index_directory *directory;
};

/* Open and check the tables. `path` is for messages too. -errno with `error`; *archive is zeroed
 * then. -ENOENT from a file without our index: `error` says what reads it. Thread: any. */
int rmill_archive_open(const char *path, struct rmill_archive *archive, struct rmill_error *error);
/* What opening does not look at because no reader needs it: the descriptor, and the checksums of
 * nothing in the seek table. 0 or -EBADMSG. Thread: any. */
int rmill_archive_table_check(const struct rmill_archive *archive, struct rmill_error *error);

void rmill_archive_close(struct rmill_archive *archive); /* Accepts a zeroed one. */

/* Read exactly `bytes` bytes at `offset`; -EBADMSG when the file ends before. Thread: any. */
int rmill_archive_read(const struct rmill_archive *archive, void *buffer, uint64_t bytes,
                       uint64_t offset, struct rmill_error *error);

/* A large file, whose content spans frames. Owner: as written in reader.h. */
struct rmill_large;

/* An entry and what is known of it while its archive is read. */
struct rmill_catalog_member {
    struct rmill_entry entry;
    uint64_t number; /* Among all entries of the archive in path order. */
    struct rmill_large *large;
    bool in_old_directory; /* unpack: its directory was there before. */
};

/* One window, loaded. Owner: whoever loaded it. */
struct rmill_catalog {
    struct rmill_index_window window;
    uint32_t index;
    struct rmill_index_frame *frames;     /* window.frame_count */
    struct rmill_catalog_member *members; /* window.entry_count, in the order of the tar */
    uint32_t *by_path;                    /* Numbers of members in path order. */
    char *texts;
    uint64_t first_number;       /* Of its first entry in path order. */
    _Atomic uint32_t references; /* Whoever still uses it; 1 after load. */
};

/* Load and check window `index`. 0, or -errno with `error` and *catalog NULL. Thread: any. */
int rmill_catalog_load(const struct rmill_archive *archive, uint32_t index,
                       struct rmill_catalog **catalog, struct rmill_error *error);

/* One more user, and one less: the last frees it. Release accepts NULL. Thread: any. */
void rmill_catalog_keep(struct rmill_catalog *catalog);
void rmill_catalog_release(struct rmill_catalog *catalog);

/* Call `visit` for every entry in path order; or, with `path`, for that entry and all below it. A
 * visit that returns anything but 0 ends it, and is returned. -ENOENT: nothing at `path`. Decodes
 * one page at a time. The entry's texts live for the call. Thread: any. */
int rmill_archive_visit(const struct rmill_archive *archive, const char *path,
                        int (*visit)(void *context, const struct rmill_entry *entry), void *context,
                        struct rmill_error *error);

#endif
