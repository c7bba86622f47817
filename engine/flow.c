/* engine/flow.c — the ordered pipeline: produce, process anywhere, commit in sequence, write.
 *
 * All decisions are the home core's, so nothing is shared and nothing is locked. A unit is memory
 * that changes its owner by message:
 *
 * (A unit with neither write nor release is free again when it is committed.)
 *
 *   home: free ─produce─▶ queued ─START─▶ core: process ─DONE─▶ home: in the reorder ring
 *   ─commit─▶ COMMITTED ─▶ core: write, release ─FINISHED─▶ home: free
 *
 * Home knows how many units every core holds. A core with a free place gets the oldest waiting unit
 * whose key it owns; has it none, the oldest of another core, of its own node first: that is how
 * idle cores claim, without asking anybody.
 *
 * Invariants
 *   I1  units in flight <= window; their bytes <= bytes_max, or one unit alone is in flight
 *   I2  a core holds at most core_units units between START and FINISHED
 *   I3  ORDERED: commit is called for 0, 1, 2 ... without a gap
 *   I4  progress: let u be the oldest uncommitted unit. If it waits, its owner is full of units
 *       older than u (a core takes its own units in sequence, and claims only when none of its own
 *       waits), which are committed by I3's definition of u and so finish without waiting for
 *       anyone. If it runs, it waits for nobody.
 *   I5  a unit holds a fiber only while a step of it runs, so few fibers make a flow slow, but
 *       never stop it. (With a fiber kept from process to write, younger units that wait for
 *       their turn could hold every fiber the oldest needs.) */
#include "engine/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "perf/record/probes.h"

#define WINDOW_DEFAULT 64u
#define WINDOW_MAX     65536u
#define CORE_UNITS_MAX 4096u

struct flow_unit {
    struct rmill_unit unit; /* First: steps get a pointer to it. */
    struct flow *flow;
    struct flow_unit *next;         /* In the list it is in. Owner: home. */
    struct rmill_envelope envelope; /* Owner: home or the unit's core, as the unit. */
    uint64_t queued_ns;
    uint32_t owner, slot;
    uint32_t core; /* Home's own copies: a step may scribble on what it is shown. */
    uint64_t bytes;
    bool skip;   /* A unit before it failed and the flow stops there. */
    bool failed; /* Its error has been accounted for. */
};

struct unit_list {
    struct flow_unit *first, *last;
};

/* What happens on one core. Written there, read by home when the flow is over (after FINISHED of
 * the last unit). */
struct flow_core {
    RMILL_CACHE_ALIGNED struct rmill_histogram waiting;
    struct rmill_histogram process, held, write;
};

struct flow {
    const struct rmill_flow_options *options;
    struct rmill_core *home;
    uint32_t window, core_units;
    struct flow_unit *units, *free_units;
    char *data;
    struct flow_unit **reorder;                 /* [window]; ORDERED only. */
    struct unit_list *queues;                   /* [core_count]; waiting units by owner. */
    uint32_t *places_taken;                     /* [core_count] */
    struct flow_core *cores;                    /* [core_count] */
    uint64_t busy_slots[RMILL_SLOT_COUNT / 64]; /* KEYED: slots with a unit out. */
    uint64_t produced, commit_next, in_flight, bytes_in_flight;
    struct rmill_fiber *producer, *writer; /* Parked, or NULL. */
    struct unit_list to_write;             /* write_at_home: committed, in sequence. */
    bool producing, stopping, writer_live;
    bool short_way; /* Neither write nor release: a committed unit is finished. */
    int error;
    uint64_t error_sequence;
    struct rmill_flow_statistics statistics;
};

static void home_dispatch_core(struct flow *flow, uint32_t core);

static void
list_append(struct unit_list *list, struct flow_unit *unit)
{
    unit->next = NULL;
    if (list->last != NULL) {
        list->last->next = unit;
    } else {
        list->first = unit;
    }
    list->last = unit;
}

/* Take out the unit after `before` (NULL: the first). */
static struct flow_unit *
list_take_after(struct unit_list *list, struct flow_unit *before)
{
    struct flow_unit *unit = before == NULL ? list->first : before->next;

    if (before == NULL) {
        list->first = unit->next;
    } else {
        before->next = unit->next;
    }
    if (unit->next == NULL) {
        list->last = before;
    }
    return unit;
}

