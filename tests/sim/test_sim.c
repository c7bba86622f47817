/* The simulator itself: threads, clocks, event flags, the blocking lane, ring semantics, fault
 * rates, replay.
 *
 * Method: small control functions inside rmill_sim_run over a range of seeds. What is checked
 * inside a simulated thread is checked with RMILL_ASSERT (cmocka's assertions would jump to
 * another stack); what comes out of a run, with cmocka's. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/ringmill.h"
#include "engine/seam.h"
#include "engine/sim/sim.h"
#include "uring/ring.h"

#define SEEDS 40u

/* --- threads ---------------------------------------------------------------------------------- */

struct pair {
    struct rmill_seam_event *go, *answered;
    uint64_t asked_ns, seen_ns;
    char order[16];
    uint32_t count;
};

static void
answer_thread(void *argument)
{
    struct pair *pair = argument;

    RMILL_ASSERT(rmill_seam_event_wait(pair->go, UINT64_MAX));
    pair->seen_ns = rmill_seam_now_ns();
    rmill_seam_event_set(pair->answered);
}

static int
ask_and_wait(void *argument)
{
    struct pair *pair = argument;
    struct rmill_seam_thread *thread;

    pair->go = rmill_seam_event_create();
    pair->answered = rmill_seam_event_create();
    RMILL_ASSERT(rmill_seam_thread_start(&thread, "answer", 0, true, answer_thread, pair) == 0);
    RMILL_ASSERT(!rmill_seam_event_wait(pair->answered, 1000)); /* Nobody asked yet. */
    rmill_seam_spend(5000000);
    pair->asked_ns = rmill_seam_now_ns();
    rmill_seam_event_set(pair->go);
    RMILL_ASSERT(rmill_seam_event_wait(pair->answered, UINT64_MAX));
    RMILL_ASSERT(rmill_seam_now_ns() >= pair->seen_ns);
    rmill_seam_thread_join(thread);
    rmill_seam_event_destroy(pair->go);
    rmill_seam_event_destroy(pair->answered);
    return 42;
}

static void
woken_thread_is_never_before_its_waker(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair pair = {0};
        struct rmill_sim_result result;

        assert_int_equal(
            rmill_sim_run(&(struct rmill_sim_options){.seed = seed}, ask_and_wait, &pair, &result),
            0);
        assert_int_equal(result.value, 42);
        assert_true(pair.seen_ns >= pair.asked_ns);
        assert_true(result.virtual_ns >= 4000000 && result.virtual_ns < 20000000);
    }
}

struct racer {
    struct pair *pair;
    char name;
};

static void
race_thread(void *argument)
{
    struct racer *racer = argument;

    for (int i = 0; i < 4; i++) {
        rmill_seam_spend(5000);
        rmill_seam_relax();
        racer->pair->order[racer->pair->count++] = racer->name;
    }
}

static int
race(void *argument)
{
    struct racer racers[3] = {{argument, 'a'}, {argument, 'b'}, {argument, 'c'}};
    struct rmill_seam_thread *threads[3];

    for (int i = 0; i < 3; i++) {
        RMILL_ASSERT(
            rmill_seam_thread_start(&threads[i], "race", 0, true, race_thread, &racers[i]) == 0);
    }
    for (int i = 0; i < 3; i++) {
        rmill_seam_thread_join(threads[i]);
    }
    return 0;
}

static void
seeds_give_different_interleavings(void **state)
{
    char seen[SEEDS][16];
    uint32_t different = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct pair pair = {0};
        bool known = false;

        assert_int_equal(
            rmill_sim_run(&(struct rmill_sim_options){.seed = seed}, race, &pair, NULL), 0);
        memcpy(seen[seed], pair.order, sizeof(pair.order));
        for (uint64_t other = 0; other < seed; other++) {
            known |= memcmp(seen[other], pair.order, sizeof(pair.order)) == 0;
        }
        different += !known;
    }
    assert_true(different > SEEDS / 2);
}

