/* The timing wheel, held against linked lists that take in and give up an element. */
#include "tests/bench/bench.h"

#include "base/prng.h"
#include "engine/timer.h"

#define TIMERS 1024u

static struct rmill_timer timers[TIMERS];
static uint64_t expiries_ns[TIMERS]; /* From now on; made beforehand. */
static struct rmill_wheel wheel;
static uint64_t fired;

static void
fire(struct rmill_timer *timer)
{
    (void)timer;
    fired++;
}

static void
prepare(uint64_t span_ns)
{
    struct rmill_prng prng = rmill_prng_seeded(1);

    rmill_wheel_init(&wheel, 0);
    for (uint32_t i = 0; i < TIMERS; i++) {
        expiries_ns[i] = rmill_prng_below(&prng, span_ns);
        timers[i] = (struct rmill_timer){.fire = fire};
    }
}

struct element {
    struct element *next, **link;
};

static double
list_in_and_out(const struct bench_case *self, uint64_t count)
{
    static struct element elements[TIMERS];
    struct element *heads[64] = {0};
    uint64_t begin_ns = rmill_clock_ns();

    (void)self;
    for (uint64_t i = 0; i < count; i++) {
        struct element *element = &elements[i % TIMERS], **head = &heads[i % 64];

        if (element->link != NULL) {
            *element->link = element->next;
            if (element->next != NULL) {
                element->next->link = element->link;
            }
        }
        element->next = *head;
        element->link = head;
        if (element->next != NULL) {
            element->next->link = &element->next;
        }
        *head = element;
        bench_keep((uintptr_t)element);
    }
    double each = bench_each(begin_ns, count);

    for (uint32_t i = 0; i < TIMERS; i++) {
        elements[i] = (struct element){0};
    }
    return each;
}

static double
arm_and_cancel(const struct bench_case *self, uint64_t count)
{
    prepare(self->parameter);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i++) {
        struct rmill_timer *timer = &timers[i % TIMERS];

        (void)rmill_timer_cancel(&wheel, timer);
        rmill_timer_arm(&wheel, timer, expiries_ns[i % TIMERS]);
    }
    return bench_each(begin_ns, count);
}

/* 1,024 armed, then time passes as a sleeping core sees it until all have fired. */
static double
arm_and_expire(const struct bench_case *self, uint64_t count)
{
    uint64_t now_ns = 0, left = count;

    prepare(self->parameter);
    uint64_t begin_ns = rmill_clock_ns();

    while (left > 0) {
        uint64_t batch = rmill_min_u64(left, TIMERS);

        for (uint64_t i = 0; i < batch; i++) {
            rmill_timer_arm(&wheel, &timers[i], now_ns + expiries_ns[i]);
        }
        while (wheel.armed_count > 0) {
            now_ns = rmill_wheel_next_ns(&wheel);
            (void)rmill_wheel_advance(&wheel, now_ns);
        }
        left -= batch;
    }
    bench_keep(fired);
    return bench_each(begin_ns, count);
}

#define CASE(label, function, span)                                                                \
    {                                                                                              \
        .name = label, .run = function, .count = 500000, .floor = "list, in and out",              \
        .parameter = span                                                                          \
    }

static const struct bench_case cases[] = {
    {.name = "list, in and out", .run = list_in_and_out, .count = 4000000},
    CASE("arm and cancel, within 60 us", arm_and_cancel, 60 * RMILL_NS_PER_US),
    CASE("arm and cancel, within 10 s", arm_and_cancel, 10 * RMILL_NS_PER_S),
    CASE("arm and expire, within 60 us", arm_and_expire, 60 * RMILL_NS_PER_US),
    CASE("arm and expire, within 10 ms", arm_and_expire, 10 * RMILL_NS_PER_MS),
    CASE("arm and expire, within 10 s", arm_and_expire, 10 * RMILL_NS_PER_S),
};

BENCH_MAIN("timer", cases)
