/* engine/mail.c — messages between cores: sending with back-pressure, flushing, collecting, waking.
 * The order of the memory operations S1..M3 is explained in engine/core.h. */
#include "engine/core.h"

#include "perf/record/probes.h"

/* A batch from one bulk lane, so that one sender cannot hold the others up. */
#define BULK_BATCH 64u

#define WORD(index) ((index) / 64u)
#define BIT(index)  (1ull << ((index) % 64u))

/* --- sending --------------------------------------------------------------------------------- */

static RMILL_COLD struct rmill_channel *
channel_open(struct rmill_core *core, uint32_t to)
{
    struct rmill_channel *channel = rmill_channel_create();

    if (channel == NULL) {
        RMILL_PANIC("no memory for a channel between two cores (21 KiB)");
    }
    core->outgoing[to] = channel;
    /* Release: the consumer that finds the pointer finds the channel made. Pairs with the acquire
     * in take_from. */
    atomic_store_explicit(&core->engine->channels[(uint64_t)core->index * core->core_count + to],
                          channel, memory_order_release);
    return channel;
}

static bool
envelope_push(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane,
              const struct rmill_message *message)
{
    struct rmill_channel *channel = core->outgoing[to];

    if (RMILL_UNLIKELY(channel == NULL)) {
        channel = channel_open(core, to);
    }
    return rmill_lane_push(&channel->lanes[lane], message);
}

void
rmill_mail_send(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane,
                struct rmill_envelope *envelope)
{
    RMILL_ASSERT(to < core->core_count && !envelope->queued);
    rmill_counter_add(&core->statistics.messages_sent, 1);
    core->dirty[WORD(to)] |= BIT(to);
    if (RMILL_LIKELY(core->unsent_first[lane][to] == NULL) &&
        RMILL_LIKELY(envelope_push(core, to, lane, &envelope->message))) {
        return;
    }
    envelope->queued = true;
    envelope->next = NULL;
    if (core->unsent_last[lane][to] != NULL) {
        core->unsent_last[lane][to]->next = envelope;
    } else {
        core->unsent_first[lane][to] = envelope;
    }
    core->unsent_last[lane][to] = envelope;
    core->unsent_count++;
}

void
rmill_mail_send_parking(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane,
                        const struct rmill_message *message)
{
    struct rmill_envelope envelope = {.message = *message};

    RMILL_ASSERT(core->running != NULL && !core->in_task); /* Only a fiber can wait for room. */

    rmill_mail_send(core, to, lane, &envelope);
    if (RMILL_UNLIKELY(envelope.queued)) {
        envelope.waiter = core->running;
        rmill_fiber_park(core);
        RMILL_ASSERT(!envelope.queued);
    }
}

/* Push what had to wait, in order. True when none is left. */
static bool
unsent_push(struct rmill_core *core, uint32_t to, enum rmill_lane_index lane)
{
    struct rmill_envelope *envelope = core->unsent_first[lane][to];

    while (envelope != NULL && envelope_push(core, to, lane, &envelope->message)) {
        struct rmill_fiber *waiter = envelope->waiter;

        core->unsent_first[lane][to] = envelope->next;
        if (envelope->next == NULL) {
            core->unsent_last[lane][to] = NULL;
        }
        core->unsent_count--;
        envelope->queued = false; /* The sender's again; with a waiter it lies on that fiber's
                                   * stack. */
        if (waiter != NULL) {
            rmill_fiber_ready(core, waiter);
        }
        envelope = core->unsent_first[lane][to];
    }
    return envelope == NULL;
}

static void
wake_if_asleep(struct rmill_core *core, struct rmill_core *target)
{
    if (atomic_load_explicit(&target->shared.sleeping, memory_order_seq_cst) == 0 || /* M3 */
        atomic_exchange_explicit(&target->shared.sleeping, 0, memory_order_seq_cst) == 0) {
        return;
    }
    rmill_counter_add(&core->statistics.wakes_sent, 1);
    rmill_core_trace(core, RMILL_TRACE_WAKE_SENT, target->index, 0, 0);
    rmill_ring_wake(core->ring, target->ring);
}

static void
channel_flush(struct rmill_core *core, uint32_t to)
{
    struct rmill_channel *channel = core->outgoing[to];
    bool all = unsent_push(core, to, RMILL_LANE_URGENT) & unsent_push(core, to, RMILL_LANE_BULK);
    bool news = rmill_lane_publish(&channel->lanes[RMILL_LANE_URGENT]) |
                rmill_lane_publish(&channel->lanes[RMILL_LANE_BULK]);

    if (all) {
        core->dirty[WORD(to)] &= ~BIT(to);
    }
    if (news) {
        struct rmill_core *target = core->engine->cores[to];

        (void)atomic_fetch_or_explicit(&target->shared.inbox[WORD(core->index)], BIT(core->index),
                                       memory_order_seq_cst); /* M1 */
        wake_if_asleep(core, target);
    }
}

