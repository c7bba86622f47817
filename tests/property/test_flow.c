/* The flow: for any shape of work and any options its promises hold.
 * Method: seeded random flows (cores, fibers, window, places, byte bound, order, keys, failures,
 * parking at random points); each step checks the invariants it can see, and the end checks the
 * sums. A reference is not needed: the promises are the model. */
#include "tests/common.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "engine/ringmill.h"

#define KEYS_MAX  64u
#define CORES_MAX 8u

struct plan { /* what one random flow does */
    uint64_t seed;
    uint64_t units;
    uint32_t keys;
    uint32_t fail_percent; /* of units, in process */
    uint32_t fail_write_percent;
    uint64_t produce_fails_at; /* UINT64_MAX: never */
    bool sleepy;
    uint32_t fibers_max; /* of each core; 0: plenty */
    struct rmill_flow_options options;
};

struct watch { /* what was seen */
    const struct plan *plan;
    uint64_t produced, commit_next, committed, committed_failed;
    _Atomic uint64_t processed, written, released;
    uint64_t bytes_in_flight,
        units_in_flight;                 /* home only: from produce to commit, a lower bound */
    _Atomic uint32_t on_core[CORES_MAX]; /* processed and not released */
    _Atomic uint32_t key_busy[KEYS_MAX];
    uint64_t key_last[KEYS_MAX]; /* KEYED: last sequence committed of a key, plus one */
    uint64_t write_next;         /* write_at_home */
    _Atomic uint32_t wrong;
    int result;
    struct rmill_flow_statistics statistics;
};

struct item {
    uint64_t key, bytes;
    uint64_t sum; /* filled by process, checked by commit and write */
};

static uint64_t
noise(const struct watch *watch, uint64_t sequence, uint64_t salt)
{
    struct rmill_prng prng = rmill_prng_seeded(watch->plan->seed ^ sequence * 0x9E37 ^ salt << 40);

    return rmill_prng_next(&prng);
}

static void
expect(struct watch *watch, bool condition, const char *what)
{
    if (!condition && atomic_fetch_add(&watch->wrong, 1) < 3) {
        print_message("seed %llu: broken promise: %s\n", (unsigned long long)watch->plan->seed,
                      what);
    }
}

static bool
will_fail(const struct watch *watch, uint64_t sequence)
{
    return noise(watch, sequence, 1) % 100 < watch->plan->fail_percent;
}

static bool
write_will_fail(const struct watch *watch, uint64_t sequence)
{
    return noise(watch, sequence, 2) % 100 < watch->plan->fail_write_percent;
}

static void
dawdle(const struct watch *watch, uint64_t sequence, uint64_t salt)
{
    uint64_t kind = noise(watch, sequence, salt) % 8;

    if (kind < 2) {
        rmill_yield();
    } else if (kind == 2 && watch->plan->sleepy) {
        rmill_sleep(20 * RMILL_NS_PER_US);
    }
}

static int
produce(struct rmill_unit *unit)
{
    struct watch *watch = unit->context;
    struct item *item = unit->data;

    expect(watch, unit->sequence == watch->produced, "produce gets 0, 1, 2 ...");
    expect(watch, item->sum == 0 && item->key == 0, "unit data is zeroed");
    expect(watch, rmill_core_index() == 0, "produce runs at home");
    if (unit->sequence == watch->plan->produce_fails_at) {
        return -EPROTO;
    }
    if (unit->sequence == watch->plan->units) {
        return 0;
    }
    dawdle(watch, unit->sequence, 3);
    item->key = noise(watch, unit->sequence, 4) % watch->plan->keys;
    item->bytes = noise(watch, unit->sequence, 5) % 1000;
    unit->key = item->key;
    unit->bytes = item->bytes;
    watch->produced++;
    return 1;
}

