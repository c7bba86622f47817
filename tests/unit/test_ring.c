/* Goal: the ring keeps its invariants (uring/ring.h) whatever set-up the kernel granted. Method:
 * the same tests over a table of set-ups: the best one, an older kernel's (no DEFER_TASKRUN),
 * plain, wakes by event descriptor, and queues of the smallest size. Files are real ones in a
 * temporary directory. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/prng.h"
#include "uring/abi.h"
#include "uring/ring.h"
#include "uring/selftest.h"
#include "uring/setup.h"

struct variant {
    const char *name;
    struct rmill_ring_options options;
};

static const struct variant variants[] = {
    {"default", {0}},
    {"coop", {.setup_refused = IORING_SETUP_DEFER_TASKRUN}},
    {"with a submission array", {.setup_refused = IORING_SETUP_NO_SQARRAY}},
    {"plain", {.plain = true}},
    {"event wakes", {.event_wakes = true}},
    {"polled by the kernel", {.submission_polling = true}},
    {"tiny", {.entries = 4, .in_flight_max = 3}},
};

/* The variant under test; set by main before each group. */
static const struct variant *variant;

struct tested {
    struct rmill_operation operation; /* First member. */
    uint32_t calls;
    uint32_t *total;
};

static void
count_call(struct rmill_operation *operation)
{
    struct tested *tested = (struct tested *)operation;

    tested->calls++;
    if (tested->total != NULL) {
        (*tested->total)++;
    }
}

static struct rmill_ring *
ring_of(const struct rmill_ring_options *options)
{
    struct rmill_ring *ring = NULL;
    struct rmill_error error = {0};
    int code = rmill_ring_create(options, &ring, &error);

    if (code != 0) {
        print_message("%s\n", error.advice);
    }
    assert_int_equal(code, 0);
    return ring;
}

static void
drain(struct rmill_ring *ring)
{
    while (rmill_ring_in_flight(ring) > 0) {
        (void)rmill_ring_enter(ring, UINT64_MAX);
    }
}

/* Submit one operation, wait for it, answer its result. */
static int32_t
carry_out(struct rmill_ring *ring, struct rmill_operation operation)
{
    struct tested tested = {.operation = operation};

    tested.operation.complete = count_call;
    rmill_ring_submit(ring, &tested.operation);
    drain(ring);
    assert_int_equal(tested.calls, 1);
    return tested.operation.result;
}

static int
open_by_ring(struct rmill_ring *ring, int directory, const char *name, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .mode = flags & (O_CREAT | O_TMPFILE) ? 0640 : 0};

    return carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_OPEN,
                                                    .fd = directory,
                                                    .address = (void *)(uintptr_t)name,
                                                    .address2 = &how});
}

/* --- queues ---------------------------------------------------------------------------------- */

static void
any_number_of_operations_completes_once_each(void **state)
{
    (void)state;
    static struct tested many[6000];
    struct rmill_ring *ring = ring_of(&variant->options);
    uint32_t total = 0;

    memset(many, 0, sizeof(many));
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(many); i++) {
        many[i].total = &total;
        many[i].operation =
            (struct rmill_operation){.opcode = RMILL_OP_NOP, .complete = count_call};
        rmill_ring_submit(ring, &many[i].operation);
    }
    assert_int_equal(rmill_ring_in_flight(ring), RMILL_ARRAY_COUNT(many));
    assert_true(rmill_ring_ready(ring));
    drain(ring);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(many); i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].operation.result, 0);
    }
    assert_int_equal(total, RMILL_ARRAY_COUNT(many));
    const struct rmill_ring_statistics *statistics = rmill_ring_statistics(ring);

    assert_int_equal(statistics->submitted, RMILL_ARRAY_COUNT(many));
    assert_int_equal(statistics->completed, RMILL_ARRAY_COUNT(many));
    assert_true(statistics->queued > 0); /* More than the ring holds, so the list was used. */
    assert_int_equal(statistics->overflows, 0);
    assert_false(rmill_ring_ready(ring));
    rmill_ring_destroy(ring);
}

