/* engine/core.h — one core: a thread, its ring, arena, fibers, timers and the channels to the
 * others.
 *
 * One turn of the loop:
 *   urgent lanes ─▶ ready fibers ─▶ bulk lanes ─▶ foreign posts ─▶ timers ─▶ publish channels
 *   ─▶ submit and reap (at most one system call; sleeps in it when nothing is left) ─▶ a task step
 *
 * How a sleeping core is woken without a lost wake-up (Dekker's pattern):
 *   sleeper   S1  sleeping = 1
 *             S3  read the inbox and the foreign list; sleep only when both are empty
 *   sender    M1  set the inbox bit (or push the foreign post)
 *             M3  read sleeping; when it is 1, take it by exchange and wake
 * All four are seq_cst, and this is the one place that needs it: S1 and M1 are stores that must not
 * pass the loads S3 and M3 behind them. In their single total order either S3 comes after M1 and
 * sees it, or M1 comes after S3, hence after S1, and M3 sees the flag. A wake that comes before the
 * sleep makes that sleep return at once (uring/ring.h). The exchange lets one sender wake per
 * sleep. Operations, not fences, because ThreadSanitizer does not understand fences.
 *
 * Owner: struct rmill_core belongs to its thread; `shared` is the only part other threads touch. */
#ifndef RMILL_ENGINE_CORE_H
#define RMILL_ENGINE_CORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/prng.h"
#include "engine/channel.h"
#include "engine/context.h"
#include "engine/ringmill.h"
#include "engine/seam.h"
#include "engine/timer.h"
#include "numa/arena.h"
#include "numa/stack.h"
#include "perf/record/counters.h"
#include "perf/record/histogram.h"
#include "perf/record/trace.h"
#include "uring/ring.h"

#define RMILL_CORES_MAX 256u

/* A fiber. Owner: its core. It is in exactly one of: the free list, the ready queue, one waiting
 * list, running. */
struct rmill_fiber {
    struct rmill_context context;
    struct rmill_fiber *next; /* In the list it is in. */
    struct rmill_core *core;
    void (*function)(void *argument);
    void *argument;
    void *stack_base;
    bool live;
    bool ready; /* In the ready queue. */
};

struct rmill_task {
    enum rmill_progress_kind (*function)(void *argument);
    void *argument;
    uint64_t cost_ns;
    struct rmill_fiber *fiber; /* Parked until the task is done. */
    struct rmill_task *next;
};

/* A message on its way into a channel that may be full. Owner: the sending core until `queued` is
 * false. */
struct rmill_envelope {
    struct rmill_message message;
    struct rmill_envelope *next;
    struct rmill_fiber *waiter; /* Made ready when the message is in; may be NULL. */
    bool queued;
};

/* A post from a thread that is no core. Intrusive; the poster's memory until `run` begins. */
struct rmill_foreign {
    struct rmill_foreign *next;
    void (*run)(struct rmill_core *core, struct rmill_foreign *post);
};

/* What other cores and threads read and write. */
struct rmill_core_shared {
    RMILL_CACHE_ALIGNED _Atomic uint32_t sleeping; /* Writers: owner sets (S1), anybody takes
                                                    * (M3). */
    _Atomic(struct rmill_foreign *) foreign;       /* Writers: any thread pushes; the owner takes
                                                    * all. */
    /* Bit c: core c published something. */
    RMILL_CACHE_ALIGNED _Atomic uint64_t inbox[RMILL_CORES_MAX / 64];
};

struct rmill_core_statistics {
    struct rmill_counter turns, fibers_run, tasks_run, messages_sent, messages_received, wakes_sent;
    struct rmill_counter asleep_ns, cpu_ns, operations, enters, fibers_high, arena_bytes_used;
};

struct rmill_core {
    struct rmill_thread thread; /* First: rmill_thread_self points here. */
    struct rmill_engine *engine;
    uint32_t index;
    uint32_t core_count;
    uint32_t cpu;
    int32_t node;

    /* Scheduling. */
    struct rmill_context loop; /* The loop's own context, on the core's large stack. */
    struct rmill_fiber *running;
    struct rmill_fiber *ready_first, *ready_last;
    struct rmill_task *task_first, *task_last;
    bool in_task;
    bool fiber_freed;      /* A fiber ended since messages were last refused. */
    uint32_t live_count;   /* Fibers that are not free. */
    struct rmill_fiber *fibers, *free_fibers;
    uint32_t fibers_max;
    uint32_t operation_count; /* Operations of fibers in flight. */
    uint32_t blocking_count;  /* Jobs in the blocking lane. */

    /* Time. */
    uint64_t now_ns; /* At the start of this turn. */
    uint64_t started_ns;
    uint64_t idle_since_ns;
    uint64_t sampled_ns; /* When cpu_ns was last read. */
    bool idle;
    uint64_t spin_ns, turn_ns;
    struct rmill_wheel wheel;

    /* Other cores. */
    struct rmill_channel **outgoing;  /* [core_count], made on first use. */
    /* Envelopes that found their lane full; [core_count] each. */
    struct rmill_envelope **unsent_first[RMILL_LANE_COUNT];
    struct rmill_envelope **unsent_last[RMILL_LANE_COUNT];
    uint32_t unsent_count;
    uint64_t dirty[RMILL_CORES_MAX / 64]; /* Outgoing channels with something to publish or
                                           * unsent. */
    uint64_t pending[RMILL_LANE_COUNT][RMILL_CORES_MAX / 64]; /* Incoming channels that may hold
                                                               * messages. */
    uint64_t refused[RMILL_LANE_COUNT][RMILL_CORES_MAX / 64]; /* Those whose first message wants a
                                                               * fiber. */
    uint64_t control_sent, control_received; /* Messages that do not count as work (engine.c). */
    struct rmill_envelope control;           /* For the answer to such a message. */
    struct rmill_foreign exit_post;
    bool came_up; /* Written before reported_count, read by the control thread after it. */

