/* engine/ringmill.h — the public interface of libringmill: an engine, its cores, shapes of work.
 *
 * Reading order: 1 the engine, 2 fibers, 3 files through the ring, 4 plain calls, 5 between cores,
 * 6 flow, 7 memory, 8 numbers. Everything here is what a workload may use; it needs no other header
 * of ours.
 *
 * The model in five sentences. An engine is a set of cores, each one pinned thread with its own
 * ring, arena and run queue. Work is written as fibers: straight-line code that parks at each
 * operation and never leaves its core. Processor-heavy steps and library calls that need stack run
 * as tasks on the core's own large stack. Cores share nothing and speak by messages. A flow runs
 * units in parallel and commits them in order with bounded memory.
 *
 *     int main_fiber(void *argument) { ... rmill_read(file, buffer, bytes, 0) ...; return 0; }
 *
 *     struct rmill_engine *engine;
 *     struct rmill_error error;
 *     struct rmill_options options = {0};
 *
 *     if (rmill_engine_create(&options, &engine, &error) == 0) {
 *         if (rmill_engine_start(engine, main_fiber, argument, &error) == 0) {
 *             rmill_engine_wait(engine, UINT64_MAX, &result);
 *         }
 *         rmill_engine_destroy(engine);
 *     }
 *
 * **Thread:** every call says who may call it: "control" = the one thread that created the engine;
 * "fiber" = code that runs in a fiber; "core" = any code on a core (fiber, task, commit step);
 * "any" = every thread. Errors are -errno. Nothing here prints, installs a signal handler or keeps
 * process-wide state. */
#ifndef RMILL_RINGMILL_H
#define RMILL_RINGMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- 1. The engine --------------------------------------------------------------------------- */

struct rmill_engine;

/* Zero means default. Pointers are borrowed for the call of rmill_engine_create only, `log` for the
 * engine's life. */
struct rmill_options {
    const char *cores;          /* "4" = four cores by the default policy, "0-3,6" = these CPUs;
                                 * NULL = RINGMILL_CORES of the environment, else the policy. */
    uint64_t arena_bytes;       /* Budget of each core's arena; 64 MiB. Touched lazily. */
    uint64_t fiber_stack_bytes; /* 64 KiB; a guard page lies below each. */
    uint32_t fibers_max;        /* Per core; 512. */
    uint32_t ring_entries;      /* 256. */
    uint32_t blocking_max;      /* Helper threads of the blocking lane per core; 4. */
    uint32_t trace_events;      /* Flight recorder per core; a power of two; 4096 of 32 bytes. */
    uint64_t spin_ns;           /* How long an idle core spins before it sleeps; 20 us, and none
                                 * with more cores than CPUs. 1 = do not spin. */
    uint64_t turn_ns;           /* Time budget of one turn of the loop; 500 us. */
    bool prefault;              /* Touch the whole arena at start; register it as fixed buffers. */
    bool unpinned;              /* Leave the threads' affinity alone. */
    struct rmill_log log;
};

/* Read the machine, choose cores, prepare memory. No thread runs yet. On failure *engine is
 * untouched and `error` (may be NULL) holds one sentence with the remedy. -EINVAL options, -ENOMEM,
 * or what the system said. Thread: any; it becomes the control thread. */
int rmill_engine_create(const struct rmill_options *options, struct rmill_engine **engine,
                        struct rmill_error *error);

/* Start the cores and run `main_fiber(argument)` on core 0. Returns once every core has its ring
 * and memory. -EPERM or -ENOSYS: io_uring is not to be had; `error` names the knob. Once only.
 * Thread: control. */
int rmill_engine_start(struct rmill_engine *engine, int (*main_fiber)(void *argument),
                       void *argument, struct rmill_error *error);

/* Wait until the main fiber has returned and every fiber, operation and message of every core is
 * done. 0 and the main fiber's value in *result (may be NULL), or -ETIMEDOUT. Thread: control. */
