/* tests/sim/test_unpack.c — unpacking on the modelled disk: whole files, or none and it is known.
 *
 * Goal: whatever the machine does, a file under its final name has its content or the one it had
 * before, unless the run failed and left its marker; a run that says "done" has everything on the
 * disk, also when power is lost right after; once the marker is gone, nothing is missing.
 *
 * Method: one archive (small files, a large one, links, a file that exists already), and for each
 * seed another world: delays, short counts, EINTR, EAGAIN; in some also EIO, ENOSPC, ENOMEM, a
 * power cut before a chosen operation. RMILL_SIM_SEEDS says how many seeds (default 60). */
#include "tests/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/prng.h"
#include "engine/ringmill.h"
#include "engine/sim/sim.h"
#include "tests/files_writer.h"
#include "workloads/files/unpack_run.h"

#define SEEDS       60u
#define MEMBERS     26u
#define LARGE_BYTES (RMILL_MIB(4) + 777)

static uint8_t content[LARGE_BYTES];
static struct files_member members[MEMBERS];
static char names[MEMBERS][32];
static struct rmill_buffer archive;

struct world {
    const char *cores;
    int result; /* Of the job; 1: it never ran. */
    struct rmill_unpack_report report;
    uint32_t findings;
    bool powered_at_end;
};

static void
finding_count(void *context, const struct rmill_finding *finding)
{
    struct world *world = context;

    (void)finding;
    world->findings++;
}

static int
unpack_main(void *argument)
{
    struct world *world = argument;
    struct rmill_error error;
    struct rmill_unpack_options options = {.archive = "a.tar.zst",
                                           .target = "out",
                                           .owners = true,
                                           .depth = 8,
                                           .told = finding_count,
                                           .context = world};

    world->result = rmill_unpack_run(&options, &world->report, &error);
    RMILL_ASSERT(world->result == 0 || error.advice[0] != '\0');
    world->powered_at_end = rmill_sim_powered();
    return 0;
}

static int
control(void *argument)
{
    struct world *world = argument;
    struct rmill_options options = {
        .cores = world->cores, .arena_bytes = RMILL_MIB(64), .fibers_max = 128};
    struct rmill_engine *engine;

    if (rmill_engine_create(&options, &engine, NULL) < 0) {
        return 0;
    }
    if (rmill_engine_start(engine, unpack_main, world, NULL) == 0) {
        int code = rmill_engine_wait(engine, UINT64_MAX, NULL);

        RMILL_ASSERT(code == 0);
    }
    rmill_engine_destroy(engine);
    return 0;
}

static void
archive_make(void)
{
    struct rmill_prng noise = rmill_prng_seeded(11);
    uint32_t count = 0;

    for (uint64_t i = 0; i < LARGE_BYTES; i++) {
        content[i] = (uint8_t)(rmill_prng_next(&noise) % (i % 3000 < 500 ? 256 : 3));
    }
    members[count++] = files_directory("d");
    members[count++] = files_directory("old");
    members[count++] = files_file("d/big", content, LARGE_BYTES);
    members[count++] = files_file("old/kept", content, 100);
    members[count++] = files_symlink("way", "d/big");
    members[count++] = files_hardlink("twin", "d/f7");
    for (uint32_t i = 0; count < MEMBERS; i++) {
        (void)snprintf(names[count], sizeof(names[count]), "%s/f%u", i % 3 != 0 ? "d" : "old", i);
        members[count] = files_file(names[count], content + i, (size_t)i * i * 150);
        count++;
    }
    files_archive_build(members, count,
                        &(struct files_options){.chunk_bytes = 64 << 10, .window_entries = 12},
                        &archive);
}

static struct rmill_sim_disk *
disk_make(uint64_t seed, bool old)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, 0);

    assert_non_null(disk);
    assert_int_equal(rmill_sim_disk_put(disk, "a.tar.zst", 0644, archive.data, archive.bytes), 0);
    if (old) {
        assert_int_equal(rmill_sim_disk_put(disk, "out/old/kept", 0644, "mine", 4), 0);
    }
    rmill_sim_disk_sync(disk);
    return disk;
}

static void
world_make(struct rmill_sim_options *options, struct rmill_prng *plan)
{
    uint32_t *fault = options->fault_per_million;
    bool harsh = rmill_prng_below(plan, 3) == 0;

    options->skew_ns = 200u << rmill_prng_below(plan, 8);
    options->delay_ns_max = 2000u << rmill_prng_below(plan, 9);
    options->time_limit_ns = 600 * RMILL_NS_PER_S;
    fault[RMILL_SIM_STALL] = 200;
    fault[RMILL_SIM_SHORT] = 100000;
    fault[RMILL_SIM_INTERRUPTED] = 50000;
    fault[RMILL_SIM_AGAIN] = 50000;
    fault[RMILL_SIM_IO_ERROR] = harsh ? 1000 : 0;
    fault[RMILL_SIM_NO_SPACE] = harsh ? 3000 : 0;
    fault[RMILL_SIM_NO_MEMORY] = harsh ? 1000 : 0;
    options->power_loss_operation =
        rmill_prng_below(plan, 2) == 0 ? 1 + rmill_prng_below(plan, 400) : 0;
}

