/* engine/engine.c — the set of cores: create, start, wait, stop, destroy; how a job's end is found.
 *
 * The end: after the main fiber returned, core 0 asks every core in rounds "is anything alive on
 * you, and how many messages did you send and receive?". When two rounds running say "nothing", the
 * sums of sent and received agree and did not change between the rounds, no message is under way
 * and nothing can come to life again. Source: F. Mattern, "Algorithms for distributed termination
 * detection" (1987), the four-counter method. Questions and answers do not count. */
#include "engine/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END_RETRY_NS (200 * RMILL_NS_PER_US)

/* --- options --------------------------------------------------------------------------------- */

static uint64_t
or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static int
options_complete(struct rmill_options *options, struct rmill_error *error)
{
    options->arena_bytes = or_default(options->arena_bytes, RMILL_MIB(64));
    options->fiber_stack_bytes = or_default(options->fiber_stack_bytes, RMILL_KIB(64));
#if defined(RMILL_CONTEXT_ASAN) || defined(RMILL_CONTEXT_TSAN)
    options->fiber_stack_bytes *= 4; /* Instrumented frames are larger. */
#endif
    options->fibers_max = (uint32_t)or_default(options->fibers_max, 512);
    options->ring_entries = (uint32_t)or_default(options->ring_entries, 256);
    options->blocking_max = (uint32_t)or_default(options->blocking_max, 4);
    options->trace_events = (uint32_t)or_default(options->trace_events, 4096);
    options->turn_ns = or_default(options->turn_ns, 500 * RMILL_NS_PER_US);
    if (!rmill_is_power_of_two(options->trace_events) || options->trace_events > (1u << 24)) {
        return rmill_error_set(error, -EINVAL, "trace_events is %u; give a power of two up to 2^24",
                               options->trace_events);
    }
    if (options->fiber_stack_bytes < RMILL_KIB(16) || options->fiber_stack_bytes > RMILL_MIB(64)) {
        return rmill_error_set(error, -EINVAL, "fiber_stack_bytes is %llu; give 16 KiB to 64 MiB",
                               (unsigned long long)options->fiber_stack_bytes);
    }
    if (options->fibers_max > (1u << 20) || options->blocking_max > 1024) {
        return rmill_error_set(error, -EINVAL,
                               "fibers_max is at most 2^20, blocking_max at most 1024");
    }
    return 0;
}

/* --- create and destroy ---------------------------------------------------------------------- */

static void
engine_free(struct rmill_engine *engine)
{
    uint64_t pairs = (uint64_t)engine->core_count * engine->core_count;

    for (uint64_t i = 0; engine->channels != NULL && i < pairs; i++) {
        rmill_channel_destroy(atomic_load_explicit(&engine->channels[i], memory_order_acquire));
    }
    for (uint32_t i = 0; engine->cores != NULL && i < engine->core_count; i++) {
        free(engine->cores[i]);
    }
    if (engine->started != NULL) {
        rmill_seam_event_destroy(engine->started);
    }
    if (engine->over != NULL) {
        rmill_seam_event_destroy(engine->over);
    }
    if (engine->left != NULL) {
        rmill_seam_event_destroy(engine->left);
    }
    free(engine->channels);
    free(engine->cores);
    free(engine->places);
    free(engine->threads);
    free(engine->end.questions);
    free(engine);
}

static bool
core_allocate(struct rmill_engine *engine, uint32_t index)
{
    struct rmill_core *core = aligned_alloc(RMILL_CACHE_LINE_BYTES,
                                            rmill_align_up(sizeof(*core), RMILL_CACHE_LINE_BYTES));

    if (core == NULL) {
        return false;
    }
    memset(core, 0, sizeof(*core));
    core->engine = engine;
    core->index = index;
    core->core_count = engine->core_count;
    core->cpu = engine->places[index].cpu;
    core->node = engine->places[index].node;
    engine->cores[index] = core;
    return true;
}

static bool
engine_allocate(struct rmill_engine *engine)
{
    uint64_t count = engine->core_count;

    engine->cores = calloc(count, sizeof(struct rmill_core *));
    engine->channels = calloc(count * count, sizeof(*engine->channels));
    engine->threads = calloc(count, sizeof(struct rmill_seam_thread *));
    engine->end.questions = calloc(count, sizeof(struct rmill_envelope));
    engine->started = rmill_seam_event_create();
    engine->over = rmill_seam_event_create();
    engine->left = rmill_seam_event_create();
    if (engine->cores == NULL || engine->channels == NULL || engine->threads == NULL ||
        engine->end.questions == NULL || engine->started == NULL || engine->over == NULL ||
        engine->left == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < engine->core_count; i++) {
        if (!core_allocate(engine, i)) {
            return false;
        }
    }
    return true;
}

