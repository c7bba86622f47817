/* Pools held against malloc, with the same number of objects out. */
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "numa/pool.h"

#define OUT_MAX 64u

/* Objects are taken `parameter2` at a time, touched, and given back; parameter = bytes. */
static double
pool(const struct bench_case *self, uint64_t count)
{
    struct rmill_arena_options options = {
        .budget_bytes = RMILL_MIB(8), .node = -1, .huge_transparent = true};
    struct rmill_arena arena = {0};
    struct rmill_error error = {0};
    struct rmill_pool objects;
    void *out[OUT_MAX];

    if (rmill_arena_init(&arena, &options, &error) < 0 ||
        rmill_pool_init(&objects, &arena, self->parameter, 64, OUT_MAX, &error) < 0) {
        fprintf(stderr, "bench: %s\n", error.advice);
        exit(1);
    }
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i += self->parameter2) {
        for (uint64_t j = 0; j < self->parameter2; j++) {
            out[j] = rmill_pool_get(&objects);
            *(volatile char *)out[j] = 1;
        }
        for (uint64_t j = self->parameter2; j-- > 0;) {
            rmill_pool_put(&objects, out[j]);
        }
    }
    double each = bench_each(begin_ns, count);

    rmill_arena_deinit(&arena);
    return each;
}

static double
heap(const struct bench_case *self, uint64_t count)
{
    void *out[OUT_MAX];
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i += self->parameter2) {
        for (uint64_t j = 0; j < self->parameter2; j++) {
            out[j] = malloc(self->parameter);
            *(volatile char *)out[j] = 1;
        }
        for (uint64_t j = self->parameter2; j-- > 0;) {
            free(out[j]);
        }
    }
    return bench_each(begin_ns, count);
}

#define CASE(label, function, n, against, bytes, out)                                              \
    {                                                                                              \
        .name = label, .run = function, .count = n, .floor = against, .parameter = bytes,          \
        .parameter2 = out                                                                          \
    }

static const struct bench_case cases[] = {
    CASE("malloc, free: 64 B, 1 out", heap, 2000000, NULL, 64, 1),
    CASE("pool: 64 B, 1 out", pool, 2000000, "malloc, free: 64 B, 1 out", 64, 1),
    CASE("malloc, free: 64 B, 64 out", heap, 2000000, NULL, 64, 64),
    CASE("pool: 64 B, 64 out", pool, 2000000, "malloc, free: 64 B, 64 out", 64, 64),
    CASE("malloc, free: 64 KiB, 64 out", heap, 200000, NULL, 65536, 64),
    CASE("pool: 64 KiB, 64 out", pool, 2000000, "malloc, free: 64 KiB, 64 out", 65536, 64),
};

BENCH_MAIN("arena", cases)
