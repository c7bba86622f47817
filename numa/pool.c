#include "numa/pool.h"

#include <errno.h>

int
rmill_pool_init(struct rmill_pool *pool, struct rmill_arena *arena, uint64_t object_bytes,
                uint64_t alignment, uint32_t count, struct rmill_error *error)
{
    if (object_bytes == 0 || count == 0 || !rmill_is_power_of_two(alignment) ||
        alignment > RMILL_ARENA_ALIGNMENT_MAX) {
        return rmill_error_set(error, -EINVAL, "a pool of %u objects of %llu bytes aligned to %llu",
                               count, (unsigned long long)object_bytes,
                               (unsigned long long)alignment);
    }
    if (object_bytes > RMILL_MEMORY_BYTES_MAX) {
        return rmill_error_set(error, -ENOMEM, "an object of %llu bytes is larger than 1 GiB",
                               (unsigned long long)object_bytes);
    }
    alignment = rmill_max_u64(alignment, _Alignof(struct rmill_pool_free));
    uint64_t bytes = rmill_max_u64(object_bytes, sizeof(struct rmill_pool_free));
    uint64_t stride = rmill_align_up(bytes, alignment);
    char *base = rmill_arena_allocate(arena, stride * count, alignment);

    if (base == NULL) {
        return rmill_error_set(
            error, -ENOMEM,
            "%u objects of %llu bytes do not fit: %llu of the arena's %llu KiB are "
            "used, and a pool lies in one region of 1 GiB",
            count, (unsigned long long)stride, (unsigned long long)(arena->used_bytes >> 10),
            (unsigned long long)(arena->budget_bytes >> 10));
    }
    RMILL_POISON(base, stride * count);
    *pool = (struct rmill_pool){
        .base = base,
        .count = count,
        .stride_bytes = (uint32_t)stride,
        .stride_inverse = UINT64_MAX / stride + 1,
    };
    return 0;
}

/* The mark alone proves nothing, a user may have left these bytes; so it only starts the search. */
RMILL_NO_SANITIZE_ADDRESS void
rmill_pool_check_not_free(const struct rmill_pool *pool, const void *object)
{
    const struct rmill_pool_free *freed = object;

    if (freed->mark != ((uintptr_t)pool ^ (uintptr_t)freed)) {
        return;
    }
    for (const struct rmill_pool_free *at = pool->free; at != NULL; at = at->next) {
        RMILL_ASSERT(at != freed); /* Put twice. */
    }
}
