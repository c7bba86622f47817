/* engine/sim/sim.h — the simulator as a test sees it: a seed, a bad machine, a trace.
 *
 * A program that links libringmill-sim.a gets this world in place of Linux. rmill_sim_run calls
 * a `control` function as the control thread; it creates, starts and destroys engines as any
 * program does. Every thread is a coroutine with a clock of its own, all stepped on the calling
 * thread; operations take seeded times and fail at asked rates; files live on a modelled disk.
 *
 *     scheduler ──▶ the thread whose clock is behind (seeded choice within `skew_ns`)
 *         └──────▶ the earliest event: an operation is carried out, a wake arrives ...
 *
 * Same options, same disk, same program: the same trace, byte for byte. Nothing here reads a
 * clock, an address or the machine. Threads are interleaved at the switch points engine/seam.h
 * names and nowhere else, so what this cannot find is a wrong memory order inside an undisturbed
 * stretch; the stress tests and the model checker are for that.
 *
 * A check that fails inside a simulated thread must panic (RMILL_ASSERT): cmocka's assertions
 * would jump from one stack to another. When the process aborts, the seed and the last records
 * of the trace are printed. One simulation at a time per thread. */
#ifndef RMILL_ENGINE_SIM_SIM_H
#define RMILL_ENGINE_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* What can go wrong. The names are what a real kernel does; a real disk's ENOSPC also comes from
 * its capacity. */
enum rmill_sim_fault {
    RMILL_SIM_SHORT,       /* A read or write moves fewer bytes than it could. */
    RMILL_SIM_INTERRUPTED, /* -EINTR, nothing done; CLOSE: closed all the same. */
    RMILL_SIM_AGAIN,       /* -EAGAIN of a read, a write, an open below RESOLVE_BENEATH. */
    /* -EIO. A write may have written a part; a failed fsync may have lost pages for good. */
    RMILL_SIM_IO_ERROR,
    RMILL_SIM_NO_SPACE,    /* -ENOSPC of what needs space. */
    RMILL_SIM_NO_MEMORY,   /* -ENOMEM. */
    RMILL_SIM_SETUP,       /* Creating a thread or a ring fails. */
    RMILL_SIM_EARLY_WAKE,  /* A sleeping enter returns without a reason. */
    RMILL_SIM_CANCEL_LATE, /* A cancel finds its target running: -EALREADY. */
    /* A thread is held up for up to `stall_ns_max` where it could be switched out. */
    RMILL_SIM_STALL,
    RMILL_SIM_TYPE_UNKNOWN, /* A directory record without the kind of file (DT_UNKNOWN). */
    RMILL_SIM_FAULT_COUNT,
};

struct rmill_sim_disk;

/* Zero means default. Everything is borrowed for the run. */
struct rmill_sim_options {
    uint64_t seed;
    uint32_t cpus;                  /* 4 */
    uint32_t nodes;                 /* 1; CPUs are dealt out in blocks. */
    const char *const *environment; /* "NAME=value", NULL at the end. NULL: nothing is set. */
    struct rmill_sim_disk *disk;    /* NULL: an empty one that is thrown away. */
    uint32_t fault_per_million[RMILL_SIM_FAULT_COUNT]; /* Chance of each where it can happen. */
    /* How long an operation takes; 1,000 and 100,000. fsync: ten times. */
    uint64_t delay_ns_min, delay_ns_max;
    /* How far apart the clocks of runnable threads may drift; 2,000. */
    uint64_t skew_ns;
    uint64_t stall_ns_max;  /* 1,000,000 */
    uint32_t spend_percent; /* Variation of a declared cost to either side; 20. */
    uint64_t power_loss_ns; /* Lose power at this virtual time; 0 = never. */
    /* Lose power before the n-th call that reaches the disk; 0 = never. */
    uint64_t power_loss_operation;
    uint64_t time_limit_ns; /* Virtual time after which the run is a panic; 10 s. */
    FILE *trace;            /* The trace as text, a line per record. */
};