static void
more_waiting_operations_than_the_limit_all_start(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct rmill_ring_options options = variant->options;
    struct tested polls[COUNT] = {0};
    int pipes[COUNT][2];

    options.entries = 8; /* Fewer entries than operations: one enter must submit several times. */
    options.in_flight_max = COUNT;
    struct rmill_ring *ring = ring_of(&options);

    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        polls[i].operation = (struct rmill_operation){
            .opcode = RMILL_OP_POLL, .fd = pipes[i][0], .flags = POLLIN, .complete = count_call};
        rmill_ring_submit(ring, &polls[i].operation);
    }
    assert_int_equal(rmill_ring_enter(ring, RMILL_NS_PER_MS), 0);
    assert_int_equal(write(pipes[COUNT - 1][1], "x", 1), 1);
    assert_int_equal(rmill_ring_enter(ring, UINT64_MAX), 1); /* The last one was with the kernel. */
    assert_int_equal(polls[COUNT - 1].calls, 1);
    for (int i = 0; i < COUNT - 1; i++) {
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
    }
    drain(ring);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(polls[i].calls, 1);
        assert_true(polls[i].operation.result & POLLIN);
        (void)close(pipes[i][0]);
        (void)close(pipes[i][1]);
    }
    rmill_ring_destroy(ring);
}

static struct rmill_ring *chain_ring;
static uint32_t chain_left;

static void
submit_the_next(struct rmill_operation *operation)
{
    if (chain_left > 0) {
        chain_left--;
        operation->opcode = RMILL_OP_NOP; /* The same struct at once: the ring has let go of it. */
        rmill_ring_submit(chain_ring, operation);
    }
}

static void
callbacks_may_submit(void **state)
{
    (void)state;
    struct rmill_operation heads[7] = {{0}};

    chain_ring = ring_of(&variant->options);
    chain_left = 2000;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(heads); i++) {
        heads[i] = (struct rmill_operation){.opcode = RMILL_OP_NOP, .complete = submit_the_next};
        rmill_ring_submit(chain_ring, &heads[i]);
    }
    drain(chain_ring);
    assert_int_equal(chain_left, 0);
    assert_int_equal(rmill_ring_statistics(chain_ring)->completed, 2000 + RMILL_ARRAY_COUNT(heads));
    rmill_ring_destroy(chain_ring);
}

static void
an_idle_enter_makes_no_system_call(void **state)
{
    (void)state;
    struct rmill_ring *ring = ring_of(&variant->options);

    (void)carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_NOP});
    uint64_t enters = rmill_ring_statistics(ring)->enters;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(rmill_ring_enter(ring, 0), 0);
    }
    assert_int_equal(rmill_ring_statistics(ring)->enters, enters);
    rmill_ring_destroy(ring);
}

/* Goal of the seed: any mix of operations, sizes and waits keeps the counts. */
static void
any_mix_of_submits_and_enters_adds_up(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    struct rmill_prng random = rmill_prng_seeded(seed_get());
    struct tested *many = calloc(COUNT, sizeof(*many));
    struct rmill_ring *ring = ring_of(&variant->options);
    uint32_t next = 0, total = 0;

    while (next < COUNT || rmill_ring_in_flight(ring) > 0) {
        uint64_t burst = rmill_prng_below(&random, 50);

        for (uint64_t i = 0; i < burst && next < COUNT; i++, next++) {
            struct rmill_operation *operation = &many[next].operation;

            many[next].total = &total;
            operation->complete = count_call;
            operation->opcode = RMILL_OP_NOP;
            if (rmill_prng_chance(&random, 1, 4)) {
                operation->opcode = RMILL_OP_TIMEOUT;
                operation->offset = rmill_prng_below(&random, 200 * RMILL_NS_PER_US);
            } else if (next > 0 && rmill_prng_chance(&random, 1, 4)) {
                operation->opcode = RMILL_OP_CANCEL;
                operation->address = &many[rmill_prng_below(&random, next)].operation;
            }
            rmill_ring_submit(ring, operation);
        }
        (void)rmill_ring_enter(ring, rmill_prng_below(&random, 3) * 50 * RMILL_NS_PER_US);
        assert_int_equal(total + rmill_ring_in_flight(ring), next);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(many[i].calls, 1);
    }
    assert_int_equal(rmill_ring_statistics(ring)->overflows, 0);
    rmill_ring_destroy(ring);
    free(many);
}