static void
fiber_wake(struct rmill_core *core, struct rmill_fiber **fiber)
{
    if (*fiber != NULL) {
        struct rmill_fiber *ready = *fiber;

        *fiber = NULL;
        rmill_fiber_ready(core, ready);
    }
}

/* --- failures -------------------------------------------------------------------------------- */

static void
flow_failed(struct flow *flow, uint64_t sequence, int error)
{
    if (flow->options->stop_on_error && (flow->error == 0 || sequence < flow->error_sequence)) {
        flow->error = error;
        flow->error_sequence = sequence;
        flow->stopping = true;
    }
}

static void
unit_account_failure(struct flow *flow, struct flow_unit *unit)
{
    if (unit->unit.error != 0 && !unit->failed && !unit->skip) {
        unit->failed = true;
        flow->statistics.failed++;
        flow_failed(flow, unit->unit.sequence, unit->unit.error);
    }
}

/* --- on the unit's core ---------------------------------------------------------------------- */

static bool handle_done(struct rmill_core *core, const struct rmill_message *message);
static bool handle_finished(struct rmill_core *core, const struct rmill_message *message);

/* The unit's envelope goes to and fro with the unit: home is through with it when the unit's core
 * gets the message, and the other way round. No waiter: nobody parks for it. */
static void
send_home(struct flow_unit *unit, bool (*handle)(struct rmill_core *, const struct rmill_message *))
{
    unit->envelope.message = (struct rmill_message){.handle = handle, .words = {(uintptr_t)unit}};
    rmill_mail_send(rmill_core_self(), unit->flow->home->index, RMILL_LANE_BULK, &unit->envelope);
}

static void
unit_process(struct flow *flow, struct flow_unit *unit, struct flow_core *here)
{
    uint64_t begin_ns = rmill_seam_now_ns();

    rmill_histogram_record(&here->waiting, begin_ns - unit->queued_ns);
    int code = flow->options->process(&unit->unit);
    uint64_t end_ns = rmill_seam_now_ns();

    if (code < 0 && unit->unit.error == 0) {
        unit->unit.error = code;
    }
    rmill_histogram_record(&here->process, end_ns - begin_ns);
    rmill_core_trace(rmill_core_self(), RMILL_TRACE_FLOW_PROCESS, 0, unit->unit.sequence,
                     end_ns - begin_ns);
    RMILL_PROBE3(flow_process, unit->unit.core, unit->unit.sequence, end_ns - begin_ns);
    unit->queued_ns = end_ns; /* From here on: since when it is held. */
}

static bool
is_to_write(const struct flow *flow, const struct flow_unit *unit)
{
    return flow->options->write != NULL && unit->unit.error == 0 && !unit->skip;
}

static void
unit_write(struct flow *flow, struct flow_unit *unit, struct flow_core *here)
{
    uint64_t begin_ns = rmill_seam_now_ns();
    int code = flow->options->write(&unit->unit);
    uint64_t end_ns = rmill_seam_now_ns();

    if (code < 0) {
        unit->unit.error = code;
    }
    rmill_histogram_record(&here->write, end_ns - begin_ns);
    rmill_core_trace(rmill_core_self(), RMILL_TRACE_FLOW_WRITE, 0, unit->unit.sequence,
                     end_ns - begin_ns);
}

/* The unit is through on its core. Thread: core; parks for nothing. */
static void
unit_finish(struct flow *flow, struct flow_unit *unit)
{
    if (flow->options->release != NULL) {
        flow->options->release(&unit->unit);
    }
    send_home(unit, handle_finished);
}

/* A unit on its core, first part. The fiber ends before the commit: a unit that waits for its turn
 * holds no fiber, so an older one always finds one (I5). */
static void
process_fiber(void *argument)
{
    struct flow_unit *unit = argument;

    unit_process(unit->flow, unit, &unit->flow->cores[rmill_core_self()->index]);
    send_home(unit, handle_done);
}

/* Second part, when there is something to write. */
static void
write_fiber(void *argument)
{
    struct flow_unit *unit = argument;

    unit_write(unit->flow, unit, &unit->flow->cores[rmill_core_self()->index]);
    unit_finish(unit->flow, unit);
}

static bool
handle_start(struct rmill_core *core, const struct rmill_message *message)
{
    return rmill_fiber_start(core, process_fiber, (void *)(uintptr_t)message->words[0]) != NULL;
}