int rmill_engine_wait(struct rmill_engine *engine, uint64_t timeout_ns, int *result);

/* Ask the running job to end early: rmill_stopping() becomes true, flows stop producing and drain.
 * The job decides what it cleans up. Thread: any; also from a signal-handling thread. */
void rmill_engine_stop(struct rmill_engine *engine);

/* Join the cores and give everything back. The job must be over (rmill_engine_wait gave 0) or never
 * started. NULL is allowed. Thread: control. */
void rmill_engine_destroy(struct rmill_engine *engine);

uint32_t rmill_engine_core_count(const struct rmill_engine *engine); /* Thread: any. */

/* Bytes of memory this process may use in all: the machine's, or the smallest limit of its cgroups
 * (v1 or v2). For sizing what a job keeps in flight. Reads /proc: set-up only. Thread: any. */
uint64_t rmill_memory_limit_bytes(void);

/* ---- 2. Fibers, tasks, time ------------------------------------------------------------------ */

uint32_t rmill_core_index(void); /* The core this code runs on. Thread: core. */
uint32_t rmill_core_count(void); /* Thread: core. */
uint64_t rmill_now_ns(void);     /* Monotonic; virtual in the simulator. Thread: any. */
uint64_t rmill_random(void);     /* This core's seeded generator; not for secrets. Thread: core. */
bool rmill_stopping(void);       /* rmill_engine_stop was called. Cost: one load. Thread: core. */

/* Start a fiber on this core; it runs after the caller parks. `argument` is the fiber's from then
 * on. -EAGAIN: all fibers_max are in use. Thread: core. */
int rmill_spawn(void (*function)(void *argument), void *argument);

void rmill_yield(void);                 /* Let everything else that is ready run. Thread: fiber. */
void rmill_sleep(uint64_t duration_ns); /* Never short. Thread: fiber. */

/* Something waits for this core: a message, a completion, a fiber. Cost: a few loads. Thread:
 * core. */
bool rmill_should_yield(void);

/* A task returns AGAIN to be called again after other work had its turn (keep one call below about
 * 500 us), else DONE. */
enum rmill_progress_kind { RMILL_TASK_DONE, RMILL_TASK_AGAIN };

/* Run `function(argument)` on the core's large stack (at least 1 MiB) until it says DONE; parks the
 * caller. A core finishes one task before it begins the next, so a per-core tool (a compression
 * context) needs no lock. A task must not park. `cost_ns` is what one call is taken to cost in the
 * simulator. Thread: fiber. */
void rmill_task_run(enum rmill_progress_kind (*function)(void *argument), void *argument,
                    uint64_t cost_ns);

/* Run `function(argument)` on a helper thread beside the core, for what may block outside our
 * control (directory reads, cold look-ups); parks the caller and returns the function's value. The
 * function may use the plain calls of part 4 and nothing else of this header but rmill_now_ns.
 * Thread: fiber. */
int64_t rmill_blocking_call(int64_t (*function)(void *argument), void *argument);

/* A count of permits with first-come waiters; one core's only. {.permits = n} is a valid initial
 * value. */
struct rmill_fiber;
struct rmill_semaphore {
    uint64_t permits;
    struct rmill_fiber *first, *last; /* Waiting fibers. */
};
void rmill_semaphore_acquire(struct rmill_semaphore *semaphore); /* Parks at 0. Thread: fiber. */
void rmill_semaphore_release(struct rmill_semaphore *semaphore); /* Thread: core. */

/* Waits for a number of things to be over; one core's only. {.count = n} is a valid initial
 * value. */
struct rmill_latch {
    uint64_t count;
    struct rmill_fiber *first, *last;
};
void rmill_latch_add(struct rmill_latch *latch, uint64_t count); /* Thread: core. */
void rmill_latch_done(struct rmill_latch *latch);                /* Count > 0. Thread: core. */
void rmill_latch_wait(struct rmill_latch *latch);                /* Parks until 0. Thread: fiber. */

