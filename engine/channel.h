/* engine/channel.h — bounded message ring from one core to one other core.
 *
 * One channel per ordered pair of cores, so no channel has two writers. Two lanes: urgent (replies,
 * control) and bulk (work). A message is a 64-byte value: after it was handled the two cores share
 * nothing but what its words point at.
 *
 *     producer core                                    consumer core
 *     writes slots, then tail ──── P2 release ────▶ C1  reads tail, then slots
 *     reads head, reuses slots P1 ◀── C2 release ─────  writes head
 *
 * Invariants (head and tail are free-running 32-bit counters; wrap-around is defined):
 *   I1  tail - head <= capacity
 *   I2  only the producer writes tail, and the slots [tail, head + capacity)
 *   I3  only the consumer writes head
 * Nothing here blocks, allocates or wakes anybody: a full lane is back-pressure.
 * Memory: (64 + 256) x 64 bytes + 448 = 21 KiB a channel, made on first use: 2 cores 84 KiB with
 * the channels to themselves, 64 cores at most 84 MiB, 128 cores 336 MiB, when every core has
 * spoken to every other. Cost: push = one line written; publish = one release store per batch; take
 * = one acquire load per batch. */
#ifndef RMILL_ENGINE_CHANNEL_H
#define RMILL_ENGINE_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/macros.h"

struct rmill_core;

/* Runs on the consumer's loop, outside any fiber; must not park. `message` is valid for the call.
 * False: not taken now (no free fiber): it stays first in its lane and is offered again later;
 * nothing must have happened. */
struct rmill_message {
    bool (*handle)(struct rmill_core *core, const struct rmill_message *message);
    uint64_t words[7];
};
_Static_assert(sizeof(struct rmill_message) == RMILL_CACHE_LINE_BYTES, "a message is one line");

enum rmill_lane_index { RMILL_LANE_URGENT, RMILL_LANE_BULK, RMILL_LANE_COUNT };

#define RMILL_LANE_URGENT_SLOTS 64u
#define RMILL_LANE_BULK_SLOTS   256u

/* Shared. Words of the producer and of the consumer lie on lines of their own. */
struct rmill_lane {
    RMILL_CACHE_ALIGNED _Atomic uint32_t tail; /* Writer: producer. Reader: consumer. */
    uint32_t tail_private;                     /* Producer only: pushed, perhaps not yet
                                                * published. */
    uint32_t head_seen;                        /* Producer only: head at its last look. */
    RMILL_CACHE_ALIGNED _Atomic uint32_t head; /* Writer: consumer. Reader: producer. */
    RMILL_CACHE_ALIGNED struct rmill_message *slots; /* Set-up, then read-only. */
    uint32_t mask;
};
_Static_assert(offsetof(struct rmill_lane, head) - offsetof(struct rmill_lane, tail) >=
                   RMILL_CACHE_LINE_BYTES, "producer and consumer on different lines");

struct rmill_channel {
    struct rmill_lane lanes[RMILL_LANE_COUNT];
};

/* A channel, empty; NULL: out of memory. Owner: the caller. Thread: any. */
struct rmill_channel *rmill_channel_create(void);
void rmill_channel_destroy(struct rmill_channel *channel); /* NULL is allowed. */

/* Copy `message` in; false when the lane is full, nothing changed. Not seen by the consumer before
 * publish. Thread: the producer core. */
static inline bool
rmill_lane_push(struct rmill_lane *lane, const struct rmill_message *message)
{
    uint32_t tail = lane->tail_private;

    if (RMILL_UNLIKELY(tail - lane->head_seen > lane->mask)) {
        /* P1 pairs with C2 */
        lane->head_seen = atomic_load_explicit(&lane->head, memory_order_acquire);
        RMILL_ASSERT(tail - lane->head_seen <= lane->mask + 1);
        if (tail - lane->head_seen > lane->mask) {
            return false;
        }
    }
    lane->slots[tail & lane->mask] = *message;
    lane->tail_private = tail + 1;
    return true;
}

/* Show the consumer what was pushed. True when there was something new. Thread: the producer
 * core. */
static inline bool
rmill_lane_publish(struct rmill_lane *lane)
{
    if (atomic_load_explicit(&lane->tail, memory_order_relaxed) == lane->tail_private) {
        return false;
    }
    /* P2 pairs with C1 */
    atomic_store_explicit(&lane->tail, lane->tail_private, memory_order_release);
    return true;
}

/* Handle at most `most` messages. Returns how many were handled; *left tells that some remain,
 * *refused that the first of them was not taken. Thread: the consumer core. */
uint32_t rmill_lane_take(struct rmill_lane *lane, struct rmill_core *core, uint32_t most,
                         bool *left, bool *refused);

#endif
