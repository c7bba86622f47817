#include "numa/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "numa/poison.h"

/* Pages asked of mincore at once. */
#define RESIDENT_BATCH 256

static uint64_t
page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static int
tables_create(struct rmill_stacks *stacks)
{
    stacks->free = calloc(stacks->count, sizeof(stacks->free[0]));
    stacks->taken = calloc((stacks->count + 63) / 64, sizeof(stacks->taken[0]));
    return stacks->free != NULL && stacks->taken != NULL ? 0 : -ENOMEM;
}

int
rmill_stacks_init(struct rmill_stacks *stacks, uint64_t stack_bytes, uint32_t count,
                  struct rmill_error *error)
{
    *stacks = (struct rmill_stacks){0};
    if (stack_bytes == 0 || stack_bytes > RMILL_STACK_BYTES_MAX || count == 0 ||
        count > RMILL_STACK_COUNT_MAX) {
        return rmill_error_set(error, -EINVAL, "%u stacks of %llu bytes are out of range", count,
                               (unsigned long long)stack_bytes);
    }
    stacks->count = count;
    stacks->stack_bytes = rmill_align_up(stack_bytes, page_bytes());
    stacks->slot_bytes = stacks->stack_bytes + page_bytes();
    if (tables_create(stacks) != 0) {
        rmill_stacks_deinit(stacks);
        return rmill_error_set(error, -ENOMEM, "no memory for the tables of %u stacks", count);
    }
    uint64_t total = stacks->slot_bytes * count;
    void *base = mmap(NULL, total, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (base == MAP_FAILED) {
        int code = -errno;

        rmill_stacks_deinit(stacks);
        return rmill_error_set(error, code,
                               "cannot reserve %llu MiB of addresses for %u fiber stacks: %s; see "
                               "ulimit -v, or allow fewer fibers",
                               (unsigned long long)(total >> 20), count, rmill_errno_text(code));
    }
    stacks->base = base;
    (void)madvise(base, total,
                  MADV_NOHUGEPAGE); /* A fiber uses a few KiB; EINVAL: none to refuse. */
    (void)madvise(base, total, MADV_DONTFORK);
    return 0;
}

void
rmill_stacks_deinit(struct rmill_stacks *stacks)
{
    if (stacks->base != NULL) {
        uint64_t total = stacks->slot_bytes * stacks->count;

        RMILL_UNPOISON(stacks->base, total); /* The addresses will be somebody else's. */
        int code = munmap(stacks->base, total);

        RMILL_ASSERT(code == 0);
    }
    free(stacks->free);
    free(stacks->taken);
    *stacks = (struct rmill_stacks){0};
}

static char *
stack_base(const struct rmill_stacks *stacks, uint32_t index)
{
    return stacks->base + index * stacks->slot_bytes + (stacks->slot_bytes - stacks->stack_bytes);
}

/* Asserts that `base` is the base of an opened stack. */
static uint32_t
stack_index(const struct rmill_stacks *stacks, const void *base)
{
    uint64_t offset = (uintptr_t)base - (uintptr_t)stack_base(stacks, 0); /* Below: wraps, huge. */
    uint64_t index = offset / stacks->slot_bytes;

    RMILL_ASSERT(index < stacks->opened);
    RMILL_ASSERT(offset % stacks->slot_bytes == 0);
    return (uint32_t)index;
}

int
rmill_stacks_get(struct rmill_stacks *stacks, void **base, uint64_t *bytes)
{
    uint32_t index;

    if (stacks->free_count > 0) {
        index = stacks->free[--stacks->free_count];
    } else if (stacks->opened < stacks->count) {
        index = stacks->opened;
        if (mprotect(stack_base(stacks, index), stacks->stack_bytes, PROT_READ | PROT_WRITE) != 0) {
            return -ENOMEM; /* Its only cause here: no mapping or no commitment left. */
        }
        stacks->opened++;
    } else {
        return -EAGAIN;
    }
    uint64_t bit = 1ull << (index % 64);

    RMILL_ASSERT((stacks->taken[index / 64] & bit) == 0);
    stacks->taken[index / 64] |= bit;
    stacks->in_use++;
    if (stacks->in_use > stacks->in_use_max) {
        stacks->in_use_max = stacks->in_use;
    }
    *base = stack_base(stacks, index);
    *bytes = stacks->stack_bytes;
    return 0;
}

void
rmill_stacks_put(struct rmill_stacks *stacks, void *base)
{
    uint32_t index = stack_index(stacks, base);
    uint64_t bit = 1ull << (index % 64);

    RMILL_ASSERT((stacks->taken[index / 64] & bit) != 0); /* Else it is put twice. */
    stacks->taken[index / 64] &= ~bit;
    stacks->free[stacks->free_count++] = index;
    stacks->in_use--;
    RMILL_ASSERT(stacks->in_use + stacks->free_count == stacks->opened);
    RMILL_UNPOISON(base,
                   stacks->stack_bytes); /* Frames that never returned left their red zones. */
}

int
rmill_stacks_touched(const struct rmill_stacks *stacks, const void *base, uint64_t *bytes)
{
    char *lowest = stack_base(stacks, stack_index(stacks, base));
    const uint64_t page = page_bytes();

    for (uint64_t offset = 0; offset < stacks->stack_bytes;) {
        unsigned char resident[RESIDENT_BATCH];
        uint64_t span = rmill_min_u64(stacks->stack_bytes - offset, RESIDENT_BATCH * page);

        if (mincore(lowest + offset, span, resident) != 0) {
            return -errno;
        }
        for (uint64_t i = 0; i < span / page; i++) {
            if ((resident[i] & 1) != 0) {
                *bytes = stacks->stack_bytes - offset - i * page;
                return 0;
            }
        }
        offset += span;
    }
    *bytes = 0;
    return 0;
}
