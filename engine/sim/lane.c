/* engine/sim/lane.c — the seam's event flags and the blocking lane. */
#include <errno.h>
#include <stdlib.h>

#include "engine/sim/internal.h"

#define JOB_NS_MAX 50000u /* A helper takes up to so long before and after a job. */

/* Threads that wait for one thing. Each lies on its waiter's stack. */
struct waiter {
    struct rmill_seam_thread *thread;
    struct waiter *next;
};

struct rmill_seam_event {
    bool set;
    struct waiter *waiters;
};

struct rmill_seam_event *
rmill_seam_event_create(void)
{
    return calloc(1, sizeof(struct rmill_seam_event));
}

void
rmill_seam_event_destroy(struct rmill_seam_event *event)
{
    RMILL_ASSERT(event == NULL || event->waiters == NULL);
    free(event);
}

void
rmill_seam_event_set(struct rmill_seam_event *event)
{
    struct rmill_sim *sim = rmill_sim_self();

    rmill_sim_pause(sim);
    event->set = true;
    for (struct waiter *at = event->waiters; at != NULL; at = at->next) {
        rmill_sim_thread_wake(sim, at->thread, rmill_sim_clock(sim));
    }
}

static void
waiter_remove(struct waiter **list, struct waiter *waiter)
{
    while (*list != waiter) {
        list = &(*list)->next;
    }
    *list = waiter->next;
}

bool
rmill_seam_event_wait(struct rmill_seam_event *event, uint64_t timeout_ns)
{
    struct rmill_sim *sim = rmill_sim_self();
    struct waiter waiter = {.thread = sim->running, .next = event->waiters};

    if (event->set || timeout_ns == 0) {
        bool set = event->set;

        rmill_sim_step_aside(sim, 100); /* A switch point in any case. */
        return set || event->set;
    }
    event->waiters = &waiter;
    (void)rmill_sim_thread_sleep(sim, timeout_ns);
    waiter_remove(&event->waiters, &waiter);
    return event->set;
}

/* --- the blocking lane ------------------------------------------------------------------------ */

struct rmill_blocking {
    uint32_t threads_max, thread_count;
    struct rmill_seam_thread **threads;
    struct rmill_blocking_job *first, *last;
    struct waiter *idle; /* Helpers without a job. */
    uint32_t working;
    bool closing;
};

int
rmill_blocking_create(uint32_t threads_max, struct rmill_blocking **lane)
{
    struct rmill_blocking *made = calloc(1, sizeof(*made));

    if (made == NULL) {
        return -ENOMEM;
    }
    made->threads_max = threads_max;
    made->threads = calloc(threads_max + 1, sizeof(struct rmill_seam_thread *));
    if (made->threads == NULL) {
        free(made);
        return -ENOMEM;
    }
    *lane = made;
    return 0;
}

static void
job_run(struct rmill_sim *sim, struct rmill_blocking_job *job)
{
    job->result = job->function(job->argument);
    rmill_sim_record(sim, RMILL_SIM_RECORD_JOB, (uint64_t)job->result, 0);
}

static void
helper_main(void *argument)
{
    struct rmill_blocking *lane = argument;
    struct rmill_sim *sim = rmill_sim_self();

    while (!lane->closing) {
        struct rmill_blocking_job *job = lane->first;

        if (job == NULL) {
            struct waiter waiter = {.thread = sim->running, .next = lane->idle};

            lane->idle = &waiter;
            (void)rmill_sim_thread_sleep(sim, UINT64_MAX);
            waiter_remove(&lane->idle, &waiter);
            continue;
        }
        lane->first = job->next;
        lane->working++;
        (void)rmill_sim_thread_sleep(sim, rmill_sim_up_to(sim, JOB_NS_MAX));
        job_run(sim, job);
        (void)rmill_sim_thread_sleep(sim, rmill_sim_up_to(sim, JOB_NS_MAX));
        lane->working--;
        job->done(job); /* `job` is the submitter's again. */
    }
}

bool
rmill_blocking_submit(struct rmill_blocking *lane, struct rmill_blocking_job *job)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(!lane->closing && job->done != NULL);
    if (lane->idle == NULL && lane->thread_count < lane->threads_max &&
        rmill_seam_thread_start(&lane->threads[lane->thread_count], "blocking", 0, false,
                                helper_main, lane) == 0) {
        lane->thread_count++;
    }
    if (lane->thread_count == 0) {
        return false;
    }
    job->next = NULL;
    if (lane->first == NULL) {
        lane->first = job;
    } else {
        lane->last->next = job;
    }
    lane->last = job;
    for (struct waiter *at = lane->idle; at != NULL; at = at->next) {
        rmill_sim_thread_wake(sim, at->thread, rmill_sim_clock(sim)); /* All: they race for it. */
    }
    return true;
}

void
rmill_blocking_destroy(struct rmill_blocking *lane)
{
    if (lane == NULL) {
        return;
    }
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(lane->first == NULL && lane->working == 0);
    lane->closing = true;
    for (struct waiter *at = lane->idle; at != NULL; at = at->next) {
        rmill_sim_thread_wake(sim, at->thread, rmill_sim_clock(sim));
    }
    for (uint32_t i = 0; i < lane->thread_count; i++) {
        rmill_seam_thread_join(lane->threads[i]);
    }
    free(lane->threads);
    free(lane);
}
