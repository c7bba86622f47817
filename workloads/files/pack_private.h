/* workloads/files/pack_private.h — what the steps of packing share: pack_run.c is home,
 * pack_unit.c any core.
 *
 * Who writes what: the job and its windows belong to the home core; a unit and the members it
 * covers to the unit's core until commit; struct pack_core to its core. Nothing is locked: units
 * go between cores by the flow's messages. */
#ifndef RMILL_FILES_PACK_PRIVATE_H
#define RMILL_FILES_PACK_PRIVATE_H

#include "workloads/files/compressor.h"
#include "workloads/files/index.h"
#include "workloads/files/layout.h"
#include "workloads/files/pack_run.h"

struct pack_job;

/* A window on its way. Owner: home. */
struct pack_window {
    struct rmill_window window;
    struct pack_window *next;       /* In the job's list of live ones. */
    struct pack_window *next_ready; /* In the list of those produce has not begun. */
    struct rmill_index_window_start start;
    struct rmill_index_frame *frames;
    uint32_t frame_count, frame_capacity;
    uint32_t unit_count; /* Produced. */
    uint32_t pending;    /* Produced, not committed. */
    bool waited_for;
    bool permitted;                   /* Counts as a full one. */
    struct rmill_semaphore committed; /* One permit when the index may be written, or never will. */
};

/* A file of more than one unit while it is read: one descriptor for all of them. Owner: home; the
 * units read. */
struct pack_large {
    struct pack_large *next;
    struct rmill_member *member;
    struct rmill_file file; /* fd < 0: -errno of opening. */
    struct rmill_hash128
        *leaves; /* Each written by the unit that has it. One more than there are. */
};

struct pack_frame {
    struct rmill_index_frame record;
    uint32_t checksum;
};

struct pack_unit {
    struct pack_window *window;
    struct rmill_layout_unit layout;
    struct pack_large *large;
    uint8_t *raw, *out; /* Buffers of the core. */
    uint64_t raw_bytes, out_bytes;
    uint64_t file_offset; /* From commit on. */
    uint32_t frame_count;
    struct pack_frame frames[RMILL_LAYOUT_FRAMES_MAX];
    uint32_t next;              /* Small: the next member to read. */
    struct rmill_latch readers; /* Small: fibers that read. */
    int error;                  /* Small: what ends the job. Large: why its part is not there. */
    uint32_t flags;             /* Large: of its part. */
    bool is_index;
    struct rmill_index_window_writer *writer; /* Index: its frame is in there. */
    const uint8_t *index;
};

/* What a core has for itself. */
struct pack_core {
    RMILL_CACHE_ALIGNED struct rmill_core_pool *raw;
    struct rmill_core_pool *out;
    struct rmill_compressor *compressor;
};

struct pack_job {
    const struct rmill_pack_options *options;
    struct rmill_pack_report *report;
    struct rmill_error *error;
    uint32_t home;
    uint32_t core_count, core_units;
    struct pack_core *cores;
    struct rmill_roots roots;
    struct rmill_file file; /* Of the output; read by all. */

    /* Home only from here on. */
    struct rmill_walk *walk;
    struct rmill_owners *users, *groups;
    struct rmill_links *links;
    struct pack_window *windows;         /* Live: filled, or being packed. */
    struct pack_window *ready;           /* Filled, waiting for produce. */
    struct rmill_semaphore windows_free; /* A permit for each window that may be filled. */
    struct rmill_semaphore
        window_ready; /* A permit for each window in `ready`, and one at the end. */
    struct rmill_latch filler;
    int filler_error;
    bool abandoned;

    struct pack_window *current; /* Being produced. */
    struct rmill_layout layout;
    struct pack_large *large;  /* The one at the layout's place. */
    struct pack_large *larges; /* All that are open. */
    bool produced_all;

    uint64_t file_offset, raw_offset, frame_count;
    uint32_t window_count;
    struct rmill_seekable_writer seekable;
    struct rmill_index_directory_writer *directory;
};

/* Steps of a unit, pack_unit.c. */
int rmill_pack_core_init(struct pack_job *job, struct pack_core *core);
void rmill_pack_core_deinit(struct pack_core *core);
int rmill_pack_process(struct pack_job *job, struct pack_unit *unit);
void rmill_pack_release(struct pack_job *job, struct pack_unit *unit);

/* Open the regular file the walk saw for reading, with its status. 0 or -errno, then nothing is
 * open; -ESTALE: it is no regular file any more. Never waits for the other end of a fifo. */
int rmill_pack_open(const struct rmill_member *member, struct rmill_file *file,
                    struct stat *status);

#endif