static int
process(struct rmill_unit *unit)
{
    struct watch *watch = unit->context;
    struct item *item = unit->data;
    bool keyed = watch->plan->options.order == RMILL_FLOW_KEYED;

    expect(watch, unit->core == rmill_core_index(), "unit->core is where process runs");
    uint32_t here = atomic_fetch_add(&watch->on_core[unit->core], 1) + 1;
    expect(watch, here <= watch->plan->options.core_units, "a core holds at most core_units");
    if (watch->plan->options.unclaimed || keyed) {
        expect(watch, rmill_slot_owner(rmill_slot_of(unit->key)) == unit->core,
               "unclaimed: the owner runs it");
    }
    if (keyed) {
        expect(watch, atomic_exchange(&watch->key_busy[item->key], 1) == 0,
               "one unit of a key at a time");
    }
    dawdle(watch, unit->sequence, 6);
    item->sum = unit->sequence * 31 + item->key;
    if (keyed) {
        atomic_store(&watch->key_busy[item->key], 0);
    }
    atomic_fetch_add(&watch->processed, 1);
    return will_fail(watch, unit->sequence) ? -EBADMSG : 0;
}

static int
commit(struct rmill_unit *unit)
{
    struct watch *watch = unit->context;
    struct item *item = unit->data;

    expect(watch, rmill_core_index() == 0, "commit runs at home");
    if (watch->plan->options.order == RMILL_FLOW_ORDERED) {
        expect(watch, unit->sequence == watch->commit_next, "commit is in strict sequence");
    }
    if (watch->plan->options.order == RMILL_FLOW_KEYED) {
        expect(watch, unit->sequence + 1 > watch->key_last[item->key],
               "a key's units commit in order");
        watch->key_last[item->key] = unit->sequence + 1;
    }
    expect(watch, item->sum == unit->sequence * 31 + item->key, "commit sees what process wrote");
    expect(watch, (unit->error == -EBADMSG) == will_fail(watch, unit->sequence),
           "commit is told of the failure");
    watch->commit_next++;
    watch->committed++;
    watch->committed_failed += unit->error != 0;
    return 0;
}

static int
write_step(struct rmill_unit *unit)
{
    struct watch *watch = unit->context;
    struct item *item = unit->data;

    expect(watch, unit->error == 0, "a failed unit is not written");
    expect(watch, item->sum == unit->sequence * 31 + item->key, "write sees what process wrote");
    if (watch->plan->options.write_at_home) {
        expect(watch, rmill_core_index() == 0, "write at home");
        expect(watch, unit->sequence >= watch->write_next, "writes at home are in sequence");
        watch->write_next = unit->sequence + 1;
    } else {
        expect(watch, rmill_core_index() == unit->core, "write runs where the unit is");
    }
    dawdle(watch, unit->sequence, 7);
    atomic_fetch_add(&watch->written, 1);
    return write_will_fail(watch, unit->sequence) ? -EIO : 0;
}

static void
release(struct rmill_unit *unit)
{
    struct watch *watch = unit->context;

    expect(watch, rmill_core_index() == unit->core, "release runs where process ran");
    atomic_fetch_sub(&watch->on_core[unit->core], 1);
    atomic_fetch_add(&watch->released, 1);
}

static int
flow_main(void *argument)
{
    struct watch *watch = argument;

    watch->result = rmill_flow_run(&watch->plan->options, &watch->statistics);
    return 0;
}

