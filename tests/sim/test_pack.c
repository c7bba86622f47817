/* tests/sim/test_pack.c — packing on the modelled disk: whole or not at all, and always the same.
 *
 * Goal: whatever the machine does, the name of the output holds what it held before, or the archive
 * that a run without a fault makes, byte for byte; and a run that says "done" has made the latter,
 * unless it listed something.
 *
 * Method: a made tree with links, an old archive, and for each seed another world: delays, short
 * counts, EINTR, EAGAIN; in some also EIO, ENOSPC, ENOMEM, a power cut before a chosen operation.
 * The reference comes from a calm world with one core. RMILL_SIM_SEEDS says how many seeds
 * (default 60). */
#include "tests/common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "engine/ringmill.h"
#include "engine/sim/sim.h"
#include "workloads/files/pack_run.h"

#define SEEDS 60u

static const char old_archive[] = "the old archive";

struct world {
    const char *cores;
    int result; /* Of the job; 1: it never ran. */
    struct rmill_pack_report report;
    bool powered_at_end;
};

static uint32_t problem_count;

static void
problem_told(void *context, const struct rmill_problem *problem)
{
    (void)context;
    (void)problem;
    problem_count++;
}

static int
pack_main(void *argument)
{
    static const struct rmill_root_argument tree = {.path = "tree"};
    struct world *world = argument;
    struct rmill_error error;
    struct rmill_pack_options options = {.arguments = &tree,
                                         .argument_count = 1,
                                         .output = "out.tar.zst",
                                         .level = 1,
                                         .chunk_bytes = 64 << 10,
                                         .problem = problem_told};

    world->result = rmill_pack_run(&options, &world->report, &error);
    world->powered_at_end = rmill_sim_powered();
    return 0;
}

static int
control(void *argument)
{
    struct world *world = argument;
    struct rmill_options options = {
        .cores = world->cores, .arena_bytes = RMILL_MIB(32), .fibers_max = 128};
    struct rmill_engine *engine;

    if (rmill_engine_create(&options, &engine, NULL) < 0) {
        return 0;
    }
    if (rmill_engine_start(engine, pack_main, world, NULL) == 0) {
        int code = rmill_engine_wait(engine, UINT64_MAX, NULL);

        RMILL_ASSERT(code == 0);
    }
    rmill_engine_destroy(engine);
    return 0;
}

/* The same tree for every seed; its place on the disk (inodes, directory order) is the seed's. */
static struct rmill_sim_disk *
disk_make(uint64_t seed)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);
    struct rmill_prng noise = rmill_prng_seeded(7);
    char path[64];
    static uint8_t data[300000];

    assert_non_null(disk);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(rmill_prng_next(&noise) % (i % 3000 < 1500 ? 256 : 3));
    }
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof(path), "tree/%c/%u/f%u.%c", 'a' + (int)(i % 3), i % 4, i,
                       'x' + (int)(i % 3));
        assert_int_equal(rmill_sim_disk_put(disk, path, 0644, data + i, (uint64_t)i * i * 20), 0);
    }
    assert_int_equal(rmill_sim_disk_put(disk, "tree/b/big", 0600, data, sizeof(data)), 0);
    assert_int_equal(rmill_sim_disk_mkdir(disk, "tree/empty", 0750), 0);
    assert_int_equal(rmill_sim_disk_symlink(disk, "b/big", "tree/link"), 0);
    assert_int_equal(
        rmill_sim_disk_put(disk, "out.tar.zst", 0644, old_archive, sizeof(old_archive)), 0);
    rmill_sim_disk_sync(disk);
    return disk;
}

static void
pack_in(struct rmill_sim_options *options, struct world *world, void **data, uint64_t *bytes)
{
    struct rmill_sim_result result;

    world->result = 1;
    problem_count = 0;
    options->disk = disk_make(options->seed);
    options->time_limit_ns = 600 * RMILL_NS_PER_S;
    assert_int_equal(rmill_sim_run(options, control, world, &result), 0);
    assert_int_equal(result.descriptors_open, 0);
    assert_int_equal(rmill_sim_disk_get(options->disk, "out.tar.zst", data, bytes), 0);
    rmill_sim_disk_destroy(options->disk);
}

static void
world_make(struct rmill_sim_options *options, struct rmill_prng *plan)
{
    uint32_t *fault = options->fault_per_million;
    bool harsh = rmill_prng_below(plan, 3) == 0;

    options->skew_ns = 200u << rmill_prng_below(plan, 8);
    options->delay_ns_max = 2000u << rmill_prng_below(plan, 9);
    fault[RMILL_SIM_STALL] = 200;
    fault[RMILL_SIM_SHORT] = 100000;
    fault[RMILL_SIM_INTERRUPTED] = 50000;
    fault[RMILL_SIM_AGAIN] = 50000;
    fault[RMILL_SIM_TYPE_UNKNOWN] = 100000;
    fault[RMILL_SIM_IO_ERROR] = harsh ? 2000 : 0;
    fault[RMILL_SIM_NO_SPACE] = harsh ? 2000 : 0;
    fault[RMILL_SIM_NO_MEMORY] = harsh ? 1000 : 0;
    options->power_loss_operation =
        rmill_prng_below(plan, 2) == 0 ? 1 + rmill_prng_below(plan, 500) : 0;
}

static bool
is_same(const void *data, uint64_t bytes, const void *other, uint64_t other_bytes)
{
    return bytes == other_bytes && memcmp(data, other, bytes) == 0;
}

static void
the_name_holds_the_old_archive_or_the_whole_new_one(void **state)
{
    static const char *const cores[] = {"1", "2", "4", "7"};
    const char *wanted = getenv("RMILL_SIM_SEEDS");
    uint64_t first = seed_get(), seeds = wanted != NULL ? strtoull(wanted, NULL, 10) : SEEDS;
    uint64_t made = 0, kept = 0, listed = 0, cut = 0;
    struct rmill_sim_options calm = {.seed = 1};
    struct world world = {.cores = "1"};
    void *reference, *data;
    uint64_t reference_bytes, bytes;

    pack_in(&calm, &world, &reference, &reference_bytes);
    assert_int_equal(world.result, 0);
    assert_int_equal(problem_count, 0);
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct rmill_sim_options options = {.seed = seed};
        struct rmill_prng plan = rmill_prng_seeded(seed);

        world_make(&options, &plan);
        world = (struct world){.cores = cores[rmill_prng_below(&plan, 4)]};
        pack_in(&options, &world, &data, &bytes);
        bool is_old = is_same(data, bytes, old_archive, sizeof(old_archive));
        bool is_new = is_same(data, bytes, reference, reference_bytes);
        bool said_done = world.result == 0 && world.powered_at_end;

        /* With something listed the archive is another one, but then it was said. */
        if (!is_old && !is_new && problem_count == 0) {
            fail_msg("seed %llu: %llu bytes of neither archive", (unsigned long long)seed,
                     (unsigned long long)bytes);
        }
        if (said_done && is_old) {
            fail_msg("seed %llu: said done and is not", (unsigned long long)seed);
        }
        made += is_new;
        kept += is_old;
        listed += problem_count > 0;
        cut += !world.powered_at_end;
        free(data);
    }
    free(reference);
    print_message("%llu new, %llu old, %llu with problems, %llu power cuts\n",
                  (unsigned long long)made, (unsigned long long)kept, (unsigned long long)listed,
                  (unsigned long long)cut);
    if (wanted == NULL) {
        assert_true(made > 0 && kept > 0 && cut > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_holds_the_old_archive_or_the_whole_new_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
