/* Reading damaged archives: nothing that was altered passes for intact, and nothing crashes.
 * Method: small archives built by the codecs; one byte changed, or the end cut off, at seeded
 * places (every place with RMILL_TEST_SCALE large enough); each is verified and unpacked inside one
 * engine. Verify must complain; what unpack leaves behind under a member's name must have that
 * member's content. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "base/prng.h"
#include "engine/ringmill.h"
#include "tests/archive_sample.h"
#include "workloads/files/archive.h"
#include "workloads/files/reader.h"
#include "workloads/files/unpack_run.h"

static char directory[256], archive_path[300], target_path[300];
static struct rmill_buffer original;
static struct sample_member members[16];
static uint32_t member_count;

static void
sample_build(void)
{
    struct sample_options options = {.window_entries = 3, .frame_bytes = 1500};

    member_count = sample_tiny(members);
    original = (struct rmill_buffer){0};
    sample_archive_build(members, member_count, &options, &original);
}

static void
sample_free(void)
{
    rmill_buffer_deinit(&original);
}

static void
archive_write(const uint8_t *data, size_t bytes)
{
    FILE *file = fopen(archive_path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* 0: verify says intact. Runs in a fiber. */
static int
verify_once(void)
{
    struct rmill_archive archive;
    struct rmill_error error = {0};
    struct rmill_reader_report report = {0};
    struct rmill_reader_sink sink = {0};
    struct rmill_reader_options options = {.checksums = true};
    int code = rmill_archive_open(archive_path, &archive, &error);

    if (code < 0) {
        assert_true(strlen(error.advice) > 0);
        return code;
    }
    code = rmill_archive_table_check(&archive, &error);
    if (code == 0) {
        code = rmill_reader_run(&archive, &sink, &options, &report, &error);
    }
    rmill_archive_close(&archive);
    return code < 0 ? code : (int)report.count[RMILL_FINDING_DAMAGE];
}

/* What lies under a member's name is that member or nothing. */
static void
target_check(void)
{
    for (uint32_t i = 0; i < member_count; i++) {
        const struct rmill_entry *entry = &members[i].entry;
        char path[600];
        struct stat status;

        (void)snprintf(path, sizeof(path), "%s/%.*s", target_path, (int)entry->path_bytes,
                       entry->path);
        if (entry->type != RMILL_ENTRY_FILE || lstat(path, &status) != 0) {
            continue;
        }
        assert_true(S_ISREG(status.st_mode));
        assert_int_equal(status.st_size, entry->size);
        uint8_t *content = malloc(entry->size + 1);
        FILE *file = fopen(path, "rb");

        assert_non_null(file);
        assert_int_equal(fread(content, 1, entry->size + 1, file), entry->size);
        assert_int_equal(fclose(file), 0);
        assert_true(entry->size == 0 || memcmp(content, members[i].content, entry->size) == 0);
        free(content);
    }
}

static void
unpack_once(bool expect_good)
{
    struct rmill_unpack_options options = {
        .archive = archive_path, .target = target_path, .unsynced = true};
    struct rmill_unpack_report report;
    struct rmill_error error = {0};
    int code = rmill_unpack_run(&options, &report, &error);

    if (expect_good) {
        if (code != 0) {
            fail_msg("unpack: %s", error.advice);
        }
        assert_int_equal(report.reader.count[RMILL_FINDING_DAMAGE], 0);
    }
    target_check();
    directory_remove(target_path);
}

struct plan {
    uint64_t rounds;
    bool every;
    bool cut;
};

static int
alter_main(void *argument)
{
    const struct plan *plan = argument;
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint8_t *copy = malloc(original.bytes);
    uint64_t rounds = plan->every ? original.bytes : plan->rounds;

    archive_write(original.data, original.bytes);
    assert_int_equal(verify_once(), 0);
    unpack_once(true);
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t at = plan->every ? round : rmill_prng_below(&prng, original.bytes);
        uint8_t flip = (uint8_t)(1 + rmill_prng_below(&prng, 255));

        memcpy(copy, original.data, original.bytes);
        copy[at] ^= flip;
        archive_write(copy, plan->cut ? at : original.bytes);
        if (verify_once() == 0) {
            fail_msg("byte %llu ^ %u%s: passes for intact", (unsigned long long)at, flip,
                     plan->cut ? " (cut off there)" : "");
        }
        if (round % 7 == 0) {
            unpack_once(false);
        }
    }
    free(copy);
    return 0;
}

static void
run_plan(const char *cores, struct plan plan)
{
    struct rmill_engine *engine = NULL;
    struct rmill_options options = {.cores = cores, .arena_bytes = RMILL_READER_ARENA_BYTES};
    int result = -1;

    assert_int_equal(rmill_engine_create(&options, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, alter_main, &plan, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, &result), 0);
    assert_int_equal(result, 0);
    rmill_engine_destroy(engine);
}

static void
no_altered_byte_passes_verify(void **state)
{
    (void)state;
    sample_build();
    run_plan("2", (struct plan){.rounds = scale_get(500), .every = scale_get(1) > 5});
    sample_free();
}

static void
no_cut_archive_passes_verify(void **state)
{
    (void)state;
    sample_build();
    run_plan("1", (struct plan){.rounds = scale_get(200), .every = scale_get(1) > 5, .cut = true});
    sample_free();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_altered_byte_passes_verify),
        cmocka_unit_test(no_cut_archive_passes_verify),
    };

    directory_create(directory);
    (void)snprintf(archive_path, sizeof(archive_path), "%s/a.tar.zst", directory);
    (void)snprintf(target_path, sizeof(target_path), "%s/target", directory);
    int code = cmocka_run_group_tests(tests, NULL, NULL);

    directory_remove(directory);
    return code;
}