static struct plan
plan_of(uint64_t seed)
{
    struct rmill_prng prng = rmill_prng_seeded(seed);
    struct plan plan = {.seed = seed};

    plan.units = rmill_prng_below(&prng, 400);
    plan.keys = (uint32_t)(1 + rmill_prng_below(&prng, KEYS_MAX));
    plan.fail_percent = rmill_prng_chance(&prng, 1, 3) ? (uint32_t)rmill_prng_below(&prng, 20) : 0;
    plan.fail_write_percent =
        rmill_prng_chance(&prng, 1, 4) ? (uint32_t)rmill_prng_below(&prng, 10) : 0;
    plan.produce_fails_at =
        rmill_prng_chance(&prng, 1, 8) ? rmill_prng_below(&prng, 300) : UINT64_MAX;
    plan.sleepy = rmill_prng_chance(&prng, 1, 4);
    plan.options = (struct rmill_flow_options){
        .name = "random",
        .unit_bytes = sizeof(struct item),
        .window = 1u << rmill_prng_below(&prng, 8),
        .bytes_max = rmill_prng_chance(&prng, 1, 2) ? 1 + rmill_prng_below(&prng, 5000) : 0,
        .core_units = (uint32_t)(1 + rmill_prng_below(&prng, 6)),
        .order = (enum rmill_flow_order)rmill_prng_below(&prng, 3),
        .unclaimed = rmill_prng_chance(&prng, 1, 4),
        .stop_on_error = rmill_prng_chance(&prng, 1, 2),
        .produce = produce,
        .process = process,
        .commit = commit,
        .write = write_step,
        .release = release,
    };
    plan.options.write_at_home =
        plan.options.order == RMILL_FLOW_ORDERED && rmill_prng_chance(&prng, 1, 3);
    /* The main fiber, the writer at home and one for units: with that a flow must get on. */
    plan.fibers_max =
        rmill_prng_chance(&prng, 1, 2) ? (uint32_t)(3 + rmill_prng_below(&prng, 3)) : 0;
    return plan;
}

static void
check_sums(struct watch *watch)
{
    const struct plan *plan = watch->plan;
    const struct rmill_flow_statistics *s = &watch->statistics;

    assert_int_equal(atomic_load(&watch->wrong), 0);
    assert_int_equal(s->produced, watch->produced);
    assert_int_equal(atomic_load(&watch->processed), watch->produced);
    assert_int_equal(atomic_load(&watch->released), watch->produced);
    assert_int_equal(s->committed, watch->committed);
    assert_true(s->units_in_flight_max <= plan->options.window);
    assert_true(plan->options.bytes_max == 0 || s->bytes_in_flight_max <= plan->options.bytes_max ||
                s->bytes_in_flight_max < 1000);
    assert_int_equal(s->process.count, watch->produced);
    if (!plan->options.stop_on_error) {
        bool cut = plan->produce_fails_at <= plan->units;

        assert_int_equal(watch->produced, cut ? plan->produce_fails_at : plan->units);
        assert_int_equal(watch->committed, watch->produced);
        assert_int_equal(watch->result, cut ? -EPROTO : 0);
        assert_int_equal(atomic_load(&watch->written), watch->committed - watch->committed_failed);
        return;
    }
    if (watch->result == 0) {
        assert_int_equal(watch->produced, plan->units);
        assert_int_equal(watch->committed, plan->units);
        assert_int_equal(watch->committed_failed, 0);
    } else {
        assert_true(watch->result == -EPROTO || watch->result == -EBADMSG || watch->result == -EIO);
    }
}

/* With stop_on_error and ORDERED, what is committed must not depend on timing, unless writes fail
 * too. */
static void
check_prefix(const struct watch *watch)
{
    const struct plan *plan = watch->plan;

    if (!plan->options.stop_on_error || plan->options.order != RMILL_FLOW_ORDERED ||
        plan->fail_write_percent > 0) {
        return;
    }
    uint64_t end = plan->units;
    int expected = 0;

    if (plan->produce_fails_at <= plan->units) {
        end = plan->produce_fails_at;
        expected = -EPROTO;
    }
    for (uint64_t sequence = 0; sequence < end; sequence++) {
        if (will_fail(watch, sequence)) {
            end = sequence + 1;
            expected = -EBADMSG;
            break;
        }
    }
    assert_int_equal(watch->result, expected);
    assert_int_equal(watch->committed, end);
}

static void
run_plan(const char *cores, uint64_t seed)
{
    struct plan plan = plan_of(seed);
    struct watch *watch = calloc(1, sizeof(*watch));
    struct rmill_engine *engine = NULL;
    struct rmill_options options = {.cores = cores, .fibers_max = plan.fibers_max};

    watch->plan = &plan;
    plan.options.context = watch;
    assert_int_equal(rmill_engine_create(&options, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, flow_main, watch, NULL), 0);
    if (rmill_engine_wait(engine, 30 * RMILL_NS_PER_S, NULL) != 0) {
        fail_msg("seed %llu on %s cores: the flow does not end", (unsigned long long)seed, cores);
    }
    rmill_engine_destroy(engine);
    check_sums(watch);
    check_prefix(watch);
    free(watch);
}

