/* Calls between cores: both awake, held against a cache line there and back; the callee asleep for
 * 100 us, held against a bare MSG_RING wake of a thread asleep as long. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>

#include "engine/core.h"

#define IDLE_NS (100 * RMILL_NS_PER_US)

static double
line_round_trip(const struct bench_case *self, uint64_t count)
{
    (void)self;
    return bench_line_round_trip(count);
}

static void
busy_wait(uint64_t duration_ns)
{
    uint64_t until_ns = rmill_clock_ns() + duration_ns;

    while (rmill_clock_ns() < until_ns) {
        bench_relax();
    }
}

/* --- the bare wake --------------------------------------------------------------------------- */

struct sleeper {
    uint64_t count;
    _Atomic int ring_fd; /* 0: not yet, -1: no ring. */
    RMILL_CACHE_ALIGNED _Atomic uint64_t woken;
};

static int
ring_open(struct io_uring *ring)
{
    int code =
        io_uring_queue_init(64, ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

    return code == -EINVAL ? io_uring_queue_init(64, ring, 0) : code;
}

static void *
sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;
    struct io_uring ring;

    if (ring_open(&ring) < 0) {
        atomic_store(&sleeper->ring_fd, -1);
        return NULL;
    }
    atomic_store(&sleeper->ring_fd, ring.ring_fd);
    for (uint64_t i = 1; i <= sleeper->count; i++) {
        struct io_uring_cqe *cqe;

        while (io_uring_wait_cqe(&ring, &cqe) < 0) {
        }
        io_uring_cqe_seen(&ring, cqe);
        atomic_store_explicit(&sleeper->woken, i, memory_order_release);
    }
    io_uring_queue_exit(&ring);
    return NULL;
}

static double
bare_wake(const struct bench_case *self, uint64_t count)
{
    struct sleeper sleeper = {.count = count};
    struct bench_peer peer;
    struct io_uring ring;
    uint64_t sum_ns = 0;

    (void)self;
    if (ring_open(&ring) < 0) {
        return -1;
    }
    bench_peer_start(&peer, sleeper_main, &sleeper);
    while (atomic_load(&sleeper.ring_fd) == 0) {
        bench_relax();
    }
    for (uint64_t i = 1; i <= count && atomic_load(&sleeper.ring_fd) > 0; i++) {
        busy_wait(IDLE_NS);
        uint64_t begin_ns = rmill_clock_ns();
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

        io_uring_prep_msg_ring(sqe, atomic_load(&sleeper.ring_fd), 0, 1, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        (void)io_uring_submit(&ring);
        while (atomic_load_explicit(&sleeper.woken, memory_order_acquire) != i) {
            bench_relax();
        }
        sum_ns += rmill_clock_ns() - begin_ns;
    }
    bench_peer_join(&peer);
    io_uring_queue_exit(&ring);
    return atomic_load(&sleeper.ring_fd) > 0 ? (double)sum_ns / (double)count : -1;
}

/* --- the engine ------------------------------------------------------------------------------ */

struct calls {
    uint64_t count;
    bool parked;
    double each;
};

static int64_t
nothing(void *argument)
{
    (void)argument;
    return 0;
}

static int64_t
never_spin(void *argument)
{
    (void)argument;
    rmill_core_self()->spin_ns = 1;
    return 0;
}

static int
call_main(void *argument)
{
    struct calls *calls = argument;
    uint32_t to = rmill_core_count() - 1;
    uint64_t sum_ns = 0;

    (void)rmill_call(to, calls->parked ? never_spin : nothing, NULL);
    for (uint64_t i = 0; i < calls->count; i++) {
        if (calls->parked) {
            busy_wait(IDLE_NS); /* The caller's core stays awake. */
        }
        uint64_t begin_ns = rmill_clock_ns();

        (void)rmill_call(to, nothing, NULL);
        sum_ns += rmill_clock_ns() - begin_ns;
    }
    calls->each = (double)sum_ns / (double)calls->count;
    return 0;
}

static double
call(const struct bench_case *self, uint64_t count)
{
    struct calls calls = {.count = count, .parked = self->parameter != 0};

    bench_on_engine("2", RMILL_NS_PER_S, call_main, &calls);
    return calls.each;
}

static const struct bench_case cases[] = {
    {.name = "line there and back", .run = line_round_trip, .count = 300000},
    {.name = "call, both awake", .run = call, .count = 100000, .floor = "line there and back"},
    {.name = "bare wake after 100 us", .run = bare_wake, .count = 400},
    {.name = "call, callee asleep 100 us",
     .run = call,
     .count = 400,
     .floor = "bare wake after 100 us",
     .parameter = 1},
};

BENCH_MAIN("call", cases)
