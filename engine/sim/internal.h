/* engine/sim/internal.h — what the parts of the simulator know of each other.
 *
 *   sim.c      a run: options, chance, trace, result
 *   thread.c   coroutines, the scheduler, what will happen in time
 *   lane.c     event flags and the blocking lane of the seam
 *   machine.c  clock, environment and cores of the seam
 *   ring.c     uring/ring.h; execute.c: what its operations do
 *   disk.c     inodes, pages, what is durable, power loss
 *   names.c    directories and paths
 *   tree.c     the disk between runs: prepared and inspected
 *   files.c    descriptors and calls on them; faults.c: how they fail; plain.c: the plain calls
 *
 * Owner of everything: the thread that called rmill_sim_run. */
#ifndef RMILL_ENGINE_SIM_INTERNAL_H
#define RMILL_ENGINE_SIM_INTERNAL_H

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"
#include "engine/context.h"
#include "engine/seam.h"
#include "engine/sim/disk.h"
#include "engine/sim/sim.h"
#include "uring/ring.h"

#define RMILL_SIM_TAIL        256u /* Trace records kept for a panic. */
#define RMILL_SIM_RECORD_HASH 512u /* Records hashed at once. */

enum rmill_sim_record_kind {
    RMILL_SIM_RECORD_RUN,       /* thread got the processor */
    RMILL_SIM_RECORD_START,     /* a new thread; a = its number */
    RMILL_SIM_RECORD_END,       /* a thread ended */
    RMILL_SIM_RECORD_SLEEP,     /* a = until when */
    RMILL_SIM_RECORD_WAKE,      /* a = thread made runnable, b = from when on */
    RMILL_SIM_RECORD_SPEND,     /* a = ns */
    RMILL_SIM_RECORD_SUBMIT,    /* a = opcode, b = offset */
    RMILL_SIM_RECORD_EXECUTE,   /* a = opcode, b = result */
    RMILL_SIM_RECORD_COMPLETE,  /* a = opcode, b = result */
    RMILL_SIM_RECORD_RING_WAKE, /* a = target ring */
    RMILL_SIM_RECORD_CALL,      /* a = hash of the name of a plain call, b = result */
    RMILL_SIM_RECORD_DATA,      /* a = bytes, b = their hash */
    RMILL_SIM_RECORD_FAULT,     /* a = kind */
    RMILL_SIM_RECORD_JOB,       /* a job of a blocking lane; a = result */
    RMILL_SIM_RECORD_POWER,     /* power was lost */
    RMILL_SIM_RECORD_NOTE,      /* from the test */
    RMILL_SIM_RECORD_COUNT,
};

struct rmill_sim_record {
    uint64_t time_ns;
    uint32_t thread; /* UINT32_MAX: none, an event. */
    uint32_t kind;
    uint64_t a, b;
};
_Static_assert(sizeof(struct rmill_sim_record) == 32, "no padding: records are hashed as they are");

enum rmill_sim_thread_state {
    RMILL_SIM_READY,
    RMILL_SIM_RUNNING,
    RMILL_SIM_SLEEPING, /* Until woken, or until its timer event comes. */
    RMILL_SIM_ENDED,
};

struct rmill_seam_thread {
    struct rmill_context context;
    void *mapping; /* Guard page and stack. */
    uint32_t number;
    enum rmill_sim_thread_state state;
    char name[16];
    uint64_t clock_ns;
    uint64_t busy_ns;
    uint64_t sleep_number; /* A timer of an earlier sleep is recognised by it. */
    bool timed_out;
    struct rmill_thread *self; /* rmill_thread_self while switched out. */
    void (*entry)(void *argument);
    void *argument;
    struct rmill_seam_thread *joiner;
};

struct rmill_sim;

/* Something that will happen at a time. */
struct rmill_sim_event {
    uint64_t time_ns;
    uint64_t order; /* Among equal times: the order they were made in. */
    void (*happen)(struct rmill_sim *sim, const struct rmill_sim_event *event);
    uint64_t a, b;
};

