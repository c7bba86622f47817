/* Goal: buckets tile all of uint64_t without a gap, and the edges (empty, 0, 1, UINT64_MAX, a
 * reader in the middle of a recording) are answered as the header says. Method: every bucket's
 * two ends; hand-made histograms with known answers. */
#include "tests/common.h"

#include <string.h>

#include "perf/record/histogram.h"

static struct rmill_histogram histogram;
static struct rmill_histogram_snapshot snapshot;

static int
clear(void **state)
{
    memset(&histogram, 0, sizeof(histogram));
    memset(&snapshot, 0, sizeof(snapshot));
    return 0;
}

static void
buckets_tile_every_value(void **state)
{
    uint64_t next = 0;

    for (uint32_t i = 0; i < RMILL_HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t low = rmill_histogram_bucket_low(i);
        uint64_t high = rmill_histogram_bucket_high(i);

        assert_true(low == next && high >= low);
        assert_int_equal(rmill_histogram_bucket(low), i);
        assert_int_equal(rmill_histogram_bucket(high), i);
        assert_true(high - low <= low / RMILL_HISTOGRAM_SUB_COUNT); /* The stated error. */
        next = high + 1;
    }
    assert_true(next == 0); /* The last bucket ended at UINT64_MAX. */
    assert_int_equal(rmill_histogram_bucket(0), 0);
    assert_int_equal(rmill_histogram_bucket(1), 1);
    assert_int_equal(rmill_histogram_bucket(63), 63);
    assert_int_equal(rmill_histogram_bucket(64), 64);
    assert_int_equal(rmill_histogram_bucket(65), 64);
    assert_int_equal(rmill_histogram_bucket(UINT64_MAX), RMILL_HISTOGRAM_BUCKET_COUNT - 1);
}

static void
an_empty_histogram_answers_zero(void **state)
{
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_int_equal(snapshot.count, 0);
    assert_int_equal(snapshot.max, 0);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.5), 0);
    assert_int_equal(rmill_histogram_min(&snapshot), 0);
    assert_true(rmill_histogram_mean(&snapshot) == 0.0);
}

static void
small_values_are_exact(void **state)
{
    for (uint64_t value = 1; value <= 50; value++) {
        rmill_histogram_record(&histogram, value);
    }
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_int_equal(snapshot.count, 50);
    assert_int_equal(snapshot.sum, 50 * 51 / 2);
    assert_int_equal(snapshot.max, 50);
    assert_int_equal(rmill_histogram_min(&snapshot), 1);
    assert_true(rmill_histogram_mean(&snapshot) == 25.5);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.5), 25);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.5000001), 26);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.25), 13);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 1.0), 50);
}

static void
quantiles_out_of_range_are_the_ends(void **state)
{
    rmill_histogram_record(&histogram, 10);
    rmill_histogram_record(&histogram, 20);
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.0), 10);
    assert_int_equal(rmill_histogram_quantile(&snapshot, -3.0), 10);
    assert_int_equal(rmill_histogram_quantile(&snapshot, __builtin_nan("")), 10);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 7.0), 20);
    assert_int_equal(rmill_histogram_quantile(&snapshot, __builtin_inf()), 20);
}

static void
the_extremes_can_be_recorded(void **state)
{
    rmill_histogram_record(&histogram, 0);
    rmill_histogram_record(&histogram, UINT64_MAX);
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_int_equal(snapshot.count, 2);
    assert_int_equal(rmill_histogram_min(&snapshot), 0);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.5), 0);
    assert_true(rmill_histogram_quantile(&snapshot, 1.0) == UINT64_MAX);
    assert_true(snapshot.max == UINT64_MAX);
}

static void
a_quantile_never_passes_the_maximum(void **state)
{
    rmill_histogram_record(&histogram, 1000001); /* Its bucket ends later. */
    assert_true(rmill_histogram_bucket_high(rmill_histogram_bucket(1000001)) > 1000001);
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.5), 1000001);
}

static void
recording_many_equals_recording_one_by_one(void **state)
{
    struct rmill_histogram_snapshot single = {0};

    for (int i = 0; i < 1000; i++) {
        rmill_histogram_record(&histogram, 12345);
    }
    rmill_histogram_snapshot_add(&single, &histogram);
    memset(&histogram, 0, sizeof(histogram));
    rmill_histogram_record_many(&histogram, 12345, 1000);
    rmill_histogram_record_many(&histogram, 99999, 0); /* Leaves no mark, nor a maximum. */
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_memory_equal(&snapshot, &single, sizeof(single));
}

static void
a_recording_half_seen_keeps_its_bound(void **state)
{
    /* What a reader may find: the bucket is there, the maximum and the sum are not yet. */
    atomic_store(&histogram.buckets[rmill_histogram_bucket(5000)], 1);
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    uint64_t said = rmill_histogram_quantile(&snapshot, 0.99);

    assert_int_equal(snapshot.count, 1);
    assert_in_range(said, 5000 - 5000 / 32, 5000 + 5000 / 32);
}

static void
huge_counts_do_not_break_the_rank(void **state)
{
    rmill_histogram_record_many(&histogram, 1, (1ull << 63) - 1);
    rmill_histogram_record_many(&histogram, 2, 1ull << 63);
    rmill_histogram_snapshot_add(&snapshot, &histogram);
    assert_true(snapshot.count == UINT64_MAX);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.25), 1);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 0.75), 2);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 1.0 - 0x1p-53), 2);
    assert_int_equal(rmill_histogram_quantile(&snapshot, 1.0), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_tile_every_value),
        cmocka_unit_test_setup(an_empty_histogram_answers_zero, clear),
        cmocka_unit_test_setup(small_values_are_exact, clear),
        cmocka_unit_test_setup(quantiles_out_of_range_are_the_ends, clear),
        cmocka_unit_test_setup(the_extremes_can_be_recorded, clear),
        cmocka_unit_test_setup(a_quantile_never_passes_the_maximum, clear),
        cmocka_unit_test_setup(recording_many_equals_recording_one_by_one, clear),
        cmocka_unit_test_setup(a_recording_half_seen_keeps_its_bound, clear),
        cmocka_unit_test_setup(huge_counts_do_not_break_the_rank, clear),
    };

    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