/* --- the blocking lane ------------------------------------------------------------------------ */

struct jobs {
    uint32_t running, running_max, done;
    struct rmill_seam_event *all;
};

struct job {
    struct rmill_blocking_job job;
    struct jobs *jobs;
    int64_t number;
};

static int64_t
job_function(void *argument)
{
    struct job *job = argument;

    (void)rmill_seam_now_ns();
    return job->number * 2;
}

static void
job_done(struct rmill_blocking_job *finished)
{
    struct job *job = (struct job *)(void *)finished;

    RMILL_ASSERT(finished->result == job->number * 2);
    if (++job->jobs->done == 50) {
        rmill_seam_event_set(job->jobs->all);
    }
}

static int
run_jobs(void *argument)
{
    struct jobs *jobs = argument;
    struct job *all = calloc(50, sizeof(*all));
    struct rmill_blocking *lane;

    jobs->all = rmill_seam_event_create();
    RMILL_ASSERT(all != NULL && rmill_blocking_create(3, &lane) == 0);
    for (int i = 0; i < 50; i++) {
        all[i] =
            (struct job){.job = {.function = job_function, .argument = &all[i], .done = job_done},
                         .jobs = jobs,
                         .number = i};
        if (!rmill_blocking_submit(lane, &all[i].job)) { /* No helper: as the engine, by itself. */
            all[i].job.result = all[i].job.function(all[i].job.argument);
            all[i].job.done(&all[i].job);
        }
    }
    RMILL_ASSERT(rmill_seam_event_wait(jobs->all, UINT64_MAX));
    rmill_blocking_destroy(lane);
    rmill_seam_event_destroy(jobs->all);
    free(all);
    return 0;
}

static void
blocking_lane_runs_every_job_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct jobs jobs = {0};
        struct rmill_sim_options options = {.seed = seed};

        options.fault_per_million[RMILL_SIM_SETUP] = seed % 2 == 0 ? 0 : 700000;
        options.fault_per_million[RMILL_SIM_STALL] = 10000;
        assert_int_equal(rmill_sim_run(&options, run_jobs, &jobs, NULL), 0);
        assert_int_equal(jobs.done, 50);
    }
}

/* --- the ring --------------------------------------------------------------------------------- */

struct counted {
    struct rmill_operation operation;
    uint32_t completions;
};

static void
count_completion(struct rmill_operation *operation)
{
    ((struct counted *)(void *)operation)->completions++;
}

static void
ring_drain(struct rmill_ring *ring)
{
    while (rmill_ring_in_flight(ring) > 0) {
        (void)rmill_ring_enter(ring, UINT64_MAX);
    }
}

static int
many_nops(void *argument)
{
    const uint32_t count = 200;
    struct counted *all = calloc(count, sizeof(*all));
    struct rmill_ring *ring;

    (void)argument;
    RMILL_ASSERT(rmill_ring_create(&(struct rmill_ring_options){.entries = 8, .in_flight_max = 16},
                                   &ring, NULL) == 0);
    for (uint32_t i = 0; i < count; i++) {
        all[i].operation.complete = count_completion;
        all[i].operation.opcode = RMILL_OP_NOP;
        rmill_ring_submit(ring, &all[i].operation);
    }
    RMILL_ASSERT(rmill_ring_in_flight(ring) == count && rmill_ring_ready(ring));
    ring_drain(ring);
    for (uint32_t i = 0; i < count; i++) {
        RMILL_ASSERT(all[i].completions == 1 && all[i].operation.result == 0);
    }
    rmill_ring_destroy(ring);
    free(all);
    return 0;
}

static void
every_operation_completes_once_within_the_limit(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rmill_sim_result result;

        assert_int_equal(
            rmill_sim_run(&(struct rmill_sim_options){.seed = seed}, many_nops, NULL, &result), 0);
        assert_int_equal(result.operations, 200);
        assert_int_equal(result.rings_open, 0);
    }
}

