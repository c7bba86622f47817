/* Channels: 64-byte messages between two pinned threads, published one by one and in batches, and
 * messages between two cores with all the engine does about them. The floor of the lane is one hop
 * of a cache line; the floor of the engine's messages is the bare lane in the same run. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "engine/channel.h"
#include "engine/ringmill.h"

static double
line_hop(const struct bench_case *self, uint64_t count)
{
    (void)self;
    return bench_line_round_trip(count) / 2;
}

struct transfer {
    struct rmill_lane *lane;
    uint64_t count, taken, sum;
};

static bool
take_one(struct rmill_core *core, const struct rmill_message *message)
{
    struct transfer *transfer = (struct transfer *)(void *)core;

    transfer->taken++;
    transfer->sum += message->words[6];
    return true;
}

static void *
lane_peer(void *argument)
{
    struct transfer *transfer = argument;

    while (transfer->taken < transfer->count) {
        bool left = false, refused = false;

        if (rmill_lane_take(transfer->lane, (struct rmill_core *)(void *)transfer, 256, &left,
                            &refused) == 0) {
            bench_relax();
        }
    }
    return NULL;
}

static double
lane(const struct bench_case *self, uint64_t count)
{
    struct rmill_channel *channel = rmill_channel_create();
    struct transfer transfer = {.lane = &channel->lanes[RMILL_LANE_BULK], .count = count};
    struct bench_peer peer;
    uint64_t batch = self->parameter;

    bench_peer_start(&peer, lane_peer, &transfer);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i++) {
        struct rmill_message message = {.handle = take_one, .words = {i, 0, 0, 0, 0, 0, i}};

        while (!rmill_lane_push(transfer.lane, &message)) {
            (void)rmill_lane_publish(transfer.lane);
            bench_relax();
        }
        if ((i + 1) % batch == 0) {
            (void)rmill_lane_publish(transfer.lane);
        }
    }
    (void)rmill_lane_publish(transfer.lane);
    bench_peer_join(&peer);
    double each = bench_each(begin_ns, count);

    bench_keep(transfer.sum);
    rmill_channel_destroy(channel);
    return each;
}

struct posts {
    uint64_t count, arrived; /* `arrived` is the receiving core's. */
    double each;
};

static void
arrive(void *argument)
{
    struct posts *posts = argument;

    posts->arrived++;
}

static void
arrive_latch(void *argument)
{
    rmill_latch_done(argument);
}

static int64_t
nothing(void *argument)
{
    (void)argument;
    return 0;
}

static int
post_main(void *argument)
{
    struct posts *posts = argument;
    uint32_t to = rmill_core_count() - 1;
    struct rmill_latch latch = {.count = 1};

    (void)rmill_call(to, nothing, NULL); /* Both awake, the channels made. */
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < posts->count; i++) {
        rmill_post(to, arrive, posts);
    }
    if (to == 0) {
        rmill_post(to, arrive_latch, &latch); /* Behind the last of them. */
        rmill_latch_wait(&latch);
    } else {
        (void)rmill_call(to, nothing, NULL);
    }
    posts->each = bench_each(begin_ns, posts->count);
    return 0;
}

static double
post(const struct bench_case *self, uint64_t count)
{
    struct posts posts = {.count = count};

    bench_on_engine(self->parameter == 1 ? "1" : "2", 0, post_main, &posts);
    return posts.each;
}

#define LANE(label, every)                                                                         \
    {                                                                                              \
        .name = label, .run = lane, .count = 2000000, .floor = "line hop, one way",                \
        .parameter = every                                                                         \
    }

static const struct bench_case cases[] = {
    {.name = "line hop, one way", .run = line_hop, .count = 300000},
    LANE("lane, published every 1", 1),
    LANE("lane, published every 8", 8),
    LANE("lane, published every 32", 32),
    LANE("lane, published every 64", 64),
    {.name = "post to the other core, handled",
     .run = post,
     .count = 2000000,
     .floor = "lane, published every 64",
     .parameter = 2},
    {.name = "post to the own core, handled", .run = post, .count = 2000000, .parameter = 1},
};

BENCH_MAIN("channel", cases)
