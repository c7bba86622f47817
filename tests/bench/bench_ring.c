/* The ring: batches of NOPs, and 4 KiB reads from the page cache, held against a hand-written
 * liburing loop with the same set-up flags and against pread. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/ringmill.h"
#include "uring/ring.h"

#define BATCH_MAX  128u
#define FILE_BYTES RMILL_MIB(8)
#define PAGE       4096u

static char pages[BATCH_MAX][PAGE] __attribute__((aligned(PAGE)));

static int
file_open(void)
{
    static int fd = -1;
    char path[256];
    const char *base = getenv("TMPDIR");

    if (fd >= 0) {
        return fd;
    }
    (void)snprintf(path, sizeof(path), "%s/ringmill-bench-XXXXXX", base != NULL ? base : "/tmp");
    fd = mkstemp(path);
    if (fd < 0 || unlink(path) < 0) {
        perror("bench: temporary file");
        exit(1);
    }
    for (uint64_t at = 0; at < FILE_BYTES; at += PAGE) {
        memset(pages[0], (int)(at >> 12), PAGE);
        if (pwrite(fd, pages[0], PAGE, (off_t)at) != PAGE) {
            perror("bench: temporary file");
            exit(1);
        }
    }
    return fd;
}

/* The same jumps for everybody. */
static uint64_t
offset_of(uint64_t number)
{
    return number * 0x9E3779B97F4A7C15ull % (FILE_BYTES / PAGE) * PAGE;
}

static double
plain_reads(const struct bench_case *self, uint64_t count)
{
    int fd = file_open();
    uint64_t begin_ns = rmill_clock_ns();

    (void)self;
    for (uint64_t i = 0; i < count; i++) {
        if (pread(fd, pages[i % BATCH_MAX], PAGE, (off_t)offset_of(i)) != PAGE) {
            abort();
        }
    }
    return bench_each(begin_ns, count);
}

/* --- by hand --------------------------------------------------------------------------------- */

static double
by_hand(uint64_t count, uint64_t batch, int fd)
{
    struct io_uring ring;
    int code =
        io_uring_queue_init(256, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

    if (code == -EINVAL) {
        code = io_uring_queue_init(256, &ring, 0);
    }
    if (code < 0) {
        return -1;
    }
    (void)io_uring_register_ring_fd(&ring);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i += batch) {
        for (uint64_t j = 0; j < batch; j++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

            if (fd >= 0) {
                io_uring_prep_read(sqe, fd, pages[j], PAGE, offset_of(i + j));
            } else {
                io_uring_prep_nop(sqe);
            }
        }
        (void)io_uring_submit_and_wait(&ring, (unsigned)batch);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;

        io_uring_for_each_cqe(&ring, head, cqe)
        {
            if (cqe->res != (fd >= 0 ? (int)PAGE : 0)) {
                abort();
            }
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
    }
    double each = bench_each(begin_ns, count);

    io_uring_queue_exit(&ring);
    return each;
}

static double
nops_by_hand(const struct bench_case *self, uint64_t count)
{
    return by_hand(count, self->parameter, -1);
}

static double
reads_by_hand(const struct bench_case *self, uint64_t count)
{
    return by_hand(count, self->parameter, file_open());
}

/* --- our ring -------------------------------------------------------------------------------- */

static uint64_t completed;

static void
count_completed(struct rmill_operation *operation)
{
    if (operation->result < 0) {
        abort();
    }
    completed++;
}

static double
by_ring(uint64_t count, uint64_t batch, int fd)
{
    static struct rmill_operation operations[BATCH_MAX];
    struct rmill_ring *ring = NULL;
    struct rmill_error error = {0};

    if (rmill_ring_create(&(struct rmill_ring_options){0}, &ring, &error) < 0) {
        fprintf(stderr, "bench: %s\n", error.advice);
        return -1;
    }
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < count; i += batch) {
        for (uint64_t j = 0; j < batch; j++) {
            operations[j] =
                (struct rmill_operation){.opcode = fd >= 0 ? RMILL_OP_READ : RMILL_OP_NOP,
                                         .complete = count_completed,
                                         .fd = fd,
                                         .address = pages[j],
                                         .bytes = PAGE,
                                         .offset = offset_of(i + j)};
            rmill_ring_submit(ring, &operations[j]);
        }
        while (rmill_ring_in_flight(ring) > 0) {
            (void)rmill_ring_enter(ring, UINT64_MAX);
        }
    }
    double each = bench_each(begin_ns, count);

    bench_keep(completed);
    rmill_ring_destroy(ring);
    return each;
}

