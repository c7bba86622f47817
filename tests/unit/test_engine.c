/* The engine on a real machine: life, fibers, tasks, time, messages, the blocking lane, files, and
 * the end of a job. Method: every test creates an engine of one, two or four cores (more than this
 * machine may have), runs a main fiber that does the work and counts, and checks the counts after
 * the engine said it is over. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "engine/ringmill.h"

static int
run_on(const char *cores, int (*main_fiber)(void *), void *argument)
{
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    struct rmill_options options = {.cores = cores};
    int result = -1;

    if (rmill_engine_create(&options, &engine, &error) < 0) {
        fail_msg("create: %s", error.advice);
    }
    if (rmill_engine_start(engine, main_fiber, argument, &error) < 0) {
        fail_msg("start: %s", error.advice);
    }
    assert_int_equal(rmill_engine_wait(engine, 60 * RMILL_NS_PER_S, &result), 0);
    rmill_engine_destroy(engine);
    return result;
}

static const char *const core_counts[] = {"1", "2", "4"};

#define FOR_CORES(cores)                                                                           \
    for (size_t cores##_i = 0; cores##_i < RMILL_ARRAY_COUNT(core_counts); cores##_i++)            \
        for (const char *cores = core_counts[cores##_i]; cores != NULL; cores = NULL)

/* --- life ------------------------------------------------------------------------------------ */

static int
return_seven(void *argument)
{
    (void)argument;
    return 7;
}

static void
main_fibers_value_is_the_result(void **state)
{
    (void)state;
    FOR_CORES(cores)
    {
        assert_int_equal(run_on(cores, return_seven, NULL), 7);
    }
}

static void
engine_never_started_can_be_destroyed(void **state)
{
    struct rmill_engine *engine = NULL;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){0}, &engine, NULL), 0);
    assert_true(rmill_engine_core_count(engine) >= 1);
    rmill_engine_destroy(engine);
    rmill_engine_destroy(NULL);
}

static void
bad_options_are_refused_with_advice(void **state)
{
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};

    (void)state;
    assert_int_equal(
        rmill_engine_create(&(struct rmill_options){.trace_events = 3}, &engine, &error), -EINVAL);
    assert_non_null(strstr(error.advice, "trace_events"));
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "0-"}, &engine, &error),
                     -EINVAL);
    assert_true(strlen(error.advice) > 0);
    assert_null(engine);
}

static int
two_engines_inner(void *argument)
{
    (void)argument;
    rmill_sleep(RMILL_NS_PER_MS);
    return (int)rmill_core_count();
}

static void
two_engines_live_side_by_side(void **state)
{
    struct rmill_engine *a = NULL, *b = NULL;
    int result_a = 0, result_b = 0;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "1"}, &a, NULL), 0);
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "2"}, &b, NULL), 0);
    assert_int_equal(rmill_engine_start(a, two_engines_inner, NULL, NULL), 0);
    assert_int_equal(rmill_engine_start(b, two_engines_inner, NULL, NULL), 0);
    assert_int_equal(rmill_engine_wait(b, UINT64_MAX, &result_b), 0);
    assert_int_equal(rmill_engine_wait(a, UINT64_MAX, &result_a), 0);
    rmill_engine_destroy(a);
    rmill_engine_destroy(b);
    assert_int_equal(result_a, 1);
    assert_int_equal(result_b, 2);
}

static int
sleep_long(void *argument)
{
    (void)argument;
    while (!rmill_stopping()) {
        rmill_sleep(RMILL_NS_PER_MS);
    }
    return 3;
}

static void
stop_reaches_the_job_and_wait_times_out_before(void **state)
{
    struct rmill_engine *engine = NULL;
    int result = 0;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "2"}, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, sleep_long, NULL, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, 5 * RMILL_NS_PER_MS, &result), -ETIMEDOUT);
    rmill_engine_stop(engine);
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, &result), 0);
    assert_int_equal(result, 3);
    rmill_engine_destroy(engine);
}

/* --- fibers, tasks, time --------------------------------------------------------------------- */

struct counting {
    uint64_t count;
    uint64_t order[64];
    struct rmill_latch latch;
    struct rmill_semaphore semaphore;
    uint64_t inside, inside_max;
};

static void
yield_and_count(void *argument)
{
    struct counting *counting = argument;

    for (int i = 0; i < 100; i++) {
        counting->count++;
        rmill_yield();
    }
    rmill_latch_done(&counting->latch);
}

static int
many_fibers_main(void *argument)
{
    struct counting *counting = argument;

    for (int round = 0; round < 20; round++) {
        counting->latch.count = 100;
        for (int i = 0; i < 100; i++) {
            assert_int_equal(rmill_spawn(yield_and_count, counting), 0);
        }
        rmill_latch_wait(&counting->latch);
    }
    return 0;
}

