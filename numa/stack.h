/* numa/stack.h — the stacks of a core's fibers: one reserved mapping, a guard page below each.
 *
 *     [guard][ stack 0 ........ ][guard][ stack 1 ........ ] ...    a stack grows down
 *
 * Nothing is accessible at first: a stack is opened when it is handed out for the first time, and
 * costs memory only as far down as it was used. Separate from arenas, because a guard page can be
 * neither in a registered buffer nor in a huge page. The stack put last is got first.
 *
 * Limits: every opened stack makes two mappings of the kernel's vm.max_map_count (65,530 by
 * default). */
#ifndef RMILL_NUMA_STACK_H
#define RMILL_NUMA_STACK_H

#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

#define RMILL_STACK_COUNT_MAX (1u << 20)
#define RMILL_STACK_BYTES_MAX RMILL_MIB(64)

/* Owner: this core. Set up by any thread before the core starts. */
struct rmill_stacks {
    char *base;           /* NULL when not initialised. */
    uint64_t slot_bytes;  /* Guard and stack. */
    uint64_t stack_bytes; /* Usable, a multiple of the page. */
    uint32_t count;
    uint32_t opened; /* Stacks handed out at least once: [0, opened). */
    uint32_t in_use;
    uint32_t in_use_max; /* High-water mark. */
    uint32_t free_count; /* in_use + free_count = opened. */
    uint32_t *free;      /* Indexes of opened stacks that nobody has; the last one is got first. */
    uint64_t *taken;     /* A bit per stack that is in use: finds a stack put twice. */
};

/* Reserve `count` stacks (1 ... RMILL_STACK_COUNT_MAX) of `stack_bytes` each (rounded up to the
 * page; at most RMILL_STACK_BYTES_MAX). Thread: set-up. 0; -EINVAL; -ENOMEM, with `error` (may be
 * NULL) filled; `stacks` is zeroed then. */
int rmill_stacks_init(struct rmill_stacks *stacks, uint64_t stack_bytes, uint32_t count,
                      struct rmill_error *error);

/* Release everything and zero `stacks`; a zeroed one is accepted. No fiber runs on one any more.
 * Thread: set-up, after the core stopped. */
void rmill_stacks_deinit(struct rmill_stacks *stacks);

/* A stack: its lowest usable byte goes to `*base`, its size to `*bytes`. Contents undefined.
 * Thread: owner core. Cost: a system call the first time a stack is handed out, else a few stores.
 * 0; -EAGAIN when all are in use; -ENOMEM when the kernel cannot open another one
 * (vm.max_map_count, vm.overcommit_memory = 2). Outputs untouched on failure. */
int rmill_stacks_get(struct rmill_stacks *stacks, void **base, uint64_t *bytes);

/* Give back the stack at `base`; nobody runs on it. Asserts that it is one and in use. Thread:
 * owner core. */
void rmill_stacks_put(struct rmill_stacks *stacks, void *base);

/* How much of the opened stack at `base` was ever touched, from its top to its lowest resident
 * page, in bytes: the high-water mark of all its users. Thread: any while the stacks live. Cost: a
 * system call. 0; -errno of mincore(2), the output untouched then. */
int rmill_stacks_touched(const struct rmill_stacks *stacks, const void *base, uint64_t *bytes);

#endif
