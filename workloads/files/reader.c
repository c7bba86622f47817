#include "workloads/files/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "workloads/files/digest.h"

#define CORE_UNITS_MAX   4u
#define CORE_BYTES_MAX   RMILL_MIB(512) /* Buffers of one core, at the most. */
#define MEMORY_SHARE     4u             /* Of what the process may use, this part for buffers. */
#define UNIT_SLACK_BYTES RMILL_MIB(2) /* A small member may exceed a chunk: content and headers. */
#define WINDOW_LOG_MAX   27           /* 128 MiB: no frame of ours needs more than its content. */
#define DECODE_COST_NS   (400 * RMILL_NS_PER_US) /* One step, for the simulator. */
#define CHECK_COST_NS    (100 * RMILL_NS_PER_US)

/* --- one unit -------------------------------------------------------------------------------- */

struct telling {
    struct reader *reader;
    struct rmill_findings *findings;
};

static int64_t
findings_tell_call(void *argument)
{
    struct telling *telling = argument;

    rmill_reader_tell(telling->reader, telling->findings);
    return 0;
}

static int
core_prepare(struct reader *reader, struct reader_core *core)
{
    if (core->pool == NULL) {
        core->pool = rmill_core_pool_create(reader->unit_raw_max + reader->unit_compressed_max,
                                            reader->core_units);
    }
    if (core->decoder == NULL) {
        core->decoder = ZSTD_createDCtx();
        if (core->decoder != NULL) {
            (void)ZSTD_DCtx_setParameter(core->decoder, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
        }
    }
    return core->pool == NULL || core->decoder == NULL ? -ENOMEM : 0;
}

static int
unit_read(struct reader *reader, struct reader_unit *unit)
{
    int64_t got = rmill_read(reader->archive->file, unit->compressed, unit->compressed_bytes,
                             unit->file_offset);

    if (got == (int64_t)unit->compressed_bytes) {
        return 0;
    }
    rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, NULL,
                       "archive bytes %llu to %llu cannot be read: %s",
                       (unsigned long long)unit->file_offset,
                       (unsigned long long)(unit->file_offset + unit->compressed_bytes),
                       got < 0 ? rmill_errno_text((int)got) : "the file became shorter");
    /* As if it held zeros: every frame is found damaged and names what it takes with it. */
    memset(unit->compressed, 0, unit->compressed_bytes);
    return 0;
}

static int
members_sink(struct reader *reader, struct reader_unit *unit, const uint64_t *good)
{
    for (uint32_t i = 0; i < unit->member_count; i++) {
        struct rmill_catalog_member *member = &unit->catalog->members[unit->first_member + i];
        const uint8_t *content =
            unit->raw + (member->entry.raw_offset - unit->raw_offset) + member->entry.header_bytes;

        if ((good[i / 64] >> (i % 64) & 1) == 0) {
            continue;
        }
        int code = reader->sink->member(reader->sink->context, member, content, &unit->findings);

        if (code < 0) {
            return code;
        }
        if (rmill_should_yield()) {
            rmill_yield();
        }
    }
    return 0;
}

static int
unit_sink(struct reader *reader, struct reader_unit *unit, const struct checking *checking)
{
    if (unit->large == NULL) {
        return reader->sink->member != NULL ? members_sink(reader, unit, checking->good) : 0;
    }
    if (!checking->part_good) {
        atomic_store_explicit(&unit->large->bad, true, memory_order_relaxed);
        return 0;
    }
    if (!unit->large->accepted || checking->part.bytes == 0) {
        return 0;
    }
    return reader->sink->large_part(reader->sink->context, unit->large->member, unit->large->handle,
                                    checking->part.content, checking->part.bytes,
                                    checking->part.offset);
}

static int
reader_process(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;
    struct reader_core *here = &reader->cores[flow_unit->core];
    struct checking checking = {.decoding = {.reader = reader, .unit = unit}};
    int code = core_prepare(reader, here);

    if (code < 0) {
        return code;
    }
    checking.decoding.decoder = here->decoder;
    checking.good = calloc((uint64_t)unit->member_count / 64 + 1, sizeof(uint64_t));
    if (checking.good == NULL) {
        return -ENOMEM;
    }
    unit->raw = rmill_core_pool_get(here->pool);
    RMILL_ASSERT(unit->raw != NULL); /* The flow starts at most core_units here. */
    unit->compressed = unit->raw + reader->unit_raw_max;
    code = unit_read(reader, unit);
    rmill_task_run(rmill_reader_decode_task, &checking.decoding, DECODE_COST_NS);
    rmill_task_run(rmill_reader_check_task, &checking, CHECK_COST_NS);
    if (code == 0) {
        code = unit_sink(reader, unit, &checking);
    }
    free(checking.good);
    return code;
}

