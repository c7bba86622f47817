/* The ordered flow: empty units by window, units of 1 us and 10 us of work on one and two cores.
 * The peer is the same pipeline of a mutex, two conditions and threads; the floor of real work is
 * the work alone, divided by the cores. */
#include "tests/bench/bench.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/ringmill.h"

/* Work is a chain of multiplications, so that losing the CPU is not taken for having worked. */
static uint64_t steps_per_us;

static __attribute__((noinline)) uint64_t
work(uint64_t steps)
{
    uint64_t value = steps | 1;

    for (uint64_t i = 0; i < steps; i++) {
        value = value * 0x9E3779B97F4A7C15ull + i;
        __asm__ volatile("" : "+r"(value));
    }
    return value;
}

static uint64_t
steps_of(uint64_t work_us)
{
    while (steps_per_us ==
           0) { /* The best of some: a disturbed one would make the work too short. */
        for (int i = 0; i < 20; i++) {
            uint64_t begin_ns = rmill_clock_ns();

            bench_keep(work(100000));
            uint64_t speed = 100000 * RMILL_NS_PER_US / (rmill_clock_ns() - begin_ns);

            steps_per_us = rmill_max_u64(steps_per_us, speed);
        }
    }
    return work_us * steps_per_us;
}

static double
work_alone(const struct bench_case *self, uint64_t count)
{
    uint64_t steps = steps_of(self->parameter2), begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i++) {
        bench_keep(work(steps));
    }
    return bench_each(begin_ns, count);
}

/* --- the flow -------------------------------------------------------------------------------- */

struct job {
    uint64_t count, window, steps;
    uint64_t committed; /* home's */
    double each;
};

static int
produce(struct rmill_unit *unit)
{
    const struct job *job = unit->context;

    return unit->sequence < job->count;
}

static int
process(struct rmill_unit *unit)
{
    const struct job *job = unit->context;

    bench_keep(work(job->steps));
    return 0;
}

static int
commit(struct rmill_unit *unit)
{
    struct job *job = unit->context;

    job->committed++;
    return 0;
}

static int
flow_main(void *argument)
{
    struct job *job = argument;
    struct rmill_flow_options options = {.name = "bench",
                                         .context = job,
                                         .window = (uint32_t)job->window,
                                         .produce = produce,
                                         .process = process,
                                         .commit = commit};
    uint64_t begin_ns = rmill_clock_ns();

    if (rmill_flow_run(&options, NULL) < 0 || job->committed != job->count) {
        abort();
    }
    job->each = bench_each(begin_ns, job->count);
    return 0;
}

/* parameter = window * 10 + cores, parameter2 = work in us. */
static double
flow(const struct bench_case *self, uint64_t count)
{
    struct job job = {
        .count = count, .window = self->parameter / 10, .steps = steps_of(self->parameter2)};

    bench_on_engine(self->parameter % 10 == 1 ? "1" : "2", 0, flow_main, &job);
    return job.each;
}

/* --- the peer -------------------------------------------------------------------------------- */

struct peer {
    pthread_mutex_t mutex;
    pthread_cond_t work, room;
    uint64_t count, window, steps;
    uint64_t produced, taken, committed; /* Under the mutex. */
    bool *done;                          /* [window] */
};

static void *
peer_worker(void *argument)
{
    struct peer *peer = argument;

    (void)pthread_mutex_lock(&peer->mutex);
    while (peer->taken < peer->count) {
        if (peer->taken == peer->produced) {
            (void)pthread_cond_wait(&peer->work, &peer->mutex);
            continue;
        }
        uint64_t sequence = peer->taken++;

        (void)pthread_mutex_unlock(&peer->mutex);
        bench_keep(work(peer->steps));
        (void)pthread_mutex_lock(&peer->mutex);
        peer->done[sequence % peer->window] = true;
        while (peer->done[peer->committed % peer->window]) {
            peer->done[peer->committed % peer->window] = false;
            peer->committed++;
        }
        (void)pthread_cond_signal(&peer->room);
    }
    (void)pthread_cond_broadcast(&peer->work);
    (void)pthread_mutex_unlock(&peer->mutex);
    return NULL;
}

