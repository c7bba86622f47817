/* Goal: the wheel fires each timer once, never early, at most a tick late, at every level and
 * across its own end. Method: made-up times; a timer notes the time the wheel was advanced to when
 * it fired. */
#include "tests/common.h"

#include <string.h>

#include "base/macros.h"
#include "engine/timer.h"

#define TICK_NS  (1ull << RMILL_TIMER_TICK_BITS)
#define ROUND_NS (1ull << (RMILL_TIMER_TICK_BITS + RMILL_TIMER_LEVELS * RMILL_TIMER_LEVEL_BITS))

static struct rmill_wheel wheel;
static uint64_t now_ns;

struct noted {
    struct rmill_timer timer; /* First member. */
    uint32_t fired;
    uint64_t fired_ns;
    struct noted *victim; /* Cancelled when this one fires. */
    uint64_t again_ns;    /* Armed again this much later, `again_count` times. */
    uint32_t again_count;
};

static void
note(struct rmill_timer *timer)
{
    struct noted *noted = (struct noted *)timer;

    assert_null(timer->link); /* No longer armed. */
    assert_true(now_ns >= timer->expires_ns);
    noted->fired++;
    noted->fired_ns = now_ns;
    if (noted->victim != NULL) {
        (void)rmill_timer_cancel(&wheel, &noted->victim->timer);
    }
    if (noted->again_count > 0) {
        noted->again_count--;
        rmill_timer_arm(&wheel, timer, timer->expires_ns + noted->again_ns);
    }
}

static struct noted
noted(void)
{
    return (struct noted){.timer.fire = note};
}

static void
begin(uint64_t ns)
{
    memset(&wheel, 0xA5, sizeof(wheel)); /* init must set all of it */
    now_ns = ns;
    rmill_wheel_init(&wheel, ns);
}

static uint32_t
advance(uint64_t ns)
{
    now_ns = ns;
    return rmill_wheel_advance(&wheel, ns);
}

static void
empty_wheel_wants_nothing(void **state)
{
    (void)state;
    begin(123456789);
    assert_int_equal(rmill_wheel_next_ns(&wheel), UINT64_MAX);
    assert_int_equal(advance(UINT64_MAX / 2), 0);
    assert_int_equal(rmill_wheel_next_ns(&wheel), UINT64_MAX);
}

static void
past_times_fire_at_the_next_tick(void **state)
{
    struct noted past = noted(), present = noted();

    (void)state;
    begin(10 * TICK_NS + 5);
    rmill_timer_arm(&wheel, &past.timer, 0);
    rmill_timer_arm(&wheel, &present.timer, now_ns);
    assert_int_equal(advance(11 * TICK_NS - 1), 0); /* The tick has not changed. */
    assert_int_equal(advance(11 * TICK_NS), 2);
    assert_int_equal(past.fired + present.fired, 2);
}

/* Around each level's span from several starting points: not before the expiry, at the tick after
 * it. */
static void
every_level_is_exact_to_a_tick(void **state)
{
    const uint64_t starts[] = {
        0, 1, TICK_NS - 1, 63 * TICK_NS, 4095 * TICK_NS + 17, ROUND_NS - 1, ROUND_NS * 3 + 5};

    (void)state;
    for (size_t s = 0; s < RMILL_ARRAY_COUNT(starts); s++) {
        for (uint32_t bit = 0; bit < 50; bit++) {
            for (int offset = -1; offset <= 1; offset++) {
                struct noted timer = noted();
                uint64_t expires_ns = starts[s] + (1ull << bit) + (uint64_t)(int64_t)offset;
                uint64_t tick_ns = rmill_align_up(expires_ns, TICK_NS);

                begin(starts[s]);
                rmill_timer_arm(&wheel, &timer.timer, expires_ns);
                assert_true(rmill_wheel_next_ns(&wheel) <=
                            rmill_max_u64(tick_ns, (wheel.tick + 1) * TICK_NS));
                if (tick_ns > now_ns && expires_ns > starts[s]) {
                    assert_int_equal(advance(tick_ns - 1), 0);
                    assert_int_equal(rmill_wheel_next_ns(&wheel), tick_ns);
                }
                assert_int_equal(advance(rmill_max_u64(tick_ns, starts[s] + TICK_NS)), 1);
                assert_int_equal(timer.fired, 1);
                assert_int_equal(rmill_wheel_next_ns(&wheel), UINT64_MAX);
            }
        }
    }
}

/* Sleeping until next_ns each time reaches every timer within as many steps as there are levels and
 * rounds. */
