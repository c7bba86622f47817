/* perf/record/histogram.h — log-linear histogram: one core records, anybody takes a snapshot.
 *
 * Every power of two is cut into 32 buckets of equal width, so what is said about a value is at
 * most 1/32 (3.125 %) above it; values below 64 are exact. Any uint64_t can be recorded, 0 and
 * UINT64_MAX too; the unit (ns, bytes, ...) is the caller's.
 *
 *     bucket   0 ..  63   width 1     0 .. 63
 *     bucket  64 ..  95   width 2    64 .. 127
 *     bucket  96 .. 127   width 4   128 .. 255      ... up to bucket 1919, which ends at 2^64 - 1
 *
 * struct rmill_histogram is shared: written by its owner core with plain loads and stores, read by
 * any thread. Relaxed order is enough: a snapshot taken while the owner records has each bucket as
 * it was at some moment during the snapshot; its count is the sum of the buckets it read, so it
 * agrees with its quantiles, while its sum may be some recordings ahead or behind.
 *
 * Zero-initialised memory is an empty histogram, and an empty snapshot. Nothing allocates. Both
 * structs take about 15 KiB: keep snapshots off fiber stacks. */
#ifndef RMILL_PERF_RECORD_HISTOGRAM_H
#define RMILL_PERF_RECORD_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/macros.h"

#define RMILL_HISTOGRAM_SUB_BITS  5
#define RMILL_HISTOGRAM_SUB_COUNT (1u << RMILL_HISTOGRAM_SUB_BITS)
#define RMILL_HISTOGRAM_BUCKET_COUNT                                                               \
    ((64 - RMILL_HISTOGRAM_SUB_BITS + 1) * RMILL_HISTOGRAM_SUB_COUNT)

/* Every field: writer the owner core, readers any thread. */
struct rmill_histogram {
    _Atomic uint64_t sum; /* Modulo 2^64: 584 years of nanoseconds. */
    _Atomic uint64_t max;
    _Atomic uint64_t buckets[RMILL_HISTOGRAM_BUCKET_COUNT];
};

/* Plain integers, owned by whoever took it. The fields may be read directly. */
struct rmill_histogram_snapshot {
    uint64_t count; /* The sum of `buckets`. */
    uint64_t sum;   /* Modulo 2^64. */
    uint64_t max;   /* The largest value, exact once the owner has paused; 0 when empty. */
    uint64_t buckets[RMILL_HISTOGRAM_BUCKET_COUNT];
};

/* The bucket of `value`. Thread: any. */
static inline uint32_t
rmill_histogram_bucket(uint64_t value)
{
    /* The OR lets small values share the first power of two, so that there is no branch and no clz
     * of 0. */
    uint32_t shift = 63 - RMILL_HISTOGRAM_SUB_BITS -
                     (uint32_t)__builtin_clzll(value | RMILL_HISTOGRAM_SUB_COUNT);

    return (shift << RMILL_HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

/* The least and the greatest value of bucket `index`, which is below RMILL_HISTOGRAM_BUCKET_COUNT.
 * Thread: any. */
uint64_t rmill_histogram_bucket_low(uint32_t index);
uint64_t rmill_histogram_bucket_high(uint32_t index);

/* Record `value` `count` times; `count` may be 0. Thread: owner core. Cost: as
 * rmill_histogram_record. */
static inline void
rmill_histogram_record_many(struct rmill_histogram *histogram, uint64_t value, uint64_t count)
{
    _Atomic uint64_t *bucket = &histogram->buckets[rmill_histogram_bucket(value)];
    uint64_t bucket_old = atomic_load_explicit(bucket, memory_order_relaxed);
    uint64_t sum_old = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    uint64_t max_old = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    uint64_t max_new = rmill_max_u64(max_old, count != 0 ? value : 0);

    /* Relaxed, no partner: snapshot_add copes with any order of these three. */
    atomic_store_explicit(bucket, bucket_old + count, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, sum_old + value * count, memory_order_relaxed);
    atomic_store_explicit(&histogram->max, max_new, memory_order_relaxed);
}

/* Record `value` once. Thread: owner core. Cost: three loads and three stores on two cache lines;
 * no division, no locked instruction, no branch. */
static inline void
rmill_histogram_record(struct rmill_histogram *histogram, uint64_t value)
{
    rmill_histogram_record_many(histogram, value, 1);
}

/* Read `histogram` and merge what it holds into `snapshot` (zero-initialised or already holding
 * other histograms of the same unit). Thread: any for the histogram, while its owner records; the
 * snapshot has one user. */
void rmill_histogram_snapshot_add(struct rmill_histogram_snapshot *snapshot,
                                  const struct rmill_histogram *histogram);

/* Merge `from` into `into`: the same as if all values had been recorded into one. Thread: the user
 * of both. */
void rmill_histogram_snapshot_merge(struct rmill_histogram_snapshot *into,
                                    const struct rmill_histogram_snapshot *from);

/* The least value v, rounded up to its bucket's end and capped by the maximum, such that at least
 * `q` of the values are <= v: never below the true quantile and at most 1/32 above it. `q` is 0.5
 * for the median; below 0 (and NaN) counts as 0, the smallest value, above 1 as 1, the maximum. 0
 * when empty. Cost: a scan of the buckets. */
uint64_t rmill_histogram_quantile(const struct rmill_histogram_snapshot *snapshot, double q);

/* The smallest value, rounded down to its bucket's begin: at most 1/32 below the truth. 0 when
 * empty. */
uint64_t rmill_histogram_min(const struct rmill_histogram_snapshot *snapshot);

/* sum / count, exact unless the sum wrapped; 0 when empty. */
double rmill_histogram_mean(const struct rmill_histogram_snapshot *snapshot);

#endif
