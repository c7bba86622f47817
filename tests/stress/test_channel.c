/* Goal: a channel between two real threads keeps order and content, and the memory order it names
 * is enough. Method: one thread pushes numbered messages in seeded batches, the other takes them in
 * seeded batches and now and then refuses; every word of every message is checked. Also under
 * ThreadSanitizer (make stress). */
#include "tests/common.h"

#include <pthread.h>
#include <sched.h>

#include "base/prng.h"
#include "engine/channel.h"

#if defined(__SANITIZE_THREAD__)
#define MESSAGES 300000u
#else
#define MESSAGES 2000000u
#endif

struct run {
    struct rmill_lane *lane;
    uint64_t seed, messages;
    uint64_t taken, wrong, refused;
    struct rmill_prng consumer;
};

static uint64_t
word_of(uint64_t number, uint32_t word)
{
    return (number + word) * 0x9E3779B97F4A7C15ull ^ word;
}

static bool
check(struct rmill_core *core, const struct rmill_message *message)
{
    struct run *run = (struct run *)(void *)core;

    if (rmill_prng_chance(&run->consumer, 1, 256)) {
        run->refused++;
        return false;
    }
    for (uint32_t word = 0; word < 7; word++) {
        run->wrong += message->words[word] != word_of(run->taken, word);
    }
    run->taken++;
    return true;
}

static void *
produce(void *argument)
{
    struct run *run = argument;
    struct rmill_prng prng = rmill_prng_seeded(run->seed);
    uint64_t number = 0;

    while (number < run->messages) {
        uint64_t batch = rmill_prng_below(&prng, 80) + 1;
        bool full = false;

        while (batch-- > 0 && number < run->messages && !full) {
            struct rmill_message message = {.handle = check};

            for (uint32_t word = 0; word < 7; word++) {
                message.words[word] = word_of(number, word);
            }
            full = !rmill_lane_push(run->lane, &message);
            number += !full;
        }
        (void)rmill_lane_publish(run->lane);
        if (full) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void
run_one(enum rmill_lane_index index, uint32_t start, uint64_t messages)
{
    struct rmill_channel *channel = rmill_channel_create();
    struct run run = {
        .lane = &channel->lanes[index], .seed = seed_get() + index, .messages = messages};
    pthread_t producer;

    run.consumer = rmill_prng_seeded(run.seed + 1);
    run.lane->tail_private = run.lane->head_seen = start;
    atomic_store(&run.lane->tail, start);
    atomic_store(&run.lane->head, start);
    assert_int_equal(pthread_create(&producer, NULL, produce, &run), 0);
    while (run.taken < messages) {
        bool left = false, refused = false;
        uint32_t most = (uint32_t)rmill_prng_below(&run.consumer, 100) + 1;

        if (rmill_lane_take(run.lane, (struct rmill_core *)(void *)&run, most, &left, &refused) ==
                0 &&
            !left) {
            (void)sched_yield();
        }
    }
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(run.wrong, 0);
    assert_true(run.refused > messages / 1024);
    assert_int_equal(atomic_load(&run.lane->head), start + (uint32_t)messages);
    rmill_channel_destroy(channel);
}

static void
millions_of_messages_arrive_in_order_and_whole(void **state)
{
    (void)state;
    run_one(RMILL_LANE_BULK, 0, scale_get(MESSAGES));
    run_one(RMILL_LANE_URGENT, 0, scale_get(MESSAGES / 2));
}

static void
counters_wrap_around_between_threads(void **state)
{
    (void)state;
    run_one(RMILL_LANE_BULK, UINT32_MAX - MESSAGES / 8, MESSAGES / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(millions_of_messages_arrive_in_order_and_whole),
        cmocka_unit_test(counters_wrap_around_between_threads),
    };

    return cmocka_run_group_tests_name("channel stress", tests, NULL, NULL);
}