/* What the disk holds of the archive's files. */
struct sight {
    uint32_t right, wrong, missing;
    bool marker, kept;
};

static bool
is_same(const struct rmill_sim_disk *disk, const char *path, const void *data, uint64_t bytes,
        struct sight *sight)
{
    void *found = NULL;
    uint64_t found_bytes = 0;

    if (rmill_sim_disk_get(disk, path, &found, &found_bytes) != 0) {
        sight->missing++;
        return false;
    }
    bool same = found_bytes == bytes && (bytes == 0 || memcmp(found, data, bytes) == 0);

    free(found);
    return same;
}

static struct sight
look(const struct rmill_sim_disk *disk, bool old)
{
    struct sight sight = {0};
    char path[64];
    void *found = NULL;
    uint64_t bytes;

    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint32_t missing = sight.missing;

        if (members[i].entry.type != RMILL_ENTRY_FILE) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "out/%s", members[i].entry.path);
        if (is_same(disk, path, members[i].content, members[i].entry.size, &sight)) {
            sight.right++;
        } else if (old && strcmp(path, "out/old/kept") == 0) {
            sight.kept = is_same(disk, path, "mine", 4, &sight);
        } else {
            sight.wrong += sight.missing == missing;
        }
    }
    sight.marker = rmill_sim_disk_get(disk, "out/.ringmill-unpack", &found, &bytes) == 0;
    free(found);
    return sight;
}

static void
said_done_is_done(const struct world *world, const struct sight *sight, bool old, uint64_t seed)
{
    uint32_t files = 0;

    for (uint32_t i = 0; i < MEMBERS; i++) {
        files += members[i].entry.type == RMILL_ENTRY_FILE;
    }
    if (sight->marker || sight->wrong > 0 || sight->right + sight->kept != files ||
        world->findings != old) {
        fail_msg("seed %llu: said done; %u right, %u wrong, %u missing of %u, %u findings%s",
                 (unsigned long long)seed, sight->right, sight->wrong, sight->missing, files,
                 world->findings, sight->marker ? ", marker" : "");
    }
}

static void
what_is_under_its_name_is_whole_or_the_run_failed(void **state)
{
    static const char *const cores[] = {"1", "2", "4", "7"};
    const char *wanted = getenv("RMILL_SIM_SEEDS");
    uint64_t first = seed_get(), seeds = wanted != NULL ? strtoull(wanted, NULL, 10) : SEEDS;
    uint64_t done = 0, failed = 0, cut = 0;

    (void)state;
    archive_make();
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        struct rmill_sim_options options = {.seed = seed};
        struct rmill_sim_result result;
        struct rmill_prng plan = rmill_prng_seeded(seed);
        bool old = rmill_prng_below(&plan, 2) == 0;
        struct world world = {.cores = cores[rmill_prng_below(&plan, 4)], .result = 1};

        world_make(&options, &plan);
        options.disk = disk_make(seed, old);
        assert_int_equal(rmill_sim_run(&options, control, &world, &result), 0);
        assert_int_equal(result.descriptors_open, 0);
        struct sight sight = look(options.disk, old);

        if (old && !sight.kept) {
            fail_msg("seed %llu: the file that was there is gone", (unsigned long long)seed);
        }
        if (sight.wrong > 0 && !sight.marker) {
            fail_msg("seed %llu: %u files are wrong and no marker says so",
                     (unsigned long long)seed, sight.wrong);
        }
        if (sight.wrong > 0 && world.powered_at_end && world.result == 0) {
            fail_msg("seed %llu: %u files are wrong after a run that went through",
                     (unsigned long long)seed, sight.wrong);
        }
        if (world.result == 0 && world.powered_at_end && world.findings <= (old ? 1 : 0)) {
            rmill_sim_disk_power_loss(options.disk, seed);
            sight = look(options.disk, old);
            said_done_is_done(&world, &sight, old, seed);
            done++;
        }
        failed += world.result < 0;
        cut += !world.powered_at_end;
        rmill_sim_disk_destroy(options.disk);
    }
    rmill_buffer_deinit(&archive);
    print_message("%llu done, %llu failed, %llu power cuts\n", (unsigned long long)done,
                  (unsigned long long)failed, (unsigned long long)cut);
    if (wanted == NULL) {
        assert_true(done > 0 && failed > 0 && cut > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_under_its_name_is_whole_or_the_run_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