int
rmill_engine_create(const struct rmill_options *options, struct rmill_engine **out,
                    struct rmill_error *error)
{
    struct rmill_engine *engine = calloc(1, sizeof(*engine));
    struct rmill_seam_core *places = calloc(RMILL_CORES_MAX, sizeof(*places));

    if (engine == NULL || places == NULL) {
        free(engine);
        free(places);
        return rmill_error_set(error, -ENOMEM, "no memory for an engine");
    }
    engine->options = *options;
    engine->places = places;

    int code = options_complete(&engine->options, error);

    if (code == 0) {
        code = rmill_seam_cores_choose(options->cores, places, RMILL_CORES_MAX,
                                       &engine->oversubscribed, error);
    }
    if (code < 0) {
        engine_free(engine);
        return code;
    }
    RMILL_ASSERT(code > 0 && code <= (int)RMILL_CORES_MAX);
    engine->core_count = (uint32_t)code;
    engine->options.cores = NULL; /* Borrowed for this call only. */
    engine->options.spin_ns =
        or_default(options->spin_ns, engine->oversubscribed ? 1 : 20 * RMILL_NS_PER_US);
    if (!engine_allocate(engine)) {
        engine_free(engine);
        return rmill_error_set(error, -ENOMEM, "no memory for %d cores", code);
    }
    if (engine->oversubscribed) {
        rmill_log_write(&engine->options.log, RMILL_LOG_WARNING,
                        "%u cores were asked for, more than there are CPUs: they share them",
                        engine->core_count);
    }
    *out = engine;
    return 0;
}

/* --- start ----------------------------------------------------------------------------------- */

static void
start_failed(struct rmill_engine *engine, int code, const struct rmill_error *error)
{
    /* The first to fail describes it; acq_rel so that nobody else writes while it does. */
    if (atomic_exchange_explicit(&engine->start_error_taken, 1, memory_order_acq_rel) == 0) {
        engine->start_error = *error;
        atomic_store_explicit(&engine->start_code, code, memory_order_release);
    }
}

/* A core came up, or it is known that it will not; or the control thread has started all threads.
 * acq_rel: the last to report has seen all the others, and so has who waits for it. */
static void
thread_reported(struct rmill_engine *engine)
{
    if (atomic_fetch_add_explicit(&engine->reported_count, 1, memory_order_acq_rel) + 1 ==
        engine->core_count + 1) {
        rmill_seam_event_set(engine->started);
    }
}

/* A core left its loop, or the control thread has woken them all. Somebody may still be about to
 * wake a core: no ring goes before all of them have said this. acq_rel as above. */
static void
thread_left(struct rmill_engine *engine)
{
    if (atomic_fetch_add_explicit(&engine->left_count, 1, memory_order_acq_rel) + 1 ==
        engine->thread_count + 1) {
        rmill_seam_event_set(engine->left);
    }
}

static void
core_thread(void *argument)
{
    struct rmill_core *core = argument;
    struct rmill_engine *engine = core->engine;
    struct rmill_error error = {0};

    rmill_thread_self = &core->thread;
    int code = rmill_core_init(core, &engine->options, &error);

    core->came_up = code == 0;
    if (code < 0) {
        start_failed(engine, code, &error);
    }
    thread_reported(engine);
    (void)rmill_seam_event_wait(engine->started, UINT64_MAX);
    while (code == 0 && !atomic_load_explicit(&engine->exiting, memory_order_acquire)) {
        rmill_core_turn(core);
    }
    thread_left(engine);
    (void)rmill_seam_event_wait(engine->left, UINT64_MAX);
    if (code == 0) {
        rmill_mail_take_foreign(core); /* Posts that came after the last turn still run. */
    }
    rmill_core_deinit(core);
    rmill_thread_self = NULL;
}

static void
main_fiber_run(void *argument)
{
    struct rmill_engine *engine = argument;

    engine->main_result = engine->main_fiber(engine->main_argument);
    engine->end.main_returned = true;
}

static void
main_post_run(struct rmill_core *core, struct rmill_foreign *post)
{
    (void)post;
    struct rmill_fiber *fiber = rmill_fiber_start(core, main_fiber_run, core->engine);

    RMILL_ASSERT(fiber != NULL); /* The first fiber of a fresh core. */
}