static void
fibers_start_yield_and_end(void **state)
{
    struct counting counting = {0};

    (void)state;
    assert_int_equal(run_on("1", many_fibers_main, &counting), 0);
    assert_int_equal(counting.count, 20 * 100 * 100);
}

static void
park_for_good_until_released(void *argument)
{
    struct counting *counting = argument;

    rmill_semaphore_acquire(&counting->semaphore);
    counting->inside++;
    counting->inside_max =
        counting->inside > counting->inside_max ? counting->inside : counting->inside_max;
    rmill_yield();
    counting->inside--;
    rmill_semaphore_release(&counting->semaphore);
    rmill_latch_done(&counting->latch);
}

static int
semaphore_main(void *argument)
{
    struct counting *counting = argument;

    counting->semaphore.permits = 3;
    counting->latch.count = 50;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(rmill_spawn(park_for_good_until_released, counting), 0);
    }
    rmill_latch_wait(&counting->latch);
    return (int)counting->semaphore.permits;
}

static void
semaphore_admits_as_many_as_it_has_permits(void **state)
{
    struct counting counting = {0};

    (void)state;
    assert_int_equal(run_on("1", semaphore_main, &counting), 3);
    assert_int_equal(counting.inside_max, 3);
}

static int
exhaust_main(void *argument)
{
    struct counting *counting = argument;
    int started = 0;

    while (rmill_spawn(park_for_good_until_released, counting) == 0) {
        started++;
    }
    counting->latch.count = (uint64_t)started;
    rmill_semaphore_release(&counting->semaphore);
    rmill_latch_wait(&counting->latch);
    return started;
}

static void
spawn_says_when_all_fibers_are_in_use(void **state)
{
    struct counting counting = {0};

    (void)state;
    assert_int_equal(run_on("1", exhaust_main, &counting), 511); /* 512 less the main fiber */
}

struct steps {
    int steps;
    int *running;
};

static enum rmill_progress_kind
count_steps(void *argument)
{
    struct steps *steps = argument;

    assert_true(*steps->running == 0 ||
                *steps->running == steps->steps + 1000); /* nobody in between */
    steps->steps++;
    *steps->running = steps->steps < 5 ? steps->steps + 1000 : 0;
    return steps->steps < 5 ? RMILL_TASK_AGAIN : RMILL_TASK_DONE;
}

struct task_run {
    int running;
    struct rmill_latch latch;
    int total;
};

static void
task_fiber(void *argument)
{
    struct task_run *run = argument;
    struct steps steps = {.running = &run->running};

    rmill_task_run(count_steps, &steps, 1000);
    run->total += steps.steps;
    rmill_latch_done(&run->latch);
}

static int
task_main(void *argument)
{
    struct task_run *run = argument;

    run->latch.count = 10;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rmill_spawn(task_fiber, run), 0);
    }
    rmill_latch_wait(&run->latch);
    return run->total;
}

static void
tasks_of_a_core_do_not_interleave(void **state)
{
    struct task_run run = {0};

    (void)state;
    assert_int_equal(run_on("1", task_main, &run), 50);
}

static int
sleep_main(void *argument)
{
    uint64_t begin = rmill_now_ns();

    (void)argument;
    rmill_sleep(3 * RMILL_NS_PER_MS);
    return rmill_now_ns() - begin >= 3 * RMILL_NS_PER_MS ? 1 : 0;
}

static void
sleep_is_never_short(void **state)
{
    (void)state;
    assert_int_equal(run_on("2", sleep_main, NULL), 1);
}

/* --- between cores --------------------------------------------------------------------------- */

static int64_t
where_am_i(void *argument)
{
    *(uint32_t *)argument = rmill_core_index();
    rmill_yield(); /* A called function runs in a fiber. */
    return 1000 + rmill_core_index();
}

static int
call_main(void *argument)
{
    (void)argument;
    for (uint32_t round = 0; round < 1000; round++) {
        uint32_t core = round % rmill_core_count();
        uint32_t seen = UINT32_MAX;

        assert_int_equal(rmill_call(core, where_am_i, &seen), 1000 + core);
        assert_int_equal(seen, core);
    }
    return 0;
}

static void
call_runs_there_and_returns_the_value(void **state)
{
    (void)state;
    FOR_CORES(cores)
    {
        assert_int_equal(run_on(cores, call_main, NULL), 0);
    }
}

struct posts {
    uint64_t next[4]; /* by receiving core */
    uint64_t wrong;
};

struct post {
    struct posts *posts;
    uint64_t number;
};

static void
receive_post(void *argument)
{
    struct post *post = argument;
    uint64_t *next = &post->posts->next[rmill_core_index()];

    if (*next != post->number) {
        post->posts->wrong++;
    }
    (*next)++;
    free(post);
}

