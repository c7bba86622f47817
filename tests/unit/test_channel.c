/* Goal: one lane of a channel keeps I1-I3 of engine/channel.h.
 * Method: both ends driven from one thread; the receiver is a log that notes what it was handed. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "engine/channel.h"

#define LOG_MAX 1024

/* Stands where the consumer's core would: handlers only pass the pointer on. */
struct log {
    uint64_t words[LOG_MAX][7];
    uint32_t count;
    uint32_t refuse_at; /* The message of this count is refused; UINT32_MAX: none. */
};

static bool
note(struct rmill_core *core, const struct rmill_message *message)
{
    struct log *log = (struct log *)(void *)core;

    if (log->count == log->refuse_at) {
        return false;
    }
    assert_true(log->count < LOG_MAX);
    memcpy(log->words[log->count++], message->words, sizeof(message->words));
    return true;
}

static struct rmill_message
numbered(uint64_t number)
{
    return (struct rmill_message){.handle = note,
                                  .words = {number, ~number, number * 3, 0, 0, 0, number + 7}};
}

static bool
push(struct rmill_lane *lane, uint64_t number)
{
    struct rmill_message message = numbered(number);

    return rmill_lane_push(lane, &message);
}

static uint32_t
take(struct rmill_lane *lane, struct log *log, uint32_t most, bool *left, bool *refused)
{
    *left = *refused = false;
    return rmill_lane_take(lane, (struct rmill_core *)(void *)log, most, left, refused);
}

static void
check_log(const struct log *log, uint64_t first, uint32_t count)
{
    assert_int_equal(log->count, count);
    for (uint32_t i = 0; i < count; i++) {
        struct rmill_message expected = numbered(first + i);

        assert_memory_equal(log->words[i], expected.words, sizeof(expected.words));
    }
}

/* A channel whose counters start at `start`, as they are after that many messages. */
struct fixture {
    struct rmill_channel *channel;
    struct rmill_lane *lane;
    struct log *log;
};

static struct fixture
open_at(uint32_t start)
{
    struct fixture f = {.channel = rmill_channel_create(), .log = calloc(1, sizeof(*f.log))};

    assert_non_null(f.channel);
    assert_non_null(f.log);
    f.log->refuse_at = UINT32_MAX;
    f.lane = &f.channel->lanes[RMILL_LANE_BULK];
    f.lane->tail_private = f.lane->head_seen = start;
    atomic_store(&f.lane->tail, start);
    atomic_store(&f.lane->head, start);
    return f;
}

static void
close_fixture(struct fixture *f)
{
    rmill_channel_destroy(f->channel);
    free(f->log);
}

static void
fresh_lanes_are_empty_and_as_large_as_promised(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;

    (void)state;
    assert_int_equal(f.channel->lanes[RMILL_LANE_URGENT].mask + 1, RMILL_LANE_URGENT_SLOTS);
    assert_int_equal(f.channel->lanes[RMILL_LANE_BULK].mask + 1, RMILL_LANE_BULK_SLOTS);
    for (uint32_t lane = 0; lane < RMILL_LANE_COUNT; lane++) {
        assert_int_equal((uintptr_t)f.channel->lanes[lane].slots % RMILL_CACHE_LINE_BYTES, 0);
        assert_int_equal(take(&f.channel->lanes[lane], f.log, 10, &left, &refused), 0);
        assert_false(left);
        assert_false(rmill_lane_publish(&f.channel->lanes[lane]));
    }
    rmill_channel_destroy(NULL);
    close_fixture(&f);
}

static void
nothing_is_seen_before_it_is_published(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;

    (void)state;
    assert_true(push(f.lane, 1));
    assert_true(push(f.lane, 2));
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 0);
    assert_false(left);
    assert_true(rmill_lane_publish(f.lane));
    assert_false(rmill_lane_publish(f.lane)); /* Nothing new. */
    assert_true(push(f.lane, 3));
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 2);
    assert_false(left);
    check_log(f.log, 1, 2);
    close_fixture(&f);
}

static void
full_lane_accepts_a_prefix_and_refuses_without_a_trace(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;
    uint64_t pushed = 0;

    (void)state;
    while (push(f.lane, pushed)) {
        pushed++;
        assert_true(pushed <= RMILL_LANE_BULK_SLOTS);
    }
    assert_int_equal(pushed, RMILL_LANE_BULK_SLOTS);
    assert_false(push(f.lane, 999)); /* And again: still nothing changed. */
    assert_true(rmill_lane_publish(f.lane));
    assert_int_equal(take(f.lane, f.log, LOG_MAX, &left, &refused), RMILL_LANE_BULK_SLOTS);
    assert_false(left);
    check_log(f.log, 0, RMILL_LANE_BULK_SLOTS);
    close_fixture(&f);
}

