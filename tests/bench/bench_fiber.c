/* Fibers: the bare context switch, a yield through the scheduler, a fiber's whole life. The floor
 * is the call of an empty function. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "engine/context.h"
#include "engine/ringmill.h"

static __attribute__((noinline)) void
empty(void)
{
    __asm__ volatile("" ::: "memory");
}

static double
empty_call(const struct bench_case *self, uint64_t count)
{
    uint64_t begin_ns = rmill_clock_ns();

    (void)self;
    for (uint64_t i = 0; i < count; i++) {
        empty();
    }
    return bench_each(begin_ns, count);
}

static struct rmill_context here, there;

static void
switch_back(void *argument)
{
    (void)argument;
    rmill_context_arrived(&there, &here);
    for (;;) {
        rmill_context_switch(&there, &here);
    }
}

static double
context_switch(const struct bench_case *self, uint64_t count)
{
    void *stack = aligned_alloc(4096, RMILL_KIB(64));

    (void)self;
    rmill_context_init_thread(&here);
    rmill_context_init(&there, stack, RMILL_KIB(64), switch_back, NULL);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i += 2) {
        rmill_context_switch(&here, &there); /* And back: two. */
    }
    double each = bench_each(begin_ns, count);

    rmill_context_deinit(&there);
    free(stack);
    return each;
}

struct work {
    uint64_t count, fibers;
    double each;
    struct rmill_latch latch;
};

static void
yield_fiber(void *argument)
{
    struct work *work = argument;

    for (uint64_t i = 0; i < work->count / work->fibers; i++) {
        rmill_yield();
    }
    rmill_latch_done(&work->latch);
}

static int
yield_main(void *argument)
{
    struct work *work = argument;
    uint64_t begin_ns = rmill_clock_ns();

    work->latch.count = work->fibers;
    for (uint64_t i = 0; i < work->fibers; i++) {
        (void)rmill_spawn(yield_fiber, work);
    }
    rmill_latch_wait(&work->latch);
    work->each = bench_each(begin_ns, work->count);
    return 0;
}

static void
end_fiber(void *argument)
{
    struct work *work = argument;

    rmill_latch_done(&work->latch);
}

static int
spawn_main(void *argument)
{
    struct work *work = argument;
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < work->count; i += work->fibers) {
        work->latch.count = work->fibers;
        for (uint64_t fiber = 0; fiber < work->fibers; fiber++) {
            (void)rmill_spawn(end_fiber, work);
        }
        rmill_latch_wait(&work->latch);
    }
    work->each = bench_each(begin_ns, work->count);
    return 0;
}

static double
yield(const struct bench_case *self, uint64_t count)
{
    struct work work = {.count = count, .fibers = self->parameter};

    bench_on_engine("1", 0, yield_main, &work);
    return work.each;
}

static double
spawn(const struct bench_case *self, uint64_t count)
{
    struct work work = {.count = count, .fibers = self->parameter};

    bench_on_engine("1", 0, spawn_main, &work);
    return work.each;
}

#define CASE(label, function, n, p)                                                                \
    {                                                                                              \
        .name = label, .run = function, .count = n, .floor = "context switch", .parameter = p      \
    }

static const struct bench_case cases[] = {
    {.name = "empty call", .run = empty_call, .count = 10000000},
    {.name = "context switch", .run = context_switch, .count = 10000000, .floor = "empty call"},
    CASE("yield, 1 fiber", yield, 2000000, 1),
    CASE("yield, 2 fibers", yield, 2000000, 2),
    CASE("yield, 256 fibers", yield, 2000000, 256),
    CASE("spawn, run, join, 1 at a time", spawn, 500000, 1),
    CASE("spawn, run, join, 64 at a time", spawn, 500000, 64),
};

BENCH_MAIN("fiber", cases)
