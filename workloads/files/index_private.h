/* workloads/files/index_private.h — what a finished window hands to the directory; for index_*.c
 * only. */
#ifndef RMILL_FILES_INDEX_PRIVATE_H
#define RMILL_FILES_INDEX_PRIVATE_H

#include "workloads/files/index.h"

/* Level of every page and of the directory: their bytes depend on it, so it is no option. */
#define INDEX_ZSTD_LEVEL 3

/* Directory records as they go to disk, but for what only the directory knows: the window's
 * number and the base of the paths (both counted from the window's own start here). */
struct rmill_index_window_parts {
    struct rmill_index_window window; /* But for file_offset, first_frame_page and first_page. */
    struct rmill_buffer frame_pages;
    struct rmill_buffer pages;
    struct rmill_buffer paths; /* First path of each page. */
    struct rmill_buffer last_path;
};

const struct rmill_index_window_parts *
rmill_index_window_parts(const struct rmill_index_window_writer *writer);

#endif
