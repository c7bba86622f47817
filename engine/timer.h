/* engine/timer.h — a hierarchical timing wheel: arm, cancel and expire in constant time.
 *
 * Six levels of 64 buckets; one tick is 1,024 ns, so level 0 spans 65 us, level 5 spans 19.5 hours
 * a bucket, and the whole wheel 52 days (what is later waits in the last bucket and is re-sorted).
 * A timer never fires early, and at most one tick plus one turn of the loop late. Source: Varghese
 * and Lauck, "Hashed and hierarchical timing wheels" (SOSP 1987). One core's only; knows no fiber
 * and no clock: the caller says what time it is. */
#ifndef RMILL_ENGINE_TIMER_H
#define RMILL_ENGINE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define RMILL_TIMER_TICK_BITS  10
#define RMILL_TIMER_LEVEL_BITS 6
#define RMILL_TIMER_LEVELS     6
#define RMILL_TIMER_BUCKETS    (1u << RMILL_TIMER_LEVEL_BITS)

/* Intrusive; the caller's memory until it fired or was cancelled. Zeroed = not armed. */
struct rmill_timer {
    struct rmill_timer *next, **link; /* link = the pointer that points here; NULL = not armed. */
    uint64_t expires_ns;
    uint16_t bucket;                  /* level * 64 + index */
    void (*fire)(struct rmill_timer *timer); /* Runs on the core's loop; the timer may be armed
                                              * again in it. */
};

struct rmill_wheel {
    uint64_t tick; /* Everything up to this tick has fired. */
    uint64_t armed_count;
    uint64_t occupied[RMILL_TIMER_LEVELS]; /* A bit per bucket that is not empty. */
    struct rmill_timer *buckets[RMILL_TIMER_LEVELS * RMILL_TIMER_BUCKETS];
};

void rmill_wheel_init(struct rmill_wheel *wheel, uint64_t now_ns);

/* Fire at `expires_ns` or soon after; a time in the past fires at the next advance. Must not be
 * armed. */
void rmill_timer_arm(struct rmill_wheel *wheel, struct rmill_timer *timer, uint64_t expires_ns);

/* Take it out; true when it was armed. */
bool rmill_timer_cancel(struct rmill_wheel *wheel, struct rmill_timer *timer);

/* Fire all that is due at `now_ns`; returns how many. Cost: constant when nothing is due. */
uint32_t rmill_wheel_advance(struct rmill_wheel *wheel, uint64_t now_ns);

/* A time at or before the earliest expiry at which the wheel wants to be advanced; UINT64_MAX when
 * nothing is armed. */
uint64_t rmill_wheel_next_ns(const struct rmill_wheel *wheel);

#endif