static void
take_stops_at_its_bound_and_says_that_some_are_left(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(push(f.lane, i));
    }
    assert_true(rmill_lane_publish(f.lane));
    assert_int_equal(take(f.lane, f.log, 4, &left, &refused), 4);
    assert_true(left);
    assert_false(refused);
    assert_int_equal(take(f.lane, f.log, 0, &left, &refused), 0);
    assert_true(left);
    assert_int_equal(take(f.lane, f.log, 6, &left, &refused), 6);
    assert_false(left);
    check_log(f.log, 0, 10);
    close_fixture(&f);
}

static void
refused_message_stays_first_and_keeps_the_order(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(push(f.lane, i));
    }
    assert_true(rmill_lane_publish(f.lane));
    f.log->refuse_at = 3;
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 3);
    assert_true(left);
    assert_true(refused);
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused),
                     0); /* Offered again, refused again. */
    assert_true(refused);
    f.log->refuse_at = 9; /* The last one: refused and left at once. */
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 6);
    assert_true(left);
    assert_true(refused);
    f.log->refuse_at = UINT32_MAX;
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 1);
    assert_false(left);
    assert_false(refused);
    check_log(f.log, 0, 10);
    close_fixture(&f);
}

static void
refused_message_in_a_full_lane_still_is_back_pressure(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;
    uint64_t pushed = 0;

    (void)state;
    while (push(f.lane, pushed)) {
        pushed++;
    }
    assert_true(rmill_lane_publish(f.lane));
    f.log->refuse_at = 0;
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 0);
    assert_false(push(f.lane, pushed));
    f.log->refuse_at = 1;
    assert_int_equal(take(f.lane, f.log, 10, &left, &refused), 1);
    assert_true(push(f.lane, pushed)); /* One place, one message. */
    assert_false(push(f.lane, pushed + 1));
    close_fixture(&f);
}

/* The counters pass UINT32_MAX at each possible distance from the ends of a full lane. */
static void
counters_wrap_around_without_loss(void **state)
{
    const uint32_t before[] = {0, 1, 2, 63, 64, 127, 255, 256, 257};

    (void)state;
    for (size_t b = 0; b < RMILL_ARRAY_COUNT(before); b++) {
        struct fixture f = open_at(UINT32_MAX - before[b]);
        bool left, refused;
        uint64_t pushed = 0;

        for (uint32_t round = 0; round < 3; round++) {
            while (push(f.lane, pushed)) {
                pushed++;
            }
            assert_int_equal(pushed - f.log->count, RMILL_LANE_BULK_SLOTS); /* I1, with equality */
            assert_true(rmill_lane_publish(f.lane));
            (void)take(f.lane, f.log, 100, &left, &refused);
            assert_true(left);
        }
        (void)take(f.lane, f.log, LOG_MAX, &left, &refused);
        assert_false(left);
        check_log(f.log, 0, (uint32_t)pushed);
        assert_int_equal(pushed, RMILL_LANE_BULK_SLOTS + 200);
        close_fixture(&f);
    }
}

/* The producer looks at the consumer's line only when its last look says "full". */
static void
producer_looks_at_the_head_only_when_it_must(void **state)
{
    struct fixture f = open_at(0);
    bool left, refused;

    (void)state;
    for (uint64_t i = 0; i < RMILL_LANE_BULK_SLOTS; i++) {
        assert_true(push(f.lane, i));
        assert_true(rmill_lane_publish(f.lane));
        assert_int_equal(take(f.lane, f.log, 1, &left, &refused), 1);
        assert_int_equal(f.lane->head_seen, 0);
    }
    assert_true(push(f.lane, RMILL_LANE_BULK_SLOTS));
    assert_int_equal(f.lane->head_seen, RMILL_LANE_BULK_SLOTS);
    close_fixture(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fresh_lanes_are_empty_and_as_large_as_promised),
        cmocka_unit_test(nothing_is_seen_before_it_is_published),
        cmocka_unit_test(full_lane_accepts_a_prefix_and_refuses_without_a_trace),
        cmocka_unit_test(take_stops_at_its_bound_and_says_that_some_are_left),
        cmocka_unit_test(refused_message_stays_first_and_keeps_the_order),
        cmocka_unit_test(refused_message_in_a_full_lane_still_is_back_pressure),
        cmocka_unit_test(counters_wrap_around_without_loss),
        cmocka_unit_test(producer_looks_at_the_head_only_when_it_must),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
