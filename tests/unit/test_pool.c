/* Goal: a pool hands out its objects, the last one put first, and touches none before its turn.
 * Method: small pools to their limit; residency of a big one by move_pages; children for what must
 * panic. */
#include "tests/common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numa/pool.h"

struct fixture {
    struct rmill_arena arena;
    struct rmill_pool pool;
};

static struct fixture shared;

static struct rmill_pool *
pool_of(uint64_t object_bytes, uint64_t alignment, uint32_t count)
{
    const struct rmill_arena_options options = {.budget_bytes = RMILL_MIB(64),
                                                .node = RMILL_NODE_ANY};

    rmill_arena_deinit(&shared.arena);
    assert_int_equal(rmill_arena_init(&shared.arena, &options, NULL), 0);
    assert_int_equal(
        rmill_pool_init(&shared.pool, &shared.arena, object_bytes, alignment, count, NULL), 0);
    return &shared.pool;
}

static int
arena_remove(void **state)
{
    (void)state;
    rmill_arena_deinit(&shared.arena);
    return 0;
}

static void
the_last_object_put_is_got_first(void **state)
{
    struct rmill_pool *pool = pool_of(100, 64, 3);
    char *a = rmill_pool_get(pool);
    char *b = rmill_pool_get(pool);

    (void)state;
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal((uintptr_t)b % 64, 0);
    assert_true(b - a >= 100);
    memset(a, 1, 100);
    memset(b, 2, 100);
    rmill_pool_put(pool, a);
    rmill_pool_put(pool, b);
    assert_ptr_equal(rmill_pool_get(pool), b);
    assert_ptr_equal(rmill_pool_get(pool), a);
}

static void
an_empty_pool_answers_null_and_recovers(void **state)
{
    struct rmill_pool *pool = pool_of(16, 1, 2);
    char *a = rmill_pool_get(pool);
    char *b = rmill_pool_get(pool);

    (void)state;
    assert_true(a != NULL && b != NULL && a != b);
    assert_null(rmill_pool_get(pool));
    assert_int_equal(pool->empty_count, 1);
    assert_int_equal(pool->in_use, 2);
    rmill_pool_put(pool, a);
    assert_ptr_equal(rmill_pool_get(pool), a);
    rmill_pool_put(pool, a);
    rmill_pool_put(pool, b);
    assert_int_equal(pool->in_use, 0);
    assert_int_equal(pool->in_use_max, 2);
}

static void
every_object_has_its_index(void **state)
{
    static const uint64_t sizes[] = {1, 16, 17, 24, 64, 100, 4096, 12345};

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(sizes); i++) {
        struct rmill_pool *pool = pool_of(sizes[i], 1, 1000);

        for (uint32_t index = 0; index < 1000; index++) {
            assert_int_equal(rmill_pool_index(pool, rmill_pool_get(pool)), index);
        }
        assert_null(rmill_pool_get(pool));
    }
}

static void
a_pool_that_does_not_fit_is_refused(void **state)
{
    struct rmill_pool *pool = pool_of(16, 16, 1);
    struct rmill_pool before = *pool;
    struct rmill_arena *arena = &shared.arena;
    struct rmill_error error = {0};
    uint64_t used = arena->used_bytes;

    (void)state;
    assert_int_equal(rmill_pool_init(pool, arena, RMILL_MIB(1), 4096, 65, &error), -ENOMEM);
    assert_non_null(strstr(error.advice, "do not fit"));
    assert_int_equal(rmill_pool_init(pool, arena, UINT64_MAX, 4096, 1, &error), -ENOMEM);
    assert_int_equal(rmill_pool_init(pool, arena, RMILL_GIB(1), 1, UINT32_MAX, &error), -ENOMEM);
    assert_int_equal(rmill_pool_init(pool, arena, 0, 1, 1, &error), -EINVAL);
    assert_int_equal(rmill_pool_init(pool, arena, 1, 1, 0, &error), -EINVAL);
    assert_int_equal(rmill_pool_init(pool, arena, 1, 3, 1, &error), -EINVAL);
    assert_int_equal(rmill_pool_init(pool, arena, 1, RMILL_GIB(1), 1, &error), -EINVAL);
    assert_int_equal(arena->used_bytes, used);
    assert_memory_equal(pool, &before, sizeof(before));
}

