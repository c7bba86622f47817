/* engine/linux/thread.c — threads and events of the seam, on pthreads. */
#include "engine/seam.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "numa/pin.h"

#define STACK_BYTES RMILL_MIB(8) /* Tasks run on it; touched as far as it is used. */

struct rmill_seam_thread {
    pthread_t handle;
    char name[16];
    uint32_t cpu;
    bool pinned;
    void (*entry)(void *argument);
    void *argument;
};

static void *
thread_main(void *argument)
{
    struct rmill_seam_thread *thread = argument;

    (void)rmill_pin_name(thread->name);
    (void)rmill_pin_timer_slack();
    if (thread->pinned) {
        (void)rmill_pin_thread(thread->cpu); /* A CPU that went away: run where the kernel
                                              * allows. */
    }
    thread->entry(thread->argument);
    return NULL;
}

/* Signals are the program's business: the engine's threads take none. */
static int
create_masked(struct rmill_seam_thread *thread, const pthread_attr_t *attributes)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&thread->handle, attributes, thread_main, thread);

    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -code;
}

int
rmill_seam_thread_start(struct rmill_seam_thread **out, const char *name, uint32_t cpu, bool pinned,
                        void (*entry)(void *argument), void *argument)
{
    struct rmill_seam_thread *thread = calloc(1, sizeof(*thread));
    pthread_attr_t attributes;

    if (thread == NULL || pthread_attr_init(&attributes) != 0) {
        free(thread);
        return -ENOMEM;
    }
    (void)strncpy(thread->name, name, sizeof(thread->name) - 1);
    thread->cpu = cpu;
    thread->pinned = pinned;
    thread->entry = entry;
    thread->argument = argument;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int code = create_masked(thread, &attributes);

    (void)pthread_attr_destroy(&attributes);
    if (code < 0) {
        free(thread);
        return code;
    }
    *out = thread;
    return 0;
}

void
rmill_seam_thread_join(struct rmill_seam_thread *thread)
{
    int code = pthread_join(thread->handle, NULL);

    RMILL_ASSERT(code == 0);
    free(thread);
}

/* --- events ---------------------------------------------------------------------------------- */

struct rmill_seam_event {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool set;
};

struct rmill_seam_event *
rmill_seam_event_create(void)
{
    struct rmill_seam_event *event = calloc(1, sizeof(*event));
    pthread_condattr_t attributes;

    if (event == NULL) {
        return NULL;
    }
    if (pthread_condattr_init(&attributes) != 0) {
        free(event);
        return NULL;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&event->condition, &attributes);
    (void)pthread_mutex_init(&event->mutex, NULL);
    (void)pthread_condattr_destroy(&attributes);
    return event;
}

void
rmill_seam_event_destroy(struct rmill_seam_event *event)
{
    (void)pthread_cond_destroy(&event->condition);
    (void)pthread_mutex_destroy(&event->mutex);
    free(event);
}

void
rmill_seam_event_set(struct rmill_seam_event *event)
{
    (void)pthread_mutex_lock(&event->mutex);
    event->set = true;
    (void)pthread_cond_broadcast(&event->condition);
    (void)pthread_mutex_unlock(&event->mutex);
}

static struct timespec
deadline_after(uint64_t timeout_ns)
{
    uint64_t now_ns = rmill_clock_ns();
    uint64_t deadline_ns = timeout_ns > UINT64_MAX / 2 ? UINT64_MAX / 2 : now_ns + timeout_ns;

    return (struct timespec){.tv_sec = (time_t)(deadline_ns / RMILL_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % RMILL_NS_PER_S)};
}

bool
rmill_seam_event_wait(struct rmill_seam_event *event, uint64_t timeout_ns)
{
    struct timespec deadline = deadline_after(timeout_ns);
    int code = 0;

    (void)pthread_mutex_lock(&event->mutex);
    while (!event->set && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&event->condition, &event->mutex, &deadline);
    }
    bool set = event->set;

    (void)pthread_mutex_unlock(&event->mutex);
    return set;
}
