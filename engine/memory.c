/* engine/memory.c — a core's arena and pools as workloads see them. */
#include "engine/core.h"

#include "numa/pool.h"

struct rmill_core_pool {
    struct rmill_pool pool;
    struct rmill_core *core;
    struct rmill_core_pool *next; /* Among those given back. */
    uint64_t object_bytes;
};

void *
rmill_arena_get(uint64_t bytes, uint64_t alignment)
{
    return rmill_arena_allocate(&rmill_core_self()->arena, bytes, alignment);
}

/* One of the same shape that a job before gave back. */
static struct rmill_core_pool *
pool_reuse(struct rmill_core *core, uint64_t object_bytes, uint32_t count)
{
    struct rmill_core_pool **link = &core->free_pools;

    while (*link != NULL &&
           ((*link)->object_bytes != object_bytes || (*link)->pool.count != count)) {
        link = &(*link)->next;
    }
    struct rmill_core_pool *pool = *link;

    if (pool != NULL) {
        *link = pool->next;
    }
    return pool;
}

void
rmill_core_pool_destroy(struct rmill_core_pool *pool)
{
    if (pool != NULL) {
        RMILL_ASSERT(pool->core == rmill_core_self() && pool->pool.in_use == 0);
        pool->next = pool->core->free_pools;
        pool->core->free_pools = pool;
    }
}

struct rmill_core_pool *
rmill_core_pool_create(uint64_t object_bytes, uint32_t count)
{
    struct rmill_core *core = rmill_core_self();
    struct rmill_core_pool *pool = pool_reuse(core, object_bytes, count);

    if (pool != NULL) {
        return pool;
    }
    pool = rmill_arena_allocate(&core->arena, sizeof(*pool), RMILL_CACHE_LINE_BYTES);
    if (pool == NULL) {
        return NULL;
    }
    pool->core = core;
    pool->object_bytes = object_bytes;
    if (rmill_pool_init(&pool->pool, &core->arena, object_bytes, RMILL_CACHE_LINE_BYTES, count,
                        NULL) < 0) {
        return NULL;
    }
    return pool;
}

void *
rmill_core_pool_get(struct rmill_core_pool *pool)
{
    RMILL_ASSERT(pool->core == rmill_core_self());
    return rmill_pool_get(&pool->pool);
}

void
rmill_core_pool_put(struct rmill_core_pool *pool, void *object)
{
    RMILL_ASSERT(pool->core == rmill_core_self());
    rmill_pool_put(&pool->pool, object);
}