/* ---- 3. Files through the ring: park the fiber ----------------------------------------------- */

/* A file is its descriptor, valid on every core. A shared one (rmill_file_share) is also registered
 * with every ring. */
struct rmill_file {
    int fd;
    uint32_t slot; /* 1 + index in the rings' registered files; 0 = not registered. */
};

#define RMILL_STREAM UINT64_MAX /* As offset: the descriptor's own position (pipes). */

/* Open `path` relative to the directory descriptor `directory` (AT_FDCWD allowed) with open flags,
 * mode and the RESOLVE_* bits of openat2(2); O_CLOEXEC is always set. 0 and *file, or -errno of
 * openat2. Thread: fiber. */
int rmill_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve,
               struct rmill_file *file);

/* Plain close; -errno of close(2) (never retried). Sets fd to -1. A shared file is unregistered.
 * Thread: fiber. */
int rmill_close(struct rmill_file *file);

/* Up to `bytes` bytes; continues after short counts and EINTR until `bytes` or the end of the file
 * is reached. Returns bytes read (less than asked only at the end of the file), or -errno. The
 * buffer is lent until the call returns. `bytes` <= 1 GiB. Thread: fiber. */
int64_t rmill_read(struct rmill_file file, void *buffer, uint64_t bytes, uint64_t offset);

/* All of `bytes`, continued as above. Returns `bytes` or -errno; after an error any part may have
 * been written. Thread: fiber. */
int64_t rmill_write(struct rmill_file file, const void *buffer, uint64_t bytes, uint64_t offset);

int rmill_fsync(struct rmill_file file, bool data_only); /* Thread: fiber. */
int rmill_fallocate(struct rmill_file file, int mode, uint64_t offset,
                    uint64_t bytes); /* Thread: fiber. */

/* Register an open file with every core's ring, so that operations skip the descriptor look-up.
 * -ENFILE: table full; -EOPNOTSUPP: a ring has none; -EINVAL: shared already. The file goes on
 *          working
 * unregistered. Thread: fiber. */
int rmill_file_share(struct rmill_file *file);

/* ---- 4. Plain calls: the same file system by ordinary system calls --------------------------- */
/* Metadata is cheaper by plain call than through the ring (make bench-metadata). These run on the
 * calling thread and may block it; use them where the data is warm, or inside rmill_blocking_call.
 * All return >= 0 or -errno, retry EINTR, resolve `path` relative to a directory descriptor, and
 * follow no final symlink. Where it says so, path "" means the descriptor itself.
 * Thread: any of the engine. */

/* openat2(2) with O_CLOEXEC; the descriptor. */
int rmill_plain_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve);
int rmill_plain_close(int fd);

/* One pread(2), or read(2) with RMILL_STREAM: may be short. */
int64_t rmill_plain_read(int fd, void *buffer, uint64_t bytes, uint64_t offset);
/* All of it, or -errno. */
int64_t rmill_plain_write(int fd, const void *buffer, uint64_t bytes, uint64_t offset);

int rmill_plain_stat(int directory, const char *path, struct stat *out); /* "" allowed */
/* The target's length; not terminated. "" with an O_PATH descriptor of a symlink. */
int rmill_plain_readlink(int directory, const char *path, char *buffer, uint64_t bytes);
/* One getdents64(2): struct dirent64 records; 0 at the end. */
int64_t rmill_plain_directory_read(int fd, void *buffer, uint64_t bytes);
int rmill_plain_mkdir(int directory, const char *path, mode_t mode);
int rmill_plain_unlink(int directory, const char *path, bool is_directory);
int rmill_plain_rename(int old_directory, const char *old_path, int new_directory,
                       const char *new_path, unsigned flags); /* renameat2(2) */
int rmill_plain_link(int old_directory, const char *old_path, int new_directory,
                     const char *new_path);