struct sleeper {
    struct rmill_ring *ring;
    struct rmill_seam_event *ready, *stop;
    uint32_t wakes;
};

static void
sleep_thread(void *argument)
{
    struct sleeper *sleeper = argument;

    RMILL_ASSERT(rmill_ring_create(NULL, &sleeper->ring, NULL) == 0);
    rmill_seam_event_set(sleeper->ready);
    for (int i = 0; i < 3; i++) {
        /* A lost wake is a deadlock. */
        RMILL_ASSERT(rmill_ring_enter(sleeper->ring, UINT64_MAX) == 0);
        sleeper->wakes++;
        rmill_seam_event_set(sleeper->stop);
    }
    rmill_ring_destroy(sleeper->ring);
}

static int
wake_thrice(void *argument)
{
    struct sleeper sleeper = {.ready = rmill_seam_event_create(),
                              .stop = rmill_seam_event_create()};
    struct rmill_seam_thread *thread;
    struct rmill_ring *own;

    (void)argument;
    RMILL_ASSERT(rmill_ring_create(NULL, &own, NULL) == 0);
    RMILL_ASSERT(rmill_seam_thread_start(&thread, "sleeper", 1, true, sleep_thread, &sleeper) == 0);
    RMILL_ASSERT(rmill_seam_event_wait(sleeper.ready, UINT64_MAX));
    rmill_ring_wake_foreign(sleeper.ring); /* Perhaps before it sleeps: kept. */
    RMILL_ASSERT(rmill_seam_event_wait(sleeper.stop, UINT64_MAX));
    rmill_sim_sleep(1000000);
    rmill_ring_wake(own, sleeper.ring);
    (void)rmill_ring_enter(own, 0); /* The message leaves. */
    rmill_sim_sleep(1000000);
    RMILL_ASSERT(sleeper.wakes == 2);
    rmill_ring_wake_foreign(sleeper.ring);
    rmill_seam_thread_join(thread);
    rmill_ring_destroy(own);
    rmill_seam_event_destroy(sleeper.ready);
    rmill_seam_event_destroy(sleeper.stop);
    return 0;
}

static void
wakes_are_not_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_int_equal(
            rmill_sim_run(&(struct rmill_sim_options){.seed = seed}, wake_thrice, NULL, NULL), 0);
    }
}

static int
time_out_and_cancel(void *argument)
{
    uint32_t *outcomes = argument;
    struct counted timeout = {
        .operation = {.complete = count_completion, .opcode = RMILL_OP_TIMEOUT, .offset = 3000000}};
    struct counted read = {.operation = {.complete = count_completion, .opcode = RMILL_OP_READ}};
    struct counted cancel = {
        .operation = {.complete = count_completion, .opcode = RMILL_OP_CANCEL}};
    char buffer[64];
    struct rmill_ring *ring;
    uint64_t before_ns = rmill_seam_now_ns();

    RMILL_ASSERT(rmill_ring_create(NULL, &ring, NULL) == 0);
    RMILL_ASSERT(rmill_ring_enter(ring, 1000) == 0); /* A sleep ends by itself. */
    rmill_ring_submit(ring, &timeout.operation);
    ring_drain(ring);
    RMILL_ASSERT(timeout.operation.result == -ETIME);
    RMILL_ASSERT(rmill_seam_now_ns() - before_ns >= 3000000);

    read.operation.fd = rmill_plain_open(AT_FDCWD, "file", O_RDWR | O_CREAT, 0600, 0);
    read.operation.address = buffer;
    read.operation.bytes = sizeof(buffer);
    rmill_ring_submit(ring, &read.operation);
    (void)rmill_ring_enter(ring, 0);
    cancel.operation.address = &read.operation;
    rmill_ring_submit(ring, &cancel.operation);
    ring_drain(ring);
    RMILL_ASSERT(read.completions == 1 && cancel.completions == 1);
    int32_t answer = cancel.operation.result;

    RMILL_ASSERT(answer == 0 || answer == -ENOENT || answer == -EALREADY);
    RMILL_ASSERT(read.operation.result == (answer == 0 ? -ECANCELED : 0));
    outcomes[answer == 0 ? 0 : answer == -ENOENT ? 1 : 2]++;
    RMILL_ASSERT(rmill_plain_close(read.operation.fd) == 0);
    rmill_ring_destroy(ring);
    return 0;
}

