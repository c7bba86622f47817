/* Goal: any interleaving of pushing, publishing, taking and refusing keeps order and loses nothing.
 * Method: both ends driven from one thread with seeded batch sizes; the model is four counters. */
#include "tests/common.h"

#include "base/prng.h"
#include "engine/channel.h"

struct model {
    uint64_t pushed, published, taken;
    uint64_t refuse_left; /* Take this many, then refuse one. */
};

static bool
check_next(struct rmill_core *core, const struct rmill_message *message)
{
    struct model *model = (struct model *)(void *)core;

    assert_int_equal(message->words[0],
                     model->taken); /* In order, exactly once; also when offered again. */
    assert_int_equal(message->words[6], model->taken * 0x9E3779B97F4A7C15ull);
    assert_true(model->taken < model->published);
    if (model->refuse_left == 0) {
        return false;
    }
    model->refuse_left--;
    model->taken++;
    return true;
}

static void
push_some(struct rmill_lane *lane, struct model *model, uint64_t most)
{
    uint64_t capacity = lane->mask + 1;

    for (uint64_t i = 0; i < most; i++) {
        struct rmill_message message = {
            .handle = check_next,
            .words = {model->pushed, 0, 0, 0, 0, 0, model->pushed * 0x9E3779B97F4A7C15ull}};
        bool room = model->pushed - model->taken < capacity;

        assert_int_equal(rmill_lane_push(lane, &message), room);
        if (!room) {
            return;
        }
        model->pushed++;
    }
}

static void
take_some(struct rmill_lane *lane, struct model *model, uint32_t most, uint64_t refuse_after)
{
    uint64_t before = model->taken, there = model->published - before;
    bool left = false, refused = false;
    uint64_t expected = rmill_min_u64(rmill_min_u64(there, most), refuse_after);

    model->refuse_left = refuse_after;
    uint32_t taken =
        rmill_lane_take(lane, (struct rmill_core *)(void *)model, most, &left, &refused);

    assert_int_equal(taken, expected);
    assert_int_equal(model->taken - before, expected);
    assert_int_equal(left, model->taken < model->published);
    assert_int_equal(refused, refuse_after < rmill_min_u64(there, most));
}

static void
any_interleaving_keeps_order(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint64_t steps_max = scale_get(200000);

    (void)state;
    for (uint32_t run = 0; run < 4; run++) {
        struct rmill_channel *channel = rmill_channel_create();
        struct rmill_lane *lane = &channel->lanes[run % RMILL_LANE_COUNT];
        struct model model = {0};
        /* Half of the runs pass the end of the 32-bit counters. */
        uint32_t start = run < 2 ? 0 : UINT32_MAX - (uint32_t)rmill_prng_below(&prng, 2000);

        lane->tail_private = lane->head_seen = start;
        atomic_store(&lane->tail, start);
        atomic_store(&lane->head, start);
        for (uint64_t step = 0; step < steps_max; step++) {
            uint64_t size = rmill_prng_below(&prng, rmill_prng_chance(&prng, 1, 8) ? 400 : 12);

            switch (rmill_prng_below(&prng, 4)) {
            case 0:
                push_some(lane, &model, size);
                break;
            case 1:
                assert_int_equal(rmill_lane_publish(lane), model.published != model.pushed);
                model.published = model.pushed;
                break;
            case 2:
                take_some(lane, &model, (uint32_t)size, UINT64_MAX);
                break;
            default:
                take_some(lane, &model, (uint32_t)size, rmill_prng_below(&prng, 20));
                break;
            }
        }
        assert_true(model.taken > steps_max); /* The test did real work. */
        rmill_channel_destroy(channel);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_interleaving_keeps_order),
    };

    return cmocka_run_group_tests_name("channel properties", tests, NULL, NULL);
}