int rmill_plain_symlink(const char *target, int directory, const char *path);
int rmill_plain_chmod(int fd, mode_t mode);                                   /* fchmod(2) */
int rmill_plain_chown(int directory, const char *path, uid_t uid, gid_t gid); /* "" allowed */
/* atime and mtime; "" allowed. */
int rmill_plain_times(int directory, const char *path, const struct timespec times[2]);
int rmill_plain_truncate(int fd, uint64_t bytes);
int rmill_plain_fsync(int fd, bool data_only);
int rmill_plain_syncfs(int fd);
/* Exclusive OFD lock, without waiting; -EAGAIN when another holds it. */
int rmill_plain_lock(int fd);

/* ---- 5. Between cores ------------------------------------------------------------------------ */

/* Run `function(argument)` in a fiber on `core` and park until it has returned; gives its value.
 * Also on the own core. `argument` is lent. Thread: fiber. */
int64_t rmill_call(uint32_t core, int64_t (*function)(void *argument), void *argument);

/* Start a fiber on `core` and do not wait; parks only while the channel is full. Fibers are
 * bounded: code whose every fiber starts others elsewhere without end can fill all fibers_max of
 * every core with parked senders and wait for itself for good. Bound the fan-out (a flow does).
 * Thread: fiber. */
void rmill_spawn_on(uint32_t core, void (*function)(void *argument), void *argument);

/* Run `function(argument)` on `core`'s loop, outside any fiber: it must be short and must not park.
 * Does not wait; parks only while the channel is full. Posts from one core to one other run in
 * order. Thread: fiber. */
void rmill_post(uint32_t core, void (*function)(void *argument), void *argument);

/* The same from a thread that is no core of this engine. -ENOMEM. Thread: any. */
int rmill_engine_post(struct rmill_engine *engine, uint32_t core, void (*function)(void *argument),
                      void *argument);

#define RMILL_SLOT_COUNT 4096u
uint32_t rmill_slot_of(uint64_t key);     /* XXH3 of the key, 0..4095. Thread: any. */
uint32_t rmill_slot_owner(uint32_t slot); /* The core that owns it now. Thread: core. */

/* ---- 6. Flow: units in parallel, committed in order ------------------------------------------ */
/*
 *   home:      produce ─▶ [credits] ─────────────────────▶ commit (in sequence, tiny)
 *                            │ unit                          ▲ done      │ committed
 *   any core:                └──▶ process (a fiber) ─────────┘           └──▶ write ─▶ release
 *
 * A unit goes to the owner of its key's slot; a core with nothing to do claims unstarted units of
 * others. A core that claims has a free place for the unit, and each core starts units in sequence
 * order, so the oldest uncommitted unit can always start: a flow cannot lock up on its own
 * places. */

/* One unit. `data` is unit_bytes of zeroed memory, the workload's own from produce to release. */
struct rmill_unit {
    uint64_t sequence; /* 0, 1, 2 ...; set by the flow. */
    uint64_t key;      /* Where it should run; set by produce, else the sequence number. */
    uint64_t bytes;    /* Byte credit it takes, >= 0; set by produce. */
    int error;         /* 0, or the first -errno a step returned. */
    uint32_t core;     /* The core that processes and writes it. */
    void *context;     /* The flow's. */
    void *data;
};

enum rmill_flow_order {
    RMILL_FLOW_ORDERED, /* commit in sequence. */
    RMILL_FLOW_KEYED, /* units of one key are processed one by one and committed in that order. */
    RMILL_FLOW_ANY,   /* commit as they come. */
};

/* Every step returns 0 or -errno. A step that fails sets unit->error; then `write` is left out for
 * that unit, `commit` (told by unit->error) and `release` still run. With stop_on_error nothing
 * more is produced, units after one whose process or commit failed are neither committed nor
 * written, only released, and rmill_flow_run returns the error of the lowest failed sequence. (A
 * write fails after its commit: later units may have been committed and written by then, but for
 * write_at_home.) */
