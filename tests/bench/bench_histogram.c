/* Recording a value, held against adding one to a counter somewhere in an array. */
#include "tests/bench/bench.h"

#include <stdlib.h>

#include "base/prng.h"
#include "perf/record/histogram.h"

#define VALUES 4096u

static uint64_t values[VALUES];

/* Every order of magnitude below 2^bits alike. */
static void
values_make(uint64_t bits)
{
    struct rmill_prng prng = rmill_prng_seeded(1);

    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = rmill_prng_next(&prng) >> (63 - rmill_prng_below(&prng, bits));
    }
}

static double
counter(const struct bench_case *self, uint64_t count)
{
    static uint64_t counters[1024];

    values_make(self->parameter);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i++) {
        counters[values[i % VALUES] % 1024]++;
        bench_keep(i);
    }
    return bench_each(begin_ns, count);
}

static double
record(const struct bench_case *self, uint64_t count)
{
    static struct rmill_histogram histogram;

    values_make(self->parameter);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i++) {
        rmill_histogram_record(&histogram, values[i % VALUES]);
    }
    return bench_each(begin_ns, count);
}

static double
quantile(const struct bench_case *self, uint64_t count)
{
    static struct rmill_histogram histogram;
    struct rmill_histogram_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    uint64_t sum = 0;

    values_make(self->parameter);
    for (uint64_t i = 0; i < VALUES; i++) {
        rmill_histogram_record(&histogram, values[i]);
    }
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count && snapshot != NULL; i++) {
        *snapshot = (struct rmill_histogram_snapshot){0};
        rmill_histogram_snapshot_add(snapshot, &histogram);
        sum += rmill_histogram_quantile(snapshot, 0.99);
    }
    double each = bench_each(begin_ns, count);

    bench_keep(sum);
    free(snapshot);
    return each;
}

#define CASE(label, function, n, against, bits)                                                    \
    {                                                                                              \
        .name = label, .run = function, .count = n, .floor = against, .parameter = bits            \
    }

static const struct bench_case cases[] = {
    CASE("counter + 1", counter, 5000000, NULL, 30),
    CASE("record", record, 5000000, "counter + 1", 30),
    CASE("record, any 64-bit value", record, 5000000, "counter + 1", 64),
    CASE("snapshot and one quantile", quantile, 2000, NULL, 30),
};

BENCH_MAIN("histogram", cases)
