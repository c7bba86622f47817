/* numa/arena.h — the memory of one core: a few regions, a hard budget, nothing given back singly.
 *
 * An arena is taken before the work starts (pools, buffers, tables), then frozen: afterwards the
 * hot path has what it has. Regions are what a ring registers as fixed buffers, hence the limit of
 * 1 GiB each.
 *
 *     region 0: [allocated........|free]   region 1: [allocated...|free]   ...
 *
 * Invariants:
 *   I1  the sum of all regions' capacities is the budget; used <= budget
 *   I2  region i > 0 exists only when region i - 1 has RMILL_MEMORY_BYTES_MAX bytes of capacity
 *   I3  an allocation lies in one region
 * Nothing here is touched before its user touches it, unless prefault was asked. (Registering a
 * region with a ring pins, and so touches, all of what is registered.) */
#ifndef RMILL_NUMA_ARENA_H
#define RMILL_NUMA_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "numa/memory.h"

#define RMILL_ARENA_REGIONS_MAX   1024u
#define RMILL_ARENA_BUDGET_MAX    (RMILL_ARENA_REGIONS_MAX * RMILL_MEMORY_BYTES_MAX)
#define RMILL_ARENA_ALIGNMENT_MAX RMILL_MEMORY_HUGE_BYTES
#define RMILL_ARENA_NO_REGION     UINT32_MAX

/* Zeroed but for `budget_bytes`: node 0, small pages, lazily touched. */
struct rmill_arena_options {
    uint64_t budget_bytes; /* 1 ... RMILL_ARENA_BUDGET_MAX: the most that can ever be allocated. */
    int node;              /* The node to prefer, or RMILL_NODE_ANY. */
    bool huge_explicit;    /* As in struct rmill_memory_options. */
    bool huge_transparent;
    bool prefault;
};

struct rmill_arena_region {
    struct rmill_memory memory;
    uint64_t capacity_bytes; /* What of the memory the budget covers. */
    uint64_t used_bytes;
};

/* Owner: this core. Set up by any thread before the core starts. */
struct rmill_arena {
    struct rmill_arena_region *regions; /* `region_count` of them; NULL when not initialised. */
    uint32_t region_count;
    bool frozen;
    uint64_t budget_bytes;
    uint64_t used_bytes; /* Allocated, with what alignment cost. */
    uint64_t peak_bytes; /* The highest `used_bytes` ever, over rewinds. */
    uint64_t refused_count;
};

struct rmill_arena_statistics {
    uint64_t used_bytes;
    uint64_t peak_bytes;
    uint64_t budget_bytes;
    uint64_t refused_count;     /* Allocations answered with NULL. */
    uint64_t huge_bytes;        /* Mapped with explicit 2 MiB pages. */
    uint64_t transparent_bytes; /* Mapped where transparent huge pages may come. */
    uint64_t small_bytes;       /* Mapped with small pages. */
    uint64_t away_bytes;        /* With prefault: pages found on another node than asked. */
    int bind_code;              /* First -errno of mbind(2), or 0. */
};

/* Map all regions. `arena` is the caller's, `options` borrowed for the call. Thread: set-up.
 * 0; -EINVAL (budget 0 or too large); -ENOMEM and what rmill_memory_map returns, with `error` (may
 * be NULL) filled. On failure `arena` is zeroed and holds nothing. */
int rmill_arena_init(struct rmill_arena *arena, const struct rmill_arena_options *options,
                     struct rmill_error *error);

/* Unmap everything and zero `arena`; a zeroed one is accepted. Everything from it is gone.
 * Thread: set-up, after the core stopped. */
void rmill_arena_deinit(struct rmill_arena *arena);

/* `bytes` > 0 bytes aligned to `alignment`, a power of two up to RMILL_ARENA_ALIGNMENT_MAX. The
 * memory is zero unless the arena was rewound, and lives until deinit or rewind. NULL when the
 * budget or 1 GiB does not hold it; nothing changes then. A frozen arena panics: the caller is on a
 * hot path and must have taken its memory before. Thread: owner core (or set-up). Cost: first fit
 * over the regions. */
void *rmill_arena_allocate(struct rmill_arena *arena, uint64_t bytes, uint64_t alignment);

/* From now on rmill_arena_allocate panics. Cannot be undone. Thread: owner core (or set-up). */
void rmill_arena_freeze(struct rmill_arena *arena);

/* Take back everything that was allocated, at once. Asserts that the arena is not frozen. What is
 * allocated afterwards holds old bytes. Thread: owner core. */
void rmill_arena_rewind(struct rmill_arena *arena);

/* The whole regions, in the order of their index, for registration as fixed buffers: at most `max`
 * are written. How many there are. Thread: owner core (or set-up). */
uint32_t rmill_arena_regions(const struct rmill_arena *arena, struct iovec *vectors, uint32_t max);

/* The same, but only as much of each region as is allocated now, in whole pages; a region nothing
 * was taken from has length 0. For a frozen arena this is all that can ever be used. */
uint32_t rmill_arena_regions_used(const struct rmill_arena *arena, struct iovec *vectors,
                                  uint32_t max);

/* The index of the region that holds all of `bytes` bytes at `pointer`, or RMILL_ARENA_NO_REGION.
 * Thread: any while the arena lives. Cost: a scan of the region table. */
uint32_t rmill_arena_region_of(const struct rmill_arena *arena, const void *pointer,
                               uint64_t bytes);

/* Thread: owner core. */
void rmill_arena_statistics_get(const struct rmill_arena *arena,
                                struct rmill_arena_statistics *statistics);

#endif