/* --- files ----------------------------------------------------------------------------------- */

static int
temporary_directory(char path[256])
{
    directory_create(path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void
files_are_written_read_and_sized(void **state)
{
    (void)state;
    char path[256], text[64] = {0};
    int directory = temporary_directory(path);
    struct rmill_ring *ring = ring_of(&variant->options);
    int fd = open_by_ring(ring, directory, "a", O_RDWR | O_CREAT);

    assert_true(fd >= 0);
    char from[] = "twelve bytes";

    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_WRITE,
                                                              .fd = fd,
                                                              .address = from,
                                                              .bytes = 12,
                                                              .offset = 4}),
                     12);
    struct iovec pieces[2] = {{text, 4}, {text + 4, 8}};

    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_READV,
                                                              .fd = fd,
                                                              .address = pieces,
                                                              .bytes = 2,
                                                              .offset = 4}),
                     12);
    assert_memory_equal(text, from, 12);
    struct iovec words[2] = {{from, 6}, {from, 1}};

    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_WRITEV,
                                                              .fd = fd,
                                                              .address = words,
                                                              .bytes = 2,
                                                              .offset = 0}),
                     7);
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_READ,
                                                              .fd = fd,
                                                              .address = text,
                                                              .bytes = 64,
                                                              .offset = 10}),
                     6); /* Short: the end. */
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_READ,
                                                              .fd = fd,
                                                              .address = text,
                                                              .bytes = 64,
                                                              .offset = 16}),
                     0);
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_FSYNC, .fd = fd}),
                     0);
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_FSYNC,
                                                              .fd = fd,
                                                              .flags = RMILL_FSYNC_DATA}),
                     0);
    struct stat status;
    int32_t allocated = carry_out(
        ring, (struct rmill_operation){.opcode = RMILL_OP_FALLOCATE, .fd = fd, .length = 9000});

    if (allocated == -EOPNOTSUPP) {
        print_message("SKIP fallocate: this filesystem has none\n");
    } else {
        assert_int_equal(allocated, 0);
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, 9000);
    }
    int32_t cut = carry_out(
        ring, (struct rmill_operation){.opcode = RMILL_OP_FTRUNCATE, .fd = fd, .length = 5});

    assert_int_equal(cut, rmill_ring_features(ring)->opcode[RMILL_OP_FTRUNCATE] ? 0 : -EOPNOTSUPP);
    if (cut == 0) {
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, 5);
    }
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_CLOSE, .fd = fd}),
                     0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    rmill_ring_destroy(ring);
    (void)close(directory);
    directory_remove(path);
}

/* An operation on names below `directory`. */
static int32_t
names(struct rmill_ring *ring, enum rmill_opcode opcode, int directory, const char *first,
      const char *second)
{
    return carry_out(ring, (struct rmill_operation){.opcode = (uint8_t)opcode,
                                                    .fd = directory,
                                                    .fd2 = directory,
                                                    .bytes = 0750, /* Of MKDIR. */
                                                    .address = (void *)(uintptr_t)first,
                                                    .address2 = (void *)(uintptr_t)second});
}

