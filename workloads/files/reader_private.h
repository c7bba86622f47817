/* workloads/files/reader_private.h — what the files of the reader share: reader.c runs,
 * reader_plan.c cuts an archive into units, reader_prove.c proves one. Nobody else includes it. */
#ifndef RMILL_FILES_READER_PRIVATE_H
#define RMILL_FILES_READER_PRIVATE_H

#include <zstd.h>

#include "base/hash.h"
#include "base/macros.h"
#include "workloads/files/reader.h"

#define RMILL_READER_CORES_MAX       256u
#define RMILL_READER_UNIT_FRAMES_MAX 64u /* 2 MiB in frames of 64 KiB, and room. */

/* A regular file of more than one leaf. Made by home; its parts fill `leaves` from their cores,
 * each its own elements; read again when the last part was committed, which orders all of it. */
struct rmill_large {
    struct rmill_catalog *catalog; /* Holds it: `member` must outlive the last unit too. */
    struct rmill_catalog_member *member;
    struct rmill_large *next, **link; /* Those under way. Owner: home. */
    void *handle;
    bool accepted; /* The sink wants its parts. */
    bool told;     /* Its first damage was told. Owner: home. */
    _Atomic bool bad;
    struct rmill_hash128 leaves[];
};

/* Per core; made on it when its first unit comes. */
struct reader_core {
    RMILL_CACHE_ALIGNED struct rmill_core_pool *pool;
    ZSTD_DCtx *decoder;
};

struct reader {
    const struct rmill_archive *archive;
    const struct rmill_reader_sink *sink;
    const struct rmill_reader_options *options;
    struct rmill_reader_report *report;
    struct rmill_error *error; /* Written by home only. */
    uint32_t home;
    uint64_t unit_raw_max, unit_compressed_max;
    uint32_t core_units;
    struct reader_core cores[RMILL_READER_CORES_MAX];

    /* Producing; owner: home. */
    struct rmill_catalog *catalog;
    uint32_t next_window, next_frame, next_member;
    uint64_t file_offset, raw_offset;
    struct rmill_large *large; /* The large file whose parts come next. */
    struct rmill_large *large_first;
};

/* The data of one unit of the flow. */
struct reader_unit {
    struct rmill_catalog *catalog;
    uint32_t first_frame, frame_count;
    uint32_t first_member, member_count; /* Whose headers lie in it. */
    uint64_t file_offset, compressed_bytes;
    uint64_t raw_offset, raw_bytes;
    struct rmill_large *large; /* All of the unit is a part of this file. */
    bool large_last;
    uint8_t *compressed, *raw;
    uint64_t bad_frames; /* A bit per frame. */
    struct rmill_findings findings;
    struct rmill_findings large_findings; /* About the content of `large`. */
    /* Progress of the task that decodes. */
    uint32_t frame;
    uint64_t frame_compressed_at, frame_raw_at, frame_done;
    uint64_t frame_consumed;
};

struct decoding {
    struct reader *reader;
    struct reader_unit *unit;
    ZSTD_DCtx *decoder;
};

/* The part of a large file this unit holds: where in the unit, where in the file, how much. */
struct part {
    const uint8_t *content;
    uint64_t offset, bytes;
};

struct checking {
    struct decoding decoding;
    struct part part;
    uint32_t next;  /* Member to check. */
    uint64_t *good; /* A bit per member of the unit. */
    bool part_good;
};

/* Frame `number` of a unit. */
static inline const struct rmill_index_frame *
rmill_reader_frame(const struct reader_unit *unit, uint32_t number)
{
    return &unit->catalog->frames[unit->first_frame + number];
}

/* reader_plan.c: the produce step of the flow. Home, in a fiber. */
int rmill_reader_produce(struct rmill_unit *flow_unit);

/* reader_prove.c: tasks on the unit's core. Decoding takes a struct decoding, checking a struct
 * checking; neither parks. What fails is a finding of the unit and a bit that stays 0 in
 * checking->good or part_good. */
enum rmill_progress_kind rmill_reader_decode_task(void *argument);
enum rmill_progress_kind rmill_reader_check_task(void *argument);
bool rmill_reader_digest_right(const struct rmill_entry *entry, const struct rmill_hash128 *root);

/* findings.c: tell them and empty the list. Home only. */
void rmill_reader_tell(struct reader *reader, struct rmill_findings *findings);

#endif