static void
cancel_has_every_outcome(void **state)
{
    uint32_t outcomes[3] = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 4 * SEEDS; seed++) {
        assert_int_equal(rmill_sim_run(&(struct rmill_sim_options){.seed = seed},
                                       time_out_and_cancel, outcomes, NULL),
                         0);
    }
    assert_true(outcomes[0] > 0 && outcomes[1] > 0 && outcomes[2] > 0);
}

/* --- faults and replay ------------------------------------------------------------------------ */

#define TRANSFERS 2000u

struct tally {
    uint32_t whole, parts, interrupted, again, failed, full, other;
};

static void
tally_result(struct tally *tally, int32_t result, uint32_t bytes)
{
    uint32_t *counter = result == (int32_t)bytes ? &tally->whole
                        : result >= 0            ? &tally->parts
                        : result == -EINTR       ? &tally->interrupted
                        : result == -EAGAIN      ? &tally->again
                        : result == -EIO         ? &tally->failed
                        : result == -ENOSPC      ? &tally->full
                                                 : &tally->other;

    ++*counter;
}

static int
write_often(void *argument)
{
    struct tally *tally = argument;
    struct rmill_ring *ring;
    char buffer[512];
    int fd;

    memset(buffer, 'x', sizeof(buffer));
    rmill_sim_faults_set(false);
    RMILL_ASSERT(rmill_ring_create(NULL, &ring, NULL) == 0);
    fd = rmill_plain_open(AT_FDCWD, "file", O_RDWR | O_CREAT, 0600, 0);
    RMILL_ASSERT(fd >= 0);
    rmill_sim_faults_set(true);
    for (uint32_t i = 0; i < TRANSFERS; i++) {
        struct counted write = {.operation = {.complete = count_completion,
                                              .opcode = RMILL_OP_WRITE,
                                              .fd = fd,
                                              .address = buffer,
                                              .bytes = sizeof(buffer),
                                              .offset = rmill_sim_random() % 100000}};

        rmill_ring_submit(ring, &write.operation);
        ring_drain(ring);
        tally_result(tally, write.operation.result, sizeof(buffer));
    }
    rmill_sim_faults_set(false);
    RMILL_ASSERT(rmill_plain_close(fd) == 0);
    rmill_ring_destroy(ring);
    return 0;
}

static struct rmill_sim_options
faulty(uint64_t seed)
{
    struct rmill_sim_options options = {.seed = seed};

    options.fault_per_million[RMILL_SIM_SHORT] = 100000;
    options.fault_per_million[RMILL_SIM_INTERRUPTED] = 50000;
    options.fault_per_million[RMILL_SIM_AGAIN] = 50000;
    options.fault_per_million[RMILL_SIM_IO_ERROR] = 20000;
    options.fault_per_million[RMILL_SIM_NO_SPACE] = 20000;
    options.fault_per_million[RMILL_SIM_EARLY_WAKE] = 50000;
    return options;
}

static void
faults_come_at_about_the_asked_rate(void **state)
{
    struct tally tally = {0};
    struct rmill_sim_options options = faulty(seed_get());
    struct rmill_sim_result result;

    (void)state;
    assert_int_equal(rmill_sim_run(&options, write_often, &tally, &result), 0);
    assert_in_range(tally.parts, TRANSFERS / 20, TRANSFERS / 5);
    assert_in_range(tally.interrupted, TRANSFERS / 40, TRANSFERS / 10);
    assert_in_range(tally.again, TRANSFERS / 40, TRANSFERS / 10);
    assert_in_range(tally.failed, TRANSFERS / 200, TRANSFERS / 20);
    assert_in_range(tally.full, TRANSFERS / 200, TRANSFERS / 20);
    assert_int_equal(tally.other, 0);
    assert_int_equal(result.faults[RMILL_SIM_SHORT], tally.parts);
    assert_int_equal(result.faults[RMILL_SIM_INTERRUPTED], tally.interrupted);
    assert_int_equal(result.descriptors_open, 0);
}

