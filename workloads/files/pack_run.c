/* workloads/files/pack_run.c — see pack_run.h: the job's home core. */
#include "workloads/files/pack_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/assert.h"
#include "workloads/files/order.h"
#include "workloads/files/output.h"
#include "workloads/files/pack_private.h"
#include "workloads/files/walk.h"

#define UNITS_PER_CORE  4u
#define MEMORY_SHARE    4u /* Of what the process may use, this part for units. */
#define WINDOWS_LIVE    2u /* One being packed, one being walked. */
#define ARENA_SPARE     RMILL_MIB(8)
#define INDEX_COST_NS   (300 * RMILL_NS_PER_US)
#define FLOW_WINDOW_MAX 65536u

static void
counter_add(_Atomic uint64_t *counter, uint64_t value)
{
    if (counter != NULL) {
        atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
    }
}

static void
problem_tell(struct pack_job *job, const struct rmill_problem *problem)
{
    if (problem->kind == RMILL_PROBLEM_CHANGED) {
        job->report->changed_count++;
    } else {
        job->report->left_out_count++;
    }
    if (job->options->problem != NULL) {
        job->options->problem(job->options->context, problem);
    }
}

static void
problem_told(void *context, const struct rmill_problem *problem)
{
    problem_tell(context, problem);
}

static void
member_problem(struct pack_job *job, const struct rmill_member *member)
{
    problem_tell(job, &(struct rmill_problem){.kind = member->dropped ? RMILL_PROBLEM_LEFT_OUT
                                                                      : RMILL_PROBLEM_CHANGED,
                                              .path = member->path,
                                              .path_bytes = member->path_bytes,
                                              .flags = member->flags,
                                              .error = member->error});
}

/* ---- windows: walk, links, order ------------------------------------------------------------- */

static void
window_destroy(struct pack_job *job, struct pack_window *window)
{
    struct pack_window **at = &job->windows;

    while (*at != window) {
        at = &(*at)->next;
    }
    *at = window->next;
    rmill_window_deinit(&window->window);
    if (window->permitted) {
        rmill_semaphore_release(&job->windows_free);
    }
    free(window->frames);
    free(window);
}

static struct pack_window *
window_create(struct pack_job *job)
{
    struct pack_window *window = calloc(1, sizeof(*window));

    if (window != NULL) {
        window->next = job->windows;
        job->windows = window;
    }
    return window;
}

static int
member_readable(void *context, const struct rmill_member *member)
{
    int fd = rmill_root_open(member->root, member->path, member->path_bytes,
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    (void)context;
    return fd < 0 ? fd : rmill_plain_close(fd);
}

struct preparing {
    struct pack_job *job;
    struct rmill_window *window;
};

/* On the blocking lane: names of owners, hard links, order, sizes of the headers. */
static int64_t
window_prepare(void *argument)
{
    struct preparing *preparing = argument;
    struct pack_job *job = preparing->job;
    struct rmill_window *window = preparing->window;
    int code = rmill_order_links(job->links, window, member_readable, NULL);

    for (uint32_t i = 0; i < window->count && code == 0; i++) {
        struct rmill_member *member = &window->members[i];
        struct rmill_entry entry;

        member->user = rmill_owners_get(job->users, member->uid);
        member->group = rmill_owners_get(job->groups, member->gid);
        if (member->user == NULL || member->group == NULL) {
            return -ENOMEM;
        }
        rmill_member_entry(member, &entry);
        member->header_bytes = rmill_tar_header_bytes(&entry);
    }
    return code == 0 ? rmill_order_sort(window, job->options->order) : code;
}

/* Problems found and totals, once the window is prepared. */
static void
window_account(struct pack_job *job, struct rmill_window *window)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < window->count; i++) {
        if (window->members[i].dropped) {
            member_problem(job, &window->members[i]);
        } else {
            bytes += window->members[i].size;
        }
    }
    counter_add(job->options->total_bytes, bytes);
    counter_add(job->options->total_items, window->order_count);
}