static void
exit_post_run(struct rmill_core *core, struct rmill_foreign *post)
{
    (void)core;
    (void)post; /* That the core woke up was all it was for. */
}

static void
cores_exit(struct rmill_engine *engine)
{
    atomic_store_explicit(&engine->exiting, true, memory_order_release);
    for (uint32_t i = 0; i < engine->core_count; i++) {
        struct rmill_core *core = engine->cores[i];

        if (engine->threads[i] != NULL && core->came_up) {
            core->exit_post.run = exit_post_run;
            rmill_mail_post_foreign(core, &core->exit_post);
        }
    }
    thread_left(engine);
    for (uint32_t i = 0; i < engine->core_count; i++) {
        if (engine->threads[i] != NULL) {
            rmill_seam_thread_join(engine->threads[i]);
            engine->threads[i] = NULL;
        }
    }
}

/* Start what can be started; a thread that cannot counts as come up and failed. */
static void
threads_start(struct rmill_engine *engine)
{
    for (uint32_t i = 0; i < engine->core_count; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "ringmill/%u", i);
        int code =
            rmill_seam_thread_start(&engine->threads[i], name, engine->places[i].cpu,
                                    !engine->options.unpinned, core_thread, engine->cores[i]);

        engine->thread_count += code == 0; /* Before this thread's own report. */
        if (code < 0) {
            struct rmill_error error;

            (void)rmill_error_set(&error, code,
                                  "cannot start the thread of core %u (%s); raise the "
                                  "limit of processes (ulimit -u) or give fewer --cores",
                                  i, rmill_errno_name(code));
            start_failed(engine, code, &error);
            thread_reported(engine);
        }
    }
    thread_reported(engine);
}

int
rmill_engine_start(struct rmill_engine *engine, int (*main_fiber)(void *argument), void *argument,
                   struct rmill_error *error)
{
    RMILL_ASSERT(engine->main_fiber == NULL); /* Once only, also after a start that failed. */
    engine->main_fiber = main_fiber;
    engine->main_argument = argument;
    engine->options.ring_entries =
        rmill_seam_ring_entries(engine->options.ring_entries, engine->core_count);
    engine->event_wakes = engine->core_count > 1 && !rmill_seam_wakes_by_message();
    threads_start(engine);
    (void)rmill_seam_event_wait(engine->started, UINT64_MAX);

    int code = atomic_load_explicit(&engine->start_code, memory_order_acquire);

    if (code < 0) {
        if (error != NULL) {
            *error = engine->start_error;
        }
        cores_exit(engine);
        return code;
    }
    engine->was_started = true;
    engine->main_post.run = main_post_run;
    rmill_mail_post_foreign(engine->cores[0], &engine->main_post);
    return 0;
}

/* --- wait, stop, destroy --------------------------------------------------------------------- */

int
rmill_engine_wait(struct rmill_engine *engine, uint64_t timeout_ns, int *result)
{
    RMILL_ASSERT(engine->was_started);
    if (!rmill_seam_event_wait(engine->over, timeout_ns)) {
        return -ETIMEDOUT;
    }
    if (result != NULL) {
        *result = engine->main_result;
    }
    return 0;
}

void
rmill_engine_stop(struct rmill_engine *engine)
{
    /* Relaxed: a hint that carries no data; cores see it soon. */
    atomic_store_explicit(&engine->stopping, true, memory_order_relaxed);
}

bool
rmill_stopping(void)
{
    return atomic_load_explicit(&rmill_core_self()->engine->stopping, memory_order_relaxed);
}

void
rmill_engine_destroy(struct rmill_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    if (engine->was_started) {
        cores_exit(engine);
    }
    engine_free(engine);
}

uint32_t
rmill_engine_core_count(const struct rmill_engine *engine)
{
    return engine->core_count;
}

/* --- the end of a job ------------------------------------------------------------------------ */

static uint64_t
work_sent(const struct rmill_core *core)
{
    return rmill_counter_get(&core->statistics.messages_sent) - core->control_sent;
}

static uint64_t
work_received(const struct rmill_core *core)
{
    return rmill_counter_get(&core->statistics.messages_received) - core->control_received;
}

static void
round_close(struct rmill_core *core)
{
    struct rmill_engine *engine = core->engine;
    bool quiet = engine->end.quiet && engine->end.sent == engine->end.received;

    engine->end.asked = false;
    if (quiet && engine->end.quiet_before && engine->end.sent == engine->end.sent_before) {
        engine->end.over = true;
        rmill_core_trace(core, RMILL_TRACE_STOP, 0, engine->end.sent, 0);
        rmill_seam_event_set(engine->over);
        return;
    }
    engine->end.quiet_before = quiet;
    engine->end.sent_before = engine->end.sent;
    engine->end.next_round_ns = quiet ? core->now_ns : core->now_ns + END_RETRY_NS;
}