/* Run with the trace as text; the caller frees it. */
static char *
traced(uint64_t seed, size_t *bytes, uint64_t *hash)
{
    char *text = NULL;
    struct tally tally = {0};
    struct rmill_sim_options options = faulty(seed);
    struct rmill_sim_result result;

    options.trace = open_memstream(&text, bytes);
    assert_non_null(options.trace);
    assert_int_equal(rmill_sim_run(&options, write_often, &tally, &result), 0);
    assert_int_equal(fclose(options.trace), 0);
    *hash = result.trace_hash;
    return text;
}

static void
one_seed_gives_one_trace_byte_for_byte(void **state)
{
    uint64_t seed = seed_get(), hashes[3];
    size_t bytes[3];
    char *texts[3] = {traced(seed, &bytes[0], &hashes[0]), traced(seed, &bytes[1], &hashes[1]),
                      traced(seed + 1, &bytes[2], &hashes[2])};

    (void)state;
    assert_true(bytes[0] > 100000);
    assert_int_equal(bytes[0], bytes[1]);
    assert_memory_equal(texts[0], texts[1], bytes[0]);
    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[0] != hashes[2]);
    for (int i = 0; i < 3; i++) {
        free(texts[i]);
    }
}

/* --- the machine ------------------------------------------------------------------------------ */

static int
choose_cores(void *argument)
{
    struct rmill_seam_core cores[16];
    bool over;

    (void)argument;
    RMILL_ASSERT(rmill_seam_cores_choose(NULL, cores, 16, &over, NULL) == 3 && !over);
    RMILL_ASSERT(rmill_seam_cores_choose("", cores, 16, &over, NULL) == 8 && !over);
    RMILL_ASSERT(cores[0].node == 0 && cores[7].node == 1);
    RMILL_ASSERT(rmill_seam_cores_choose("12", cores, 16, &over, NULL) == 12 && over);
    RMILL_ASSERT(rmill_seam_cores_choose("1,6-7", cores, 16, &over, NULL) == 3 && !over);
    RMILL_ASSERT(cores[0].cpu == 1 && cores[2].cpu == 7);
    RMILL_ASSERT(rmill_seam_cores_choose("9-10", cores, 16, &over, NULL) == -EINVAL);
    RMILL_ASSERT(rmill_seam_cores_choose("0", cores, 16, &over, NULL) == -EINVAL);
    RMILL_ASSERT(rmill_seam_cores_choose("17", cores, 16, &over, NULL) == -EINVAL);
    RMILL_ASSERT(rmill_seam_environment("RINGMILL_CORE") == NULL);
    return 0;
}

static void
cores_are_chosen_as_on_a_real_machine(void **state)
{
    const char *environment[] = {"RINGMILL_CORES=3", NULL};

    (void)state;
    assert_int_equal(
        rmill_sim_run(
            &(struct rmill_sim_options){.cpus = 8, .nodes = 2, .environment = environment},
            choose_cores, NULL, NULL),
        0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(woken_thread_is_never_before_its_waker),
        cmocka_unit_test(seeds_give_different_interleavings),
        cmocka_unit_test(blocking_lane_runs_every_job_once),
        cmocka_unit_test(every_operation_completes_once_within_the_limit),
        cmocka_unit_test(wakes_are_not_lost),
        cmocka_unit_test(cancel_has_every_outcome),
        cmocka_unit_test(faults_come_at_about_the_asked_rate),
        cmocka_unit_test(one_seed_gives_one_trace_byte_for_byte),
        cmocka_unit_test(cores_are_chosen_as_on_a_real_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