static void
following_next_ns_reaches_a_far_timer_in_few_steps(void **state)
{
    struct noted timer = noted();
    uint32_t steps = 0;

    (void)state;
    begin(77777);
    rmill_timer_arm(&wheel, &timer.timer, ROUND_NS * 2 + 987654321);
    while (timer.fired == 0) {
        uint64_t next_ns = rmill_wheel_next_ns(&wheel);

        assert_true(next_ns > now_ns);
        (void)advance(next_ns);
        assert_true(++steps <= 2 + RMILL_TIMER_LEVELS);
    }
    assert_true(timer.fired_ns - timer.timer.expires_ns < TICK_NS);
}

static void
forever_never_fires_and_can_be_cancelled(void **state)
{
    struct noted timer = noted();

    (void)state;
    begin(ROUND_NS - 3 * TICK_NS);
    rmill_timer_arm(&wheel, &timer.timer, UINT64_MAX);
    assert_int_equal(advance(ROUND_NS * 5), 0);
    assert_true(rmill_wheel_next_ns(&wheel) > now_ns);
    assert_true(rmill_timer_cancel(&wheel, &timer.timer));
    assert_int_equal(rmill_wheel_next_ns(&wheel), UINT64_MAX);
}

static void
cancelled_timers_do_not_fire(void **state)
{
    struct noted timers[5];

    (void)state;
    begin(0);
    for (uint32_t i = 0; i < 5; i++) {
        timers[i] = noted();
        rmill_timer_arm(&wheel, &timers[i].timer, 5000); /* one bucket */
    }
    assert_true(rmill_timer_cancel(&wheel, &timers[0].timer)); /* its last, its first, its middle */
    assert_true(rmill_timer_cancel(&wheel, &timers[4].timer));
    assert_true(rmill_timer_cancel(&wheel, &timers[2].timer));
    assert_false(rmill_timer_cancel(&wheel, &timers[2].timer));
    assert_int_equal(wheel.armed_count, 2);
    assert_int_equal(advance(10000), 2);
    assert_int_equal(timers[1].fired + timers[3].fired, 2);
    assert_false(rmill_timer_cancel(&wheel, &timers[1].timer));
    struct noted again = noted();

    rmill_timer_arm(&wheel, &again.timer, 20000);
    assert_true(rmill_timer_cancel(&wheel, &again.timer));
    rmill_timer_arm(&wheel, &again.timer, 30000); /* The same memory, armed again. */
    assert_int_equal(advance(40000), 1);
}

/* Of several that are due together each may cancel another: whoever was cancelled stays silent. */
static void
firing_timers_can_cancel_those_due_with_them(void **state)
{
    struct noted timers[6];
    uint32_t fired = 0;

    (void)state;
    begin(0);
    for (uint32_t i = 0; i < 6; i++) {
        timers[i] = noted();
        rmill_timer_arm(&wheel, &timers[i].timer, 100 * TICK_NS);
    }
    for (uint32_t i = 0; i < 6; i++) {
        timers[i].victim = &timers[i ^ 1]; /* Pairs: exactly one of each fires. */
    }
    assert_int_equal(advance(100 * TICK_NS), 3);
    for (uint32_t i = 0; i < 6; i += 2) {
        assert_int_equal(timers[i].fired + timers[i + 1].fired, 1);
        fired += timers[i].fired + timers[i + 1].fired;
    }
    assert_int_equal(fired, 3);
    assert_int_equal(wheel.armed_count, 0);
}

static void
firing_timer_can_arm_itself_again(void **state)
{
    struct noted periodic = noted(), impatient = noted();

    (void)state;
    begin(0);
    periodic.again_ns = 10 * TICK_NS;
    periodic.again_count = 9;
    impatient.again_ns =
        0; /* Its time stays in the past: once a tick, not for ever in one advance. */
    impatient.again_count = UINT32_MAX;
    rmill_timer_arm(&wheel, &periodic.timer, 10 * TICK_NS);
    assert_int_equal(advance(100 * TICK_NS), 10); /* All of them, though advanced in one go. */
    assert_int_equal(wheel.armed_count, 0);
    rmill_timer_arm(&wheel, &impatient.timer, 0);
    assert_int_equal(advance(103 * TICK_NS), 3);
    assert_true(rmill_timer_cancel(&wheel, &impatient.timer));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_wheel_wants_nothing),
        cmocka_unit_test(past_times_fire_at_the_next_tick),
        cmocka_unit_test(every_level_is_exact_to_a_tick),
        cmocka_unit_test(following_next_ns_reaches_a_far_timer_in_few_steps),
        cmocka_unit_test(forever_never_fires_and_can_be_cancelled),
        cmocka_unit_test(cancelled_timers_do_not_fire),
        cmocka_unit_test(firing_timers_can_cancel_those_due_with_them),
        cmocka_unit_test(firing_timer_can_arm_itself_again),
    };

    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
