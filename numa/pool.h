/* numa/pool.h — objects of one size, carved from an arena once, handed out last-in first-out.
 *
 * The object put last is got first, because its lines are still in the cache. An object is not
 * touched before it is handed out for the first time, so a pool for the worst case costs no memory
 * until then.
 *
 *     base [ got or free (in the list) ... | never handed out ... ] base + count * stride
 *                                          ^ frontier
 *
 * Invariants:
 *   I1  in_use + length of the free list = frontier <= count
 *   I2  a free object's first word points to the next free one; the rest of it belongs to the pool
 *   I3  the frontier never goes back
 * A pool never grows: an empty one answers NULL, which is back-pressure. Contents of an object are
 * whatever its last user left, but for its first 16 bytes. With AddressSanitizer a free object is
 * poisoned; debug builds also find an object put twice. */
#ifndef RMILL_NUMA_POOL_H
#define RMILL_NUMA_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/macros.h"
#include "numa/arena.h"
#include "numa/poison.h"

/* What a free object holds. Its size is the least that an object has. */
struct rmill_pool_free {
    struct rmill_pool_free *next;
    uint64_t mark; /* Debug: says "probably free"; then the list is searched. */
};

/* Owner: this core. */
struct rmill_pool {
    char *base;
    struct rmill_pool_free *free; /* Top of the free list. */
    uint32_t count;
    uint32_t frontier; /* Objects below it were handed out at least once. */
    uint32_t in_use;
    uint32_t in_use_max;     /* High-water mark. */
    uint32_t stride_bytes;   /* Object size with what alignment cost. */
    uint64_t stride_inverse; /* 2^64 / stride + 1: offset * inverse < inverse iff stride divides. */
    uint64_t empty_count;    /* Gets answered with NULL. */
};

/* Take count * object_bytes (rounded up to `alignment`, a power of two, and to 16) from `arena`.
 * The pool is the caller's; its objects live as long as the arena. `count` >= 1, `object_bytes`
 * >= 1. Thread: owner core (or set-up), before the arena is frozen. 0; -EINVAL (zero, or an
 * alignment that is none); -ENOMEM when the budget or one region of 1 GiB does not hold them, with
 * `error` (may be NULL). The arena and `pool` are untouched on failure. */
int rmill_pool_init(struct rmill_pool *pool, struct rmill_arena *arena, uint64_t object_bytes,
                    uint64_t alignment, uint32_t count, struct rmill_error *error);

/* For debug builds: panic when `object` is in the free list. */
void rmill_pool_check_not_free(const struct rmill_pool *pool, const void *object);

/* Thread: any while the pool lives. The index of an object of this pool; asserts that it is one. */
static inline uint32_t
rmill_pool_index(const struct rmill_pool *pool, const void *object)
{
    uint64_t offset = (uintptr_t)object - (uintptr_t)pool->base; /* Below base: wraps, too large. */

    RMILL_ASSERT(offset < (uint64_t)pool->count * pool->stride_bytes);
    RMILL_ASSERT(offset * pool->stride_inverse <= pool->stride_inverse - 1); /* Lemire, 32-bit. */
    return (uint32_t)offset / pool->stride_bytes;
}

/* An object, or NULL when all are in use. Thread: owner core.
 * Cost: one line of the object, one of the pool; no branch that is usually taken wrong. */
static inline RMILL_MUST_CHECK void *
rmill_pool_get(struct rmill_pool *pool)
{
    struct rmill_pool_free *object = pool->free;

    if (RMILL_LIKELY(object != NULL)) {
        RMILL_UNPOISON(object, pool->stride_bytes);
        pool->free = object->next;
#ifdef RMILL_DEBUG
        object->mark = 0;
#endif
    } else if (pool->frontier < pool->count) {
        object = (struct rmill_pool_free *)(void *)(pool->base +
                                                    (uint64_t)pool->frontier * pool->stride_bytes);
        pool->frontier++;
        RMILL_UNPOISON(object, pool->stride_bytes);
    } else {
        pool->empty_count++;
        return NULL;
    }
    pool->in_use++;
    if (pool->in_use > pool->in_use_max) {
        pool->in_use_max = pool->in_use;
    }
    return object;
}

/* Give back an object of this pool that is in use. Thread: owner core. Cost: as get. */
static inline void
rmill_pool_put(struct rmill_pool *pool, void *object)
{
    struct rmill_pool_free *freed = object;
    uint64_t offset = (uintptr_t)object - (uintptr_t)pool->base;

    RMILL_ASSERT(offset < (uint64_t)pool->frontier * pool->stride_bytes);
    RMILL_ASSERT(offset * pool->stride_inverse <= pool->stride_inverse - 1);
    RMILL_ASSERT(pool->in_use > 0);
#ifdef RMILL_DEBUG
    rmill_pool_check_not_free(pool, object);
    freed->mark = (uintptr_t)pool ^ (uintptr_t)freed;
#endif
    freed->next = pool->free;
    pool->free = freed;
    pool->in_use--;
    RMILL_POISON(freed, pool->stride_bytes);
}

#endif
