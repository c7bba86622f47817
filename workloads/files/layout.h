/* workloads/files/layout.h — an ordered window as units: what is read, compressed and hashed in
 * one go.
 *
 * The borders are those of docs/FORMAT.md, section 4: they follow from the order, the announced
 * sizes and the chunk size alone. A unit is
 *
 *     small   members of at most 2 MiB one after the other, in one frame
 *     large   a run of chunks of one larger file, a frame each; the first has the headers,
 *             the last the padding
 *
 * and the last unit of an archive ends in the two zero blocks. A unit may come out shorter than
 * laid out, when a small member cannot be read after all, never longer. Pure. */
#ifndef RMILL_FILES_LAYOUT_H
#define RMILL_FILES_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "workloads/files/digest.h"
#include "workloads/files/index.h"
#include "workloads/files/tar.h"
#include "workloads/files/window.h"

#define RMILL_LAYOUT_HEADER_BYTES_MAX (160u << 10) /* Of one member: see tar.h. */

/* Frames of one unit: a large one has at most this many. */
#define RMILL_LAYOUT_FRAMES_MAX ((uint32_t)(RMILL_DIGEST_LEAF_BYTES / RMILL_INDEX_CHUNK_BYTES_MIN))

struct rmill_layout_unit {
    uint32_t first, count;      /* Small: places in window->order. */
    struct rmill_member *large; /* Large: the file, else NULL. */
    uint64_t offset, bytes;     /* The part of its content. */
    bool header, padding;       /* Large: it begins, ends with this unit. */
    bool end;                   /* The two zero blocks follow. */
    uint64_t raw_bytes;         /* All of it, as announced. */
};

struct rmill_layout {
    struct rmill_window *window;
    uint64_t chunk_bytes;
    uint32_t next;   /* Place in window->order. */
    uint64_t offset; /* Inside the large file at `next`. */
    bool ended;      /* The zero blocks are given out. */
};

/* Most bytes a unit has, and most bytes it is compressed to. */
uint64_t rmill_layout_raw_bytes_max(uint64_t chunk_bytes);

void rmill_layout_begin(struct rmill_layout *layout, struct rmill_window *window,
                        uint64_t chunk_bytes);

/* The next unit; false when the window has no more. The last unit of a window with `last` has
 * `end`. */
bool rmill_layout_next(struct rmill_layout *layout, struct rmill_layout_unit *unit);

/* The large file whose first unit was just given cannot be had: go on behind it. When that unit
 * had `end`, the next one has. */
void rmill_layout_skip(struct rmill_layout *layout, struct rmill_layout_unit *unit);

/* The frames of `raw_bytes` bytes of this unit: their raw bytes into `frames`. Returns how many; 0
 * for none. */
uint32_t rmill_layout_frames(const struct rmill_layout_unit *unit, uint64_t chunk_bytes,
                             uint64_t raw_bytes, uint32_t frames[RMILL_LAYOUT_FRAMES_MAX]);

#endif