static void
names_are_made_moved_and_removed(void **state)
{
    (void)state;
    char path[256], target[8] = {0};
    int directory = temporary_directory(path);
    struct rmill_ring *ring = ring_of(&variant->options);
    struct statx found = {0};

    assert_int_equal(names(ring, RMILL_OP_MKDIR, directory, "d", NULL), 0);
    assert_int_equal(names(ring, RMILL_OP_MKDIR, directory, "d", NULL), -EEXIST);
    int fd = open_by_ring(ring, directory, "d/f", O_WRONLY | O_CREAT | O_EXCL);

    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(names(ring, RMILL_OP_LINK, directory, "d/f", "hard"), 0);
    assert_int_equal(names(ring, RMILL_OP_SYMLINK, directory, "d/f", "soft"), 0);
    assert_int_equal(readlinkat(directory, "soft", target, sizeof(target)), 3);
    assert_string_equal(target, "d/f");
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_STATX,
                                                              .fd = directory,
                                                              .address = (void *)(uintptr_t) "hard",
                                                              .flags = AT_SYMLINK_NOFOLLOW,
                                                              .bytes = STATX_BASIC_STATS,
                                                              .address2 = &found}),
                     0);
    assert_int_equal(found.stx_nlink, 2);
    assert_int_equal(names(ring, RMILL_OP_RENAME, directory, "hard", "moved"), 0);
    assert_int_equal(names(ring, RMILL_OP_RENAME, directory, "hard", "moved"), -ENOENT);
    assert_int_equal(names(ring, RMILL_OP_UNLINK, directory, "d", NULL), -EISDIR);
    assert_int_equal(names(ring, RMILL_OP_UNLINK, directory, "d/f", NULL), 0);
    assert_int_equal(names(ring, RMILL_OP_UNLINK, directory, "moved", NULL), 0);
    assert_int_equal(names(ring, RMILL_OP_UNLINK, directory, "soft", NULL), 0);
    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_UNLINK,
                                                              .fd = directory,
                                                              .address = (void *)(uintptr_t) "d",
                                                              .flags = AT_REMOVEDIR}),
                     0);
    assert_int_equal(open_by_ring(ring, directory, "d/f", O_RDONLY), -ENOENT);
    rmill_ring_destroy(ring);
    (void)close(directory);
    assert_int_equal(rmdir(path), 0); /* All of it is gone. */
}

static void
registered_files_and_buffers_are_used(void **state)
{
    (void)state;
    char path[256];
    int directory = temporary_directory(path);
    struct rmill_ring *ring = ring_of(&variant->options);
    struct rmill_error error = {0};
    char *memory = aligned_alloc(4096, 8192);
    struct iovec region = {memory, 8192};
    int fd = open_by_ring(ring, directory, "f", O_RDWR | O_CREAT);

    memset(memory, 'q', 8192);
    assert_true(rmill_ring_features(ring)->files_registered);
    assert_int_equal(rmill_ring_file_register(ring, 7, fd), 0);
    assert_int_equal(rmill_ring_file_register(ring, 1u << 20, fd), -EINVAL);
    assert_int_equal(rmill_ring_buffers_register(ring, &region, 1, &error), 0);
    assert_int_equal(rmill_ring_buffers_register(ring, &region, 1, &error), 0); /* Replaces. */
    (void)close(fd); /* The table has its own reference. */
    struct rmill_operation operation = {.opcode = RMILL_OP_WRITE,
                                        .fd = 7,
                                        .modifiers = RMILL_OPERATION_FIXED_FILE |
                                                     RMILL_OPERATION_FIXED_BUFFER,
                                        .address = memory + 100,
                                        .bytes = 5000};

    assert_int_equal(carry_out(ring, operation), 5000);
    operation.opcode = RMILL_OP_READ;
    operation.offset = 4990;
    memset(memory, 0, 8192);
    assert_int_equal(carry_out(ring, operation), 10);
    assert_memory_equal(memory + 100, "qqqqqqqqqq", 11); /* The 11th is still 0. */
    operation.address = memory + 8000;                   /* Leaves the region. */
    assert_int_equal(carry_out(ring, operation), -EFAULT);
    assert_int_equal(rmill_ring_file_register(ring, 7, -1), 0);
    operation.address = memory;
    assert_int_equal(carry_out(ring, operation), -EBADF);

    region.iov_len = 0;
    assert_int_equal(rmill_ring_buffers_register(ring, &region, 1, &error), -EINVAL);
    region.iov_len = RMILL_GIB(1) + 1;
    assert_int_equal(rmill_ring_buffers_register(ring, &region, 1, &error), -EINVAL);
    assert_non_null(strstr(error.advice, "1 GiB"));
    rmill_ring_destroy(ring);
    free(memory);
    (void)close(directory);
    directory_remove(path);
}

/* --- time and cancelling --------------------------------------------------------------------- */