static void
a_big_pool_costs_nothing_until_it_is_used(void **state)
{
    struct rmill_pool *pool = pool_of(4096, 4096, 10000);
    uint64_t resident;
    uint64_t away;

    (void)state;
    for (int i = 0; i < 3; i++) {
        memset(rmill_pool_get(pool), 1, 4096);
    }
    if (rmill_memory_placement(&shared.arena.regions[0].memory, &resident, &away) != 0) {
        SKIP_BECAUSE("move_pages is not allowed here");
    }
    assert_int_equal(resident, 3 * 4096);
}

/* How a child ends that does `what` with a pool of three objects of 48 bytes. */
static int
signal_of(void (*what)(struct rmill_pool *pool))
{
    struct rmill_pool *pool = pool_of(48, 16, 3);

    assert_int_equal(madvise(shared.arena.regions[0].memory.base, 4096, MADV_DOFORK), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit no_core = {0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* The panic says so in vain. */
        (void)signal(SIGABRT, SIG_DFL);
        what(pool);
        _exit(0);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
put_inside(struct rmill_pool *pool)
{
    rmill_pool_put(pool, (char *)rmill_pool_get(pool) + 16);
}

static void
put_below(struct rmill_pool *pool)
{
    rmill_pool_put(pool, (char *)rmill_pool_get(pool) - 48);
}

static void
put_never_got(struct rmill_pool *pool)
{
    rmill_pool_put(pool, (char *)rmill_pool_get(pool) + 48);
}

static void
put_more_than_got(struct rmill_pool *pool)
{
    void *object = rmill_pool_get(pool);

    rmill_pool_put(pool, object);
    rmill_pool_put(pool, object); /* None is in use: found in release, too. */
}

static void
put_properly(struct rmill_pool *pool)
{
    rmill_pool_put(pool, rmill_pool_get(pool));
}

#ifdef RMILL_DEBUG
static void
put_twice(struct rmill_pool *pool)
{
    void *object = rmill_pool_get(pool);

    (void)!rmill_pool_get(pool);
    rmill_pool_put(pool, object);
    rmill_pool_put(pool, object);
}
#endif

static void
a_false_put_panics(void **state)
{
    (void)state;
    assert_int_equal(signal_of(put_properly), 0);
    assert_int_equal(signal_of(put_inside), SIGABRT);
    assert_int_equal(signal_of(put_below), SIGABRT);
    assert_int_equal(signal_of(put_never_got), SIGABRT);
    assert_int_equal(signal_of(put_more_than_got), SIGABRT);
#ifdef RMILL_DEBUG
    assert_int_equal(signal_of(put_twice), SIGABRT);
#endif
}

static void
a_free_object_is_poisoned_under_address_sanitizer(void **state)
{
#ifdef RMILL_POISONS
    struct rmill_pool *pool = pool_of(48, 16, 2);
    char *object = rmill_pool_get(pool);

    (void)state;
    assert_false(__asan_address_is_poisoned(object));
    assert_true(__asan_address_is_poisoned(object + 48)); /* Never handed out. */
    rmill_pool_put(pool, object);
    assert_true(__asan_address_is_poisoned(object));
    assert_true(__asan_address_is_poisoned(object + 47));
#else
    (void)state;
    SKIP_BECAUSE("only with AddressSanitizer (make asan)");
#endif
}

#define WITH_POOL(test) cmocka_unit_test_teardown(test, arena_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_POOL(the_last_object_put_is_got_first),
        WITH_POOL(an_empty_pool_answers_null_and_recovers),
        WITH_POOL(every_object_has_its_index),
        WITH_POOL(a_pool_that_does_not_fit_is_refused),
        WITH_POOL(a_big_pool_costs_nothing_until_it_is_used),
        WITH_POOL(a_false_put_panics),
        WITH_POOL(a_free_object_is_poisoned_under_address_sanitizer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
