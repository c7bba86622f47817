/* engine/memory.c — a core's arena and pools as workloads see them. */
#include "engine/core.h"

#include "numa/pool.h"

struct rmill_core_pool {
    struct rmill_pool pool;
    struct rmill_core *core;
};

void *
rmill_arena_get(uint64_t bytes, uint64_t alignment)
{
    return rmill_arena_allocate(&rmill_core_self()->arena, bytes, alignment);
}

struct rmill_core_pool *
rmill_core_pool_create(uint64_t object_bytes, uint32_t count)
{
    struct rmill_core *core = rmill_core_self();
    struct rmill_core_pool *pool =
        rmill_arena_allocate(&core->arena, sizeof(*pool), RMILL_CACHE_LINE_BYTES);

    if (pool == NULL) {
        return NULL;
    }
    pool->core = core;
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