void
rmill_mail_flush(struct rmill_core *core)
{
    for (uint32_t word = 0; word <= WORD(core->core_count - 1); word++) {
        uint64_t bits = core->dirty[word];

        while (bits != 0) {
            uint32_t to = word * 64u + (uint32_t)__builtin_ctzll(bits);

            bits &= bits - 1;
            channel_flush(core, to);
        }
    }
}

/* --- receiving ------------------------------------------------------------------------------- */

void
rmill_mail_collect(struct rmill_core *core)
{
    for (uint32_t word = 0; word <= WORD(core->core_count - 1); word++) {
        if (atomic_load_explicit(&core->shared.inbox[word], memory_order_relaxed) == 0) {
            continue;
        }
        /* Cleared before the tails are read: a sender that publishes later sets the bit again. */
        uint64_t bits =
            atomic_exchange_explicit(&core->shared.inbox[word], 0, memory_order_seq_cst);

        for (uint32_t lane = 0; lane < RMILL_LANE_COUNT; lane++) {
            core->pending[lane][word] |= bits;
        }
    }
    if (core->fiber_freed) {
        core->fiber_freed = false;
        for (uint32_t word = 0; word <= WORD(core->core_count - 1); word++) {
            core->refused[RMILL_LANE_URGENT][word] = 0;
            core->refused[RMILL_LANE_BULK][word] = 0;
        }
    }
}

static uint32_t
take_from(struct rmill_core *core, enum rmill_lane_index lane, uint32_t from)
{
    /* Acquire pairs with the release in channel_open. */
    struct rmill_channel *channel = atomic_load_explicit(
        &core->engine->channels[(uint64_t)from * core->core_count + core->index],
        memory_order_acquire);
    bool left = false, refused = false;
    uint32_t most = lane == RMILL_LANE_URGENT ? RMILL_LANE_URGENT_SLOTS : BULK_BATCH;
    uint32_t taken = rmill_lane_take(&channel->lanes[lane], core, most, &left, &refused);

    if (!left) {
        core->pending[lane][WORD(from)] &= ~BIT(from);
    }
    if (refused) {
        core->refused[lane][WORD(from)] |= BIT(from);
    }
    return taken;
}

void
rmill_mail_take(struct rmill_core *core, enum rmill_lane_index lane)
{
    uint32_t taken = 0;

    for (uint32_t word = 0; word <= WORD(core->core_count - 1); word++) {
        uint64_t bits = core->pending[lane][word] & ~core->refused[lane][word];

        while (bits != 0) {
            uint32_t from = word * 64u + (uint32_t)__builtin_ctzll(bits);

            bits &= bits - 1;
            taken += take_from(core, lane, from);
        }
    }
    if (taken > 0) {
        core->idle = false;
        rmill_counter_add(&core->statistics.messages_received, taken);
    }
}

bool
rmill_mail_waiting(const struct rmill_core *core)
{
    if (atomic_load_explicit(&core->shared.foreign, memory_order_seq_cst) != NULL) { /* S3 */
        return true;
    }
    for (uint32_t word = 0; word <= WORD(core->core_count - 1); word++) {
        if (atomic_load_explicit(&core->shared.inbox[word], memory_order_seq_cst) != 0) { /* S3 */
            return true;
        }
    }
    return false;
}

/* --- foreign threads ------------------------------------------------------------------------- */

void
rmill_mail_post_foreign(struct rmill_core *core, struct rmill_foreign *post)
{
    struct rmill_foreign *first = atomic_load_explicit(&core->shared.foreign, memory_order_relaxed);

    do {
        post->next = first;
    } while (!atomic_compare_exchange_weak_explicit(
        &core->shared.foreign, &first, post, memory_order_seq_cst, /* M1; releases the post */
        memory_order_relaxed));
    /* From here on `post` may be gone. */
    if (atomic_load_explicit(&core->shared.sleeping, memory_order_seq_cst) != 0 && /* M3 */
        atomic_exchange_explicit(&core->shared.sleeping, 0, memory_order_seq_cst) != 0) {
        rmill_ring_wake_foreign(core->ring);
    }
}

void
rmill_mail_take_foreign(struct rmill_core *core)
{
    if (atomic_load_explicit(&core->shared.foreign, memory_order_relaxed) == NULL) {
        return;
    }
    struct rmill_foreign *post =
        atomic_exchange_explicit(&core->shared.foreign, NULL, memory_order_acquire);
    struct rmill_foreign *first = NULL;

    while (post != NULL) { /* The list is last-in first-out; posts run in the order they came. */
        struct rmill_foreign *next = post->next;

        post->next = first;
        first = post;
        post = next;
    }
    while (first != NULL) {
        struct rmill_foreign *next = first->next;

        first->run(core, first);
        first = next;
    }
    core->idle = false;
}
