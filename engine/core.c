/* engine/core.c — life and loop of one core. */
#include "engine/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "perf/record/probes.h"

#define UNSENT_RETRY_NS                                                                            \
    (50 * RMILL_NS_PER_US)                   /* A full channel is looked at again this
                                                    * soon. */
#define END_RETRY_NS (200 * RMILL_NS_PER_US) /* So is the end of the job. */
#define CPU_SAMPLE_NS                                                                              \
    (50 * RMILL_NS_PER_MS) /* CPU time is read this often: it is a system
                                                    * call. */
#define PANIC_EVENTS 32u

static void
panic_report(struct rmill_thread *thread, int fd)
{
    struct rmill_core *core = (struct rmill_core *)(void *)thread;

    if (core->trace.events != NULL) {
        (void)rmill_trace_write_text(&core->trace, fd, PANIC_EVENTS);
    }
}

/* --- set-up ---------------------------------------------------------------------------------- */

static int
tables_init(struct rmill_core *core, const struct rmill_options *options, struct rmill_error *error)
{
    uint64_t count = core->core_count;
    struct rmill_trace_event *events =
        aligned_alloc(RMILL_CACHE_LINE_BYTES, (uint64_t)options->trace_events * sizeof(*events));

    core->outgoing = calloc(count, sizeof(struct rmill_channel *));
    for (uint32_t lane = 0; lane < RMILL_LANE_COUNT; lane++) {
        core->unsent_first[lane] = calloc(count, sizeof(struct rmill_envelope *));
        core->unsent_last[lane] = calloc(count, sizeof(struct rmill_envelope *));
    }
    core->fibers = calloc(core->fibers_max, sizeof(struct rmill_fiber));
    if (events != NULL) {
        rmill_trace_init(&core->trace, events, options->trace_events);
    }
    if (events == NULL || core->outgoing == NULL || core->unsent_first[0] == NULL ||
        core->unsent_first[1] == NULL || core->unsent_last[0] == NULL ||
        core->unsent_last[1] == NULL || core->fibers == NULL) {
        return rmill_error_set(error, -ENOMEM,
                               "core %u: no memory for its tables; lower the number "
                               "of fibers or cores",
                               core->index);
    }
    for (uint32_t i = core->fibers_max; i-- > 0;) {
        core->fibers[i].next = core->free_fibers;
        core->free_fibers = &core->fibers[i];
    }
    return 0;
}

static int
ring_init(struct rmill_core *core, const struct rmill_options *options, struct rmill_error *error)
{
    uint32_t cpus[RMILL_CORES_MAX];
    struct rmill_ring_options ring_options = {.entries = options->ring_entries,
                                              .event_wakes = core->engine->event_wakes,
                                              .worker_cpus = cpus,
                                              .worker_cpu_count = core->core_count};

    for (uint32_t i = 0; i < core->core_count; i++) {
        cpus[i] = core->engine->places[i].cpu;
    }
    if (options->unpinned) {
        ring_options.worker_cpu_count = 0;
    }
    return rmill_ring_create(&ring_options, &core->ring, error);
}

/* Registration pins every page, so only a prefaulted arena is registered; without it things work,
 * but slower. */
static void
arena_register(struct rmill_core *core, const struct rmill_options *options)
{
    struct iovec regions[16];
    struct rmill_error error = {0};
    uint32_t count = rmill_arena_regions(&core->arena, regions, RMILL_ARRAY_COUNT(regions));

    count = (uint32_t)rmill_min_u64(count, RMILL_ARRAY_COUNT(regions));
    if (rmill_ring_buffers_register(core->ring, regions, count, &error) == 0) {
        core->arena_registered = true;
    } else {
        rmill_log_write(&options->log, RMILL_LOG_WARNING, "core %u: arena not registered: %s",
                        core->index, error.advice);
    }
}

int
rmill_core_init(struct rmill_core *core, const struct rmill_options *options,
                struct rmill_error *error)
{
    struct rmill_arena_options arena_options = {.budget_bytes = options->arena_bytes,
                                                .node = core->node,
                                                .huge_explicit = options->prefault,
                                                .huge_transparent = true,
                                                .prefault = options->prefault};

    core->thread.panic_report = panic_report;
    core->fibers_max = options->fibers_max;
    core->spin_ns = options->spin_ns;
    core->turn_ns = options->turn_ns;
    core->prng = rmill_prng_seeded(rmill_seam_seed());
    core->started_ns = core->now_ns = rmill_seam_now_ns();
    rmill_wheel_init(&core->wheel, core->now_ns);
    rmill_context_init_thread(&core->loop);

    int code = tables_init(core, options, error);

    if (code == 0) {
        code =
            rmill_stacks_init(&core->stacks, options->fiber_stack_bytes, core->fibers_max, error);
    }
    if (code == 0) {
        code = rmill_arena_init(&core->arena, &arena_options, error);
    }
    if (code == 0) {
        code = ring_init(core, options, error);
    }
    if (code == 0) {
        code = rmill_blocking_create(options->blocking_max, &core->blocking);
        if (code < 0) {
            (void)rmill_error_set(error, code, "core %u: no memory for the blocking lane",
                                  core->index);
        }
    }
    if (code == 0 && options->prefault) {
        arena_register(core, options);
    }
    return code;
}