static int
post_main(void *argument)
{
    struct posts *posts = argument;

    for (uint64_t number = 0; number < 20000; number++) { /* far more than a channel holds */
        for (uint32_t core = 0; core < rmill_core_count(); core++) {
            struct post *post = malloc(sizeof(*post));

            *post = (struct post){.posts = posts, .number = number};
            rmill_post(core, receive_post, post);
        }
    }
    return 0;
}

static void
posts_arrive_once_and_in_order_through_full_channels(void **state)
{
    (void)state;
    FOR_CORES(cores)
    {
        struct posts posts = {0};

        assert_int_equal(run_on(cores, post_main, &posts), 0);
        assert_int_equal(posts.wrong, 0);
        for (int core = 0; core < atoi(cores); core++) {
            assert_int_equal(posts.next[core],
                             20000); /* the job was not over before the last arrived */
        }
    }
}

static _Atomic uint64_t spawned;

static void
spawned_fiber(void *argument)
{
    uint64_t depth = (uint64_t)(uintptr_t)argument;

    atomic_fetch_add(&spawned, 1);
    if (depth > 0) { /* The tree outlives the main fiber: the engine must find the end by itself. */
        rmill_spawn_on((rmill_core_index() + 1) % rmill_core_count(), spawned_fiber,
                       (void *)(uintptr_t)(depth - 1));
        rmill_spawn_on((rmill_core_index() + 2) % rmill_core_count(), spawned_fiber,
                       (void *)(uintptr_t)(depth - 1));
    }
}

static int
spawn_main(void *argument)
{
    (void)argument;
    spawned_fiber((void *)(uintptr_t)7);
    return 0;
}

static void
job_is_over_only_when_the_last_fiber_anywhere_is(void **state)
{
    (void)state;
    FOR_CORES(cores)
    {
        atomic_store(&spawned, 0);
        assert_int_equal(run_on(cores, spawn_main, NULL), 0);
        assert_int_equal(atomic_load(&spawned), (1u << 8) - 1);
    }
}

static void
set_flag(void *argument)
{
    *(bool *)argument = true;
}

static int
wait_for_flag(void *argument)
{
    while (!*(volatile bool *)argument) {
        rmill_sleep(100 * RMILL_NS_PER_US);
    }
    return 0;
}

static void
foreign_thread_can_post(void **state)
{
    struct rmill_engine *engine = NULL;
    bool flag = false;

    (void)state;
    assert_int_equal(rmill_engine_create(&(struct rmill_options){.cores = "1"}, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, wait_for_flag, &flag, NULL), 0);
    assert_int_equal(rmill_engine_post(engine, 9, set_flag, &flag), -EINVAL);
    assert_int_equal(rmill_engine_post(engine, 0, set_flag, &flag), 0);
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, NULL), 0);
    rmill_engine_destroy(engine);
}

static int64_t
blocking_function(void *argument)
{
    usleep(1000);
    return *(int *)argument * 2;
}

struct blocking_run {
    struct rmill_latch latch;
    int64_t total;
};

static void
blocking_fiber(void *argument)
{
    struct blocking_run *run = argument;
    int value = 21;

    run->total += rmill_blocking_call(blocking_function, &value);
    rmill_latch_done(&run->latch);
}

static int
blocking_main(void *argument)
{
    struct blocking_run *run = argument;

    run->latch.count = 20;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rmill_spawn(blocking_fiber, run), 0);
    }
    rmill_latch_wait(&run->latch);
    return 0;
}

static void
blocking_calls_run_beside_the_core(void **state)
{
    struct blocking_run run = {0};

    (void)state;
    assert_int_equal(run_on("1", blocking_main, &run), 0);
    assert_int_equal(run.total, 20 * 42);
}

/* --- files ----------------------------------------------------------------------------------- */

static int
file_main(void *argument)
{
    const char *directory = argument;
    static char text[70000], back[70001]; /* a fiber has 64 KiB of stack */
    struct rmill_file file = {0};
    int fd = rmill_plain_open(AT_FDCWD, directory, O_DIRECTORY | O_PATH, 0, 0);

    memset(text, 'x', sizeof(text));
    assert_true(fd >= 0);
    assert_int_equal(rmill_open(fd, "none", O_RDONLY, 0, 0, &file), -ENOENT);
    assert_int_equal(rmill_open(fd, "../x", O_RDWR | O_CREAT, 0600, RESOLVE_BENEATH, &file),
                     -EXDEV);
    assert_int_equal(rmill_open(fd, "a", O_RDWR | O_CREAT, 0600, RESOLVE_BENEATH, &file), 0);
    assert_int_equal(rmill_write(file, text, sizeof(text), 5), sizeof(text));
    int shared = rmill_file_share(&file);

    assert_true(shared == 0 || shared == -EOPNOTSUPP);
    assert_int_equal(rmill_read(file, back, sizeof(back), 5),
                     sizeof(text)); /* ends with the file */
    assert_memory_equal(text, back, sizeof(text));
    assert_int_equal(rmill_read(file, back, 1, 1 << 20), 0);
    assert_int_equal(rmill_fallocate(file, 0, 0, 100000), 0);
    assert_int_equal(rmill_fsync(file, true), 0);
    assert_int_equal(rmill_close(&file), 0);
    assert_int_equal(file.fd, -1);
    assert_int_equal(rmill_plain_rename(fd, "a", fd, "b", 0), 0);
    struct stat status;

    assert_int_equal(rmill_plain_stat(fd, "b", &status), 0);
    assert_int_equal(status.st_size, 100000);
    assert_int_equal(rmill_plain_stat(fd, "a", &status), -ENOENT);
    assert_int_equal(rmill_plain_close(fd), 0);
    return 0;
}