static void
any_flow_keeps_its_promises(void **state)
{
    static const char *const counts[] = {"1", "2", "3", "5"};
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint64_t rounds = scale_get(60);

    (void)state;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t seed = getenv("RMILL_FLOW_SEED") != NULL
                            ? strtoull(getenv("RMILL_FLOW_SEED"), NULL, 0)
                            : rmill_prng_next(&prng);

        run_plan(counts[round % RMILL_ARRAY_COUNT(counts)], seed);
    }
}

/* --- stop, claims, bad options --------------------------------------------------------------- */

static int
produce_for_ever(struct rmill_unit *unit)
{
    (void)unit;
    return 1;
}

static int
process_slowly(struct rmill_unit *unit)
{
    (void)unit;
    rmill_sleep(50 * RMILL_NS_PER_US);
    return 0;
}

static int
endless_main(void *argument)
{
    struct rmill_flow_options options = {
        .name = "endless", .produce = produce_for_ever, .process = process_slowly};

    return rmill_flow_run(&options, argument);
}

static void
stop_drains_an_endless_flow(void **state)
{
    struct rmill_flow_statistics statistics = {0};
    struct rmill_engine *engine = NULL;
    int result = 0;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "2"}, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, endless_main, &statistics, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, 10 * RMILL_NS_PER_MS, NULL), -ETIMEDOUT);
    rmill_engine_stop(engine);
    assert_int_equal(rmill_engine_wait(engine, 30 * RMILL_NS_PER_S, &result), 0);
    rmill_engine_destroy(engine);
    assert_int_equal(result, -ECANCELED);
    assert_true(statistics.produced > 0);
    assert_int_equal(statistics.produced, statistics.committed);
}

static int
produce_one_key(struct rmill_unit *unit)
{
    unit->key = 12345; /* all for one owner */
    return unit->sequence < 200 ? 1 : 0;
}

static int
claim_main(void *argument)
{
    struct rmill_flow_options options = {
        .name = "claim", .produce = produce_one_key, .process = process_slowly, .core_units = 2};

    return rmill_flow_run(&options, argument);
}

static void
idle_cores_claim_units_of_a_busy_owner(void **state)
{
    struct rmill_flow_statistics statistics = {0};
    struct rmill_engine *engine = NULL;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "4"}, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, claim_main, &statistics, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, 30 * RMILL_NS_PER_S, NULL), 0);
    rmill_engine_destroy(engine);
    assert_int_equal(statistics.committed, 200);
    assert_true(statistics.claimed > 50); /* three of four cores own none of them */
}

static int
bad_options_main(void *argument)
{
    struct rmill_flow_options good = {.produce = produce_one_key, .process = process_slowly};
    struct rmill_flow_options bad = good;

    (void)argument;
    bad.window = 3;
    assert_int_equal(rmill_flow_run(&bad, NULL), -EINVAL);
    bad = good;
    bad.process = NULL;
    assert_int_equal(rmill_flow_run(&bad, NULL), -EINVAL);
    bad = good;
    bad.write_at_home = true;
    bad.order = RMILL_FLOW_ANY;
    assert_int_equal(rmill_flow_run(&bad, NULL), -EINVAL);
    return 0;
}

static void
impossible_options_are_refused(void **state)
{
    struct rmill_engine *engine = NULL;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "1"}, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, bad_options_main, NULL, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, NULL), 0);
    rmill_engine_destroy(engine);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flow_keeps_its_promises),
        cmocka_unit_test(stop_drains_an_endless_flow),
        cmocka_unit_test(idle_cores_claim_units_of_a_busy_owner),
        cmocka_unit_test(impossible_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
