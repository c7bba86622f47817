/* Goal: an arena gives aligned memory up to its budget, then NULL; frozen, it gives nothing at all.
 * Method: allocations around every limit, the region table against the addresses handed out;
 * children for what must panic. Regions beyond the first are reserved addresses only, so the tests
 * cost no memory. */
#include "tests/common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "numa/arena.h"

static struct rmill_arena
arena_of(uint64_t budget_bytes)
{
    struct rmill_arena arena;
    const struct rmill_arena_options options = {.budget_bytes = budget_bytes,
                                                .node = RMILL_NODE_ANY};
    struct rmill_error error = {0};

    if (rmill_arena_init(&arena, &options, &error) != 0) {
        fail_msg("%s", error.advice);
    }
    return arena;
}

static void
allocations_are_aligned_apart_and_zero(void **state)
{
    struct rmill_arena arena = arena_of(RMILL_MIB(8));
    char *end = NULL;

    (void)state;
    for (uint64_t alignment = 1; alignment <= RMILL_ARENA_ALIGNMENT_MAX; alignment *= 2) {
        char *memory = rmill_arena_allocate(&arena, 100, alignment);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        assert_true(end == NULL || memory >= end);
        end = memory + 100;
        for (int i = 0; i < 100; i++) {
            assert_int_equal(memory[i], 0);
        }
        memset(memory, 0xff, 100);
    }
    rmill_arena_deinit(&arena);
    rmill_arena_deinit(&arena); /* A zeroed one is accepted. */
}

static void
the_budget_is_hard_to_the_byte(void **state)
{
    const uint64_t budget = 1000003; /* No multiple of anything. */
    struct rmill_arena arena = arena_of(budget);
    struct rmill_arena_statistics statistics;

    (void)state;
    assert_null(rmill_arena_allocate(&arena, budget + 1, 1));
    assert_non_null(rmill_arena_allocate(&arena, budget - 1, 1));
    assert_null(rmill_arena_allocate(&arena, 2, 1));
    assert_null(
        rmill_arena_allocate(&arena, 1, 4)); /* The alignment would cost more than is left. */
    assert_non_null(rmill_arena_allocate(&arena, 1, 1));
    assert_null(rmill_arena_allocate(&arena, 1, 1));
    assert_null(rmill_arena_allocate(&arena, UINT64_MAX, 1));
    rmill_arena_statistics_get(&arena, &statistics);
    assert_int_equal(statistics.used_bytes, budget);
    assert_int_equal(statistics.budget_bytes, budget);
    assert_int_equal(statistics.peak_bytes, budget);
    assert_int_equal(statistics.refused_count, 5);
    assert_int_equal(statistics.small_bytes,
                     rmill_align_up(budget, (uint64_t)sysconf(_SC_PAGESIZE)));
    rmill_arena_deinit(&arena);
}

static void
regions_are_at_most_one_gib_each(void **state)
{
    struct rmill_arena arena = arena_of(RMILL_GIB(2) + RMILL_MIB(1));
    struct iovec vectors[3];
    char *parts[5];

    (void)state;
    assert_int_equal(rmill_arena_regions(&arena, vectors, 2), 3);
    assert_int_equal(rmill_arena_regions(&arena, vectors, 3), 3);
    assert_int_equal(vectors[0].iov_len, RMILL_GIB(1));
    assert_int_equal(vectors[1].iov_len, RMILL_GIB(1));
    assert_int_equal(vectors[2].iov_len, RMILL_MIB(1));
    assert_null(rmill_arena_allocate(&arena, RMILL_GIB(1) + 1, 1));

    parts[0] = rmill_arena_allocate(&arena, RMILL_MIB(600), 4096);
    parts[1] =
        rmill_arena_allocate(&arena, RMILL_MIB(600), 4096); /* Does not fit behind the first. */
    parts[2] = rmill_arena_allocate(&arena, RMILL_MIB(424), 4096); /* Does. */
    parts[3] = rmill_arena_allocate(&arena, RMILL_MIB(424), 4096);
    parts[4] = rmill_arena_allocate(&arena, RMILL_MIB(1), 4096);
    assert_null(rmill_arena_allocate(&arena, 1, 1));

    static const uint32_t regions[] = {0, 1, 0, 1, 2};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(parts); i++) {
        assert_non_null(parts[i]);
        assert_int_equal(rmill_arena_region_of(&arena, parts[i], RMILL_MIB(1)), regions[i]);
    }
    assert_int_equal(rmill_arena_region_of(&arena, parts[4], RMILL_MIB(1) + 1),
                     RMILL_ARENA_NO_REGION);
    assert_int_equal(rmill_arena_region_of(&arena, &arena, 1), RMILL_ARENA_NO_REGION);
    assert_int_equal(rmill_arena_region_of(&arena, parts[0], UINT64_MAX), RMILL_ARENA_NO_REGION);
    rmill_arena_deinit(&arena);
}