static double
nops(const struct bench_case *self, uint64_t count)
{
    return by_ring(count, self->parameter, -1);
}

static double
reads(const struct bench_case *self, uint64_t count)
{
    return by_ring(count, self->parameter, file_open());
}

/* --- fibers ---------------------------------------------------------------------------------- */

struct readers {
    uint64_t count, fibers;
    struct rmill_latch latch;
    struct rmill_file file;
    uint64_t next;
    double each;
};

static void
reader(void *argument)
{
    struct readers *readers = argument;
    uint64_t own = readers->latch.count; /* Whose page; any will do. */

    while (readers->next < readers->count) {
        uint64_t number = readers->next++;

        if (rmill_read(readers->file, pages[own % BATCH_MAX], PAGE, offset_of(number)) != PAGE) {
            abort();
        }
    }
    rmill_latch_done(&readers->latch);
}

static int
readers_main(void *argument)
{
    struct readers *readers = argument;
    uint64_t begin_ns = rmill_clock_ns();

    readers->latch.count = readers->fibers;
    for (uint64_t i = 0; i < readers->fibers; i++) {
        (void)rmill_spawn(reader, readers);
    }
    rmill_latch_wait(&readers->latch);
    readers->each = bench_each(begin_ns, readers->count);
    return 0;
}

static double
fiber_reads(const struct bench_case *self, uint64_t count)
{
    struct readers readers = {
        .count = count, .fibers = self->parameter, .file = {.fd = file_open()}};

    bench_on_engine("1", 0, readers_main, &readers);
    return readers.each;
}

#define CASE(label, function, n, against, batch)                                                   \
    {                                                                                              \
        .name = label, .run = function, .count = n, .floor = against, .parameter = batch           \
    }

static const struct bench_case cases[] = {
    CASE("NOP by hand, batch 1", nops_by_hand, 200000, NULL, 1),
    CASE("NOP, batch 1", nops, 200000, "NOP by hand, batch 1", 1),
    CASE("NOP by hand, batch 8", nops_by_hand, 800000, NULL, 8),
    CASE("NOP, batch 8", nops, 800000, "NOP by hand, batch 8", 8),
    CASE("NOP by hand, batch 32", nops_by_hand, 800000, NULL, 32),
    CASE("NOP, batch 32", nops, 800000, "NOP by hand, batch 32", 32),
    CASE("NOP by hand, batch 128", nops_by_hand, 800000, NULL, 128),
    CASE("NOP, batch 128", nops, 800000, "NOP by hand, batch 128", 128),
    CASE("pread 4 KiB", plain_reads, 50000, NULL, 1),
    CASE("read 4 KiB by hand, depth 1", reads_by_hand, 50000, "pread 4 KiB", 1),
    CASE("read 4 KiB, ring, depth 1", reads, 50000, "read 4 KiB by hand, depth 1", 1),
    CASE("read 4 KiB, one fiber", fiber_reads, 50000, "read 4 KiB by hand, depth 1", 1),
    CASE("read 4 KiB by hand, depth 32", reads_by_hand, 50000, "pread 4 KiB", 32),
    CASE("read 4 KiB, ring, depth 32", reads, 50000, "read 4 KiB by hand, depth 32", 32),
    CASE("read 4 KiB, 32 fibers", fiber_reads, 50000, "read 4 KiB by hand, depth 32", 32),
};

BENCH_MAIN("ring", cases)
