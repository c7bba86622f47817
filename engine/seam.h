/* engine/seam.h — everything the engine asks of the world, so that the world can be replaced.
 *
 * Two implementations, chosen when a program is linked: engine/linux/ is the real one; engine/sim/
 * runs N cores stepped on one thread with virtual time, seeded order and injected faults. The seam
 * is this header, uring/ring.h (the ring), and part 4 of engine/ringmill.h (the plain file calls,
 * implemented directly by both sides). Nothing above may go round it: `make check` looks for direct
 * calls.
 *
 * In the simulator a thread is a coroutine: rmill_seam_relax, rmill_seam_spend, rmill_ring_enter
 * and rmill_seam_event_wait are the points where it may be switched out, for a thread that is no
 * core also where it starts a thread, sets an event or wakes a ring; every other piece of code
 * between two such points runs undisturbed. */
#ifndef RMILL_ENGINE_SEAM_H
#define RMILL_ENGINE_SEAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* An open is tried so often when it says EAGAIN: RESOLVE_BENEATH raced with a rename. Bounded, for
 * RESOLVE_CACHED and a lease say it for good. */
#define RMILL_OPEN_TRIES_MAX 100u

/* Time and chance ------------------------------------------------------------------------------ */

uint64_t rmill_seam_now_ns(void);        /* Monotonic. Thread: any. */
uint64_t rmill_seam_thread_cpu_ns(void); /* CPU time of the calling thread. */
uint64_t rmill_seam_seed(void);          /* A seed for a core's generator; from the run's seed in
                                          * the simulator. */
const char *rmill_seam_environment(const char *name); /* getenv; NULL when unset. Set-up only. */

/* One turn of a spin loop: a pause instruction; in the simulator a switch to another thread. */
void rmill_seam_relax(void);

/* A piece of work took `cost_ns`: nothing on Linux, where time passes by itself; in the simulator
 * the calling core's clock advances by it (with a seeded variation). */
void rmill_seam_spend(uint64_t cost_ns);

/* The machine ---------------------------------------------------------------------------------- */

struct rmill_seam_core {
    uint32_t cpu;
    int32_t node;      /* NUMA node, or -1. */
};

/* Choose the cores for `spec` (NULL: environment, default policy). Fills at most `max`, returns how
 * many (> 0), or -EINVAL with the place in `error`. *oversubscribed tells that one CPU got more
 * than one core. */
int rmill_seam_cores_choose(const char *spec, struct rmill_seam_core *cores, uint32_t max,
                            bool *oversubscribed, struct rmill_error *error);

/* Memory this process may use in all: the machine's, or the smallest limit of its cgroups. */
uint64_t rmill_seam_memory_limit_bytes(void);

/* How many entries each of `cores` rings should have so that all of them fit under the limit of
 * locked memory: `wanted`, or fewer. The first ring must not take what the last one needs. */
uint32_t rmill_seam_ring_entries(uint32_t wanted, uint32_t cores);

/* A message from one ring wakes a thread that sleeps in another: seen to work just now. False:
 * wakes go by event descriptor. Set-up only. */
bool rmill_seam_wakes_by_message(void);

/* Threads -------------------------------------------------------------------------------------- */

struct rmill_seam_thread;

/* Run `entry(argument)` on a new thread called `name`, pinned to `cpu` when `pinned`. -EAGAIN,
 * -ENOMEM. */
int rmill_seam_thread_start(struct rmill_seam_thread **thread, const char *name, uint32_t cpu,
                            bool pinned, void (*entry)(void *argument), void *argument);
void rmill_seam_thread_join(struct rmill_seam_thread *thread); /* Waits for its end and frees it. */

/* A flag one waits for. Set by any thread, waited for by threads that are no cores (set-up and
 * control). Stays set. */
struct rmill_seam_event;
struct rmill_seam_event *rmill_seam_event_create(void); /* NULL: out of memory */
void rmill_seam_event_destroy(struct rmill_seam_event *event);
void rmill_seam_event_set(struct rmill_seam_event *event);
/* False: the time ran out. */
bool rmill_seam_event_wait(struct rmill_seam_event *event, uint64_t timeout_ns);

/* The blocking lane: a bounded pool of helper threads for calls that may block ----------------- */

struct rmill_blocking_job {
    int64_t (*function)(void *argument);
    void *argument;
    int64_t result;
    /* Called on the helper when `result` is set; from its first instruction on the job is the
     * submitter's again. */
    void (*done)(struct rmill_blocking_job *job);
    struct rmill_blocking_job *next; /* The lane's. */
};

struct rmill_blocking;

/* `threads_max` helpers, started when first needed, allowed on every CPU of the process.
 * -ENOMEM. */
int rmill_blocking_create(uint32_t threads_max, struct rmill_blocking **lane);
/* Queue a job. False: not one helper could be started, and nothing happened: run it elsewhere. */
bool rmill_blocking_submit(struct rmill_blocking *lane, struct rmill_blocking_job *job);
/* No job may be queued or running. Joins the helpers. NULL is allowed. */
void rmill_blocking_destroy(struct rmill_blocking *lane);

#endif
