/* tests/files_writer.h — whole archives in memory, also such as no honest program writes.
 *
 * Lays out units, frames and windows as docs/FORMAT.md says, large files included, on one thread;
 * then tells whatever lie a test asks for, with every hash made right. */
#ifndef RMILL_TESTS_FILES_WRITER_H
#define RMILL_TESTS_FILES_WRITER_H

#include <stdbool.h>

#include "workloads/files/buffer.h"
#include "workloads/files/entry.h"
#include "workloads/files/pathname.h"

/* Lies about a member. */
#define FILES_WRONG_DIGEST  1u /* The index holds another content's digest. */
#define FILES_WRONG_PADDING 2u /* The content is not padded with zeros; it needs padding. */

/* An entry and, for a regular file, its `size` bytes. raw_offset, header_bytes and digest are
 * filled in. */
struct files_member {
    struct rmill_entry entry;
    const void *content;
    const struct rmill_entry *header; /* What the tar header says instead; NULL: the entry. */
    uint32_t lies;
};

/* Zero means as an honest packer does by default. */
struct files_options {
    uint32_t chunk_bytes;
    uint32_t window_entries;
    uint32_t level;
    enum rmill_pathname_order order;
    bool wrong_end; /* The tar ends in something else than zeros. */
};

/* A member with mode 0755 or 0644, owner 0 and a round time; texts and content are borrowed. */
struct files_member files_directory(const char *path);
struct files_member files_file(const char *path, const void *content, size_t bytes);
struct files_member files_symlink(const char *path, const char *target);
struct files_member files_hardlink(const char *path, const char *target);

/* Sort the members by path and append the archive to `out`. Paths may be such as a reader must
 * refuse, but have to ascend. Fails the test on any error. */
void files_archive_build(struct files_member *members, uint32_t count,
                         const struct files_options *options, struct rmill_buffer *out);

/* The same to the file `path`. */
void files_archive_write(struct files_member *members, uint32_t count,
                         const struct files_options *options, const char *path);

/* Bytes to and from a file; fails the test on any error. */
void files_put(const char *path, const void *data, size_t bytes);
void files_get(const char *path, struct rmill_buffer *bytes);

/* Run `main_fiber(argument)` on a new engine to its end and return its value. Fails the test when
 * the engine cannot start. */
struct rmill_options;
int files_engine_run(const struct rmill_options *options, int (*main_fiber)(void *argument),
                     void *argument);

#endif