static void
a_timeout_runs_out(void **state)
{
    (void)state;
    struct rmill_ring *ring = ring_of(&variant->options);
    uint64_t start = rmill_clock_ns();

    assert_int_equal(carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_TIMEOUT,
                                                              .offset = 2 * RMILL_NS_PER_MS}),
                     -ETIME);
    assert_true(rmill_clock_ns() - start >= 2 * RMILL_NS_PER_MS);
    start = rmill_clock_ns();
    assert_int_equal(rmill_ring_enter(ring, 2 * RMILL_NS_PER_MS),
                     0); /* Nothing in flight: just time. */
    assert_true(rmill_clock_ns() - start >= 2 * RMILL_NS_PER_MS);
    rmill_ring_destroy(ring);
}

static void
what_waits_can_be_cancelled(void **state)
{
    (void)state;
    struct rmill_ring *ring = ring_of(&variant->options);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    for (int with_enter = 0; with_enter < 2; with_enter++) {
        struct tested targets[2] = {0}, cancels[2] = {0};

        targets[0].operation = (struct rmill_operation){
            .opcode = RMILL_OP_POLL, .fd = ends[0], .flags = POLLIN, .complete = count_call};
        targets[1].operation = (struct rmill_operation){
            .opcode = RMILL_OP_TIMEOUT, .offset = 3600 * RMILL_NS_PER_S, .complete = count_call};
        for (int i = 0; i < 2; i++) {
            rmill_ring_submit(ring, &targets[i].operation);
        }
        if (with_enter) {
            assert_int_equal(rmill_ring_enter(ring, 0), 0);
        }
        for (int i = 0; i < 2; i++) {
            cancels[i].operation = (struct rmill_operation){.opcode = RMILL_OP_CANCEL,
                                                            .address = &targets[i].operation,
                                                            .complete = count_call};
            rmill_ring_submit(ring, &cancels[i].operation);
        }
        drain(ring);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(targets[i].calls, 1);
            assert_int_equal(targets[i].operation.result, -ECANCELED);
            assert_int_equal(cancels[i].operation.result, 0);
        }
        /* Once more, too late: the slot may have a new user by then, who must not be hit. */
        rmill_ring_submit(ring, &targets[1].operation);
        assert_int_equal(
            carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_CANCEL,
                                                     .address = &targets[1].operation}),
            0);
        assert_int_equal(targets[1].calls, 2);
        assert_int_equal(
            carry_out(ring, (struct rmill_operation){.opcode = RMILL_OP_CANCEL,
                                                     .address = &targets[1].operation}),
            -ENOENT);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    rmill_ring_destroy(ring);
}

/* zio #628: a cancel that finds every place taken must not wait for what it is to end. */
static void
a_full_ring_can_be_cancelled_empty(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    struct rmill_ring_options options = variant->options;
    struct tested targets[COUNT] = {0}, cancels[COUNT] = {0};

    options.entries = 4;
    options.in_flight_max = 10; /* 54 of them never get to the kernel. */
    struct rmill_ring *ring = ring_of(&options);

    for (int i = 0; i < COUNT; i++) {
        targets[i].operation = (struct rmill_operation){
            .opcode = RMILL_OP_TIMEOUT, .offset = 3600 * RMILL_NS_PER_S, .complete = count_call};
        rmill_ring_submit(ring, &targets[i].operation);
    }
    (void)rmill_ring_enter(ring, RMILL_NS_PER_MS);
    for (int i = COUNT - 1; i >= 0; i--) {
        cancels[i].operation = (struct rmill_operation){
            .opcode = RMILL_OP_CANCEL, .address = &targets[i].operation, .complete = count_call};
        rmill_ring_submit(ring, &cancels[i].operation);
    }
    drain(ring);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(targets[i].calls, 1);
        assert_int_equal(targets[i].operation.result, -ECANCELED);
        assert_int_equal(cancels[i].calls, 1);
        assert_int_equal(cancels[i].operation.result, 0);
    }
    rmill_ring_destroy(ring);
}

/* --- wakes ----------------------------------------------------------------------------------- */

/* Two threads hand a token back and forth with the protocol the channels use: say "I sleep",
 * look again, sleep; the other publishes, looks at the flag, wakes. A lost wake hangs, which the
 * runner's time-out catches. */
