/* The engine in the simulator: channels, flow and file operations on virtual cores, with faults,
 * delays and power loss.
 *
 * Method: each scenario (tests/sim/scenarios.c) runs over many seeds and judges what came out:
 * nothing lost or run twice, order kept, limits respected, outputs whole. Every twentieth seed
 * runs twice and must leave the same trace. RMILL_SIM_SEEDS sets how many seeds (default 250),
 * RMILL_SEED where they begin (default 1: the same in every run). A bad seed is printed with the
 * command that replays it; so is the seed of a panic. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "tests/sim/scenarios.h"

static uint64_t
number_of(const char *name, uint64_t usual)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : usual;
}

/* ThreadSanitizer makes a switch of stacks dear, and there is but one thread. */
#ifdef __SANITIZE_THREAD__
#define SEEDS 10
#else
#define SEEDS 250
#endif

struct totals {
    uint64_t seeds, succeeded, claimed;
    uint64_t faults[RMILL_SIM_FAULT_COUNT];
};

static struct verdict
run_once(const struct scenario *scenario, uint64_t seed)
{
    struct verdict verdict = {.good = true};

    scenario->run(seed, NULL, &verdict);
    if (!verdict.good) {
        fail_msg("seed %llu: %s; replay: ringmill-sim %s --seed %llu --trace FILE",
                 (unsigned long long)seed, verdict.what, scenario->name, (unsigned long long)seed);
    }
    return verdict;
}

static struct totals
run_seeds(const char *name)
{
    const struct scenario *scenario = scenarios;
    struct totals totals = {.seeds = number_of("RMILL_SIM_SEEDS", SEEDS)};
    uint64_t first = number_of("RMILL_SEED", 1);

    while (strcmp(scenario->name, name) != 0) {
        scenario++;
    }
    for (uint64_t seed = first; seed < first + totals.seeds; seed++) {
        struct verdict verdict = run_once(scenario, seed);

        totals.succeeded += verdict.succeeded;
        totals.claimed += verdict.claimed;
        for (uint32_t i = 0; i < RMILL_SIM_FAULT_COUNT; i++) {
            totals.faults[i] += verdict.run.faults[i];
        }
        if (seed % 20 == 0 && run_once(scenario, seed).trace_hash != verdict.trace_hash) {
            fail_msg("seed %llu of %s does not replay", (unsigned long long)seed, name);
        }
    }
    return totals;
}

static void
messages_between_cores_keep_order_and_run_once(void **state)
{
    struct totals totals = run_seeds("messages");

    (void)state;
    assert_int_equal(totals.succeeded, totals.seeds);
}

static void
ordered_flow_gives_the_right_file_or_a_clean_error(void **state)
{
    struct totals totals = run_seeds("flow");

    (void)state;
    if (totals.seeds >= 200) { /* Both happened, and so did every kind of fault. */
        assert_in_range(totals.succeeded, totals.seeds / 2, totals.seeds - 10);
        assert_true(totals.claimed > totals.seeds);
        for (uint32_t i = RMILL_SIM_SHORT; i <= RMILL_SIM_NO_MEMORY; i++) {
            assert_true(totals.faults[i] > 0);
        }
    }
}

static void
keyed_and_unordered_flows_give_the_right_file_or_a_clean_error(void **state)
{
    (void)state;
    (void)run_seeds("unordered");
}

static void
stopped_flow_drains_and_leaves_the_old_file(void **state)
{
    struct totals totals = run_seeds("stop");

    (void)state;
    if (totals.seeds >= 200) {
        assert_in_range(totals.succeeded, 10, totals.seeds - 50);
    }
}

static void
power_loss_leaves_the_old_or_the_new_file(void **state)
{
    (void)state;
    (void)run_seeds("power");
}

static void
forgotten_fsync_is_found_out(void **state)
{
    uint32_t found = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 100 && found == 0; seed++) {
        struct verdict verdict = {.good = true};

        scenario_power_forgetful(seed, NULL, &verdict);
        found += !verdict.good;
    }
    assert_true(found > 0);
}

static void
engine_that_cannot_start_says_so_and_leaves_nothing(void **state)
{
    struct totals totals = run_seeds("start");

    (void)state;
    if (totals.seeds >= 200) {
        assert_in_range(totals.succeeded, totals.seeds / 10, totals.seeds - totals.seeds / 10);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_between_cores_keep_order_and_run_once),
        cmocka_unit_test(ordered_flow_gives_the_right_file_or_a_clean_error),
        cmocka_unit_test(keyed_and_unordered_flows_give_the_right_file_or_a_clean_error),
        cmocka_unit_test(stopped_flow_drains_and_leaves_the_old_file),
        cmocka_unit_test(power_loss_leaves_the_old_or_the_new_file),
        cmocka_unit_test(forgotten_fsync_is_found_out),
        cmocka_unit_test(engine_that_cannot_start_says_so_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