static int
reader_commit(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;

    rmill_reader_tell(reader, &unit->findings);
    if (unit->large != NULL && unit->large_findings.first != NULL) { /* The first says it all. */
        if (!unit->large->told) {
            rmill_reader_tell(reader, &unit->large_findings);
        }
        unit->large->told = true;
    }
    if (unit->large_last && flow_unit->error == 0) { /* From here on it is the write step's. */
        *unit->large->link = unit->large->next;
        if (unit->large->next != NULL) {
            unit->large->next->link = unit->large->link;
        }
    }
    if (reader->options->done_bytes != NULL) {
        atomic_fetch_add_explicit(reader->options->done_bytes, unit->raw_bytes,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(reader->options->done_items, unit->member_count,
                                  memory_order_relaxed);
    }
    return 0;
}

/* After the last part of a large file was committed, all its leaves are known. */
static int
large_finish(struct reader *reader, struct rmill_large *large, bool whole)
{
    struct rmill_findings findings = {0};
    struct telling telling = {.reader = reader, .findings = &findings};
    struct rmill_catalog_member *member = large->member;
    bool good = whole && !atomic_load_explicit(&large->bad, memory_order_relaxed);
    int code = 0;

    if (good) {
        struct rmill_hash128 root = rmill_digest_root(large->leaves, member->entry.size);

        good = rmill_reader_digest_right(&member->entry, &root);
        if (!good) {
            rmill_findings_add(&findings, RMILL_FINDING_DAMAGE, &member->entry,
                               "bytes 0 to %llu do not match the digest",
                               (unsigned long long)member->entry.size);
        }
    }
    if (large->accepted && reader->sink->large_end != NULL) {
        code =
            reader->sink->large_end(reader->sink->context, member, large->handle, good, &findings);
    }
    member->large = NULL;
    rmill_catalog_release(large->catalog);
    free(large);
    if (findings.first != NULL) {
        (void)rmill_call(reader->home, findings_tell_call, &telling);
    }
    return code;
}

static int
reader_write(struct rmill_unit *flow_unit)
{
    struct reader_unit *unit = flow_unit->data;
    struct rmill_large *large = unit->large;

    if (!unit->large_last) {
        return 0;
    }
    unit->large = NULL;
    return large_finish(flow_unit->context, large, true);
}

static void
reader_release(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;

    rmill_findings_drop(&unit->findings);
    rmill_findings_drop(&unit->large_findings);
    if (unit->raw != NULL) {
        rmill_core_pool_put(reader->cores[flow_unit->core].pool, unit->raw);
    }
    rmill_catalog_release(unit->catalog);
}

/* --- a run ----------------------------------------------------------------------------------- */

static void
reader_size(struct reader *reader)
{
    const struct rmill_index_directory *directory = reader->archive->directory;
    uint64_t chunk = rmill_max_u64(directory->options.chunk_bytes, RMILL_DIGEST_LEAF_BYTES);
    uint64_t raw_max = rmill_min_u64(chunk + UNIT_SLACK_BYTES, directory->raw_bytes);

    reader->unit_raw_max = rmill_align_up(raw_max, 4096);
    reader->unit_compressed_max = rmill_align_up(
        ZSTD_compressBound(reader->unit_raw_max) + RMILL_READER_UNIT_FRAMES_MAX * 64, 4096);
    uint64_t pair = reader->unit_raw_max + reader->unit_compressed_max;
    uint64_t units = rmill_min_u64(CORE_UNITS_MAX, CORE_BYTES_MAX / pair);
    uint64_t allowed = rmill_memory_limit_bytes() / MEMORY_SHARE / rmill_core_count();

    units = rmill_min_u64(units, allowed / pair); /* In a small cgroup: slower, not killed. */

    if (reader->options->depth != 0) {
        uint64_t share = (reader->options->depth + rmill_core_count() - 1) / rmill_core_count();

        units = rmill_min_u64(units, share);
    }
    reader->core_units = (uint32_t)rmill_max_u64(units, 1);
}

static uint32_t
window_of(uint64_t units)
{
    uint32_t window = 1;

    while (window < units && window < 65536) {
        window *= 2;
    }
    return window;
}

/* On each core: its own pool and context. */
static int64_t
core_close(void *argument)
{
    struct reader_core *core = &((struct reader *)argument)->cores[rmill_core_index()];

    rmill_core_pool_destroy(core->pool);
    (void)ZSTD_freeDCtx(core->decoder);
    return 0;
}

static void
reader_close(struct reader *reader)
{
    while (reader->large_first != NULL) { /* Begun, but the reading ended first. */
        struct rmill_large *large = reader->large_first;

        reader->large_first = large->next;
        (void)large_finish(reader, large, false);
    }
    rmill_catalog_release(reader->catalog);
    for (uint32_t core = 0; core < rmill_core_count(); core++) {
        (void)rmill_call(core, core_close, reader);
    }
}

int
rmill_reader_run(const struct rmill_archive *archive, const struct rmill_reader_sink *sink,
                 const struct rmill_reader_options *options, struct rmill_reader_report *report,
                 struct rmill_error *error)
{
    struct reader *reader = aligned_alloc(RMILL_CACHE_LINE_BYTES,
                                          rmill_align_up(sizeof(*reader), RMILL_CACHE_LINE_BYTES));

    if (reader == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory to read the archive");
    }
    memset(reader, 0, sizeof(*reader));
    reader->archive = archive;
    reader->sink = sink;
    reader->options = options;
    reader->report = report;
    reader->error = error;
    reader->home = rmill_core_index();
    reader_size(reader);
    uint64_t units = (uint64_t)reader->core_units * rmill_core_count();
    struct rmill_flow_options flow = {
        .name = "read",
        .context = reader,
        .unit_bytes = sizeof(struct reader_unit),
        .window = window_of(units * 2),
        .core_units = reader->core_units,
        .order = RMILL_FLOW_ORDERED,
        .stop_on_error = true,
        .produce = rmill_reader_produce,
        .process = reader_process,
        .commit = reader_commit,
        .write = reader_write,
        .release = reader_release,
    };

    error->code = 0;
    int code = rmill_flow_run(&flow, &report->flow);

    report->bytes_in_flight_max = units * (reader->unit_raw_max + reader->unit_compressed_max);
    reader_close(reader);
    free(reader);
    if (code < 0 && error->code == 0) {
        (void)rmill_error_set(error, code, code == -ECANCELED ? "stopped" : "%s",
                              rmill_errno_text(code));
    }
    return code;
}
