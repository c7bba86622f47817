/* Goal: for any values, what a histogram says of them is within 1/32, and merging loses nothing.
 * Method: seeded values of all magnitudes against the sorted array; the quantiles asked for are
 * multiples of 1/1024, so that the true rank is integer arithmetic. Several histograms against
 * one that got everything. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "perf/record/histogram.h"

#define VALUE_MAX  3000
#define PART_COUNT 5
#define Q_STEPS    1024

static struct rmill_histogram whole, parts[PART_COUNT];
static struct rmill_histogram_snapshot whole_seen, merged, part_seen;
static uint64_t values[VALUE_MAX];

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Values with `bits_max` bits at most, every bit length as likely as the next. */
static uint64_t
value_any(struct rmill_prng *prng, uint64_t bits_max)
{
    uint64_t bits = rmill_prng_below(prng, bits_max + 1);

    return bits == 0 ? 0 : rmill_prng_next(prng) >> (64 - bits);
}

static void
quantiles_are_within_one_32nd_of_the_truth(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());

    for (uint64_t round = 0; round < scale_get(200); round++) {
        uint64_t count = 1 + rmill_prng_below(&prng, VALUE_MAX);
        uint64_t bits_max = 1 + rmill_prng_below(&prng, 64);
        uint64_t sum = 0;

        memset(&whole, 0, sizeof(whole));
        memset(&whole_seen, 0, sizeof(whole_seen));
        for (uint64_t i = 0; i < count; i++) {
            values[i] = value_any(&prng, bits_max);
            sum += values[i];
            rmill_histogram_record(&whole, values[i]);
        }
        qsort(values, count, sizeof(values[0]), compare);
        rmill_histogram_snapshot_add(&whole_seen, &whole);
        assert_true(whole_seen.count == count && whole_seen.sum == sum);
        assert_true(whole_seen.max == values[count - 1]);
        assert_true(rmill_histogram_min(&whole_seen) <= values[0]);
        assert_true(values[0] - rmill_histogram_min(&whole_seen) <= values[0] / 32);
        for (uint64_t q = 0; q <= Q_STEPS; q++) {
            uint64_t rank = rmill_max_u64((q * count + Q_STEPS - 1) / Q_STEPS, 1);
            uint64_t truth = values[rank - 1];
            uint64_t said = rmill_histogram_quantile(&whole_seen, (double)q / Q_STEPS);

            assert_true(said >= truth && said - truth <= truth / 32);
            assert_true(said <= values[count - 1]);
        }
    }
}

static void
merging_equals_recording_into_one(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get() + 1);

    for (uint64_t round = 0; round < scale_get(100); round++) {
        struct rmill_histogram_snapshot added = {0};

        memset(&whole, 0, sizeof(whole));
        memset(parts, 0, sizeof(parts));
        memset(&whole_seen, 0, sizeof(whole_seen));
        memset(&merged, 0, sizeof(merged));
        for (uint64_t i = 0; i < VALUE_MAX; i++) {
            uint64_t value = value_any(&prng, 64);
            uint64_t count = rmill_prng_below(&prng, 4);

            rmill_histogram_record_many(&whole, value, count);
            rmill_histogram_record_many(&parts[rmill_prng_below(&prng, PART_COUNT)], value, count);
        }
        rmill_histogram_snapshot_add(&whole_seen, &whole);
        for (size_t i = 0; i < PART_COUNT; i++) {
            memset(&part_seen, 0, sizeof(part_seen));
            rmill_histogram_snapshot_add(&part_seen, &parts[i]);
            rmill_histogram_snapshot_merge(&merged, &part_seen);
            rmill_histogram_snapshot_add(&added, &parts[i]);
        }
        assert_true(whole_seen.count > VALUE_MAX);
        assert_memory_equal(&merged, &whole_seen, sizeof(merged));
        assert_memory_equal(&added, &whole_seen, sizeof(added));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_within_one_32nd_of_the_truth),
        cmocka_unit_test(merging_equals_recording_into_one),
    };

    return cmocka_run_group_tests_name("histogram properties", tests, NULL, NULL);
}