struct side {
    struct rmill_ring *_Atomic ring;
    _Atomic uint32_t asleep;
    _Atomic uint32_t token; /* What the other side has sent. */
};

struct game {
    struct side sides[2];
    uint32_t rounds;
    bool foreign;      /* The answering side has no ring to wake from. */
    _Atomic bool over; /* Nobody wakes the second side any more: it may destroy its ring. */
    uint64_t seed;
};

static void
side_wait(struct game *game, int me, uint32_t token, struct rmill_prng *random)
{
    struct side *side = &game->sides[me];
    struct rmill_ring *ring = atomic_load(&side->ring);
    uint64_t spins = rmill_prng_below(random, 3) * 40;

    while (spins-- > 0 && atomic_load(&side->token) != token) {
        (void)rmill_ring_enter(ring, 0); /* Sometimes meet the wake awake. */
    }
    while (atomic_load(&side->token) != token) {
        atomic_store(&side->asleep, 1);
        if (atomic_load(&side->token) != token) {
            (void)rmill_ring_enter(ring, UINT64_MAX);
        }
        atomic_store(&side->asleep, 0);
    }
}

static void
side_send(struct game *game, int me, uint32_t token)
{
    struct side *other = &game->sides[1 - me];
    struct rmill_ring *ring = atomic_load(&game->sides[me].ring);

    atomic_store(&other->token, token);
    if (atomic_exchange(&other->asleep, 0) == 0) {
        return;
    }
    if (game->foreign && me == 1) {
        rmill_ring_wake_foreign(atomic_load(&other->ring));
    } else {
        rmill_ring_wake(ring, atomic_load(&other->ring));
        (void)rmill_ring_enter(ring, 0);
    }
}

static void *
second_side(void *argument)
{
    struct game *game = argument;
    struct rmill_prng random = rmill_prng_seeded(game->seed + 1);

    atomic_store(&game->sides[1].ring, ring_of(&variant->options));
    for (uint32_t round = 1; round <= game->rounds; round++) {
        side_wait(game, 1, round, &random);
        side_send(game, 1, round);
    }
    while (!atomic_load(&game->over)) {
        (void)rmill_ring_enter(atomic_load(&game->sides[1].ring), 20 * RMILL_NS_PER_US);
    }
    rmill_ring_destroy(atomic_load(&game->sides[1].ring));
    return NULL;
}