static bool
handle_committed(struct rmill_core *core, const struct rmill_message *message)
{
    struct flow_unit *unit = (struct flow_unit *)(uintptr_t)message->words[0];
    struct flow *flow = unit->flow;
    bool writes = !flow->options->write_at_home && is_to_write(flow, unit);

    if (writes && rmill_fiber_start(core, write_fiber, unit) == NULL) {
        return false;
    }
    rmill_histogram_record(&flow->cores[core->index].held, rmill_seam_now_ns() - unit->queued_ns);
    if (!writes) {
        unit_finish(flow, unit);
    }
    return true;
}

/* --- at home: committing --------------------------------------------------------------------- */

static void
send_to_unit(struct flow *flow, struct flow_unit *unit,
             bool (*handle)(struct rmill_core *, const struct rmill_message *))
{
    unit->envelope.message = (struct rmill_message){.handle = handle, .words = {(uintptr_t)unit}};
    rmill_mail_send(flow->home, unit->core, RMILL_LANE_BULK, &unit->envelope);
}

/* The unit, its place and its credits are free again. */
static void
home_finish(struct flow *flow, struct flow_unit *unit)
{
    uint32_t where = unit->core;

    RMILL_ASSERT(flow->places_taken[where] > 0);
    unit_account_failure(flow, unit); /* A write may have failed. */
    flow->places_taken[where]--;
    flow->in_flight--;
    flow->bytes_in_flight -= unit->bytes;
    flow->busy_slots[unit->slot / 64] &= ~(1ull << (unit->slot % 64));
    unit->next = flow->free_units;
    flow->free_units = unit;
    if (flow->options->order == RMILL_FLOW_KEYED && unit->owner != where) {
        home_dispatch_core(flow, unit->owner);
    }
    home_dispatch_core(flow, where);
    fiber_wake(flow->home, &flow->producer);
}

static void
home_commit(struct flow *flow, struct flow_unit *unit)
{
    unit_account_failure(flow, unit);
    if (flow->error != 0 && unit->unit.sequence > flow->error_sequence) {
        unit->skip = true;
        unit->unit.error = -ECANCELED;
    } else {
        if (flow->options->commit != NULL) {
            int code = flow->options->commit(&unit->unit);

            if (code < 0 && unit->unit.error == 0) {
                unit->unit.error = code;
            }
        }
        unit_account_failure(flow, unit);
        flow->statistics.committed++;
        rmill_core_trace(flow->home, RMILL_TRACE_FLOW_COMMIT, 0, unit->unit.sequence, 0);
        RMILL_PROBE2(flow_commit, unit->unit.core, unit->unit.sequence);
    }
    if (flow->writer_live) {
        list_append(&flow->to_write, unit);
        fiber_wake(flow->home, &flow->writer);
    } else if (flow->short_way) {
        uint64_t now_ns = rmill_max_u64(flow->home->now_ns, unit->queued_ns);

        rmill_histogram_record(&flow->cores[flow->home->index].held, now_ns - unit->queued_ns);
        home_finish(flow, unit);
    } else {
        send_to_unit(flow, unit, handle_committed);
    }
}

static bool
handle_done(struct rmill_core *core, const struct rmill_message *message)
{
    struct flow_unit *unit = (struct flow_unit *)(uintptr_t)message->words[0];
    struct flow *flow = unit->flow;

    RMILL_ASSERT(core == flow->home);
    if (flow->options->order != RMILL_FLOW_ORDERED) {
        home_commit(flow, unit);
        return true;
    }
    uint64_t mask = flow->window - 1;

    RMILL_ASSERT(flow->reorder[unit->unit.sequence & mask] == NULL);
    flow->reorder[unit->unit.sequence & mask] = unit;
    while ((unit = flow->reorder[flow->commit_next & mask]) != NULL) {
        RMILL_ASSERT(unit->unit.sequence == flow->commit_next);
        flow->reorder[flow->commit_next & mask] = NULL;
        flow->commit_next++;
        home_commit(flow, unit);
    }
    return true;
}

/* From the unit's core, after the last step there. */
static bool
handle_finished(struct rmill_core *core, const struct rmill_message *message)
{
    struct flow_unit *unit = (struct flow_unit *)(uintptr_t)message->words[0];

    RMILL_ASSERT(core == unit->flow->home);
    home_finish(unit->flow, unit);
    return true;
}

