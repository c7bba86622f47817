/* engine/sim/thread.c — coroutines for threads, the scheduler, and what will happen in time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/sim/internal.h"

#ifdef RMILL_CONTEXT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define STACK_BYTES  RMILL_MIB(2) /* Tasks run on a core's stack and may want 1 MiB. */
#define GUARD_BYTES  RMILL_KIB(64)
#define WAKE_NS_MAX  10000u /* From a wake to running. */
#define PAUSE_NS_MAX 5000u
#define SWITCHES_MAX 20000000u /* Without any event: a livelock. */

uint64_t
rmill_sim_clock(const struct rmill_sim *sim)
{
    return sim->running != NULL ? sim->running->clock_ns : sim->now_ns;
}

/* --- events ----------------------------------------------------------------------------------- */

static bool
is_before(const struct rmill_sim_event *a, const struct rmill_sim_event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

void
rmill_sim_event_add(struct rmill_sim *sim, uint64_t time_ns,
                    void (*happen)(struct rmill_sim *, const struct rmill_sim_event *), uint64_t a,
                    uint64_t b)
{
    struct rmill_sim_event event = {.time_ns = rmill_max_u64(time_ns, sim->now_ns),
                                    .order = sim->event_order++,
                                    .happen = happen,
                                    .a = a,
                                    .b = b};

    if (sim->event_count == sim->event_capacity) {
        sim->event_capacity = rmill_max_u64(64, 2 * sim->event_capacity);
        sim->events = realloc(sim->events, sim->event_capacity * sizeof(event));
        RMILL_ASSERT(sim->events != NULL);
    }
    uint64_t at = sim->event_count++;

    while (at > 0 && is_before(&event, &sim->events[(at - 1) / 2])) {
        sim->events[at] = sim->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->events[at] = event;
}

static struct rmill_sim_event
event_take(struct rmill_sim *sim)
{
    struct rmill_sim_event first = sim->events[0], last = sim->events[--sim->event_count];
    uint64_t at = 0;

    for (;;) {
        uint64_t child = 2 * at + 1;

        if (child >= sim->event_count) {
            break;
        }
        if (child + 1 < sim->event_count &&
            is_before(&sim->events[child + 1], &sim->events[child])) {
            child++;
        }
        if (!is_before(&sim->events[child], &last)) {
            break;
        }
        sim->events[at] = sim->events[child];
        at = child;
    }
    sim->events[at] = last;
    return first;
}

/* --- threads ---------------------------------------------------------------------------------- */

static void
thread_main(void *argument)
{
    struct rmill_seam_thread *thread = argument;
    struct rmill_sim *sim = rmill_sim_self();

    rmill_context_arrived(&thread->context, &sim->scheduler);
    thread->entry(thread->argument);
    thread->state = RMILL_SIM_ENDED;
    rmill_sim_record(sim, RMILL_SIM_RECORD_END, thread->number, 0);
    if (thread->joiner != NULL) {
        rmill_sim_thread_wake(sim, thread->joiner, thread->clock_ns);
    }
    rmill_context_switch_last(&thread->context, &sim->scheduler);
}

static void *
stack_map(void)
{
    char *mapping = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mapping == MAP_FAILED) {
        return NULL;
    }
    RMILL_ASSERT(mprotect(mapping + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) == 0);
#ifdef RMILL_CONTEXT_ASAN
    /* An earlier mapping here may have left marks of frames that were never returned from. */
    __asan_unpoison_memory_region(mapping, GUARD_BYTES + STACK_BYTES);
#endif
    return mapping;
}

struct rmill_seam_thread *
rmill_sim_thread_new(struct rmill_sim *sim, const char *name, void (*entry)(void *argument),
                     void *argument)
{
    struct rmill_seam_thread *thread = calloc(1, sizeof(*thread));

    RMILL_ASSERT(thread != NULL);
    thread->mapping = stack_map();
    RMILL_ASSERT(thread->mapping != NULL);
    strncpy(thread->name, name, sizeof(thread->name) - 1);
    thread->number = sim->thread_next++;
    thread->entry = entry;
    thread->argument = argument;
    thread->clock_ns = rmill_sim_clock(sim) + rmill_sim_up_to(sim, WAKE_NS_MAX);
    rmill_context_init(&thread->context, (char *)thread->mapping + GUARD_BYTES, STACK_BYTES,
                       thread_main, thread);
    if (sim->thread_count == sim->thread_capacity) {
        sim->thread_capacity = sim->thread_capacity * 2 + 8;
        sim->threads = realloc(sim->threads, sim->thread_capacity * sizeof(*sim->threads));
        RMILL_ASSERT(sim->threads != NULL);
    }
    sim->threads[sim->thread_count++] = thread;
    rmill_sim_record(sim, RMILL_SIM_RECORD_START, thread->number, 0);
    return thread;
}

static void
thread_free(struct rmill_sim *sim, struct rmill_seam_thread *thread)
{
    uint32_t at = 0;

    RMILL_ASSERT(thread->state == RMILL_SIM_ENDED);
    while (sim->threads[at] != thread) {
        at++;
    }
    memmove(&sim->threads[at], &sim->threads[at + 1],
            (--sim->thread_count - at) * sizeof(struct rmill_seam_thread *));
    rmill_context_deinit(&thread->context);
    (void)munmap(thread->mapping, GUARD_BYTES + STACK_BYTES);
    free(thread);
}

void
rmill_sim_threads_free(struct rmill_sim *sim)
{
    while (sim->thread_count > 0) {
        thread_free(sim, sim->threads[0]);
    }
    free(sim->threads);
}

/* --- switching -------------------------------------------------------------------------------- */

/* From the running thread to the scheduler; returns when it is chosen again. */
static void
switch_out(struct rmill_sim *sim)
{
    struct rmill_seam_thread *thread = sim->running;

    RMILL_ASSERT(thread != NULL);
    thread->self = rmill_thread_self;
    rmill_context_switch(&thread->context, &sim->scheduler);
    rmill_thread_self = thread->self;
}

static void
run(struct rmill_sim *sim, struct rmill_seam_thread *thread)
{
    sim->running = thread;
    thread->state = RMILL_SIM_RUNNING;
    sim->result.switches++;
    if (rmill_sim_fault(sim, RMILL_SIM_STALL)) {
        thread->clock_ns += rmill_sim_up_to(sim, sim->stall_ns_max);
        thread->state = RMILL_SIM_READY; /* It lost the processor just as it got it. */
    } else {
        rmill_sim_record(sim, RMILL_SIM_RECORD_RUN, 0, 0);
        rmill_context_switch(&sim->scheduler, &thread->context);
    }
    rmill_thread_self = NULL;
    sim->running = NULL;
}

void
rmill_sim_step_aside(struct rmill_sim *sim, uint64_t cost_ns)
{
    struct rmill_seam_thread *thread = sim->running;

    thread->clock_ns += cost_ns;
    thread->busy_ns += cost_ns;
    thread->state = RMILL_SIM_READY;
    switch_out(sim);
}

void
rmill_sim_pause(struct rmill_sim *sim)
{
    if (sim->running != NULL && rmill_thread_self == NULL) {
        rmill_sim_step_aside(sim, rmill_sim_up_to(sim, PAUSE_NS_MAX));
    }
}

static void
timer_event(struct rmill_sim *sim, const struct rmill_sim_event *event)
{
    for (uint32_t i = 0; i < sim->thread_count; i++) {
        struct rmill_seam_thread *thread = sim->threads[i];

        if (thread->number == event->a && thread->state == RMILL_SIM_SLEEPING &&
            thread->sleep_number == event->b) {
            thread->timed_out = true;
            rmill_sim_thread_wake(sim, thread, event->time_ns);
        }
    }
}

bool
rmill_sim_thread_sleep(struct rmill_sim *sim, uint64_t wait_ns)
{
    struct rmill_seam_thread *thread = sim->running;

    thread->state = RMILL_SIM_SLEEPING;
    thread->timed_out = false;
    thread->sleep_number++;
    if (wait_ns < UINT64_MAX - thread->clock_ns) {
        rmill_sim_event_add(sim, thread->clock_ns + wait_ns, timer_event, thread->number,
                            thread->sleep_number);
    }
    rmill_sim_record(sim, RMILL_SIM_RECORD_SLEEP, wait_ns, 0);
    switch_out(sim);
    return !thread->timed_out;
}

void
rmill_sim_thread_wake(struct rmill_sim *sim, struct rmill_seam_thread *thread, uint64_t time_ns)
{
    if (thread->state != RMILL_SIM_SLEEPING) {
        return;
    }
    thread->state = RMILL_SIM_READY;
    thread->clock_ns = rmill_max_u64(thread->clock_ns, time_ns) + rmill_sim_up_to(sim, WAKE_NS_MAX);
    rmill_sim_record(sim, RMILL_SIM_RECORD_WAKE, thread->number, thread->clock_ns);
}

/* --- the scheduler ---------------------------------------------------------------------------- */

/* A runnable thread, any of those whose clocks are near the lowest; NULL when none is. */
static struct rmill_seam_thread *
thread_choose(struct rmill_sim *sim, uint64_t *lowest_ns)
{
    uint32_t candidates = 0;

    *lowest_ns = UINT64_MAX;
    for (uint32_t i = 0; i < sim->thread_count; i++) {
        if (sim->threads[i]->state == RMILL_SIM_READY) {
            *lowest_ns = rmill_min_u64(*lowest_ns, sim->threads[i]->clock_ns);
        }
    }
    if (*lowest_ns == UINT64_MAX) {
        return NULL;
    }
    uint64_t limit_ns = *lowest_ns + rmill_sim_up_to(sim, sim->skew_ns);
    struct rmill_seam_thread *chosen = NULL;

    for (uint32_t i = 0; i < sim->thread_count; i++) {
        struct rmill_seam_thread *thread = sim->threads[i];

        if (thread->state == RMILL_SIM_READY && thread->clock_ns <= limit_ns &&
            rmill_prng_below(&sim->chance, ++candidates) == 0) {
            chosen = thread;
        }
    }
    return chosen;
}

static void
event_run(struct rmill_sim *sim)
{
    struct rmill_sim_event event = event_take(sim);

    RMILL_ASSERT(event.time_ns >= sim->now_ns);
    sim->now_ns = event.time_ns;
    sim->idle_switches = 0;
    event.happen(sim, &event);
}

void
rmill_sim_schedule(struct rmill_sim *sim, struct rmill_seam_thread *control)
{
    while (control->state != RMILL_SIM_ENDED) {
        uint64_t lowest_ns;
        struct rmill_seam_thread *thread = thread_choose(sim, &lowest_ns);

        if (sim->event_count > 0 && sim->events[0].time_ns <= lowest_ns) {
            event_run(sim);
        } else if (thread != NULL) {
            run(sim, thread);
            sim->idle_switches++;
        } else {
            RMILL_PANIC("deadlock: every thread of the simulation sleeps and nothing will happen");
        }
        if (sim->idle_switches > SWITCHES_MAX) {
            RMILL_PANIC("livelock: the threads of the simulation run and nothing comes of it");
        }
        if (sim->now_ns > sim->time_limit_ns) {
            RMILL_PANIC("the simulation takes longer than its time limit");
        }
    }
    if (sim->thread_count != 1) {
        RMILL_PANIC("control returned before another thread of the simulation was joined");
    }
}

/* --- the seam's threads ----------------------------------------------------------------------- */

int
rmill_seam_thread_start(struct rmill_seam_thread **thread, const char *name, uint32_t cpu,
                        bool pinned, void (*entry)(void *argument), void *argument)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(!pinned || cpu < sim->cpus);
    rmill_sim_pause(sim);
    if (rmill_sim_fault(sim, RMILL_SIM_SETUP)) {
        return -EAGAIN;
    }
    *thread = rmill_sim_thread_new(sim, name, entry, argument);
    return 0;
}

void
rmill_seam_thread_join(struct rmill_seam_thread *thread)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(thread != sim->running && thread->joiner == NULL);
    while (thread->state != RMILL_SIM_ENDED) {
        thread->joiner = sim->running;
        (void)rmill_sim_thread_sleep(sim, UINT64_MAX);
    }
    sim->running->clock_ns = rmill_max_u64(sim->running->clock_ns, thread->clock_ns);
    thread_free(sim, thread);
}
