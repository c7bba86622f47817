#include "perf/record/histogram.h"

#include "base/assert.h"

_Static_assert(RMILL_HISTOGRAM_BUCKET_COUNT == 1920, "the header's diagram says so");

static uint32_t
shift_of(uint32_t index)
{
    return index < RMILL_HISTOGRAM_SUB_COUNT ? 0 : (index >> RMILL_HISTOGRAM_SUB_BITS) - 1;
}

uint64_t
rmill_histogram_bucket_low(uint32_t index)
{
    RMILL_ASSERT(index < RMILL_HISTOGRAM_BUCKET_COUNT);
    uint32_t shift = shift_of(index);

    return (uint64_t)(index - (shift << RMILL_HISTOGRAM_SUB_BITS)) << shift;
}

uint64_t
rmill_histogram_bucket_high(uint32_t index)
{
    return rmill_histogram_bucket_low(index) + ((1ull << shift_of(index)) - 1);
}

void
rmill_histogram_snapshot_add(struct rmill_histogram_snapshot *snapshot,
                             const struct rmill_histogram *histogram)
{
    uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    uint64_t count = 0;
    uint32_t highest = 0;

    for (uint32_t i = 0; i < RMILL_HISTOGRAM_BUCKET_COUNT; i++) {
        uint64_t here = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

        snapshot->buckets[i] += here;
        count += here;
        highest = here != 0 ? i : highest;
    }
    snapshot->count += count;
    snapshot->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    /* A bucket may be newer than the maximum read before it; the maximum caps quantiles, so it must
     * not lie below what the buckets show. */
    max = rmill_max_u64(max, rmill_histogram_bucket_low(highest));
    snapshot->max = rmill_max_u64(snapshot->max, max);
}

void
rmill_histogram_snapshot_merge(struct rmill_histogram_snapshot *into,
                               const struct rmill_histogram_snapshot *from)
{
    for (uint32_t i = 0; i < RMILL_HISTOGRAM_BUCKET_COUNT; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    into->sum += from->sum;
    into->max = rmill_max_u64(into->max, from->max);
}

/* Which value, counted from 1 in ascending order, is the q-quantile of `count` > 0 values: ceil(q *
 * count). */
static uint64_t
rank_of(double q, uint64_t count)
{
    if (!(q > 0.0)) {
        return 1; /* NaN too. */
    }
    double exact = q * (double)count;

    if (exact >= (double)count) {
        return count;
    }
    /* Rounding up cannot pass `count`: exact is below it, and both are whole above 2^53. */
    uint64_t rank = (uint64_t)exact;

    rank += (double)rank < exact ? 1 : 0;
    return rmill_max_u64(rank, 1);
}

uint64_t
rmill_histogram_quantile(const struct rmill_histogram_snapshot *snapshot, double q)
{
    if (snapshot->count == 0) {
        return 0;
    }
    uint64_t rank = rank_of(q, snapshot->count);
    uint64_t seen = 0;

    for (uint32_t i = 0; i < RMILL_HISTOGRAM_BUCKET_COUNT; i++) {
        seen += snapshot->buckets[i];
        if (seen >= rank) {
            return rmill_min_u64(rmill_histogram_bucket_high(i), snapshot->max);
        }
    }
    return snapshot->max; /* Only when the caller's snapshot disagrees with itself. */
}

uint64_t
rmill_histogram_min(const struct rmill_histogram_snapshot *snapshot)
{
    for (uint32_t i = 0; i < RMILL_HISTOGRAM_BUCKET_COUNT; i++) {
        if (snapshot->buckets[i] != 0) {
            return rmill_histogram_bucket_low(i);
        }
    }
    return 0;
}

double
rmill_histogram_mean(const struct rmill_histogram_snapshot *snapshot)
{
    return snapshot->count != 0 ? (double)snapshot->sum / (double)snapshot->count : 0.0;
}