/* write_at_home: write in sequence, then tell the unit's core. */
static void
writer_fiber(void *argument)
{
    struct flow *flow = argument;
    struct flow_core *here = &flow->cores[flow->home->index];

    while (flow->producing || flow->in_flight > 0) {
        if (flow->to_write.first == NULL) {
            flow->writer = flow->home->running;
            rmill_fiber_park(flow->home);
            continue;
        }
        struct flow_unit *unit = list_take_after(&flow->to_write, NULL);

        if (flow->error != 0 && unit->unit.sequence > flow->error_sequence &&
            unit->unit.error == 0) {
            unit->skip = true; /* An earlier write failed: what follows must not reach the
                                * stream. */
            unit->unit.error = -ECANCELED;
        }
        if (is_to_write(flow, unit)) {
            unit_write(flow, unit, here);
        }
        unit_account_failure(flow, unit);
        send_to_unit(flow, unit, handle_committed);
    }
    flow->writer = NULL;
    flow->writer_live = false;
    fiber_wake(flow->home, &flow->producer);
}

/* --- at home: dispatching -------------------------------------------------------------------- */

static void
home_start(struct flow *flow, struct flow_unit *unit, uint32_t core)
{
    flow->places_taken[core]++;
    unit->core = unit->unit.core = core;
    if (core != unit->owner) {
        flow->statistics.claimed++;
        rmill_core_trace(flow->home, RMILL_TRACE_FLOW_CLAIM, core, unit->unit.sequence,
                         unit->owner);
    }
    flow->busy_slots[unit->slot / 64] |= 1ull << (unit->slot % 64);
    send_to_unit(flow, unit, handle_start);
}

/* The oldest waiting unit of `core` that may start now; NULL when there is none. */
static struct flow_unit *
own_take(struct flow *flow, uint32_t core)
{
    struct unit_list *queue = &flow->queues[core];
    struct flow_unit *before = NULL;

    for (struct flow_unit *unit = queue->first; unit != NULL; before = unit, unit = unit->next) {
        bool busy = flow->options->order == RMILL_FLOW_KEYED &&
                    (flow->busy_slots[unit->slot / 64] >> (unit->slot % 64) & 1) != 0;

        if (!busy) {
            return list_take_after(queue, before);
        }
    }
    return NULL;
}

/* The oldest waiting unit that `core` may claim: of its own node's cores first, else of all. */
static struct flow_unit *
claim_take(struct flow *flow, uint32_t core)
{
    struct unit_list *oldest[2] = {NULL, NULL}; /* of any node, of the same */

    if (flow->options->unclaimed || flow->options->order == RMILL_FLOW_KEYED) {
        return NULL;
    }
    for (uint32_t owner = 0; owner < flow->home->core_count; owner++) {
        struct unit_list *queue = &flow->queues[owner];
        bool near = flow->home->engine->cores[owner]->node == flow->home->engine->cores[core]->node;

        if (queue->first != NULL &&
            (oldest[near] == NULL ||
             queue->first->unit.sequence < oldest[near]->first->unit.sequence)) {
            oldest[near] = queue;
        }
    }
    struct unit_list *from = oldest[1] != NULL ? oldest[1] : oldest[0];

    return from != NULL ? list_take_after(from, NULL) : NULL;
}

static void
home_dispatch_core(struct flow *flow, uint32_t core)
{
    while (flow->places_taken[core] < flow->core_units) {
        struct flow_unit *unit = own_take(flow, core);

        if (unit == NULL) {
            unit = claim_take(flow, core);
        }
        if (unit == NULL) {
            return;
        }
        home_start(flow, unit, core);
    }
}

/* The core with most free places, of the owner's node when there is a choice; `none` when all are
 * full. */
static uint32_t
freest_core(const struct flow *flow, uint32_t owner, uint32_t none)
{
    uint32_t best = none;
    uint64_t best_score = 0;

    for (uint32_t core = 0; core < flow->home->core_count; core++) {
        uint32_t free_places = flow->core_units - flow->places_taken[core];
        bool near = flow->home->engine->cores[core]->node == flow->home->engine->cores[owner]->node;
        uint64_t score = (uint64_t)free_places * 2 + near;

        if (free_places > 0 && score > best_score) {
            best = core;
            best_score = score;
        }
    }
    return best;
}

