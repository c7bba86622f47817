/* engine/fiber.c — fibers and tasks of one core: start, park, ready, run. */
#include "engine/core.h"

#include <errno.h>
#include <stdlib.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define STACK_ANNOUNCE(base, bytes) VALGRIND_STACK_REGISTER((base), (char *)(base) + (bytes))
#else
#define STACK_ANNOUNCE(base, bytes) ((void)(base), (void)(bytes))
#endif

/* How many fibers run between two looks at the clock. A switch costs a few ns, a look 20-70. */
#define RUNS_PER_CLOCK 32u

/* How long messages may lie while fibers run: long enough to batch what is cheap, short beside any
 * real work. */
#define MAIL_DELAY_NS (4 * RMILL_NS_PER_US)

static void
fiber_main(void *argument)
{
    struct rmill_fiber *fiber = argument;

    rmill_context_arrived(&fiber->context, &fiber->core->loop);
    fiber->function(fiber->argument);
    fiber->live = false;
    rmill_context_switch_last(&fiber->context, &fiber->core->loop);
}

/* Give a fiber that never ran a stack; it keeps it for good. */
static bool
fiber_open(struct rmill_core *core, struct rmill_fiber *fiber)
{
    uint64_t bytes = 0;

    if (rmill_stacks_get(&core->stacks, &fiber->stack_base, &bytes) < 0) {
        return false;
    }
    STACK_ANNOUNCE(fiber->stack_base, bytes);
    fiber->core = core;
    return true;
}

struct rmill_fiber *
rmill_fiber_start(struct rmill_core *core, void (*function)(void *), void *argument)
{
    struct rmill_fiber *fiber = core->free_fibers;

    if (RMILL_UNLIKELY(fiber == NULL) ||
        (RMILL_UNLIKELY(fiber->stack_base == NULL) && !fiber_open(core, fiber))) {
        return NULL;
    }
    core->free_fibers = fiber->next;
    fiber->function = function;
    fiber->argument = argument;
    fiber->live = true;
    rmill_context_init(&fiber->context, fiber->stack_base, core->stacks.stack_bytes, fiber_main,
                       fiber);
    core->live_count++;
    if (core->live_count > rmill_counter_get(&core->statistics.fibers_high)) {
        rmill_counter_add(&core->statistics.fibers_high, 1);
    }
    rmill_core_trace(core, RMILL_TRACE_FIBER_START, 0, (uint64_t)(fiber - core->fibers), 0);
    rmill_fiber_ready(core, fiber);
    return fiber;
}

void
rmill_fiber_ready(struct rmill_core *core, struct rmill_fiber *fiber)
{
    RMILL_ASSERT(fiber->core == core && fiber->live && !fiber->ready);
    fiber->ready = true;
    fiber->next = NULL;
    if (core->ready_last != NULL) {
        core->ready_last->next = fiber;
    } else {
        core->ready_first = fiber;
    }
    core->ready_last = fiber;
}

void
rmill_fiber_park(struct rmill_core *core)
{
    struct rmill_fiber *fiber = core->running;

    RMILL_ASSERT(fiber != NULL && !core->in_task); /* Only a fiber can park. */
    rmill_context_switch(&fiber->context, &core->loop);
}

static void
fiber_run(struct rmill_core *core, struct rmill_fiber *fiber)
{
    core->running = fiber;
    fiber->ready = false;
    rmill_context_switch(&core->loop, &fiber->context);
    core->running = NULL;
    if (!fiber->live) {
        rmill_context_deinit(&fiber->context);
        fiber->next = core->free_fibers;
        core->free_fibers = fiber;
        core->live_count--;
        core->fiber_freed = true;
        rmill_core_trace(core, RMILL_TRACE_FIBER_END, 0, (uint64_t)(fiber - core->fibers), 0);
    }
}

/* Somebody waits for what this core has said, or has said something to it. */
static bool
mail_presses(const struct rmill_core *core)
{
    uint64_t presses = 0;

    for (uint32_t word = 0; word <= (core->core_count - 1) / 64; word++) {
        presses |= core->dirty[word];
        presses |= atomic_load_explicit(&core->shared.inbox[word], memory_order_relaxed);
    }
    return presses != 0;
}

void
rmill_fibers_run(struct rmill_core *core)
{
    uint64_t deadline_ns = core->now_ns + core->turn_ns;
    uint64_t mail_deadline_ns = core->now_ns + MAIL_DELAY_NS;
    uint64_t run = 0;

    while (core->ready_first != NULL) {
        struct rmill_fiber *fiber = core->ready_first;

        core->ready_first = fiber->next;
        if (core->ready_first == NULL) {
            core->ready_last = NULL;
        }
        fiber_run(core, fiber);
        run++;
        if (run % RUNS_PER_CLOCK == 0 &&
            (rmill_ring_ready(core->ring) || rmill_seam_now_ns() >= deadline_ns)) {
            break; /* Fibers that only yield must not hold completions up. */
        }
        if (mail_presses(core) && rmill_seam_now_ns() >= mail_deadline_ns) {
            break;
        }
    }
    if (run > 0) {
        core->idle = false;
        rmill_counter_add(&core->statistics.fibers_run, run);
    }
}

int
rmill_spawn(void (*function)(void *argument), void *argument)
{
    return rmill_fiber_start(rmill_core_self(), function, argument) != NULL ? 0 : -EAGAIN;
}

void
rmill_yield(void)
{
    struct rmill_core *core = rmill_core_self();

    rmill_fiber_ready(core, core->running);
    rmill_fiber_park(core);
}

/* --- tasks ----------------------------------------------------------------------------------- */

void
rmill_task_run(enum rmill_progress_kind (*function)(void *argument), void *argument,
               uint64_t cost_ns)
{
    struct rmill_core *core = rmill_core_self();
    struct rmill_task task = {
        .function = function, .argument = argument, .cost_ns = cost_ns, .fiber = core->running};

    if (core->task_last != NULL) {
        core->task_last->next = &task;
    } else {
        core->task_first = &task;
    }
    core->task_last = &task;
    rmill_fiber_park(core);
}

/* One step of the first task. It stays first until it is done: tasks of a core do not
 * interleave. */
void
rmill_task_step(struct rmill_core *core)
{
    struct rmill_task *task = core->task_first;

    core->in_task = true;
    enum rmill_progress_kind progress = task->function(task->argument);
    core->in_task = false;
    rmill_seam_spend(task->cost_ns);
    rmill_counter_add(&core->statistics.tasks_run, 1);
    rmill_core_trace(core, RMILL_TRACE_TASK, (uint32_t)progress, task->cost_ns, 0);
    core->idle = false;
    if (progress == RMILL_TASK_DONE) {
        core->task_first = task->next;
        if (core->task_first == NULL) {
            core->task_last = NULL;
        }
        rmill_fiber_ready(core, task->fiber); /* `task` lies on that fiber's stack: its last use. */
    }
}