/* Fill `window`, and the first place of the next one, so that it is known which window is the
 * last: an archive has no window without entries. */
static int
window_fill(struct pack_job *job, struct pack_window *window, struct pack_window **next)
{
    int code = rmill_walk_fill(job->walk, &window->window, RMILL_INDEX_WINDOW_ENTRIES);

    *next = NULL;
    if (code == 1) {
        *next = window_create(job);
        code = *next == NULL ? -ENOMEM : rmill_walk_fill(job->walk, &(*next)->window, 1);
        if (code == 0 && (*next)->window.count == 0) {
            window_destroy(job, *next);
            *next = NULL;
        }
    }
    if (code < 0) {
        return code;
    }
    window->window.last = *next == NULL;
    return (int)rmill_blocking_call(window_prepare,
                                    &(struct preparing){.job = job, .window = &window->window});
}

static void
window_hand_over(struct pack_job *job, struct pack_window *window)
{
    struct pack_window **at = &job->ready;

    window_account(job, &window->window);
    while (*at != NULL) {
        at = &(*at)->next_ready;
    }
    *at = window;
    rmill_semaphore_release(&job->window_ready);
}

/* A fiber: one window after the other, at most two of them full at a time. */
static void
filler(void *argument)
{
    struct pack_job *job = argument;
    struct pack_window *window = window_create(job), *next = NULL;
    int code = window == NULL ? -ENOMEM : 0;

    while (code == 0 && window != NULL) {
        rmill_semaphore_acquire(&job->windows_free);
        window->permitted = true;
        code = job->abandoned ? -ECANCELED : window_fill(job, window, &next);
        if (code == 0) {
            window_hand_over(job, window);
            window = next;
        }
    }
    job->filler_error = code;
    rmill_semaphore_release(&job->window_ready); /* For whoever waits for one that will not come. */
    rmill_latch_done(&job->filler);
}

/* ---- failure --------------------------------------------------------------------------------- */

/* Nothing more will be committed: whoever waits for that goes on. On home. */
static int64_t
job_abandon(void *argument)
{
    struct pack_job *job = argument;

    job->abandoned = true;
    for (struct pack_window *window = job->windows; window != NULL; window = window->next) {
        if (window->waited_for) {
            window->waited_for = false;
            rmill_semaphore_release(&window->committed);
        }
    }
    return 0;
}

/* Say what failed, once. Thread: the fiber of any core; home alone writes the text. */
struct failure {
    struct pack_job *job;
    int code;
    const char *what;
};

static int64_t
failure_take(void *argument)
{
    struct failure *failure = argument;
    struct pack_job *job = failure->job;

    if (failure->code != -ECANCELED && !job->abandoned && job->error->code == 0) {
        rmill_error_set(job->error, failure->code, "%s: %s", failure->what,
                        rmill_errno_text(failure->code));
    }
    return job_abandon(job);
}

static int
job_fail(struct pack_job *job, int code, const char *what)
{
    struct failure failure = {.job = job, .code = code, .what = what};

    if (rmill_core_index() == job->home) {
        failure_take(&failure);
    } else {
        rmill_call(job->home, failure_take, &failure);
    }
    return code;
}

/* ---- produce --------------------------------------------------------------------------------- */

static int
window_take(struct pack_job *job)
{
    rmill_semaphore_acquire(&job->window_ready);
    if (job->ready == NULL) {
        return job->filler_error < 0 ? job->filler_error : -ECANCELED;
    }
    job->current = job->ready;
    job->ready = job->current->next_ready;
    rmill_layout_begin(&job->layout, &job->current->window, job->options->chunk_bytes);
    return 0;
}

static void
large_close(struct pack_job *job, struct pack_large *large)
{
    struct pack_large **at = &job->larges;

    while (*at != large) {
        at = &(*at)->next;
    }
    *at = large->next;
    if (large->file.fd >= 0) {
        rmill_plain_close(large->file.fd);
    }
    free(large->leaves);
    free(large);
}