void
rmill_core_deinit(struct rmill_core *core)
{
    rmill_blocking_destroy(core->blocking);
    rmill_ring_destroy(core->ring);
    rmill_arena_deinit(&core->arena);
    rmill_stacks_deinit(&core->stacks);
    free(core->fibers);
    for (uint32_t lane = 0; lane < RMILL_LANE_COUNT; lane++) {
        free(core->unsent_first[lane]);
        free(core->unsent_last[lane]);
    }
    free(core->outgoing);
    free(core->trace.events);
    core->trace.events = NULL;
    core->ring = NULL;
    core->blocking = NULL;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void
statistics_sample(struct rmill_core *core)
{
    const struct rmill_ring_statistics *ring = rmill_ring_statistics(core->ring);
    struct rmill_core_statistics *s = &core->statistics;
    uint64_t cpu_ns = rmill_seam_thread_cpu_ns();

    rmill_counter_add(&s->cpu_ns, cpu_ns - rmill_counter_get(&s->cpu_ns));
    rmill_counter_add(&s->operations, ring->completed - rmill_counter_get(&s->operations));
    rmill_counter_add(&s->enters, ring->enters - rmill_counter_get(&s->enters));
    rmill_counter_add(&s->arena_bytes_used,
                      core->arena.used_bytes - rmill_counter_get(&s->arena_bytes_used));
    core->sampled_ns = core->now_ns;
}

static void
core_sleep(struct rmill_core *core, uint64_t wait_ns)
{
    atomic_store_explicit(&core->shared.sleeping, 1, memory_order_seq_cst); /* S1 */
    if (rmill_mail_waiting(core) || rmill_ring_ready(core->ring)) {
        atomic_store_explicit(&core->shared.sleeping, 0, memory_order_relaxed);
        (void)rmill_ring_enter(core->ring, 0);
        return;
    }
    statistics_sample(core);
    rmill_core_trace(core, RMILL_TRACE_PARK, 0, wait_ns, 0);
    RMILL_PROBE2(core_park, core->index, wait_ns);
    (void)rmill_ring_enter(core->ring, wait_ns);
    /* Relaxed: a sender that still sees 1 sends a wake nobody needs, which is harmless. */
    atomic_store_explicit(&core->shared.sleeping, 0, memory_order_relaxed);

    uint64_t before_ns = core->now_ns;

    core->now_ns = rmill_seam_now_ns();
    rmill_counter_add(&core->statistics.asleep_ns, core->now_ns - before_ns);
    rmill_core_trace(core, RMILL_TRACE_WAKE_GOT, 0, core->now_ns - before_ns, 0);
    RMILL_PROBE2(core_unpark, core->index, core->now_ns - before_ns);
}

static uint64_t
wait_allowed(struct rmill_core *core)
{
    uint64_t next_ns = rmill_wheel_next_ns(&core->wheel);
    uint64_t wait_ns = next_ns == UINT64_MAX     ? UINT64_MAX
                       : next_ns <= core->now_ns ? 0
                                                 : next_ns - core->now_ns;

    if (core->unsent_count > 0) {
        wait_ns = rmill_min_u64(wait_ns, UNSENT_RETRY_NS);
    }
    if (core->index == 0 && core->engine->end.main_returned && !core->engine->end.over) {
        wait_ns = rmill_min_u64(wait_ns, END_RETRY_NS);
    }
    return wait_ns;
}

static void
core_idle(struct rmill_core *core)
{
    uint64_t wait_ns = wait_allowed(core);

    if (!core->idle) {
        core->idle = true;
        core->idle_since_ns = core->now_ns;
    }
    if (wait_ns == 0) {
        (void)rmill_ring_enter(core->ring, 0);
    } else if (core->now_ns - core->idle_since_ns < core->spin_ns) {
        (void)rmill_ring_enter(core->ring, 0);
        rmill_seam_relax();
    } else {
        core_sleep(core, wait_ns);
    }
}

static bool
mail_pending(const struct rmill_core *core)
{
    uint64_t left = 0;

    for (uint32_t word = 0; word <= (core->core_count - 1) / 64; word++) {
        for (uint32_t lane = 0; lane < RMILL_LANE_COUNT; lane++) {
            left |= core->pending[lane][word] & ~core->refused[lane][word];
        }
    }
    return left != 0;
}

void
rmill_core_turn(struct rmill_core *core)
{
    core->now_ns = rmill_seam_now_ns();
    rmill_counter_add(&core->statistics.turns, 1);
    rmill_mail_collect(core);
    rmill_mail_take(core, RMILL_LANE_URGENT);
    rmill_fibers_run(core);
    rmill_mail_take(core, RMILL_LANE_BULK);
    rmill_mail_take_foreign(core);
    if (core->wheel.armed_count > 0) {
        (void)rmill_wheel_advance(&core->wheel, core->now_ns);
    } else {
        core->wheel.tick = core->now_ns >> RMILL_TIMER_TICK_BITS;
    }
    if (core->index == 0 && core->engine->end.main_returned) {
        rmill_engine_end_check(core);
    }
    rmill_mail_flush(core);
    if (core->ready_first != NULL || core->task_first != NULL || core->fiber_freed ||
        mail_pending(core)) {
        core->idle = false;
        (void)rmill_ring_enter(core->ring, 0);
    } else {
        core_idle(core);
    }
    if (core->task_first != NULL) {
        rmill_task_step(core);
    }
    if (core->now_ns - core->sampled_ns > CPU_SAMPLE_NS) {
        statistics_sample(core);
    }
}

bool
rmill_core_quiescent(const struct rmill_core *core)
{
    return core->live_count == 0 && core->task_first == NULL && core->unsent_count == 0 &&
           core->wheel.armed_count == 0 && rmill_ring_in_flight(core->ring) == 0;
}

bool
rmill_should_yield(void)
{
    const struct rmill_core *core = rmill_core_self();

    return core->ready_first != NULL || rmill_mail_waiting(core) || rmill_ring_ready(core->ring);
}
