/* tests/files_forge.h — rmill_index_window_* without the checks of what is written;
 * files_forge.c. */
#ifndef RMILL_TESTS_FILES_FORGE_H
#define RMILL_TESTS_FILES_FORGE_H

#include "workloads/files/index.h"
#include "workloads/files/index_private.h"

int files_forge_create(struct rmill_index_window_writer **writer);
void files_forge_destroy(struct rmill_index_window_writer *writer);
int files_forge_begin(struct rmill_index_window_writer *writer,
                      const struct rmill_index_window_start *start);
int files_forge_frame_add(struct rmill_index_window_writer *writer,
                          const struct rmill_index_frame *frame);
int files_forge_entry_add(struct rmill_index_window_writer *writer, const struct rmill_entry *entry,
                          struct rmill_error *error);
int files_forge_end(struct rmill_index_window_writer *writer, const uint8_t **frame,
                    size_t *frame_bytes);
const struct rmill_index_window_parts *
files_forge_parts(const struct rmill_index_window_writer *writer);

#endif