/* Open it and see that it is the file the walk saw. Returns the descriptor or -errno. */
static int
large_descriptor(const struct rmill_member *member)
{
    struct rmill_file file = {.fd = -1};
    struct stat status;
    int code = rmill_pack_open(member, &file, &status);

    if (code < 0) {
        return code;
    }
    if (status.st_dev != member->device || status.st_ino != member->inode) {
        rmill_plain_close(file.fd);
        return -ESTALE;
    }
    return file.fd;
}

/* Open a file of several units for all of them. Links may lead to one with several names: it is
 * there in any case, and its error comes out when it is read. */
static int
large_open(struct pack_job *job, struct rmill_member *member)
{
    struct pack_large *large = calloc(1, sizeof(*large));
    uint64_t leaves = rmill_digest_leaf_count(member->size);
    int fd = large_descriptor(member);

    if (fd < 0 && member->names < 2) {
        free(large);
        return fd;
    }
    if (large != NULL) {
        large->leaves = calloc(leaves + 1, sizeof(large->leaves[0]));
    }
    if (large == NULL || large->leaves == NULL) {
        if (fd >= 0) {
            rmill_plain_close(fd);
        }
        free(large);
        return -ENOMEM;
    }
    large->file.fd = fd;
    large->member = member;
    large->next = job->larges;
    job->larges = job->large = large;
    return 0;
}

/* The next data unit of the current window: 1, or 0 when it has no more. */
static int
unit_lay_out(struct pack_job *job, struct pack_unit *unit)
{
    while (rmill_layout_next(&job->layout, &unit->layout)) {
        struct rmill_member *member = unit->layout.large;

        if (member != NULL && unit->layout.header) {
            int code = large_open(job, member);

            if (code == -ENOMEM || code == -EMFILE || code == -ENFILE) {
                return code;
            }
            if (code < 0) {
                member->dropped = true;
                member->error = code;
                member_problem(job, member);
                rmill_layout_skip(&job->layout, &unit->layout);
                continue;
            }
        }
        unit->large = member != NULL ? job->large : NULL;
        return 1;
    }
    return 0;
}

static int
unit_produce(struct pack_job *job, struct rmill_unit *flow_unit)
{
    struct pack_unit *unit = flow_unit->data;

    for (;;) {
        if (job->produced_all) {
            return 0;
        }
        int code = job->current == NULL ? window_take(job) : 0;

        if (code < 0) {
            return code;
        }
        struct pack_window *window = job->current;

        unit->window = window;
        code = unit_lay_out(job, unit);
        if (code < 0) {
            return code;
        }
        if (code == 1) {
            window->unit_count++;
            window->pending++;
            flow_unit->bytes = unit->layout.raw_bytes;
            return 1;
        }
        job->current = NULL;
        job->produced_all = window->window.last;
        if (window->unit_count > 0) {
            unit->is_index = true;
            return 1;
        }
        window_destroy(job, window); /* Everything in it was left out. */
    }
}

static int
produce(struct rmill_unit *flow_unit)
{
    struct pack_job *job = flow_unit->context;
    int code = unit_produce(job, flow_unit);

    return code < 0 ? job_fail(job, code, "cannot go on") : code;
}

/* ---- the index of a window ------------------------------------------------------------------- */

struct window_wait {
    const struct pack_job *job;
    struct pack_window *window;
};

/* On home: wait until all units of the window are committed, or never will be. */
static int64_t
window_wait(void *argument)
{
    struct window_wait *wait = argument;
    struct pack_window *window = wait->window;

    if (window->pending > 0 && !wait->job->abandoned) {
        window->waited_for = true;
        rmill_semaphore_acquire(&window->committed);
    }
    return window->pending > 0 ? -ECANCELED : 0;
}

struct indexing {
    struct pack_unit *unit;
    uint32_t next;
    struct rmill_error error;
    int code;
};

