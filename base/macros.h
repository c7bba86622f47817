/* base/macros.h — the few compiler words every layer uses.
 *
 * Only what standard C lacks and at least two layers need. No control flow hides in a macro
 * here. */
#ifndef RMILL_BASE_MACROS_H
#define RMILL_BASE_MACROS_H

#include <stddef.h>
#include <stdint.h>

#define RMILL_CACHE_LINE_BYTES 64

#define RMILL_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define RMILL_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#define RMILL_COLD           __attribute__((cold, noinline))
#define RMILL_PRINTF(f, a)   __attribute__((format(printf, f, a)))
#define RMILL_CACHE_ALIGNED  __attribute__((aligned(RMILL_CACHE_LINE_BYTES)))
#define RMILL_MUST_CHECK     __attribute__((warn_unused_result))

#define RMILL_ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds `member` at `pointer`. */
#define RMILL_CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define RMILL_KIB(n) ((uint64_t)(n) << 10)
#define RMILL_MIB(n) ((uint64_t)(n) << 20)
#define RMILL_GIB(n) ((uint64_t)(n) << 30)

#define RMILL_NS_PER_US 1000ull
#define RMILL_NS_PER_MS 1000000ull
#define RMILL_NS_PER_S  1000000000ull

/* `value` rounded up to a multiple of `alignment`, a power of two. The sum must not overflow. */
static inline uint64_t
rmill_align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline uint64_t
rmill_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
rmill_max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline int
rmill_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

#endif