static void
play(struct game *game)
{
    struct rmill_prng random = rmill_prng_seeded(game->seed);
    pthread_t thread;

    atomic_store(&game->sides[0].ring, ring_of(&variant->options));
    struct rmill_ring *ring = atomic_load(&game->sides[0].ring);

    assert_int_equal(pthread_create(&thread, NULL, second_side, game), 0);
    while (atomic_load(&game->sides[1].ring) == NULL) {
        (void)rmill_ring_enter(ring, 20 * RMILL_NS_PER_US);
    }
    for (uint32_t round = 1; round <= game->rounds; round++) {
        side_send(game, 0, round);
        side_wait(game, 0, round, &random);
    }
    atomic_store(&game->over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(rmill_ring_statistics(ring)->overflows, 0);
    rmill_ring_destroy(ring);
}

/* A poller that shares its CPU with the two sides spins its time slice away each round. */
static uint32_t
rounds_get(void)
{
    return (uint32_t)scale_get(variant->options.submission_polling ? 50 : 3000);
}

static void
no_wake_between_two_rings_is_lost(void **state)
{
    (void)state;
    struct game game = {.rounds = rounds_get(), .seed = seed_get()};

    play(&game);
}

static void
no_foreign_wake_is_lost(void **state)
{
    (void)state;
    struct game game = {.rounds = rounds_get(), .seed = seed_get(), .foreign = true};

    play(&game);
}

static void
a_wake_before_the_sleep_ends_it(void **state)
{
    (void)state;
    struct rmill_ring *ring = ring_of(&variant->options);

    rmill_ring_wake_foreign(ring);
    assert_int_equal(rmill_ring_enter(ring, UINT64_MAX), 0);
    rmill_ring_wake(ring, ring);
    assert_int_equal(rmill_ring_enter(ring, UINT64_MAX), 0);
    rmill_ring_wake(ring, ring);
    for (int i = 0; i < 10; i++) {
        (void)rmill_ring_enter(ring, 0); /* Meets the wake awake and keeps it for the next sleep. */
    }
    assert_int_equal(rmill_ring_enter(ring, UINT64_MAX), 0);
    assert_int_equal(rmill_ring_statistics(ring)->wakes_sent, 2);
    rmill_ring_destroy(ring);
}

/* Field note 4: more messages than the completion queue holds are kept by the kernel, not
 * refused. */
static void
a_flood_of_wakes_loses_no_operation(void **state)
{
    (void)state;
    enum { WAKES = 2000, OPERATIONS = 16 };
    struct rmill_ring_options options = variant->options;
    struct tested many[OPERATIONS] = {0};

    options.entries = 4;
    options.in_flight_max = OPERATIONS;
    struct rmill_ring *target = ring_of(&options), *from = ring_of(&variant->options);

    for (int i = 0; i < OPERATIONS; i++) {
        many[i].operation = (struct rmill_operation){
            .opcode = RMILL_OP_TIMEOUT, .offset = RMILL_NS_PER_MS, .complete = count_call};
        rmill_ring_submit(target, &many[i].operation);
    }
    (void)rmill_ring_enter(target, 0);
    for (int i = 0; i < WAKES; i++) {
        rmill_ring_wake(from, target);
    }
    while (rmill_ring_ready(from)) {
        (void)rmill_ring_enter(from, 0);
    }
    drain(target);
    for (int i = 0; i < OPERATIONS; i++) {
        assert_int_equal(many[i].calls, 1);
        assert_int_equal(many[i].operation.result, -ETIME);
    }
    while (rmill_ring_ready(target)) {
        (void)rmill_ring_enter(target, 0);
    }
    rmill_ring_destroy(from);
    rmill_ring_destroy(target);
}

static void
the_selftest_sees_both_wakes(void **state)
{
    (void)state;
    struct rmill_selftest result = {0};
    struct rmill_error error = {0};

    assert_int_equal(rmill_selftest_run(&variant->options, &result, &error), 0);
    assert_int_equal(result.message_wake, result.features.message_ring);
    assert_true(result.event_wake);
    assert_true(variant->options.event_wakes || result.message_wake);
}

/* --- set-up ---------------------------------------------------------------------------------- */

static void
features_agree_with_what_was_asked(void **state)
{
    (void)state;
    struct rmill_ring *ring = ring_of(&variant->options);
    const struct rmill_ring_features *features = rmill_ring_features(ring);
    uint32_t refused = variant->options.setup_refused;

    assert_int_equal(features->setup_flags & refused, 0);
    if (variant->options.plain) {
        assert_false(features->single_issuer || features->defer_taskrun || features->coop_taskrun ||
                     features->no_sqarray || features->ring_fd_registered || features->no_iowait);
    } else if (variant->options.submission_polling) {
        assert_true(features->setup_flags & IORING_SETUP_SQPOLL);
        assert_false(features->defer_taskrun || features->coop_taskrun); /* Not together. */
    } else {
        assert_true(features->single_issuer); /* 6.0: below our oldest kernel. */
        assert_true(features->defer_taskrun || (refused & IORING_SETUP_DEFER_TASKRUN));
        assert_true(features->coop_taskrun != features->defer_taskrun);
        assert_true(features->ring_fd_registered);
    }
    for (int i = 0; i < RMILL_OP_COUNT; i++) {
        assert_true(features->opcode[i] || i == RMILL_OP_FTRUNCATE);
    }
    assert_true(features->workers_bounded && features->workers_pinned);
    rmill_ring_destroy(ring);
}

static void
senseless_options_are_refused(void **state)
{
    (void)state;
    const struct rmill_ring_options bad[] = {
        {.entries = 3}, {.entries = 1u << 31}, {.worker_cpu_count = 2}};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(bad); i++) {
        struct rmill_ring *ring = (struct rmill_ring *)(uintptr_t)1;
        struct rmill_error error = {0};

        assert_int_equal(rmill_ring_create(&bad[i], &ring, &error), -EINVAL);
        assert_int_equal((uintptr_t)ring, 1); /* Untouched. */
        assert_true(error.advice[0] != '\0');
    }
    rmill_ring_destroy(NULL);
}