/* Entries until the page is surely full, then a pause for others. */
static enum rmill_progress_kind
index_encode(void *argument)
{
    struct indexing *indexing = argument;
    struct pack_unit *unit = indexing->unit;
    const struct rmill_window *window = &unit->window->window;
    struct rmill_entry entry;

    for (uint32_t i = 0; i < RMILL_INDEX_PAGE_ENTRIES && indexing->next < window->count; i++) {
        const struct rmill_member *member = &window->members[indexing->next++];

        if (!member->dropped) {
            rmill_member_entry(member, &entry);
            indexing->code = rmill_index_window_entry_add(unit->writer, &entry, &indexing->error);
            if (indexing->code < 0) {
                return RMILL_TASK_DONE;
            }
        }
    }
    return indexing->next < window->count ? RMILL_TASK_AGAIN : RMILL_TASK_DONE;
}

static int
index_process(struct pack_job *job, struct pack_unit *unit)
{
    struct pack_window *window = unit->window;
    struct window_wait wait = {.job = job, .window = window};
    int code = (int)rmill_call(job->home, window_wait, &wait);

    if (code < 0 || window->frame_count == 0) {
        return code;
    }
    code = rmill_index_window_writer_create(&unit->writer);
    if (code == 0) {
        code = rmill_index_window_begin(unit->writer, &window->start);
    }
    for (uint32_t i = 0; i < window->frame_count && code == 0; i++) {
        code = rmill_index_window_frame_add(unit->writer, &window->frames[i]);
    }
    if (code == 0) {
        struct indexing indexing = {.unit = unit};

        rmill_task_run(index_encode, &indexing, INDEX_COST_NS);
        code = indexing.code;
    }
    if (code == 0) {
        size_t bytes;

        code = rmill_index_window_end(unit->writer, &unit->index, &bytes);
        unit->out_bytes = code == 0 ? bytes : 0;
    }
    return code;
}

