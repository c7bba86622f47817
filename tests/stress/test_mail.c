/* Goal: between cores nothing is lost, run twice, reordered or woken too late to matter, and the
 * engine finds the end. Method: four cores, more than there may be CPUs. Fibers on every core post,
 * call, spawn, sleep, block and yield at random among all of them, through full channels. Posts of
 * one fiber to one core must arrive in order; every visit is counted where it happens, and the sums
 * must match what was asked. The engine is made and destroyed again and again, from plain threads
 * posted into all the while. Also under ThreadSanitizer (make stress). */
#include "tests/common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "engine/ringmill.h"

#define CORES   4u
#define WALKERS 6u /* Fibers per core that walk about. */
#define FOREIGN 500u

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STEPS  100u
#define ROUNDS 3u
#else
#define STEPS  400u
#define ROUNDS 8u
#endif

struct walker;

/* What happens on one core; only that core touches it while the engine runs. */
struct place {
    RMILL_CACHE_ALIGNED uint64_t posts, calls, spawns;
    uint64_t out_of_order;
    uint64_t next[CORES * WALKERS]; /* The number of the next post of each walker. */
};

struct job {
    struct place places[CORES];
    struct walker *walkers;
    uint64_t seed;
    uint32_t steps;
};

/* Lives on its own core; `asked` is written there only. */
struct walker {
    struct job *job;
    uint32_t index, home;
    struct rmill_prng prng;
    struct rmill_latch *over; /* On core 0. */
    uint64_t posted[CORES], called[CORES], spawned[CORES];
    uint64_t wrong;
};

struct post {
    struct job *job;
    uint32_t walker, to;
    uint64_t number;
};

static void
receive(void *argument)
{
    struct post *post = argument;
    struct place *place = &post->job->places[rmill_core_index()];

    place->posts++;
    place->out_of_order +=
        place->next[post->walker] != post->number || post->to != rmill_core_index();
    place->next[post->walker] = post->number + 1;
    free(post);
}

static void
send_posts(struct walker *walker, uint32_t to, uint64_t count)
{
    while (count-- > 0) {
        struct post *post = malloc(sizeof(*post));

        *post = (struct post){walker->job, walker->index, to, walker->posted[to]++};
        rmill_post(to, receive, post);
    }
}

struct errand {
    struct walker *walker;
    uint64_t random;
};

static int64_t
run_errand(void *argument)
{
    struct errand *errand = argument;

    errand->walker->job->places[rmill_core_index()].calls++;
    if (errand->random % 4 == 0) {
        rmill_yield();
    } else if (errand->random % 16 == 1) {
        rmill_sleep(errand->random % 100000);
    }
    return (int64_t)(errand->random >> 1);
}

static void
call(struct walker *walker, uint32_t to)
{
    struct errand errand = {walker, rmill_prng_next(&walker->prng)};

    walker->called[to]++;
    walker->wrong += rmill_call(to, run_errand, &errand) != (int64_t)(errand.random >> 1);
    walker->wrong += rmill_core_index() != walker->home; /* A fiber never leaves its core. */
}

static void
visit(void *argument)
{
    struct job *job = argument;

    job->places[rmill_core_index()].spawns++;
}

static int64_t
square(void *argument)
{
    uint64_t value = *(uint64_t *)argument;

    return (int64_t)(value * value);
}

static void
block(struct walker *walker)
{
    uint64_t value = rmill_prng_below(&walker->prng, 1 << 20);

    walker->wrong += rmill_blocking_call(square, &value) != (int64_t)(value * value);
}

static void
latch_done(void *argument)
{
    rmill_latch_done(argument);
}

static void
walk(void *argument)
{
    struct walker *walker = argument;

    walker->wrong += rmill_core_index() != walker->home;
    for (uint32_t step = 0; step < walker->job->steps; step++) {
        uint32_t to = (uint32_t)rmill_prng_below(&walker->prng, CORES);

        switch (rmill_prng_below(&walker->prng, 10)) {
        case 0: /* Now and then more than a channel holds. */
            send_posts(walker, to, rmill_prng_chance(&walker->prng, 1, 20) ? 600 : 20);
            break;
        case 1:
        case 2:
            send_posts(walker, to, 1);
            break;
        case 3:
        case 4:
        case 5:
            call(walker, to);
            break;
        case 6:
            walker->spawned[to]++;
            rmill_spawn_on(to, visit, walker->job);
            break;
        case 7:
            rmill_yield();
            break;
        case 8:
            if (rmill_prng_chance(&walker->prng, 1, 4)) {
                block(walker);
            }
            break;
        default: /* Long enough for cores to fall asleep. */
            if (rmill_prng_chance(&walker->prng, 1, 4)) {
                rmill_sleep(rmill_prng_below(&walker->prng, 200000));
            }
        }
    }
    rmill_post(0, latch_done, walker->over);
}

static int
walkers_main(void *argument)
{
    struct job *job = argument;
    struct rmill_latch over = {.count = (uint64_t)CORES * WALKERS};

    for (uint32_t i = 0; i < CORES * WALKERS; i++) {
        job->walkers[i] = (struct walker){.job = job,
                                          .index = i,
                                          .home = i % CORES,
                                          .over = &over,
                                          .prng = rmill_prng_seeded(job->seed + i)};
    }
    for (uint32_t i = 0; i < CORES * WALKERS; i++) {
        rmill_spawn_on(i % CORES, walk, &job->walkers[i]);
    }
    rmill_latch_wait(&over);
    return 0;
}