struct rmill_flow_options {
    const char *name;    /* For statistics and traces; static. */
    void *context;
    uint32_t unit_bytes; /* Size of a unit's data; 0 is allowed. */
    uint32_t window;     /* Units in flight; a power of two, at most 65536; 64. */
    uint64_t bytes_max;  /* Byte credits in flight; 0 = no bound. A larger unit runs alone. */
    uint32_t core_units; /* Units a core has started and not finished; an even share of window. */
    enum rmill_flow_order order;
    bool write_at_home; /* write runs on the home core in sequence (a pipe). ORDERED only. */
    bool unclaimed;     /* Idle cores do not claim. */
    bool stop_on_error;

    /* Home, in a fiber: 1 = a unit, 0 = the end, -errno = stop. Not NULL. */
    int (*produce)(struct rmill_unit *unit);
    /* The unit's core, in a fiber that ends with the step. Not NULL. */
    int (*process)(struct rmill_unit *unit);
    /* Home; must not park. May be NULL. */
    int (*commit)(struct rmill_unit *unit);
    /* The unit's core (or home), in another fiber. May be NULL. */
    int (*write)(struct rmill_unit *unit);
    /* The unit's core, last of all; must not park: give back what process took. May be NULL. */
    void (*release)(struct rmill_unit *unit);
};

struct rmill_flow_stage {
    uint64_t count;
    uint64_t sum_ns, p50_ns, p99_ns, max_ns;
};

struct rmill_flow_statistics {
    uint64_t produced, committed, failed, claimed;
    uint64_t bytes; /* Sum of the units' byte credits. */
    uint64_t wall_ns;
    uint32_t units_in_flight_max;
    uint64_t bytes_in_flight_max;
    struct rmill_flow_stage waiting; /* dispatched, not started */
    struct rmill_flow_stage process;
    struct rmill_flow_stage held; /* processed, waiting for an earlier unit (head of the line) */
    struct rmill_flow_stage write;
};

/* Run a flow from this fiber's core (its home) to the end. 0, or the first error as above;
 * -ECANCELED when the engine was stopped before produce gave the end; -ENOMEM; -EINVAL for options
 * that make no sense; -EAGAIN when write_at_home finds no free fiber. `statistics` may be NULL.
 * Thread: fiber. */
int rmill_flow_run(const struct rmill_flow_options *options,
                   struct rmill_flow_statistics *statistics);

/* ---- 7. Memory ------------------------------------------------------------------------------- */

/* From this core's arena, for the engine's life: set-up only. NULL over budget. Thread: core. */
void *rmill_arena_get(uint64_t bytes, uint64_t alignment);

/* Fixed-size objects of this core: get and put cost a few loads, never the heap. A pool is used on
 * its core only. */
struct rmill_core_pool;
/* NULL over budget. Thread: core. */
struct rmill_core_pool *rmill_core_pool_create(uint64_t object_bytes, uint32_t count);
/* All objects must be back. Its memory serves the next pool of the same shape. NULL is allowed. */
void rmill_core_pool_destroy(struct rmill_core_pool *pool);
/* NULL when all are out. Thread: core. */
void *rmill_core_pool_get(struct rmill_core_pool *pool);
void rmill_core_pool_put(struct rmill_core_pool *pool, void *object); /* Thread: core. */

/* ---- 8. Numbers ------------------------------------------------------------------------------ */

struct rmill_core_snapshot {
    uint32_t cpu, node;
    uint64_t wall_ns;   /* since the core started */
    uint64_t cpu_ns;    /* of the core's thread, without blocking lane and kernel helpers */
    uint64_t asleep_ns; /* slept waiting */
    uint64_t turns, fibers_run, tasks_run, messages_sent, messages_received, wakes_sent;
    uint64_t operations, enters;
    uint64_t fibers_high, arena_bytes_used;
};

/* Thread: any while the engine lives; values are read while the core writes them, each is
 * consistent by itself. */
int rmill_engine_core_snapshot(const struct rmill_engine *engine, uint32_t core,
                               struct rmill_core_snapshot *snapshot);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
