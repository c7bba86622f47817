/* Goal: one writer and any number of readers need no lock: nothing is torn, nothing goes back,
 * nothing is lost.
 * Method: a writer thread adds until each reader has seen it change often enough, so that reads
 * and writes do overlap; readers note the first broken promise, the main thread asserts after
 * the join. Under ThreadSanitizer a plain access in these headers is reported. */
#include "tests/common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "perf/record/counters.h"
#include "perf/record/histogram.h"

#define READER_COUNT   3
#define CHANGES_WANTED 50
#define STEP           0x100000001ull /* Both halves change at once: a torn read is no multiple. */
#define VALUE_LEAST    100
#define VALUE_COUNT    5000

static struct rmill_counter counter;
static struct rmill_histogram histogram;
static atomic_uint readers_done;

struct reader {
    pthread_t thread;
    const char *broken; /* NULL: every promise was kept. */
    struct rmill_histogram_snapshot snapshot;
};

static struct reader readers[READER_COUNT];

static void *
counter_read(void *argument)
{
    struct reader *reader = argument;
    uint64_t last = 0;

    for (uint32_t changes = 0; changes < CHANGES_WANTED && reader->broken == NULL;) {
        uint64_t now = rmill_counter_get(&counter);

        if (now % STEP != 0) {
            reader->broken = "torn";
        } else if (now < last) {
            reader->broken = "went back";
        } else if (now == last) {
            (void)sched_yield();
        } else {
            changes++;
        }
        last = now;
    }
    (void)atomic_fetch_add(&readers_done, 1);
    return NULL;
}

static void *
histogram_read(void *argument)
{
    struct reader *reader = argument;
    struct rmill_histogram_snapshot *seen = &reader->snapshot;
    uint64_t last = 0;

    for (uint32_t changes = 0; changes < CHANGES_WANTED && reader->broken == NULL;) {
        memset(seen, 0, sizeof(*seen));
        rmill_histogram_snapshot_add(seen, &histogram);
        if (seen->count < last) {
            reader->broken = "count went back";
        } else if (seen->max >= VALUE_LEAST + VALUE_COUNT) {
            reader->broken = "a maximum nobody recorded";
        } else if (seen->count > 0 && rmill_histogram_quantile(seen, 0.5) > seen->max) {
            reader->broken = "a quantile above the maximum";
        } else if (seen->count > 0 &&
                   rmill_histogram_quantile(seen, 0.0) < VALUE_LEAST - VALUE_LEAST / 32) {
            reader->broken = "a quantile below every value";
        }
        changes += seen->count != last;
        last = seen->count;
    }
    (void)atomic_fetch_add(&readers_done, 1);
    return NULL;
}

static void
readers_start(void *(*body)(void *))
{
    atomic_store(&readers_done, 0);
    memset(readers, 0, sizeof(readers));
    for (size_t i = 0; i < READER_COUNT; i++) {
        assert_int_equal(pthread_create(&readers[i].thread, NULL, body, &readers[i]), 0);
    }
}

static void
readers_join(void)
{
    for (size_t i = 0; i < READER_COUNT; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    }
    for (size_t i = 0; i < READER_COUNT; i++) {
        if (readers[i].broken != NULL) {
            fail_msg("reader %zu: %s", i, readers[i].broken);
        }
    }
}

static void
a_counter_is_read_whole_while_it_is_written(void **state)
{
    uint64_t additions = 0;

    readers_start(counter_read);
    while (atomic_load(&readers_done) < READER_COUNT) {
        rmill_counter_add(&counter, STEP);
        additions++;
    }
    readers_join();
    assert_true(rmill_counter_get(&counter) == additions * STEP);
    assert_true(additions >= CHANGES_WANTED);
}

static void
a_histogram_is_read_while_it_is_written(void **state)
{
    static struct rmill_histogram_snapshot final;
    uint64_t recorded = 0;
    uint64_t sum = 0;

    readers_start(histogram_read);
    while (atomic_load(&readers_done) < READER_COUNT) {
        uint64_t value = VALUE_LEAST + recorded % VALUE_COUNT;

        rmill_histogram_record(&histogram, value);
        recorded++;
        sum += value;
    }
    readers_join();
    rmill_histogram_snapshot_add(&final, &histogram);
    assert_true(final.count == recorded && final.sum == sum);
    assert_true(recorded >= CHANGES_WANTED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_counter_is_read_whole_while_it_is_written),
        cmocka_unit_test(a_histogram_is_read_while_it_is_written),
    };

    (void)alarm(120); /* A value that never becomes visible must not hang the suite. */
    return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