static void
home_enqueue(struct flow *flow, struct flow_unit *unit)
{
    uint32_t none = flow->home->core_count;

    unit->slot = rmill_slot_of(unit->unit.key);
    unit->owner = rmill_slot_owner(unit->slot);
    unit->queued_ns = rmill_seam_now_ns();
    list_append(&flow->queues[unit->owner], unit);
    home_dispatch_core(flow, unit->owner);
    if (flow->queues[unit->owner].first != NULL && !flow->options->unclaimed &&
        flow->options->order != RMILL_FLOW_KEYED) {
        uint32_t core = freest_core(flow, unit->owner, none);

        if (core != none) {
            home_dispatch_core(flow, core);
        }
    }
}

/* --- at home: producing ---------------------------------------------------------------------- */

static void
producer_park(struct flow *flow)
{
    flow->producer = flow->home->running;
    rmill_fiber_park(flow->home);
}

static struct flow_unit *
unit_prepare(struct flow *flow)
{
    struct flow_unit *unit = flow->free_units;
    void *data = unit->unit.data;

    flow->free_units = unit->next;
    if (flow->options->unit_bytes > 0) {
        memset(data, 0, flow->options->unit_bytes);
    }
    unit->unit = (struct rmill_unit){.sequence = flow->produced,
                                     .key = flow->produced,
                                     .context = flow->options->context,
                                     .data = data};
    unit->skip = unit->failed = false;
    return unit;
}

static void
wait_for_bytes(struct flow *flow, uint64_t bytes)
{
    uint64_t most = flow->options->bytes_max;

    while (most != 0 && flow->in_flight > 0 &&
           (bytes > most || flow->bytes_in_flight > most - bytes)) {
        producer_park(flow);
    }
}

static void
unit_launch(struct flow *flow, struct flow_unit *unit)
{
    struct rmill_flow_statistics *s = &flow->statistics;

    unit->bytes = unit->unit.bytes;
    wait_for_bytes(flow, unit->bytes);
    flow->produced++;
    flow->in_flight++;
    flow->bytes_in_flight += unit->bytes;
    s->bytes += unit->bytes;
    s->units_in_flight_max = (uint32_t)rmill_max_u64(s->units_in_flight_max, flow->in_flight);
    s->bytes_in_flight_max = rmill_max_u64(s->bytes_in_flight_max, flow->bytes_in_flight);
    rmill_core_trace(flow->home, RMILL_TRACE_FLOW_PRODUCE, 0, unit->unit.sequence,
                     unit->unit.bytes);
    home_enqueue(flow, unit);
}

/* Returns 0 at the end, -ECANCELED when the engine was stopped first. */
static int
produce_all(struct flow *flow)
{
    while (!flow->stopping) {
        if (rmill_stopping()) {
            return -ECANCELED;
        }
        if (flow->in_flight == flow->window) {
            producer_park(flow);
            continue;
        }
        struct flow_unit *unit = unit_prepare(flow);
        int code = flow->options->produce(&unit->unit);

        if (code != 1) {
            unit->next = flow->free_units;
            flow->free_units = unit;
            if (code < 0) {
                flow->stopping = true;
                if (flow->error == 0) {
                    flow->error = code;
                    flow->error_sequence = flow->produced;
                }
            }
            return 0;
        }
        unit_launch(flow, unit);
    }
    return 0;
}

/* --- life of a flow -------------------------------------------------------------------------- */

static void
flow_free(struct flow *flow)
{
    free(flow->units);
    free(flow->data);
    free(flow->reorder);
    free(flow->queues);
    free(flow->places_taken);
    free(flow->cores);
    free(flow);
}

/* An even share of the window: enough that no core waits for messages, and half the fibers are left
 * to others. */
static uint32_t
core_units_default(const struct flow *flow)
{
    uint32_t share = flow->window / flow->home->core_count;

    share = (uint32_t)rmill_min_u64(share, flow->home->fibers_max / 2);
    return share > 0 ? share : 1;
}

