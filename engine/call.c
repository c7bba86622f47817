/* engine/call.c — what fibers ask of other cores, of helper threads and of time. */
#include "engine/core.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

/* --- posts, spawns, calls -------------------------------------------------------------------- */

static bool
handle_post(struct rmill_core *core, const struct rmill_message *message)
{
    void (*function)(void *) = (void (*)(void *))(uintptr_t)message->words[0];

    (void)core;
    function((void *)(uintptr_t)message->words[1]);
    return true;
}

static bool
handle_spawn(struct rmill_core *core, const struct rmill_message *message)
{
    return rmill_fiber_start(core, (void (*)(void *))(uintptr_t)message->words[0],
                             (void *)(uintptr_t)message->words[1]) != NULL;
}

static void
send_pair(uint32_t to, bool (*handle)(struct rmill_core *, const struct rmill_message *),
          void (*function)(void *), void *argument)
{
    struct rmill_message message = {.handle = handle,
                                    .words = {(uintptr_t)function, (uintptr_t)argument}};

    rmill_mail_send_parking(rmill_core_self(), to, RMILL_LANE_BULK, &message);
}

void
rmill_post(uint32_t core, void (*function)(void *argument), void *argument)
{
    send_pair(core, handle_post, function, argument);
}

void
rmill_spawn_on(uint32_t core, void (*function)(void *argument), void *argument)
{
    send_pair(core, handle_spawn, function, argument);
}

/* Lies on the caller's stack; the callee writes `result`, the reply message hands it back. The
 * envelope has no waiter: the caller parks once and only the reply makes it ready, also when the
 * channel was full. Two wakes for one park would run the fiber twice. */
struct call {
    struct rmill_envelope envelope;
    int64_t (*function)(void *argument);
    void *argument;
    int64_t result;
    uint32_t home;
    struct rmill_fiber *caller;
};

static bool
handle_reply(struct rmill_core *core, const struct rmill_message *message)
{
    struct call *call = (struct call *)(uintptr_t)message->words[0];

    rmill_fiber_ready(core, call->caller);
    return true;
}

static void
call_fiber(void *argument)
{
    struct call *call = argument;

    call->result = call->function(call->argument);
    struct rmill_message reply = {.handle = handle_reply, .words = {(uintptr_t)call}};

    rmill_mail_send_parking(rmill_core_self(), call->home, RMILL_LANE_URGENT, &reply);
}

int64_t
rmill_call(uint32_t to, int64_t (*function)(void *argument), void *argument)
{
    struct rmill_core *core = rmill_core_self();
    struct call call = {
        .function = function, .argument = argument, .home = core->index, .caller = core->running};

    if (to == core->index) {
        return function(argument);
    }
    call.envelope.message = (struct rmill_message){
        .handle = handle_spawn, .words = {(uintptr_t)call_fiber, (uintptr_t)&call}};
    rmill_mail_send(core, to, RMILL_LANE_BULK, &call.envelope);
    rmill_fiber_park(core);
    RMILL_ASSERT(!call.envelope.queued);
    return call.result;
}

/* --- posts from outside ---------------------------------------------------------------------- */

struct outside_post {
    struct rmill_foreign foreign;
    void (*function)(void *argument);
    void *argument;
};

static void
outside_post_run(struct rmill_core *core, struct rmill_foreign *foreign)
{
    struct outside_post *post = RMILL_CONTAINER_OF(foreign, struct outside_post, foreign);
    struct outside_post copy = *post;

    (void)core;
    free(post);
    copy.function(copy.argument);
}

int
rmill_engine_post(struct rmill_engine *engine, uint32_t core, void (*function)(void *argument),
                  void *argument)
{
    struct outside_post *post = core < engine->core_count ? malloc(sizeof(*post)) : NULL;

    if (post == NULL) {
        return core < engine->core_count ? -ENOMEM : -EINVAL;
    }
    *post = (struct outside_post){
        .foreign.run = outside_post_run, .function = function, .argument = argument};
    rmill_mail_post_foreign(engine->cores[core], &post->foreign);
    return 0;
}

/* --- the blocking lane ----------------------------------------------------------------------- */

struct blocking_call {
    struct rmill_blocking_job job;
    struct rmill_foreign post;
    struct rmill_core *core;
    struct rmill_fiber *fiber;
};

static void
blocking_return(struct rmill_core *core, struct rmill_foreign *post)
{
    struct blocking_call *call = RMILL_CONTAINER_OF(post, struct blocking_call, post);

    rmill_fiber_ready(core, call->fiber);
}