static void
peer_produce(struct peer *peer)
{
    (void)pthread_mutex_lock(&peer->mutex);
    while (peer->committed < peer->count) {
        if (peer->produced == peer->count || peer->produced - peer->committed == peer->window) {
            (void)pthread_cond_wait(&peer->room, &peer->mutex);
            continue;
        }
        peer->produced++;
        (void)pthread_cond_signal(&peer->work);
        (void)pthread_mutex_unlock(&peer->mutex); /* Producing happens outside. */
        (void)pthread_mutex_lock(&peer->mutex);
    }
    (void)pthread_mutex_unlock(&peer->mutex);
}

static double
mutexes(const struct bench_case *self, uint64_t count)
{
    struct peer peer = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                        .work = PTHREAD_COND_INITIALIZER,
                        .room = PTHREAD_COND_INITIALIZER,
                        .count = count,
                        .window = self->parameter / 10,
                        .steps = steps_of(self->parameter2)};
    uint64_t workers = self->parameter % 10;
    pthread_t threads[2];
    uint64_t started = 0;

    peer.done = calloc(peer.window, sizeof(bool));
    uint64_t begin_ns = rmill_clock_ns();

    while (started < workers && pthread_create(&threads[started], NULL, peer_worker, &peer) == 0) {
        started++;
    }
    if (started == 0) {
        free(peer.done);
        return -1;
    }
    peer_produce(&peer);
    for (uint64_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    double each = bench_each(begin_ns, count);

    free(peer.done);
    return each;
}

#define EMPTY(label, function, window, cores, against)                                             \
    {                                                                                              \
        .name = label, .run = function, .count = 60000, .floor = against,                          \
        .parameter = (window)*10 + (cores)                                                         \
    }
#define WORK(label, function, n, us, cores, against, factor)                                       \
    {                                                                                              \
        .name = label, .run = function, .count = n, .floor = against, .floor_factor = factor,      \
        .parameter = 64 * 10 + (cores), .parameter2 = us                                           \
    }

static const struct bench_case cases[] = {
    EMPTY("mutexes, empty, window 16", mutexes, 16, 2, NULL),
    EMPTY("flow, empty, window 16, 1 core", flow, 16, 1, "mutexes, empty, window 16"),
    EMPTY("flow, empty, window 16, 2 cores", flow, 16, 2, "mutexes, empty, window 16"),
    EMPTY("mutexes, empty, window 64", mutexes, 64, 2, NULL),
    EMPTY("flow, empty, window 64, 1 core", flow, 64, 1, "mutexes, empty, window 64"),
    EMPTY("flow, empty, window 64, 2 cores", flow, 64, 2, "mutexes, empty, window 64"),
    EMPTY("mutexes, empty, window 512", mutexes, 512, 2, NULL),
    EMPTY("flow, empty, window 512, 1 core", flow, 512, 1, "mutexes, empty, window 512"),
    EMPTY("flow, empty, window 512, 2 cores", flow, 512, 2, "mutexes, empty, window 512"),
    WORK("work of 1 us alone", work_alone, 30000, 1, 1, NULL, 0),
    WORK("mutexes, 1 us, 2 threads", mutexes, 30000, 1, 2, "work of 1 us alone", 0.5),
    WORK("flow, 1 us, 1 core", flow, 30000, 1, 1, "work of 1 us alone", 1),
    WORK("flow, 1 us, 2 cores", flow, 30000, 1, 2, "work of 1 us alone", 0.5),
    WORK("work of 10 us alone", work_alone, 6000, 10, 1, NULL, 0),
    WORK("mutexes, 10 us, 2 threads", mutexes, 6000, 10, 2, "work of 10 us alone", 0.5),
    WORK("flow, 10 us, 1 core", flow, 6000, 10, 1, "work of 10 us alone", 1),
    WORK("flow, 10 us, 2 cores", flow, 6000, 10, 2, "work of 10 us alone", 0.5),
};

BENCH_MAIN("flow", cases)