    struct rmill_ring *ring;
    struct rmill_arena arena;
    bool arena_registered;
    struct rmill_core_pool *free_pools; /* Given back; the arena does not shrink. */
    struct rmill_stacks stacks;
    struct rmill_blocking *blocking;
    struct rmill_prng prng;
    struct rmill_trace trace;
    struct rmill_core_statistics statistics;

    RMILL_CACHE_ALIGNED struct rmill_core_shared shared;
};
_Static_assert(offsetof(struct rmill_core, thread) == 0, "rmill_thread_self points at the core");

/* The core this code runs on; asserts that it is one. */
static inline struct rmill_core *
rmill_core_self(void)
{
    struct rmill_core *core = (struct rmill_core *)(void *)rmill_thread_self;

    RMILL_DEBUG_ASSERT(core != NULL);
    return core;
}

static inline void
rmill_core_trace(struct rmill_core *core, enum rmill_trace_kind kind, uint32_t detail, uint64_t a,
                 uint64_t b)
{
    rmill_trace_add(&core->trace, core->now_ns, (uint32_t)kind, detail, a, b);
}

/* engine/core.c: life and loop ----------------------------------------------------------------- */

/* In the core's own thread: memory, ring, fibers. 0 or -errno with `error`; then deinit must be
 * called all the same. */
int rmill_core_init(struct rmill_core *core, const struct rmill_options *options,
                    struct rmill_error *error);
void rmill_core_deinit(struct rmill_core *core);

/* One turn; sleeps when there is nothing to do. */
void rmill_core_turn(struct rmill_core *core);

/* Nothing runs, waits or is on its way out of this core. */
bool rmill_core_quiescent(const struct rmill_core *core);

/* engine/fiber.c: fibers and tasks ------------------------------------------------------------- */

/* A fiber that will run function(argument), in the ready queue; NULL: all in use (or no stack to be
 * had). */
struct rmill_fiber *rmill_fiber_start(struct rmill_core *core, void (*function)(void *),
                                      void *argument);
/* Switch from the running fiber to the loop; returns when somebody made it ready again. */
void rmill_fiber_park(struct rmill_core *core);
void rmill_fiber_ready(struct rmill_core *core, struct rmill_fiber *fiber);
/* Run ready fibers until none is left or the turn's budget is used up. */
void rmill_fibers_run(struct rmill_core *core);
/* One step of the first task; there must be one. */
void rmill_task_step(struct rmill_core *core);

/* engine/mail.c: between cores ----------------------------------------------------------------- */

/* Put a message on its way; never refuses. While envelope->queued is true after the call the
 * envelope belongs to the core; it is sent in order. Thread: the core. */
void rmill_mail_send(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane,
                     struct rmill_envelope *envelope);
/* The same from a fiber with a message of its own; parks until it is in. */
void rmill_mail_send_parking(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane,
                             const struct rmill_message *message);
/* Move waiting envelopes into their channels, publish everything, wake who sleeps. */
void rmill_mail_flush(struct rmill_core *core);
/* Look who published something. Cost: one load a word when nothing came. */
void rmill_mail_collect(struct rmill_core *core);
/* Handle messages of one lane from every channel that has some. */
void rmill_mail_take(struct rmill_core *core, enum rmill_lane_index lane);
/* Run what foreign threads posted. */
void rmill_mail_take_foreign(struct rmill_core *core);
/* True when a message or a foreign post may be waiting (S3). */
bool rmill_mail_waiting(const struct rmill_core *core);
/* Post from a thread that is no core; wakes the core. Thread: any. */
void rmill_mail_post_foreign(struct rmill_core *core, struct rmill_foreign *post);

/* engine/engine.c ------------------------------------------------------------------------------ */

struct rmill_engine {
    uint32_t core_count;
    struct rmill_core **cores;                  /* Set-up then read-only. */
    _Atomic(struct rmill_channel *) *channels;  /* [from * core_count + to]; writer: from, once.
                                                 * Reader: to. */
    struct rmill_options options;
    struct rmill_seam_core *places;
    bool oversubscribed;
    bool event_wakes; /* MSG_RING does not wake here. */

    _Atomic bool stopping;  /* Writer: any. */
    _Atomic bool exiting;   /* Writer: control. */
    _Atomic uint32_t reported_count; /* Cores that came up, or failed to. */
    _Atomic uint32_t left_count;     /* Cores that left their loop. */
    uint32_t thread_count;           /* Threads started; control writes it before `started` is
                                      * set. */
    _Atomic int start_code; /* First failure of a start. */
    struct rmill_error start_error;
    _Atomic uint32_t start_error_taken;

    struct rmill_seam_thread **threads;
    struct rmill_seam_event *started, *over, *left;
    bool was_started;
    struct rmill_foreign main_post; /* Starts the main fiber. */

    uint64_t file_slots; /* Bits of the shared file slots in use. Owner: core 0. */

    int (*main_fiber)(void *argument);
    void *main_argument;
    int main_result;

    /* The end of the job; owner: core 0. */
    struct {
        bool main_returned;
        bool asked; /* A round is under way. */
        uint32_t answers;
        bool quiet, quiet_before;
        uint64_t sent, received, sent_before;
        uint64_t next_round_ns;
        bool over;
        struct rmill_envelope *questions; /* [core_count] */
    } end;
};

/* Core 0, each turn: find out whether the job is over. */
void rmill_engine_end_check(struct rmill_core *core);

#endif
