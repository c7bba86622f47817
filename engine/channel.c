#include "engine/channel.h"

#include <stdlib.h>
#include <string.h>

static bool
lane_init(struct rmill_lane *lane, uint32_t slot_count)
{
    uint64_t bytes = (uint64_t)slot_count * sizeof(struct rmill_message);

    lane->slots = aligned_alloc(RMILL_CACHE_LINE_BYTES, bytes);
    if (lane->slots == NULL) {
        return false;
    }
    memset(lane->slots, 0, bytes);
    lane->mask = slot_count - 1;
    return true;
}

struct rmill_channel *
rmill_channel_create(void)
{
    struct rmill_channel *channel = aligned_alloc(RMILL_CACHE_LINE_BYTES, sizeof(*channel));

    if (channel == NULL) {
        return NULL;
    }
    memset(channel, 0, sizeof(*channel));
    if (!lane_init(&channel->lanes[RMILL_LANE_URGENT], RMILL_LANE_URGENT_SLOTS) ||
        !lane_init(&channel->lanes[RMILL_LANE_BULK], RMILL_LANE_BULK_SLOTS)) {
        rmill_channel_destroy(channel);
        return NULL;
    }
    return channel;
}

void
rmill_channel_destroy(struct rmill_channel *channel)
{
    if (channel != NULL) {
        free(channel->lanes[RMILL_LANE_URGENT].slots);
        free(channel->lanes[RMILL_LANE_BULK].slots);
        free(channel);
    }
}

uint32_t
rmill_lane_take(struct rmill_lane *lane, struct rmill_core *core, uint32_t most, bool *left,
                bool *refused)
{
    uint32_t head = atomic_load_explicit(&lane->head, memory_order_relaxed); /* our own word */
    uint32_t tail = atomic_load_explicit(&lane->tail, memory_order_acquire); /* C1 pairs with P2 */
    uint32_t first = head;

    RMILL_ASSERT(tail - head <= lane->mask + 1);
    while (head != tail && head - first < most) {
        const struct rmill_message *message = &lane->slots[head & lane->mask];

        if (!message->handle(core, message)) {
            *refused = true;
            break;
        }
        head++;
    }
    if (head != first) {
        atomic_store_explicit(&lane->head, head, memory_order_release); /* C2 pairs with P1 */
    }
    *left = head != tail;
    return head - first;
}