struct rmill_sim {
    const struct rmill_sim_options *options;
    uint64_t delay_ns_min, delay_ns_max, skew_ns, stall_ns_max, time_limit_ns;
    uint32_t cpus, nodes, spend_percent;
    bool faults_on;
    bool powered;
    struct rmill_prng chance; /* Every decision of the world. */
    struct rmill_prng test;   /* rmill_sim_random */
    struct rmill_sim_result result;

    /* Scheduling. */
    struct rmill_context scheduler;
    struct rmill_seam_thread **threads; /* All that were not joined. */
    uint32_t thread_count, thread_capacity, thread_next;
    struct rmill_seam_thread *running; /* NULL in the scheduler. */
    uint64_t now_ns;                   /* No event before this is outstanding. */
    uint64_t told_ns;                  /* The latest time anybody was told. */
    uint64_t idle_switches;            /* Since the last event. */
    struct rmill_sim_event *events;    /* A binary heap. */
    uint64_t event_count, event_capacity, event_order;

    /* Rings and files. */
    struct rmill_ring *rings;
    uint64_t ring_next;
    uint64_t reach_count; /* Calls that reached the disk. */
    struct rmill_sim_disk *disk, *survivor;
    struct rmill_sim_files *files;

    /* Trace. */
    struct rmill_hash_stream *hash;
    struct rmill_sim_record pending[RMILL_SIM_RECORD_HASH];
    uint32_t pending_count;
    struct rmill_sim_record tail[RMILL_SIM_TAIL];
};

/* The running simulation of this OS thread, or NULL. */
extern _Thread_local struct rmill_sim *rmill_sim_current;

static inline struct rmill_sim *
rmill_sim_self(void)
{
    RMILL_ASSERT(rmill_sim_current != NULL); /* Outside rmill_sim_run there is no world. */
    return rmill_sim_current;
}

/* sim.c ------------------------------------------------------------------------------------- */

void rmill_sim_record(struct rmill_sim *sim, enum rmill_sim_record_kind kind, uint64_t a,
                      uint64_t b);
/* Decide whether `fault` happens now; counts and traces it. */
bool rmill_sim_fault(struct rmill_sim *sim, enum rmill_sim_fault fault);
/* Uniform in [0, bound], also for bound 0. */
uint64_t rmill_sim_up_to(struct rmill_sim *sim, uint64_t bound);
/* Called before anything reads or changes the disk: counts, and loses power when the time has
 * come. */
void rmill_sim_reach(struct rmill_sim *sim);
void rmill_sim_power_lose(struct rmill_sim *sim);

/* thread.c ---------------------------------------------------------------------------------- */

void rmill_sim_event_add(struct rmill_sim *sim, uint64_t time_ns,
                         void (*happen)(struct rmill_sim *sim, const struct rmill_sim_event *event),
                         uint64_t a, uint64_t b);
/* Step everything until `control` has ended. */
void rmill_sim_schedule(struct rmill_sim *sim, struct rmill_seam_thread *control);
void rmill_sim_threads_free(struct rmill_sim *sim);
struct rmill_seam_thread *rmill_sim_thread_new(struct rmill_sim *sim, const char *name,
                                               void (*entry)(void *argument), void *argument);
/* The running thread steps aside, still runnable; `cost_ns` passes on its clock. */
void rmill_sim_step_aside(struct rmill_sim *sim, uint64_t cost_ns);
/* The same for a thread that is no core, and nothing for one that is (its switch points are
 * engine/seam.h's). */
void rmill_sim_pause(struct rmill_sim *sim);
/* It sleeps until rmill_sim_thread_wake or for `wait_ns` (UINT64_MAX: for good). False when the
 * time ran out. */
bool rmill_sim_thread_sleep(struct rmill_sim *sim, uint64_t wait_ns);
/* Make a sleeping thread runnable, not before `time_ns` on its clock; nothing when it does not
 * sleep. */
void rmill_sim_thread_wake(struct rmill_sim *sim, struct rmill_seam_thread *thread,
                           uint64_t time_ns);
/* The clock of whoever runs, a thread or an event. */
uint64_t rmill_sim_clock(const struct rmill_sim *sim);

#endif