/* On core 0. A handled message is counted as received after its batch, so the one in hand is not
 * yet in the counter: control_received is raised when the counter is. Both are only compared
 * between turns. */
static bool
handle_answer(struct rmill_core *core, const struct rmill_message *message)
{
    struct rmill_engine *engine = core->engine;

    core->control_received++;
    engine->end.quiet = engine->end.quiet && message->words[0] != 0;
    engine->end.sent += message->words[1];
    engine->end.received += message->words[2];
    engine->end.answers++;
    return true;
}

static bool
handle_question(struct rmill_core *core, const struct rmill_message *message)
{
    (void)message;
    /* This message's batch is not yet counted as received. It came by the urgent lane, whose batch
     * may hold others of ours in front of it; then received falls short of sent and another round
     * follows. */
    core->control_received++;
    core->control.message =
        (struct rmill_message){.handle = handle_answer,
                               .words = {rmill_core_quiescent(core), work_sent(core),
                                         rmill_counter_get(&core->statistics.messages_received) -
                                             (core->control_received - 1)}};
    core->control_sent++;
    rmill_mail_send(core, 0, RMILL_LANE_URGENT, &core->control);
    return true;
}

static void
round_open(struct rmill_core *core)
{
    struct rmill_engine *engine = core->engine;

    engine->end.asked = true;
    engine->end.answers = 0;
    engine->end.quiet = rmill_core_quiescent(core);
    engine->end.sent = work_sent(core);
    engine->end.received = work_received(core);
    for (uint32_t to = 1; to < engine->core_count; to++) {
        struct rmill_envelope *question = &engine->end.questions[to];

        question->message = (struct rmill_message){.handle = handle_question};
        core->control_sent++;
        rmill_mail_send(core, to, RMILL_LANE_URGENT, question);
    }
}

void
rmill_engine_end_check(struct rmill_core *core)
{
    struct rmill_engine *engine = core->engine;

    if (engine->end.over) {
        return;
    }
    if (engine->end.asked) {
        if (engine->end.answers + 1 == engine->core_count) {
            round_close(core);
        }
        return;
    }
    if (core->now_ns >= engine->end.next_round_ns && rmill_core_quiescent(core)) {
        round_open(core);
    }
}

uint64_t
rmill_memory_limit_bytes(void)
{
    return rmill_seam_memory_limit_bytes();
}

/* --- numbers --------------------------------------------------------------------------------- */

uint32_t
rmill_core_index(void)
{
    return rmill_core_self()->index;
}

uint32_t
rmill_core_count(void)
{
    return rmill_core_self()->core_count;
}

uint64_t
rmill_now_ns(void)
{
    return rmill_seam_now_ns();
}

uint64_t
rmill_random(void)
{
    return rmill_prng_next(&rmill_core_self()->prng);
}

int
rmill_engine_core_snapshot(const struct rmill_engine *engine, uint32_t index,
                           struct rmill_core_snapshot *snapshot)
{
    if (index >= engine->core_count) {
        return -EINVAL;
    }
    const struct rmill_core *core = engine->cores[index];
    const struct rmill_core_statistics *s = &core->statistics;

    *snapshot = (struct rmill_core_snapshot){
        .cpu = core->cpu,
        .node = (uint32_t)(core->node < 0 ? 0 : core->node),
        .wall_ns = core->started_ns != 0 ? rmill_seam_now_ns() - core->started_ns : 0,
        .cpu_ns = rmill_counter_get(&s->cpu_ns),
        .asleep_ns = rmill_counter_get(&s->asleep_ns),
        .turns = rmill_counter_get(&s->turns),
        .fibers_run = rmill_counter_get(&s->fibers_run),
        .tasks_run = rmill_counter_get(&s->tasks_run),
        .messages_sent = rmill_counter_get(&s->messages_sent),
        .messages_received = rmill_counter_get(&s->messages_received),
        .wakes_sent = rmill_counter_get(&s->wakes_sent),
        .operations = rmill_counter_get(&s->operations),
        .enters = rmill_counter_get(&s->enters),
        .fibers_high = rmill_counter_get(&s->fibers_high),
        .arena_bytes_used = rmill_counter_get(&s->arena_bytes_used),
    };
    return 0;
}