/* Field note 1: liburing 2.3's own set-up leaves tail = 1 and a mask of 4 behind with
 * NO_SQARRAY. */
static void
the_ring_header_is_intact_after_setup(void **state)
{
    (void)state;
    struct rmill_setup setup = {
        .sq_entries = 64, .cq_entries = 512, .wanted = RMILL_SETUP_WANTED_ALL};
    struct io_uring ring;
    struct rmill_error error = {0};

    assert_int_equal(rmill_setup_open(&setup, &ring, &error), 0);
    assert_int_equal(*ring.sq.khead, 0);
    assert_int_equal(*ring.sq.ktail, 0);
    assert_int_equal(*ring.sq.kring_mask, 63);
    assert_int_equal(*ring.cq.khead, 0);
    assert_int_equal(*ring.cq.ktail, 0);
    assert_int_equal(*ring.cq.kring_mask, 511);
    rmill_setup_close(&ring);
}

static void *
enter_from_elsewhere(void *argument)
{
    struct io_uring *ring = argument;

    return (void *)(intptr_t)io_uring_enter((unsigned)ring->ring_fd, 0, 0, IORING_ENTER_GETEVENTS,
                                            NULL);
}

/* Field note 2: the reason why a ring is made in the thread that uses it. */
static void
a_deferring_ring_refuses_other_threads(void **state)
{
    (void)state;
    struct rmill_setup setup = {
        .sq_entries = 8, .cq_entries = 64, .wanted = RMILL_SETUP_WANTED_ALL};
    struct io_uring ring;
    struct rmill_error error = {0};
    pthread_t thread;
    void *answer;

    assert_int_equal(rmill_setup_open(&setup, &ring, &error), 0);
    assert_int_equal(pthread_create(&thread, NULL, enter_from_elsewhere, &ring), 0);
    assert_int_equal(pthread_join(thread, &answer), 0);
    if (setup.flags & IORING_SETUP_DEFER_TASKRUN) {
        assert_int_equal((intptr_t)answer, -EEXIST);
    }
    rmill_setup_close(&ring);
}

int
main(void)
{
    const struct CMUnitTest each[] = {
        cmocka_unit_test(features_agree_with_what_was_asked),
        cmocka_unit_test(any_number_of_operations_completes_once_each),
        cmocka_unit_test(more_waiting_operations_than_the_limit_all_start),
        cmocka_unit_test(callbacks_may_submit),
        cmocka_unit_test(an_idle_enter_makes_no_system_call),
        cmocka_unit_test(any_mix_of_submits_and_enters_adds_up),
        cmocka_unit_test(files_are_written_read_and_sized),
        cmocka_unit_test(names_are_made_moved_and_removed),
        cmocka_unit_test(registered_files_and_buffers_are_used),
        cmocka_unit_test(a_timeout_runs_out),
        cmocka_unit_test(what_waits_can_be_cancelled),
        cmocka_unit_test(a_full_ring_can_be_cancelled_empty),
        cmocka_unit_test(no_wake_between_two_rings_is_lost),
        cmocka_unit_test(no_foreign_wake_is_lost),
        cmocka_unit_test(a_wake_before_the_sleep_ends_it),
        cmocka_unit_test(a_flood_of_wakes_loses_no_operation),
        cmocka_unit_test(the_selftest_sees_both_wakes),
    };
    const struct CMUnitTest once[] = {
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(the_ring_header_is_intact_after_setup),
        cmocka_unit_test(a_deferring_ring_refuses_other_threads),
    };
    int failed = cmocka_run_group_tests_name("ring", once, NULL, NULL);

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(variants); i++) {
        variant = &variants[i];
        failed += cmocka_run_group_tests_name(variant->name, each, NULL, NULL);
    }
    return failed;
}
