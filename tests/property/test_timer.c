/* Goal: after any history of arming, cancelling and advancing, exactly the due timers have fired,
 * none early. Method: the model is an array of expiry times, scanned. Durations are spread over all
 * levels and past the wheel's end; time goes in seeded steps or exactly where next_ns points;
 * firing timers arm, re-arm and cancel others. */
#include "tests/common.h"

#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "engine/timer.h"

#define TICK_NS  (1ull << RMILL_TIMER_TICK_BITS)
#define ROUND_NS (1ull << (RMILL_TIMER_TICK_BITS + RMILL_TIMER_LEVELS * RMILL_TIMER_LEVEL_BITS))
#define TIMERS   200u

struct modelled {
    struct rmill_timer timer; /* First member. */
    bool armed;
    uint64_t
        due_ns; /* When it may fire: its expiry, or the time it was armed when that is later. */
};

static struct rmill_wheel wheel;
static struct modelled timers[TIMERS];
static struct rmill_prng prng;
static uint64_t now_ns, fired_count, cancelled_count;
static bool firing;

static uint64_t
any_duration(void)
{
    /* Every order of magnitude alike, to 2^49 ns: eight times the wheel's span. */
    return rmill_prng_next(&prng) >> (15 + rmill_prng_below(&prng, 49));
}

static void
arm(struct modelled *modelled)
{
    uint64_t expires_ns = now_ns + any_duration();
    /* While the wheel is being advanced its own time is behind now_ns. */
    uint64_t wheel_ns = wheel.tick * TICK_NS;

    if (rmill_prng_chance(&prng, 1, 20)) {
        expires_ns = rmill_prng_below(&prng, now_ns + 1); /* the past */
    } else if (rmill_prng_chance(&prng, 1, 10)) {
        expires_ns =
            rmill_align_up(expires_ns, TICK_NS << rmill_prng_below(&prng, 37)); /* on a boundary */
    }
    modelled->armed = true;
    modelled->due_ns = rmill_max_u64(expires_ns, wheel_ns + 1);
    rmill_timer_arm(&wheel, &modelled->timer, expires_ns);
}

static void
cancel(struct modelled *modelled)
{
    assert_int_equal(rmill_timer_cancel(&wheel, &modelled->timer), modelled->armed);
    cancelled_count += modelled->armed;
    modelled->armed = false;
}

static struct modelled *
any_timer(void)
{
    return &timers[rmill_prng_below(&prng, TIMERS)];
}

static void
fire(struct rmill_timer *timer)
{
    struct modelled *modelled = (struct modelled *)timer;

    assert_true(firing);
    assert_true(modelled->armed); /* Neither twice nor after a cancel. */
    assert_true(modelled->timer.expires_ns <=
                wheel.tick * TICK_NS);           /* Never early, by the wheel's time ... */
    assert_true(wheel.tick * TICK_NS <= now_ns); /* ... which is never ahead of the caller's. */
    assert_true(wheel.tick * TICK_NS - modelled->due_ns < TICK_NS); /* At most a tick late by it. */
    modelled->armed = false;
    fired_count++;
    switch (rmill_prng_below(&prng, 6)) {
    case 0:
        arm(modelled);
        break;
    case 1:
        cancel(any_timer());
        break;
    case 2: {
        struct modelled *other = any_timer();

        if (!other->armed) {
            arm(other);
        }
        break;
    }
    default:
        break;
    }
}

/* What the model says of the moment after an advance. */
static void
check_model(void)
{
    uint64_t armed = 0, earliest_ns = UINT64_MAX;

    for (uint32_t i = 0; i < TIMERS; i++) {
        if (timers[i].armed) {
            armed++;
            assert_true(rmill_align_up(timers[i].due_ns, TICK_NS) >
                        now_ns); /* What is due has fired. */
            earliest_ns = rmill_min_u64(earliest_ns, rmill_align_up(timers[i].due_ns, TICK_NS));
        }
    }
    assert_int_equal(wheel.armed_count, armed);
    uint64_t next_ns = rmill_wheel_next_ns(&wheel);

    assert_true(next_ns <= earliest_ns);
    assert_int_equal(next_ns == UINT64_MAX, armed == 0);
    assert_true(next_ns > now_ns);
}

static void
advance(uint64_t to_ns)
{
    uint64_t before = fired_count;

    now_ns = to_ns;
    firing = true;
    uint32_t said = rmill_wheel_advance(&wheel, now_ns);

    firing = false;
    assert_int_equal(said, fired_count - before);
    check_model();
}

static void
history(uint64_t start_ns, uint64_t steps)
{
    memset(timers, 0, sizeof(timers));
    for (uint32_t i = 0; i < TIMERS; i++) {
        timers[i].timer.fire = fire;
    }
    now_ns = start_ns;
    rmill_wheel_init(&wheel, start_ns);
    for (uint64_t step = 0; step < steps; step++) {
        struct modelled *one = any_timer();

        switch (rmill_prng_below(&prng, 8)) {
        case 0:
        case 1:
        case 2:
        case 3:
            if (!one->armed) {
                arm(one);
            }
            break;
        case 4:
            cancel(one);
            break;
        case 5:
            advance(now_ns + rmill_min_u64(any_duration(), ROUND_NS));
            break;
        default: { /* As the loop of a core does: wake when the wheel wants it. */
            uint64_t next_ns = rmill_wheel_next_ns(&wheel);

            if (next_ns != UINT64_MAX) {
                advance(next_ns + (rmill_prng_chance(&prng, 1, 3) ? any_duration() % TICK_NS : 0));
            }
        }
        }
    }
}

static void
exactly_what_is_due_has_fired(void **state)
{
    (void)state;
    prng = rmill_prng_seeded(seed_get());
    fired_count = cancelled_count = 0;
    for (uint64_t run = 0; run < scale_get(40); run++) {
        /* Near the wheel's end in a third of the histories. */
        uint64_t start_ns = run % 3 == 0
                                ? ROUND_NS * (1 + run % 7) - any_duration() % ROUND_NS % (1 << 20)
                                : any_duration();

        history(start_ns, 4000);
    }
    assert_true(fired_count > 10000);
    assert_true(cancelled_count > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_what_is_due_has_fired),
    };

    return cmocka_run_group_tests_name("timer properties", tests, NULL, NULL);
}