static void
check_sums(const struct job *job)
{
    for (uint32_t core = 0; core < CORES; core++) {
        const struct place *place = &job->places[core];
        uint64_t posted = 0, called = 0, spawned = 0;

        for (uint32_t i = 0; i < CORES * WALKERS; i++) {
            posted += job->walkers[i].posted[core];
            called += job->walkers[i].called[core];
            spawned += job->walkers[i].spawned[core];
            assert_int_equal(place->next[i], job->walkers[i].posted[core]);
            assert_int_equal(job->walkers[i].wrong, 0);
        }
        assert_int_equal(place->posts, posted);
        assert_int_equal(place->calls, called);
        assert_int_equal(place->spawns, spawned);
        assert_int_equal(place->out_of_order, 0);
    }
}

/* --- plain threads that post into the running engine ------------------------------------------ */

struct foreigner {
    struct rmill_engine *engine;
    uint64_t arrived[CORES]; /* Each written by its core. */
    uint64_t next[CORES], wrong[CORES];
    uint64_t failed;
};

struct foreign_post {
    struct foreigner *from;
    uint64_t number;
};

static void
foreign_arrive(void *argument)
{
    struct foreign_post *post = argument;
    uint32_t core = rmill_core_index();

    post->from->wrong[core] += post->from->next[core] != post->number; /* In order per core. */
    post->from->next[core] = post->number + 1;
    post->from->arrived[core]++;
    free(post);
}

static void *
foreign_main(void *argument)
{
    struct foreigner *from = argument;

    for (uint64_t i = 0; i < (uint64_t)FOREIGN * CORES; i++) {
        struct foreign_post *post = malloc(sizeof(*post));

        *post = (struct foreign_post){from, i / CORES};
        from->failed += rmill_engine_post(from->engine, i % CORES, foreign_arrive, post) != 0;
    }
    return NULL;
}

static _Atomic bool foreigner_over;

static int
until_foreigner_is_over(void *argument)
{
    (void)walkers_main(argument);
    while (!atomic_load(&foreigner_over)) {
        rmill_sleep(50 * RMILL_NS_PER_US);
    }
    return 5;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static struct rmill_engine *
engine_of(const char *cores, uint64_t spin_ns, uint32_t fibers_max)
{
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    struct rmill_options options = {
        .cores = cores, .spin_ns = spin_ns, .fibers_max = fibers_max, .blocking_max = 2};

    if (rmill_engine_create(&options, &engine, &error) < 0) {
        fail_msg("create: %s", error.advice);
    }
    return engine;
}

static void
run_round(uint64_t seed, uint64_t spin_ns, uint32_t fibers_max)
{
    struct job *job = aligned_alloc(RMILL_CACHE_LINE_BYTES, sizeof(*job));
    struct rmill_engine *engine = engine_of("4", spin_ns, fibers_max);
    struct foreigner from = {.engine = engine};
    pthread_t foreigner;
    int result = 0;

    memset(job, 0, sizeof(*job));
    job->seed = seed;
    job->steps = STEPS;
    job->walkers = calloc((size_t)CORES * WALKERS, sizeof(*job->walkers));
    atomic_store(&foreigner_over, false);
    assert_int_equal(rmill_engine_start(engine, until_foreigner_is_over, job, NULL), 0);
    assert_int_equal(pthread_create(&foreigner, NULL, foreign_main, &from), 0);
    assert_int_equal(pthread_join(foreigner, NULL), 0);
    atomic_store(&foreigner_over, true);
    assert_int_equal(rmill_engine_wait(engine, 100 * RMILL_NS_PER_S, &result), 0);
    assert_int_equal(result, 5);
    rmill_engine_destroy(engine);
    check_sums(job);
    assert_int_equal(from.failed, 0);
    for (uint32_t core = 0; core < CORES; core++) {
        assert_int_equal(from.wrong[core], 0);
        assert_int_equal(from.arrived[core], FOREIGN);
    }
    free(job->walkers);
    free(job);
}

static void
random_walks_over_four_cores_lose_and_reorder_nothing(void **state)
{
    uint64_t seed = seed_get();

    (void)state;
    for (uint64_t round = 0; round < scale_get(ROUNDS); round++) {
        /* Never spinning, spinning for long, and the default; few fibers, so that starts are
         * refused and offered again. */
        run_round(seed + round * 1000,
                  round % 3 == 0   ? 1
                  : round % 3 == 1 ? 200000
                                   : 0,
                  round % 2 == 0 ? 64 : 512);
    }
}

/* Two cores hand a token to and fro, each asleep when it comes: a lost wake-up would hang here. */
static int64_t
pass(void *argument)
{
    (*(uint64_t *)argument)++;
    return 0;
}

static int
token_main(void *argument)
{
    for (uint32_t i = 0; i < 3000; i++) {
        (void)rmill_call(1, pass, argument);
    }
    return 0;
}

static void
no_wake_up_is_lost_between_sleeping_cores(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        struct rmill_engine *engine = engine_of("2", round == 0 ? 1 : round == 1 ? 2000 : 0, 0);
        uint64_t passed = 0;

        assert_int_equal(rmill_engine_start(engine, token_main, &passed, NULL), 0);
        assert_int_equal(rmill_engine_wait(engine, 100 * RMILL_NS_PER_S, NULL), 0);
        rmill_engine_destroy(engine);
        assert_int_equal(passed, 3000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walks_over_four_cores_lose_and_reorder_nothing),
        cmocka_unit_test(no_wake_up_is_lost_between_sleeping_cores),
    };

    return cmocka_run_group_tests_name("mail stress", tests, NULL, NULL);
}
