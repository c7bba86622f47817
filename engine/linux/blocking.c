/* engine/linux/blocking.c — the blocking lane: a few helper threads for calls that may block.
 *
 * A mutex and a condition: a job costs tens of microseconds of waking anyway, so this is no hot
 * path. Helpers start when a job finds none idle and stay until the lane is destroyed. */
#include "engine/seam.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

struct rmill_blocking {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct rmill_blocking_job *first, *last; /* Under `mutex`, as everything below. */
    uint32_t idle_count, queued_count;
    uint32_t thread_count, threads_max;
    bool ending;
    cpu_set_t allowed; /* Where helpers may run: a core's thread is pinned, and they inherit
                        * that. */
    struct rmill_seam_thread *threads[];
};

int
rmill_blocking_create(uint32_t threads_max, struct rmill_blocking **out)
{
    struct rmill_blocking *lane =
        calloc(1, sizeof(*lane) + (uint64_t)threads_max * sizeof(struct rmill_seam_thread *));

    if (lane == NULL) {
        return -ENOMEM;
    }
    (void)pthread_mutex_init(&lane->mutex, NULL);
    (void)pthread_cond_init(&lane->work, NULL);
    lane->threads_max = threads_max;
    /* The process's first thread: the cores' own threads are pinned already. */
    if (sched_getaffinity(getpid(), sizeof(lane->allowed), &lane->allowed) < 0) {
        CPU_ZERO(&lane->allowed);
    }
    *out = lane;
    return 0;
}

static void
job_run(struct rmill_blocking_job *job)
{
    job->result = job->function(job->argument);
    job->done(job); /* The job is the submitter's again. */
}

static void
helper_main(void *argument)
{
    struct rmill_blocking *lane = argument;

    if (CPU_COUNT(&lane->allowed) > 0) {
        (void)sched_setaffinity(0, sizeof(lane->allowed), &lane->allowed); /* Else: as inherited. */
    }
    (void)pthread_mutex_lock(&lane->mutex);
    for (;;) {
        while (lane->first == NULL && !lane->ending) {
            lane->idle_count++;
            (void)pthread_cond_wait(&lane->work, &lane->mutex);
            lane->idle_count--;
        }
        struct rmill_blocking_job *job = lane->first;

        if (job == NULL) {
            break;
        }
        lane->first = job->next;
        lane->queued_count--;
        if (lane->first == NULL) {
            lane->last = NULL;
        }
        (void)pthread_mutex_unlock(&lane->mutex);
        job_run(job);
        (void)pthread_mutex_lock(&lane->mutex);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
}

/* Under the mutex. False when there is no helper at all and none can be started. */
static bool
helper_ensure(struct rmill_blocking *lane)
{
    if (lane->queued_count >= lane->idle_count && lane->thread_count < lane->threads_max &&
        rmill_seam_thread_start(&lane->threads[lane->thread_count], "ringmill/block", 0, false,
                                helper_main, lane) == 0) {
        lane->thread_count++;
    }
    return lane->thread_count > 0;
}

bool
rmill_blocking_submit(struct rmill_blocking *lane, struct rmill_blocking_job *job)
{
    job->next = NULL;
    (void)pthread_mutex_lock(&lane->mutex);
    bool helped = helper_ensure(lane);

    if (helped) {
        if (lane->last != NULL) {
            lane->last->next = job;
        } else {
            lane->first = job;
        }
        lane->last = job;
        lane->queued_count++;
        (void)pthread_cond_signal(&lane->work);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return helped;
}

void
rmill_blocking_destroy(struct rmill_blocking *lane)
{
    if (lane == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&lane->mutex);
    RMILL_ASSERT(lane->first == NULL);
    lane->ending = true;
    (void)pthread_cond_broadcast(&lane->work);
    (void)pthread_mutex_unlock(&lane->mutex);
    for (uint32_t i = 0; i < lane->thread_count; i++) {
        rmill_seam_thread_join(lane->threads[i]);
    }
    (void)pthread_cond_destroy(&lane->work);
    (void)pthread_mutex_destroy(&lane->mutex);
    free(lane);
}
