/* tests/archive_sample.h — a whole archive built in memory by the codecs alone, in the plainest
 * way.
 *
 * The reference the tests of the format compare with: one thread, no files, entries in an array. */
#ifndef RMILL_TESTS_ARCHIVE_SAMPLE_H
#define RMILL_TESTS_ARCHIVE_SAMPLE_H

#include "workloads/files/buffer.h"
#include "workloads/files/entry.h"
#include "workloads/files/pathname.h"

/* An entry and, for a regular file, its `size` bytes. raw_offset, header_bytes and digest are
 * filled in. */
struct sample_member {
    struct rmill_entry entry;
    const void *content;
};

struct sample_options {
    uint32_t window_entries;           /* Members to a window. */
    uint32_t frame_bytes;              /* A frame closes before it would pass this. */
    enum rmill_pathname_order order;
};

/* Sort the members by path and append the archive to `out`. Fails the test on any error. */
void sample_archive_build(struct sample_member *members, uint32_t count,
                          const struct sample_options *options, struct rmill_buffer *out);

/* A directory, two files (one empty), a symlink, a hard link: the tiny archive of
 * docs/FORMAT.md. Returns the count of members, at most 8; texts and content are static. */
uint32_t sample_tiny(struct sample_member members[8]);

#endif