static void
only_what_is_used_needs_registration(void **state)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct rmill_arena arena = arena_of(RMILL_MIB(64));
    struct iovec vector;

    (void)state;
    assert_int_equal(rmill_arena_regions_used(&arena, &vector, 1), 1);
    assert_int_equal(vector.iov_len, 0);
    char *memory = rmill_arena_allocate(&arena, page + 1, 1);

    assert_int_equal(rmill_arena_regions_used(&arena, &vector, 1), 1);
    assert_ptr_equal(vector.iov_base, memory);
    assert_int_equal(vector.iov_len, 2 * page);
    rmill_arena_deinit(&arena);
}

static void
a_rewound_arena_starts_anew_and_remembers_its_peak(void **state)
{
    struct rmill_arena arena = arena_of(RMILL_MIB(1));
    void *first = rmill_arena_allocate(&arena, 4000, 64);

    (void)state;
    assert_non_null(rmill_arena_allocate(&arena, 4000, 64));
    uint64_t peak = arena.used_bytes;

    rmill_arena_rewind(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_ptr_equal(rmill_arena_allocate(&arena, 10, 64), first);
    assert_int_equal(arena.used_bytes, 10);
    assert_int_equal(arena.peak_bytes, peak);
    rmill_arena_deinit(&arena);
}

static void
impossible_budgets_are_refused(void **state)
{
    static const uint64_t budgets[] = {0, RMILL_ARENA_BUDGET_MAX + 1, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(budgets); i++) {
        const struct rmill_arena_options options = {.budget_bytes = budgets[i]};
        struct rmill_arena arena;

        assert_int_equal(rmill_arena_init(&arena, &options, NULL), -EINVAL);
        assert_null(arena.regions);
    }
}

/* How a child ends that does `what`. */
static int
signal_of(void (*what)(void))
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit no_core = {0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* The panic says so in vain. */
        (void)signal(SIGABRT, SIG_DFL);
        what();
        _exit(0);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
allocate_after_freeze(void)
{
    struct rmill_arena arena = arena_of(4096);

    rmill_arena_freeze(&arena);
    (void)rmill_arena_allocate(&arena, 1, 1);
}

static void
rewind_after_freeze(void)
{
    struct rmill_arena arena = arena_of(4096);

    rmill_arena_freeze(&arena);
    rmill_arena_rewind(&arena);
}

static void
allocate_with_a_false_alignment(void)
{
    struct rmill_arena arena = arena_of(4096);

    (void)rmill_arena_allocate(&arena, 1, 3);
}

static void
misuse_panics(void **state)
{
    (void)state;
    assert_int_equal(signal_of(allocate_after_freeze), SIGABRT);
    assert_int_equal(signal_of(rewind_after_freeze), SIGABRT);
    assert_int_equal(signal_of(allocate_with_a_false_alignment), SIGABRT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_apart_and_zero),
        cmocka_unit_test(the_budget_is_hard_to_the_byte),
        cmocka_unit_test(regions_are_at_most_one_gib_each),
        cmocka_unit_test(only_what_is_used_needs_registration),
        cmocka_unit_test(a_rewound_arena_starts_anew_and_remembers_its_peak),
        cmocka_unit_test(impossible_budgets_are_refused),
        cmocka_unit_test(misuse_panics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