struct rmill_sim_result {
    int value;           /* What control returned. */
    uint64_t virtual_ns; /* How far the clocks went. */
    uint64_t operations; /* Carried out for rings. */
    uint64_t calls;      /* Plain calls. */
    uint64_t reached;    /* Operations and calls that reached the disk. */
    uint64_t switches;
    uint64_t faults[RMILL_SIM_FAULT_COUNT]; /* Given. */
    uint64_t trace_count;
    uint64_t trace_hash; /* XXH3 over every record. */
    bool power_lost;
    uint32_t descriptors_open; /* When control returned: what the program forgot to close. */
    uint64_t rings_open;
};

/* Run `control(argument)` to its end. 0 and *result, -EINVAL (a simulation runs already,
 * options), -ENOMEM.
 *
 * Power loss. At the chosen point the disk as a restart would find it is put aside. The run then
 * goes on to its end as a ghost, so that everything it holds is given back in the ordinary way,
 * but nothing it does counts any more: afterwards `disk` is what was put aside. Whether power
 * was lost before the program said "done" is asked with rmill_sim_powered. */
int rmill_sim_run(const struct rmill_sim_options *options, int (*control)(void *argument),
                  void *argument, struct rmill_sim_result *result);

/* For use inside a run. --------------------------------------------------------------------- */

bool rmill_sim_powered(void);               /* False once power was lost. */
void rmill_sim_faults_set(bool on);         /* Faults on (the default) or off. */
uint64_t rmill_sim_random(void);            /* The run's own seeded stream. */
void rmill_sim_sleep(uint64_t duration_ns); /* Control or another thread that is no core. */
/* A record in the trace; `name` is static. */
void rmill_sim_note(const char *name, uint64_t a, uint64_t b);

const char *rmill_sim_fault_name(enum rmill_sim_fault fault); /* "short", ... Static. */

/* The disk, for preparing and inspecting between runs (engine/sim/disk.c) ------------------- */

/* `seed` decides inode numbers and directory order; `capacity_bytes` 0 = without bound. NULL:
 * out of memory. */
struct rmill_sim_disk *rmill_sim_disk_create(uint64_t seed, uint64_t capacity_bytes);
void rmill_sim_disk_destroy(struct rmill_sim_disk *disk); /* NULL is allowed. */
/* NULL: out of memory. */
struct rmill_sim_disk *rmill_sim_disk_clone(const struct rmill_sim_disk *disk);

/* Power loss and restart between runs: what was not synced is kept or lost, as `seed` decides.
 * Model:
 *   data        of each page of 4 KiB written since the file's last fsync, the old content, the
 *               new one, one in between, or the new one up to a sector and then the old;
 *               any subset of pages;
 *   size        the synced one, the last one, or any in between;
 *   attributes  those at creation or the synced ones, or the last ones;
 *   names       changes of one directory survive as a prefix of their order; a rename survives
 *               whole or not at all. */
void rmill_sim_disk_power_loss(struct rmill_sim_disk *disk, uint64_t seed);
void rmill_sim_disk_sync(struct rmill_sim_disk *disk); /* Everything is durable. */

/* Paths from the root, "a/b". 0 or -errno. Parent directories of `put` are made, with mode 0755;
 * an existing file is replaced. */
int rmill_sim_disk_put(struct rmill_sim_disk *disk, const char *path, mode_t mode, const void *data,
                       uint64_t bytes);
int rmill_sim_disk_mkdir(struct rmill_sim_disk *disk, const char *path, mode_t mode);
int rmill_sim_disk_symlink(struct rmill_sim_disk *disk, const char *target, const char *path);
/* The content of a file in *data, which the caller frees. */
int rmill_sim_disk_get(const struct rmill_sim_disk *disk, const char *path, void **data,
                       uint64_t *bytes);
/* Names of a directory in byte order. */
int rmill_sim_disk_list(const struct rmill_sim_disk *disk, const char *path,
                        void (*name)(void *context, const char *name), void *context);
/* One number for the whole tree: names, kinds, modes, owners, link targets, contents; not times
 * or inode numbers. */
uint64_t rmill_sim_disk_hash(const struct rmill_sim_disk *disk);
uint64_t rmill_sim_disk_bytes_used(const struct rmill_sim_disk *disk);
/* From now on reading (or opening) this file gives `read_code` (`open_code`), -errno or 0. */
int rmill_sim_disk_break(struct rmill_sim_disk *disk, const char *path, int open_code,
                         int read_code);

#endif