static struct flow *
flow_create(const struct rmill_flow_options *options)
{
    struct flow *flow = calloc(1, sizeof(*flow));
    struct rmill_core *home = rmill_core_self();

    if (flow == NULL) {
        return NULL;
    }
    flow->options = options;
    flow->home = home;
    flow->window = options->window != 0 ? options->window : WINDOW_DEFAULT;
    flow->core_units = options->core_units != 0 ? options->core_units : core_units_default(flow);
    flow->short_way = options->write == NULL && options->release == NULL;
    flow->producing = true;
    uint64_t cores_bytes = (uint64_t)home->core_count * sizeof(struct flow_core);
    uint64_t stride = rmill_align_up(options->unit_bytes, 16);

    flow->units = calloc(flow->window, sizeof(struct flow_unit));
    flow->data = stride > 0 ? calloc(flow->window, stride) : NULL;
    flow->reorder = calloc(flow->window, sizeof(struct flow_unit *));
    flow->queues = calloc(home->core_count, sizeof(struct unit_list));
    flow->places_taken = calloc(home->core_count, sizeof(uint32_t));
    flow->cores = aligned_alloc(RMILL_CACHE_LINE_BYTES, cores_bytes);
    if (flow->units == NULL || (stride > 0 && flow->data == NULL) || flow->reorder == NULL ||
        flow->queues == NULL || flow->places_taken == NULL || flow->cores == NULL) {
        flow_free(flow);
        return NULL;
    }
    memset(flow->cores, 0, cores_bytes);
    for (uint32_t i = flow->window; i-- > 0;) {
        flow->units[i].flow = flow;
        flow->units[i].unit.data = stride > 0 ? flow->data + i * stride : NULL;
        flow->units[i].next = flow->free_units;
        flow->free_units = &flow->units[i];
    }
    return flow;
}

static int
options_check(const struct rmill_flow_options *options)
{
    bool bad = options->produce == NULL || options->process == NULL ||
               options->core_units > CORE_UNITS_MAX ||
               (options->window != 0 &&
                (!rmill_is_power_of_two(options->window) || options->window > WINDOW_MAX)) ||
               (options->write_at_home && options->order != RMILL_FLOW_ORDERED);

    return bad ? -EINVAL : 0;
}

/* Merge one stage's histograms. The snapshot is large: on the heap, not on a fiber's stack. */
static void
stage_summarize(const struct flow *flow, size_t histogram_offset, struct rmill_flow_stage *stage)
{
    struct rmill_histogram_snapshot *merged = calloc(1, sizeof(*merged));

    if (merged == NULL) {
        return; /* Figures only: zeros then. */
    }
    for (uint32_t core = 0; core < flow->home->core_count; core++) {
        const char *base = (const char *)&flow->cores[core] + histogram_offset;

        rmill_histogram_snapshot_add(merged, (const struct rmill_histogram *)(const void *)base);
    }
    stage->count = merged->count;
    stage->sum_ns = merged->sum;
    stage->p50_ns = rmill_histogram_quantile(merged, 0.50);
    stage->p99_ns = rmill_histogram_quantile(merged, 0.99);
    stage->max_ns = merged->max;
    free(merged);
}

static void
flow_summarize(struct flow *flow, uint64_t begin_ns, struct rmill_flow_statistics *out)
{
    struct rmill_flow_statistics *s = &flow->statistics;

    s->produced = flow->produced;
    s->wall_ns = rmill_seam_now_ns() - begin_ns;
    stage_summarize(flow, offsetof(struct flow_core, waiting), &s->waiting);
    stage_summarize(flow, offsetof(struct flow_core, process), &s->process);
    stage_summarize(flow, offsetof(struct flow_core, held), &s->held);
    stage_summarize(flow, offsetof(struct flow_core, write), &s->write);
    *out = *s;
}

int
rmill_flow_run(const struct rmill_flow_options *options, struct rmill_flow_statistics *statistics)
{
    uint64_t begin_ns = rmill_seam_now_ns();
    int code = options_check(options);
    struct flow *flow = code == 0 ? flow_create(options) : NULL;

    if (flow == NULL) {
        return code == 0 ? -ENOMEM : code;
    }
    if (options->write_at_home && options->write != NULL) {
        if (rmill_spawn(writer_fiber, flow) < 0) {
            flow_free(flow);
            return -EAGAIN;
        }
        flow->writer_live = true;
    }
    code = produce_all(flow);
    flow->producing = false;
    while (flow->in_flight > 0) {
        producer_park(flow);
    }
    fiber_wake(flow->home, &flow->writer);
    while (flow->writer_live) {
        producer_park(flow);
    }
    if (flow->error != 0) {
        code = flow->error;
    }
    if (statistics != NULL) {
        flow_summarize(flow, begin_ns, statistics);
    }
    flow_free(flow);
    return code;
}
