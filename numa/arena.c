#include "numa/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/macros.h"
#include "numa/poison.h"

static int
region_map(struct rmill_arena_region *region, uint64_t bytes,
           const struct rmill_arena_options *options, struct rmill_error *error)
{
    const struct rmill_memory_options memory = {
        .bytes = bytes,
        .node = options->node,
        .huge_explicit = options->huge_explicit,
        .huge_transparent = options->huge_transparent,
        .prefault = options->prefault,
        .guard = true,
    };

    region->capacity_bytes = bytes;
    return rmill_memory_map(&region->memory, &memory, error);
}

int
rmill_arena_init(struct rmill_arena *arena, const struct rmill_arena_options *options,
                 struct rmill_error *error)
{
    uint64_t left = options->budget_bytes;

    *arena = (struct rmill_arena){0};
    if (left == 0 || left > RMILL_ARENA_BUDGET_MAX) {
        return rmill_error_set(error, -EINVAL, "an arena has 1 byte to 1024 GiB, not %llu bytes",
                               (unsigned long long)left);
    }
    uint64_t count = (left + RMILL_MEMORY_BYTES_MAX - 1) / RMILL_MEMORY_BYTES_MAX;

    arena->regions = calloc(count, sizeof(arena->regions[0]));
    if (arena->regions == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for a table of %llu regions",
                               (unsigned long long)count);
    }
    arena->budget_bytes = left;
    while (left > 0) {
        uint64_t bytes = rmill_min_u64(left, RMILL_MEMORY_BYTES_MAX);
        int code = region_map(&arena->regions[arena->region_count], bytes, options, error);

        if (code != 0) {
            rmill_error_prefix(error, "region %u of %llu of an arena", arena->region_count + 1,
                               (unsigned long long)count);
            rmill_arena_deinit(arena);
            return code;
        }
        arena->region_count++;
        left -= bytes;
    }
    RMILL_ASSERT(arena->region_count == count);
    return 0;
}

void
rmill_arena_deinit(struct rmill_arena *arena)
{
    for (uint32_t index = 0; index < arena->region_count; index++) {
        rmill_memory_unmap(&arena->regions[index].memory);
    }
    free(arena->regions);
    *arena = (struct rmill_arena){0};
}

void *
rmill_arena_allocate(struct rmill_arena *arena, uint64_t bytes, uint64_t alignment)
{
    RMILL_ASSERT(!arena->frozen);
    RMILL_ASSERT(bytes > 0);
    RMILL_ASSERT(rmill_is_power_of_two(alignment) && alignment <= RMILL_ARENA_ALIGNMENT_MAX);

    for (uint32_t index = 0; index < arena->region_count; index++) {
        struct rmill_arena_region *region = &arena->regions[index];
        uint64_t start =
            rmill_align_up(region->used_bytes, alignment); /* Bases are 2 MiB aligned. */

        if (start > region->capacity_bytes || bytes > region->capacity_bytes - start) {
            continue;
        }
        arena->used_bytes += start + bytes - region->used_bytes;
        arena->peak_bytes = rmill_max_u64(arena->peak_bytes, arena->used_bytes);
        region->used_bytes = start + bytes;
        RMILL_ASSERT(arena->used_bytes <= arena->budget_bytes);
        return (char *)region->memory.base + start;
    }
    arena->refused_count++;
    return NULL;
}

void
rmill_arena_freeze(struct rmill_arena *arena)
{
    arena->frozen = true;
}

void
rmill_arena_rewind(struct rmill_arena *arena)
{
    RMILL_ASSERT(!arena->frozen);
    for (uint32_t index = 0; index < arena->region_count; index++) {
        RMILL_UNPOISON(arena->regions[index].memory.base, arena->regions[index].memory.bytes);
        arena->regions[index].used_bytes = 0;
    }
    arena->used_bytes = 0;
}

uint32_t
rmill_arena_regions(const struct rmill_arena *arena, struct iovec *vectors, uint32_t max)
{
    for (uint32_t index = 0; index < arena->region_count && index < max; index++) {
        const struct rmill_memory *memory = &arena->regions[index].memory;

        vectors[index] = (struct iovec){.iov_base = memory->base, .iov_len = memory->bytes};
    }
    return arena->region_count;
}

uint32_t
rmill_arena_regions_used(const struct rmill_arena *arena, struct iovec *vectors, uint32_t max)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    for (uint32_t index = 0; index < arena->region_count && index < max; index++) {
        const struct rmill_arena_region *region = &arena->regions[index];
        uint64_t bytes = rmill_align_up(region->used_bytes, page);

        vectors[index] = (struct iovec){.iov_base = region->memory.base, .iov_len = bytes};
    }
    return arena->region_count;
}

uint32_t
rmill_arena_region_of(const struct rmill_arena *arena, const void *pointer, uint64_t bytes)
{
    for (uint32_t index = 0; index < arena->region_count; index++) {
        const struct rmill_memory *memory = &arena->regions[index].memory;
        uint64_t offset =
            (uintptr_t)pointer - (uintptr_t)memory->base; /* Below base: wraps, huge. */

        if (offset < memory->bytes && bytes <= memory->bytes - offset) {
            return index;
        }
    }
    return RMILL_ARENA_NO_REGION;
}

void
rmill_arena_statistics_get(const struct rmill_arena *arena,
                           struct rmill_arena_statistics *statistics)
{
    *statistics = (struct rmill_arena_statistics){
        .used_bytes = arena->used_bytes,
        .peak_bytes = arena->peak_bytes,
        .budget_bytes = arena->budget_bytes,
        .refused_count = arena->refused_count,
    };
    for (uint32_t index = 0; index < arena->region_count; index++) {
        const struct rmill_memory *memory = &arena->regions[index].memory;

        switch (memory->kind) {
        case RMILL_PAGES_EXPLICIT_HUGE:
            statistics->huge_bytes += memory->bytes;
            break;
        case RMILL_PAGES_TRANSPARENT:
            statistics->transparent_bytes += memory->bytes;
            break;
        case RMILL_PAGES_SMALL:
            statistics->small_bytes += memory->bytes;
            break;
        }
        statistics->away_bytes += memory->away_bytes;
        if (statistics->bind_code == 0) {
            statistics->bind_code = memory->bind_code;
        }
    }
}
