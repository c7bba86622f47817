#include "uring/selftest.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/macros.h"

#define PATIENCE_NS RMILL_NS_PER_S
#define SETTLE_NS   (100 * RMILL_NS_PER_US)

enum phase {
    PHASE_START,
    PHASE_READY,  /* The sleeper's ring exists. */
    PHASE_FAILED, /* It does not. */
};

/* Shared by two threads; each word has one writer. */
struct sleeper {
    const struct rmill_ring_options *options;
    struct rmill_ring *ring; /* Written before phase, by the sleeper. */
    struct rmill_error error;
    _Atomic enum phase phase;      /* Sleeper. */
    _Atomic uint32_t sleeps;       /* Sleeper: how often it went to sleep. */
    _Atomic uint32_t woken;        /* Sleeper: how often it woke before its time. */
    _Atomic uint32_t wakes_wanted; /* Tester: sleep until woken so often. */
    _Atomic bool stop;             /* Tester. */
};

/* Everything here may be seq_cst: it runs once, and no order is worth a thought. */
static void *
sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;

    if (rmill_ring_create(sleeper->options, &sleeper->ring, &sleeper->error) < 0) {
        atomic_store(&sleeper->phase, PHASE_FAILED);
        return NULL;
    }
    atomic_store(&sleeper->phase, PHASE_READY);
    while (!atomic_load(&sleeper->stop)) {
        if (atomic_load(&sleeper->woken) == atomic_load(&sleeper->wakes_wanted)) {
            (void)rmill_ring_enter(sleeper->ring, SETTLE_NS);
            continue;
        }
        uint64_t before = rmill_clock_ns();

        atomic_fetch_add(&sleeper->sleeps, 1);
        (void)rmill_ring_enter(sleeper->ring, PATIENCE_NS);
        if (rmill_clock_ns() - before < PATIENCE_NS) {
            atomic_fetch_add(&sleeper->woken, 1);
        }
    }
    /* The tester's ring is gone or silent by now: nobody wakes this one any more. */
    rmill_ring_destroy(sleeper->ring);
    return NULL;
}

/* Let this thread's ring wait a little, so that the other one gets a CPU. */
static void
pause_briefly(struct rmill_ring *ring)
{
    (void)rmill_ring_enter(ring, SETTLE_NS);
}

/* Wake the sleeper one way; true and the time when it says so in time. */
static bool
wake_once(struct sleeper *sleeper, struct rmill_ring *ring, bool message, uint64_t *ns)
{
    uint32_t sleeps, woken;

    do {
        sleeps = atomic_load(&sleeper->sleeps);
        woken = atomic_load(&sleeper->woken);
        atomic_store(&sleeper->wakes_wanted, woken + 1);
        while (atomic_load(&sleeper->sleeps) == sleeps) {
            pause_briefly(ring);
        }
        pause_briefly(ring); /* It said it would sleep; now it probably does. */
    } while (atomic_load(&sleeper->woken) != woken); /* A signal woke it: not our doing. */
    uint64_t start = rmill_clock_ns();

    if (message) {
        rmill_ring_wake(ring, sleeper->ring);
        (void)rmill_ring_enter(ring, 0);
    } else {
        rmill_ring_wake_foreign(sleeper->ring);
    }
    while (atomic_load(&sleeper->woken) == woken && rmill_clock_ns() - start < PATIENCE_NS) {
        (void)sched_yield(); /* There may be one CPU only. */
    }
    *ns = rmill_clock_ns() - start;
    atomic_store(&sleeper->wakes_wanted, atomic_load(&sleeper->woken));
    return *ns < PATIENCE_NS;
}

int
rmill_selftest_run(const struct rmill_ring_options *options, struct rmill_selftest *result,
                   struct rmill_error *error)
{
    struct sleeper sleeper = {.options = options};
    struct rmill_selftest found = {0};
    struct rmill_ring *ring;
    pthread_t thread;
    int code = rmill_ring_create(options, &ring, error);

    if (code < 0) {
        return code;
    }
    code = -pthread_create(&thread, NULL, sleeper_main, &sleeper);
    if (code < 0) {
        rmill_ring_destroy(ring);
        return rmill_error_set(error, code, "no helper thread for the self-test of wakes: %s",
                               rmill_errno_text(code));
    }
    while (atomic_load(&sleeper.phase) == PHASE_START) {
        pause_briefly(ring);
    }
    if (atomic_load(&sleeper.phase) == PHASE_FAILED) {
        code = rmill_error_set(error, sleeper.error.code, "%s", sleeper.error.advice);
    } else {
        found.features = *rmill_ring_features(ring);
        found.message_wake =
            found.features.message_ring && wake_once(&sleeper, ring, true, &found.message_wake_ns);
        found.event_wake = wake_once(&sleeper, ring, false, &found.event_wake_ns);
        *result = found;
    }
    atomic_store(&sleeper.stop, true);
    (void)pthread_join(thread, NULL);
    rmill_ring_destroy(ring);
    return code;
}