static int
process(struct rmill_unit *flow_unit)
{
    struct pack_job *job = flow_unit->context;
    struct pack_unit *unit = flow_unit->data;
    int code = unit->is_index ? index_process(job, unit) : rmill_pack_process(job, unit);

    return code < 0 ? job_fail(job, code, unit->is_index ? "cannot make the index" : "cannot pack")
                    : 0;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int
frames_commit(struct pack_job *job, struct pack_window *window, const struct pack_unit *unit)
{
    if (window->frame_count + unit->frame_count > window->frame_capacity) {
        uint32_t capacity = window->frame_capacity * 2 + RMILL_LAYOUT_FRAMES_MAX;
        struct rmill_index_frame *frames =
            realloc(window->frames, (size_t)capacity * sizeof(frames[0]));

        if (frames == NULL) {
            return -ENOMEM;
        }
        window->frames = frames;
        window->frame_capacity = capacity;
    }
    if (window->frame_count == 0) {
        window->start = (struct rmill_index_window_start){.window = job->window_count,
                                                          .first_frame = job->frame_count,
                                                          .first_file_offset = job->file_offset,
                                                          .first_raw_offset = job->raw_offset};
    }
    for (uint32_t i = 0; i < unit->frame_count; i++) {
        const struct pack_frame *frame = &unit->frames[i];
        int code = rmill_seekable_writer_add(
            &job->seekable,
            &(struct rmill_seekable_entry){.compressed_bytes = frame->record.compressed_bytes,
                                           .raw_bytes = frame->record.raw_bytes,
                                           .checksum = frame->checksum});

        if (code < 0) {
            return code;
        }
        window->frames[window->frame_count++] = frame->record;
    }
    job->frame_count += unit->frame_count;
    return 0;
}

static void
member_commit(struct pack_job *job, struct rmill_member *member)
{
    if (member->dropped || member->flags != 0) {
        member_problem(job, member);
    }
    if (!member->dropped) {
        job->report->item_count++;
        job->report->content_bytes += member->size;
    }
}

static void
large_commit(struct pack_job *job, struct pack_unit *unit)
{
    struct rmill_member *member = unit->large->member;

    if (unit->layout.header) {
        member->raw_offset = job->raw_offset;
    }
    member->flags |= (uint8_t)unit->flags;
    member->error = unit->error < 0 ? unit->error : member->error;
    if (unit->layout.padding) {
        member->digest = rmill_digest_root(unit->large->leaves, member->size);
        member_commit(job, member);
        large_close(job, unit->large);
    }
}

static void
small_commit(struct pack_job *job, struct pack_unit *unit)
{
    struct rmill_window *window = &unit->window->window;

    for (uint32_t i = 0; i < unit->layout.count; i++) {
        struct rmill_member *member = &window->members[window->order[unit->layout.first + i]];

        member->raw_offset += job->raw_offset;
        member_commit(job, member);
    }
}

static void
progress_publish(struct pack_job *job, const struct pack_unit *unit)
{
    uint64_t items = unit->large != NULL ? unit->layout.padding : unit->layout.count;
    uint64_t bytes = unit->layout.bytes;

    for (uint32_t i = 0; i < unit->layout.count && job->options->done_bytes != NULL; i++) {
        const struct rmill_window *window = &unit->window->window;

        bytes += window->members[window->order[unit->layout.first + i]].size;
    }
    counter_add(job->options->done_bytes, bytes);
    counter_add(job->options->done_items, items);
}

static int
data_commit(struct pack_job *job, struct pack_unit *unit)
{
    struct pack_window *window = unit->window;
    int code = frames_commit(job, window, unit);

    if (code < 0) {
        return job_fail(job, code, "cannot keep the table of frames");
    }
    if (unit->large != NULL) {
        large_commit(job, unit);
    } else {
        small_commit(job, unit);
    }
    progress_publish(job, unit);
    unit->file_offset = job->file_offset;
    job->file_offset += unit->out_bytes;
    job->raw_offset += unit->raw_bytes;
    if (--window->pending == 0 && window->waited_for) {
        window->waited_for = false;
        rmill_semaphore_release(&window->committed);
    }
    return 0;
}

static int
index_commit(struct pack_job *job, struct pack_unit *unit)
{
    unit->file_offset = job->file_offset;
    if (unit->out_bytes > 0) {
        int code = rmill_index_directory_add(job->directory, unit->writer, job->file_offset, NULL);

        if (code == 0) {
            code = rmill_seekable_writer_add(
                &job->seekable,
                &(struct rmill_seekable_entry){.compressed_bytes = (uint32_t)unit->out_bytes,
                                               .checksum = RMILL_SEEKABLE_NOTHING});
        }
        if (code < 0) {
            return job_fail(job, code, "cannot keep the index");
        }
        job->file_offset += unit->out_bytes;
        job->window_count++;
    }
    window_destroy(job, unit->window);
    unit->window = NULL;
    return 0;
}

static int
commit(struct rmill_unit *flow_unit)
{
    struct pack_job *job = flow_unit->context;
    struct pack_unit *unit = flow_unit->data;

    if (flow_unit->error < 0) {
        return 0;
    }
    return unit->is_index ? index_commit(job, unit) : data_commit(job, unit);
}

static int
write_unit(struct rmill_unit *flow_unit)
{
    struct pack_job *job = flow_unit->context;
    struct pack_unit *unit = flow_unit->data;
    const uint8_t *bytes = unit->is_index ? unit->index : unit->out;

    if (unit->out_bytes == 0) {
        return 0;
    }
    int64_t code = rmill_write(job->file, bytes, unit->out_bytes, unit->file_offset);

    return code < 0 ? job_fail(job, (int)code, "cannot write the archive") : 0;
}

static void
release(struct rmill_unit *flow_unit)
{
    rmill_pack_release(flow_unit->context, flow_unit->data);
}

/* ---- the whole ------------------------------------------------------------------------------- */

uint64_t
rmill_pack_arena_bytes(const struct rmill_pack_options *options)
{
    uint64_t raw = rmill_layout_raw_bytes_max(options->chunk_bytes);
    uint64_t units = options->depth != 0 ? options->depth : UNITS_PER_CORE;

    return units * (2 * raw + raw / 128 + RMILL_KIB(64)) + ARENA_SPARE;
}

static int64_t
core_init(void *argument)
{
    struct pack_job *job = argument;

    return rmill_pack_core_init(job, &job->cores[rmill_core_index()]);
}

/* Units of a core: as asked, or as many as a small cgroup bears. Never fewer than one. */
static uint32_t
core_units_of(const struct pack_job *job, uint64_t unit_bytes)
{
    uint32_t depth = job->options->depth;
    uint64_t allowed = rmill_memory_limit_bytes() / MEMORY_SHARE / job->core_count / unit_bytes;

    if (depth != 0) {
        return (depth + job->core_count - 1) / job->core_count;
    }
    return (uint32_t)rmill_max_u64(rmill_min_u64(UNITS_PER_CORE, allowed), 1);
}

static int
cores_init(struct pack_job *job)
{
    uint64_t raw = rmill_layout_raw_bytes_max(job->options->chunk_bytes);

    job->core_count = rmill_core_count();
    job->core_units = core_units_of(job, raw + rmill_compressor_bound(raw));
    job->cores =
        aligned_alloc(_Alignof(struct pack_core), (size_t)job->core_count * sizeof(job->cores[0]));
    if (job->cores == NULL) {
        return rmill_error_set(job->error, -ENOMEM, "out of memory");
    }
    memset(job->cores, 0, (size_t)job->core_count * sizeof(job->cores[0]));
    for (uint32_t core = 0; core < job->core_count; core++) {
        int code = (int)rmill_call(core, core_init, job);

        if (code < 0) {
            return rmill_error_set(job->error, code,
                                   "no room for %u units a core; a smaller "
                                   "--depth or --chunk-size needs less",
                                   job->core_units);
        }
    }
    job->report->in_flight_units = job->core_units * job->core_count;
    job->report->in_flight_bytes =
        job->report->in_flight_units * (raw + rmill_compressor_bound(raw));
    return 0;
}

static int64_t
roots_resolve(void *argument)
{
    struct pack_job *job = argument;

    return rmill_roots_resolve(job->options->arguments, job->options->argument_count, &job->roots,
                               problem_told, job, job->error);
}

static int
job_create(struct pack_job *job)
{
    const struct rmill_index_options index = {.zstd_version = ZSTD_versionNumber(),
                                              .level = job->options->level,
                                              .chunk_bytes = job->options->chunk_bytes,
                                              .order = job->options->order};
    int code = rmill_index_directory_writer_create(&index, &job->directory);

    if (code < 0) {
        return rmill_error_set(job->error, code, "cannot make an index: %s",
                               rmill_errno_text(code));
    }
    job->users = rmill_owners_create(job->options->user_source);
    job->groups = rmill_owners_create(job->options->group_source);
    job->links = rmill_links_create();
    if (job->users == NULL || job->groups == NULL || job->links == NULL) {
        return rmill_error_set(job->error, -ENOMEM, "out of memory");
    }
    code = cores_init(job);
    if (code < 0) {
        return code;
    }
    /* Problems are told from here on, one after the other, while nothing else runs yet. */
    code = (int)roots_resolve(job);
    if (code == 0) {
        job->report->slash_removed = job->roots.slash_removed;
    }
    return code;
}

static void
job_destroy(struct pack_job *job)
{
    while (job->larges != NULL) {
        large_close(job, job->larges);
    }
    while (job->windows != NULL) {
        window_destroy(job, job->windows);
    }
    for (uint32_t core = 0; job->cores != NULL && core < job->core_count; core++) {
        rmill_pack_core_deinit(&job->cores[core]);
    }
    free(job->cores);
    rmill_links_destroy(job->links);
    rmill_owners_destroy(job->users);
    rmill_owners_destroy(job->groups);
    rmill_index_directory_writer_destroy(job->directory);
    rmill_seekable_writer_deinit(&job->seekable);
    rmill_roots_deinit(&job->roots);
}

/* Everything up to the last window's index. */
static int
job_flow(struct pack_job *job, const struct rmill_output *output)
{
    const struct rmill_walk_exclude excludes[] = {{output->device, output->inode},
                                                  {output->old_device, output->old_inode}};
    const struct rmill_walk_options walk = {.roots = &job->roots,
                                            .excludes = excludes,
                                            .exclude_count = output->replaces ? 2 : 1,
                                            .abandoned = &job->abandoned,
                                            .problem = problem_told,
                                            .context = job};
    struct rmill_flow_options flow = {.name = "pack",
                                      .context = job,
                                      .unit_bytes = sizeof(struct pack_unit),
                                      .window = 4,
                                      .core_units = job->core_units,
                                      .stop_on_error = true,
                                      .produce = produce,
                                      .process = process,
                                      .commit = commit,
                                      .write = write_unit,
                                      .release = release};
    int code = rmill_walk_create(&walk, &job->walk);

    while (flow.window < 2 * job->report->in_flight_units && flow.window < FLOW_WINDOW_MAX) {
        flow.window *= 2;
    }
    if (code == 0) {
        job->windows_free.permits = WINDOWS_LIVE;
        job->filler.count = 1;
        code = rmill_spawn(filler, job);
        if (code == 0) {
            code = rmill_flow_run(&flow, &job->report->flow);
            job_abandon(job);
            rmill_semaphore_release(&job->windows_free);
            rmill_latch_wait(&job->filler);
        }
    }
    rmill_walk_destroy(job->walk);
    return code;
}

/* The directory and the seek table. */
static int
tables_write(struct pack_job *job)
{
    struct rmill_buffer directory = {0};
    struct rmill_seekable_writer *seekable = &job->seekable;
    int64_t code = rmill_index_directory_end(job->directory, job->file_offset, job->raw_offset,
                                             &directory, job->error);

    if (code == 0) {
        code = rmill_seekable_writer_add(
            seekable, &(struct rmill_seekable_entry){.compressed_bytes = (uint32_t)directory.bytes,
                                                     .checksum = RMILL_SEEKABLE_NOTHING});
    }
    if (code == 0) {
        code = rmill_seekable_writer_end(seekable);
    }
    if (code == 0) {
        code = rmill_write(job->file, directory.data, directory.bytes, job->file_offset);
        job->file_offset += directory.bytes;
    }
    if (code >= 0) {
        code =
            rmill_write(job->file, seekable->frame.data, seekable->frame.bytes, job->file_offset);
        job->file_offset += seekable->frame.bytes;
    }
    rmill_buffer_deinit(&directory);
    if (code < 0 && job->error->code == 0) {
        rmill_error_set(job->error, (int)code, "cannot write the archive: %s",
                        rmill_errno_text((int)code));
    }
    job->report->raw_bytes = job->raw_offset;
    job->report->archive_bytes = job->file_offset;
    return code < 0 ? (int)code : 0;
}

int
rmill_pack_run(const struct rmill_pack_options *options, struct rmill_pack_report *report,
               struct rmill_error *error)
{
    struct rmill_error own;
    struct rmill_output output;
    struct pack_job *job = calloc(1, sizeof(*job));

    *report = (struct rmill_pack_report){0};
    error = error != NULL ? error : &own;
    *error = (struct rmill_error){0};
    if (job == NULL) {
        return rmill_error_set(error, -ENOMEM, "out of memory");
    }
    job->options = options;
    job->report = report;
    job->error = error;
    job->home = rmill_core_index();
    int code = job_create(job);

    if (code == 0) {
        code = rmill_output_create(options->output, &output, error);
    }
    if (code == 0) {
        report->leftover_count = output.leftover_count;
        job->file = output.file;
        code = job_flow(job, &output);
        if (code == 0) {
            code = tables_write(job);
        }
        if (code == 0 && rmill_stopping()) {
            code = -ECANCELED;
        }
        if (code == 0) {
            code = rmill_output_commit(&output, error);
        } else {
            rmill_output_abandon(&output);
        }
    }
    if (code < 0 && error->code == 0) {
        rmill_error_set(error, code, "%s", code == -ECANCELED ? "stopped" : rmill_errno_text(code));
    }
    job_destroy(job);
    free(job);
    return code;
}
