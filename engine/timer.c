#include "engine/timer.h"

#include <string.h>

#include "base/assert.h"

#define LEVEL_SHIFT(level) ((level)*RMILL_TIMER_LEVEL_BITS)
#define INDEX_MASK         (RMILL_TIMER_BUCKETS - 1)

void
rmill_wheel_init(struct rmill_wheel *wheel, uint64_t now_ns)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->tick = now_ns >> RMILL_TIMER_TICK_BITS;
}

/* The first tick at which `timer` may fire: its expiry rounded up, so that it is never early. */
static uint64_t
tick_of(const struct rmill_timer *timer)
{
    uint64_t up = (1ull << RMILL_TIMER_TICK_BITS) - 1;

    if (timer->expires_ns > UINT64_MAX - up) {
        return UINT64_MAX >> RMILL_TIMER_TICK_BITS;
    }
    return (timer->expires_ns + up) >> RMILL_TIMER_TICK_BITS;
}

/* A timer lies in the lowest level at which its tick and the wheel's differ only in that level's
 * digit and below; so when the wheel's digit of level L reaches the bucket, all its timers belong
 * to lower levels. */
static void
bucket_insert(struct rmill_wheel *wheel, struct rmill_timer *timer)
{
    uint64_t tick = tick_of(timer);
    uint32_t level = 0;

    if (tick <= wheel->tick) {
        tick = wheel->tick + 1;
    }
    uint64_t differs = tick ^ wheel->tick;

    level = (63 - (uint32_t)__builtin_clzll(differs)) / RMILL_TIMER_LEVEL_BITS;
    if (level >= RMILL_TIMER_LEVELS) { /* Beyond this round of the wheel: sorted again where the
                                        * next begins. */
        level = RMILL_TIMER_LEVELS - 1;
        tick = ((wheel->tick >> LEVEL_SHIFT(RMILL_TIMER_LEVELS)) + 1)
               << LEVEL_SHIFT(RMILL_TIMER_LEVELS);
    }
    uint32_t index = (uint32_t)(tick >> LEVEL_SHIFT(level)) & INDEX_MASK;
    struct rmill_timer **head = &wheel->buckets[level * RMILL_TIMER_BUCKETS + index];

    timer->bucket = (uint16_t)(level * RMILL_TIMER_BUCKETS + index);
    timer->next = *head;
    timer->link = head;
    if (timer->next != NULL) {
        timer->next->link = &timer->next;
    }
    *head = timer;
    wheel->occupied[level] |= 1ull << index;
}

void
rmill_timer_arm(struct rmill_wheel *wheel, struct rmill_timer *timer, uint64_t expires_ns)
{
    RMILL_ASSERT(timer->link == NULL);
    timer->expires_ns = expires_ns;
    bucket_insert(wheel, timer);
    wheel->armed_count++;
}

bool
rmill_timer_cancel(struct rmill_wheel *wheel, struct rmill_timer *timer)
{
    if (timer->link == NULL) {
        return false;
    }
    *timer->link = timer->next;
    if (timer->next != NULL) {
        timer->next->link = timer->link;
    }
    if (wheel->buckets[timer->bucket] == NULL) {
        wheel->occupied[timer->bucket / RMILL_TIMER_BUCKETS] &=
            ~(1ull << (timer->bucket % RMILL_TIMER_BUCKETS));
    }
    timer->link = NULL;
    wheel->armed_count--;
    return true;
}

/* Next tick at which a bucket of `level` comes up, strictly after the wheel's; UINT64_MAX when the
 * level is empty. */
static uint64_t
level_next_tick(const struct rmill_wheel *wheel, uint32_t level)
{
    uint64_t bits = wheel->occupied[level];

    if (bits == 0) {
        return UINT64_MAX;
    }
    uint64_t position = wheel->tick >> LEVEL_SHIFT(level);
    uint32_t current = (uint32_t)position & INDEX_MASK;
    /* Rotate so that the bucket after the current one is bit 0; the current one itself is a whole
     * round away. */
    uint32_t turn = (current + 1) & INDEX_MASK;
    uint64_t rotated = turn == 0 ? bits : (bits >> turn) | (bits << (RMILL_TIMER_BUCKETS - turn));
    uint64_t away = (uint64_t)__builtin_ctzll(rotated) + 1;

    return (position + away) << LEVEL_SHIFT(level);
}

static uint64_t
next_tick(const struct rmill_wheel *wheel)
{
    uint64_t earliest = UINT64_MAX;

    for (uint32_t level = 0; level < RMILL_TIMER_LEVELS; level++) {
        earliest = rmill_min_u64(earliest, level_next_tick(wheel, level));
    }
    return earliest;
}

uint64_t
rmill_wheel_next_ns(const struct rmill_wheel *wheel)
{
    if (wheel->armed_count == 0) {
        return UINT64_MAX;
    }
    uint64_t tick = next_tick(wheel);

    return tick >> (64 - RMILL_TIMER_TICK_BITS) != 0 ? UINT64_MAX : tick << RMILL_TIMER_TICK_BITS;
}

/* Empty one bucket: what is due fires, the rest moves to a lower level. */
static uint32_t
bucket_open(struct rmill_wheel *wheel, uint32_t level, uint32_t index)
{
    struct rmill_timer *timer = wheel->buckets[level * RMILL_TIMER_BUCKETS + index];
    struct rmill_timer *due = NULL;
    uint32_t fired = 0;

    wheel->buckets[level * RMILL_TIMER_BUCKETS + index] = NULL;
    wheel->occupied[level] &= ~(1ull << index);
    while (timer != NULL) { /* Sort out first: a firing timer may arm others or cancel its
                             * neighbours. */
        struct rmill_timer *next = timer->next;

        if (tick_of(timer) <= wheel->tick) {
            timer->next = due;
            timer->link = &due;
            if (due != NULL) {
                due->link = &timer->next;
            }
            due = timer;
        } else {
            bucket_insert(wheel, timer);
        }
        timer = next;
    }
    while (due != NULL) {
        struct rmill_timer *first = due;

        due = first->next;
        if (due != NULL) {
            due->link = &due;
        }
        first->link = NULL;
        wheel->armed_count--;
        fired++;
        first->fire(first);
    }
    return fired;
}

uint32_t
rmill_wheel_advance(struct rmill_wheel *wheel, uint64_t now_ns)
{
    uint64_t target = now_ns >> RMILL_TIMER_TICK_BITS;
    uint32_t fired = 0;

    while (wheel->tick < target) {
        uint64_t tick = wheel->armed_count == 0 ? UINT64_MAX : next_tick(wheel);

        if (tick > target) {
            wheel->tick = target;
            break;
        }
        wheel->tick = tick;
        for (uint32_t level = RMILL_TIMER_LEVELS; level-- > 0;) {
            uint32_t index = (uint32_t)(tick >> LEVEL_SHIFT(level)) & INDEX_MASK;
            bool whole = level == 0 || (tick & ((1ull << LEVEL_SHIFT(level)) - 1)) == 0;

            if (whole && (wheel->occupied[level] >> index & 1) != 0) {
                fired += bucket_open(wheel, level, index);
            }
        }
    }
    return fired;
}