/* On the helper thread. */
static void
blocking_done(struct rmill_blocking_job *job)
{
    struct blocking_call *call = RMILL_CONTAINER_OF(job, struct blocking_call, job);

    rmill_mail_post_foreign(call->core, &call->post);
}

static enum rmill_progress_kind
blocking_task(void *argument)
{
    struct rmill_blocking_job *job = argument;

    job->result = job->function(job->argument);
    return RMILL_TASK_DONE;
}

int64_t
rmill_blocking_call(int64_t (*function)(void *argument), void *argument)
{
    struct rmill_core *core = rmill_core_self();
    struct blocking_call call = {
        .job = {.function = function, .argument = argument, .done = blocking_done},
        .post.run = blocking_return,
        .core = core,
        .fiber = core->running};

    if (!rmill_blocking_submit(core->blocking, &call.job)) {
        /* No thread to be had: it blocks the core, but on the large stack, not on the fiber's. */
        rmill_task_run(blocking_task, &call.job, 0);
        return call.job.result;
    }
    rmill_fiber_park(core);
    return call.job.result;
}

/* --- sleeping -------------------------------------------------------------------------------- */

struct sleeper {
    struct rmill_timer timer;
    struct rmill_fiber *fiber;
};

static void
sleeper_fire(struct rmill_timer *timer)
{
    struct sleeper *sleeper = RMILL_CONTAINER_OF(timer, struct sleeper, timer);

    rmill_fiber_ready(sleeper->fiber->core, sleeper->fiber);
}

void
rmill_sleep(uint64_t duration_ns)
{
    struct rmill_core *core = rmill_core_self();
    struct sleeper sleeper = {.timer.fire = sleeper_fire, .fiber = core->running};
    uint64_t now_ns = rmill_seam_now_ns();
    uint64_t until_ns = duration_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + duration_ns;

    rmill_timer_arm(&core->wheel, &sleeper.timer, until_ns);
    rmill_fiber_park(core);
}

/* --- semaphore and latch --------------------------------------------------------------------- */

static void
waiters_append(struct rmill_fiber **first, struct rmill_fiber **last, struct rmill_fiber *fiber)
{
    fiber->next = NULL;
    if (*last != NULL) {
        (*last)->next = fiber;
    } else {
        *first = fiber;
    }
    *last = fiber;
}

static struct rmill_fiber *
waiters_take(struct rmill_fiber **first, struct rmill_fiber **last)
{
    struct rmill_fiber *fiber = *first;

    if (fiber != NULL) {
        *first = fiber->next;
        if (*first == NULL) {
            *last = NULL;
        }
    }
    return fiber;
}

void
rmill_semaphore_acquire(struct rmill_semaphore *semaphore)
{
    struct rmill_core *core = rmill_core_self();

    if (semaphore->permits > 0) { /* Nobody waits then: a release hands its permit to the first
                                   * waiter. */
        semaphore->permits--;
        return;
    }
    waiters_append(&semaphore->first, &semaphore->last, core->running);
    rmill_fiber_park(core);
}

void
rmill_semaphore_release(struct rmill_semaphore *semaphore)
{
    struct rmill_fiber *fiber = waiters_take(&semaphore->first, &semaphore->last);

    if (fiber != NULL) {
        rmill_fiber_ready(rmill_core_self(), fiber);
    } else {
        semaphore->permits++;
    }
}

void
rmill_latch_add(struct rmill_latch *latch, uint64_t count)
{
    latch->count += count;
}

void
rmill_latch_done(struct rmill_latch *latch)
{
    RMILL_ASSERT(latch->count > 0);
    latch->count--;
    while (latch->count == 0 && latch->first != NULL) {
        rmill_fiber_ready(rmill_core_self(), waiters_take(&latch->first, &latch->last));
    }
}

void
rmill_latch_wait(struct rmill_latch *latch)
{
    struct rmill_core *core = rmill_core_self();

    if (latch->count > 0) {
        waiters_append(&latch->first, &latch->last, core->running);
        rmill_fiber_park(core);
    }
}

/* --- slots ----------------------------------------------------------------------------------- */

uint32_t
rmill_slot_of(uint64_t key)
{
    return (uint32_t)(rmill_hash64_key(key) % RMILL_SLOT_COUNT);
}

uint32_t
rmill_slot_owner(uint32_t slot)
{
    RMILL_ASSERT(slot < RMILL_SLOT_COUNT);
    return slot % rmill_core_self()->core_count;
}