static void
file_operations_do_what_they_say(void **state)
{
    char directory[256];

    (void)state;
    directory_create(directory);
    FOR_CORES(cores)
    {
        assert_int_equal(run_on(cores, file_main, directory), 0);
    }
    directory_remove(directory);
}

static int
pipe_main(void *argument)
{
    int *ends = argument;
    char buffer[8] = {0};

    assert_int_equal(rmill_write((struct rmill_file){.fd = ends[1]}, "ping", 4, RMILL_STREAM), 4);
    assert_int_equal(rmill_read((struct rmill_file){.fd = ends[0]}, buffer, 4, RMILL_STREAM), 4);
    assert_string_equal(buffer, "ping");
    return 0;
}

static void
streams_have_no_offset(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(run_on("1", pipe_main, ends), 0);
    close(ends[0]);
    close(ends[1]);
}

static int
open_cached_main(void *argument)
{
    struct rmill_file file;
    int64_t fd;
    int code;

    code = rmill_open(AT_FDCWD, argument, O_RDONLY, 0, RESOLVE_CACHED, &file);
    assert_true(code == 0 || code == -EAGAIN || code == -EINVAL);
    if (code == 0) {
        assert_int_equal(rmill_close(&file), 0);
    }
    fd = rmill_plain_open(AT_FDCWD, argument, O_RDONLY | O_CREAT, 0600, RESOLVE_CACHED);
    assert_int_equal(fd, -EAGAIN); /* The kernel never creates from its cache alone. */
    return 0;
}

static void
open_that_says_again_for_good_is_given_up(void **state)
{
    char directory[256], path[300];

    (void)state;
    directory_create(directory);
    (void)snprintf(path, sizeof(path), "%s/none", directory);
    assert_int_equal(run_on("1", open_cached_main, path), 0);
    directory_remove(directory);
}

static int
pool_main(void *argument)
{
    struct rmill_core_pool *pool = rmill_core_pool_create(1000, 3);
    void *objects[3];

    (void)argument;
    assert_non_null(pool);
    for (int i = 0; i < 3; i++) {
        objects[i] = rmill_core_pool_get(pool);
        assert_non_null(objects[i]);
    }
    assert_null(rmill_core_pool_get(pool));
    rmill_core_pool_put(pool, objects[1]);
    assert_ptr_equal(rmill_core_pool_get(pool), objects[1]);
    assert_null(rmill_arena_get(RMILL_GIB(1), 64)); /* over the budget */
    return 0;
}

static void
pools_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(run_on("1", pool_main, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_fibers_value_is_the_result),
        cmocka_unit_test(engine_never_started_can_be_destroyed),
        cmocka_unit_test(bad_options_are_refused_with_advice),
        cmocka_unit_test(two_engines_live_side_by_side),
        cmocka_unit_test(stop_reaches_the_job_and_wait_times_out_before),
        cmocka_unit_test(fibers_start_yield_and_end),
        cmocka_unit_test(semaphore_admits_as_many_as_it_has_permits),
        cmocka_unit_test(spawn_says_when_all_fibers_are_in_use),
        cmocka_unit_test(tasks_of_a_core_do_not_interleave),
        cmocka_unit_test(sleep_is_never_short),
        cmocka_unit_test(call_runs_there_and_returns_the_value),
        cmocka_unit_test(posts_arrive_once_and_in_order_through_full_channels),
        cmocka_unit_test(job_is_over_only_when_the_last_fiber_anywhere_is),
        cmocka_unit_test(foreign_thread_can_post),
        cmocka_unit_test(blocking_calls_run_beside_the_core),
        cmocka_unit_test(file_operations_do_what_they_say),
        cmocka_unit_test(streams_have_no_offset),
        cmocka_unit_test(open_that_says_again_for_good_is_given_up),
        cmocka_unit_test(pools_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
