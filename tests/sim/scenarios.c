/* tests/sim/scenarios.c — the programs, and how they are judged.
 *
 * A check inside a simulated thread is RMILL_ASSERT. */
#include "tests/sim/scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/prng.h"
#include "engine/ringmill.h"

#define CORES_MAX 6u

/* --- common ----------------------------------------------------------------------------------- */

/* Everything a program does is decided by this, the world by the simulator's own stream. */
static struct rmill_prng plan;

static uint64_t
below(uint64_t bound)
{
    return rmill_prng_below(&plan, bound);
}

static void __attribute__((format(printf, 2, 3)))
condemn(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;

    if (verdict->good) {
        va_start(arguments, format);
        (void)vsnprintf(verdict->what, sizeof(verdict->what), format, arguments);
        va_end(arguments);
    }
    verdict->good = false;
}

static struct rmill_options
engine_options(void)
{
    static const char *const cores[] = {"4", "4", "4", "3", "1", "6"};

    return (struct rmill_options){
        .cores = cores[below(RMILL_ARRAY_COUNT(cores))],
        .arena_bytes = RMILL_KIB(256),
        .fibers_max = 48,
        .ring_entries = 8u << below(4),
        .blocking_max = 1 + (uint32_t)below(3),
        .trace_events = 64,
        .spin_ns = below(2) == 0 ? 1 : 20000,
        .prefault = below(4) == 0,
    };
}

/* A world with delays, and with faults in most seeds. `harsh`: also those a program cannot hide. */
static struct rmill_sim_options
world(uint64_t seed, FILE *trace, bool harsh)
{
    struct rmill_sim_options options = {.seed = seed,
                                        .trace = trace,
                                        .skew_ns = 200u << below(8),
                                        .delay_ns_max = 2000u << below(9)};
    uint32_t *fault = options.fault_per_million;

    fault[RMILL_SIM_STALL] = 200;
    fault[RMILL_SIM_EARLY_WAKE] = 20000;
    fault[RMILL_SIM_SHORT] = (uint32_t)below(200000);
    fault[RMILL_SIM_INTERRUPTED] = (uint32_t)below(100000);
    fault[RMILL_SIM_AGAIN] = (uint32_t)below(100000);
    fault[RMILL_SIM_TYPE_UNKNOWN] = 100000;
    if (harsh) {
        fault[RMILL_SIM_IO_ERROR] = below(3) == 0 ? 5000 : 0;
        fault[RMILL_SIM_NO_SPACE] = below(4) == 0 ? 5000 : 0;
        fault[RMILL_SIM_NO_MEMORY] = below(4) == 0 ? 3000 : 0;
    }
    return options;
}

/* One engine with one main fiber. */
struct program {
    struct rmill_options options;
    int (*main_fiber)(void *argument);
    /* On the control thread while it runs; may be NULL. */
    void (*meanwhile)(struct rmill_engine *engine);
    bool may_fail_to_start;
    bool started;
};

static int
control(void *argument)
{
    struct program *program = argument;
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    int result = 0;
    int code = rmill_engine_create(&program->options, &engine, &error);

    if (code == 0) {
        code = rmill_engine_start(engine, program->main_fiber, NULL, &error);
        program->started = code == 0;
    }
    if (code < 0) {
        RMILL_ASSERT(program->may_fail_to_start && error.advice[0] != '\0');
        rmill_engine_destroy(engine);
        return code;
    }
    if (program->meanwhile != NULL) {
        program->meanwhile(engine);
    }
    while (rmill_engine_wait(engine, 3000000, &result) == -ETIMEDOUT) {
    }
    rmill_engine_destroy(engine);
    return result;
}

static void
run(const struct rmill_sim_options *options, struct program *program, struct verdict *verdict)
{
    uint64_t both[2] = {verdict->trace_hash, 0};

    RMILL_ASSERT(rmill_sim_run(options, control, program, &verdict->run) == 0);
    both[1] = verdict->run.trace_hash;
    verdict->trace_hash = rmill_hash64(both, sizeof(both), 0);
    if (verdict->run.descriptors_open != 0 || verdict->run.rings_open != 0) {
        condemn(verdict, "%u descriptors and %llu rings were left open",
                verdict->run.descriptors_open, (unsigned long long)verdict->run.rings_open);
    }
}

/* --- messages: cores call, post to and start fibers on each other ----------------------------- */

#define ACTIONS     40u
#define BURST_MAX   600u /* More than a channel holds. */
#define POSTS_MAX   60000u
#define FOREIGN_MAX 30u

struct post {
    uint32_t from, to;
    uint64_t number; /* Counted from one core to one other. */
    uint32_t ran;
};

static struct {
    struct post posts[POSTS_MAX];
    uint32_t post_count;
    uint64_t sent[CORES_MAX][CORES_MAX], seen[CORES_MAX][CORES_MAX];
    uint64_t spawned, spawned_ran, called, foreign, foreign_ran, blocking;
} mail;

static void
post_run(void *argument)
{
    struct post *post = argument;

    RMILL_ASSERT(rmill_core_index() == post->to && post->ran == 0);
    post->ran++;
    RMILL_ASSERT(mail.seen[post->from][post->to] == post->number);
    mail.seen[post->from][post->to]++;
}

static void
foreign_run(void *argument)
{
    RMILL_ASSERT(mail.foreign_ran == (uint64_t)(uintptr_t)argument);
    mail.foreign_ran++;
}

static int64_t
answer(void *argument)
{
    uint32_t depth = *(uint32_t *)argument;

    mail.called++;
    if (below(3) == 0) {
        rmill_yield();
    }
    if (depth < 3 && below(2) == 0) {
        uint32_t deeper = depth + 1;

        RMILL_ASSERT(rmill_call((uint32_t)below(rmill_core_count()), answer, &deeper) ==
                     deeper + 7);
    }
    return depth + 7;
}

static void
spawned_run(void *argument)
{
    RMILL_ASSERT(rmill_core_index() == (uint32_t)(uintptr_t)argument);
    if (below(2) == 0) {
        rmill_sleep(below(100000));
    }
    mail.spawned_ran++;
}

static int64_t
look_up(void *argument)
{
    struct stat status;

    (void)argument;
    return rmill_plain_stat(AT_FDCWD, "missing", &status);
}

static enum rmill_progress_kind
two_steps(void *argument)
{
    return ++*(int *)argument < 2 ? RMILL_TASK_AGAIN : RMILL_TASK_DONE;
}

static void
post_to(uint32_t self, uint32_t to)
{
    struct post *post = &mail.posts[mail.post_count++];

    RMILL_ASSERT(mail.post_count <= POSTS_MAX);
    *post = (struct post){.from = self, .to = to, .number = mail.sent[self][to]++};
    rmill_post(to, post_run, post);
}

static void
act(uint32_t self)
{
    uint32_t to = (uint32_t)below(rmill_core_count()), depth = 0;
    int steps = 0;

    switch (below(8)) {
    case 0:
        RMILL_ASSERT(rmill_call(to, answer, &depth) == 7);
        break;
    case 1:
        mail.spawned++;
        rmill_spawn_on(to, spawned_run, (void *)(uintptr_t)to);
        break;
    case 2:
        rmill_sleep(below(50000));
        break;
    case 3:
        rmill_task_run(two_steps, &steps, below(30000));
        RMILL_ASSERT(steps == 2);
        break;
    case 4:
        mail.blocking++;
        RMILL_ASSERT(rmill_blocking_call(look_up, NULL) == -ENOENT);
        break;
    default:
        for (uint64_t burst = below(30) == 0 ? below(BURST_MAX) : 1; burst > 0; burst--) {
            post_to(self, to);
        }
        break;
    }
}

static void
actor(void *argument)
{
    uint32_t self = rmill_core_index();

    (void)argument;
    for (uint32_t i = 0; i < ACTIONS; i++) {
        act(self);
    }
}

static int
messages_main(void *argument)
{
    (void)argument;
    for (uint32_t core = 0; core < rmill_core_count(); core++) {
        rmill_spawn_on(core, actor, NULL);
        if (below(2) == 0) {
            rmill_spawn_on(core, actor, NULL);
        }
    }
    return 0;
}

static void
messages_meanwhile(struct rmill_engine *engine)
{
    while (mail.foreign < FOREIGN_MAX) {
        RMILL_ASSERT(rmill_engine_post(engine, 0, foreign_run, (void *)(uintptr_t)mail.foreign) ==
                     0);
        mail.foreign++;
        if (below(3) == 0) {
            rmill_sim_sleep(below(20000));
        }
    }
}

static void
messages(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    plan = rmill_prng_seeded(seed * 3 + 1);
    memset(&mail, 0, sizeof(mail));
    struct program program = {
        .options = engine_options(), .main_fiber = messages_main, .meanwhile = messages_meanwhile};
    struct rmill_sim_options options = world(seed, trace, false);

    run(&options, &program, verdict);
    for (uint32_t i = 0; i < mail.post_count; i++) {
        if (mail.posts[i].ran != 1) {
            condemn(verdict, "post %u ran %u times", i, mail.posts[i].ran);
        }
    }
    if (mail.spawned != mail.spawned_ran || mail.foreign != mail.foreign_ran) {
        condemn(verdict, "%llu of %llu fibers and %llu of %llu foreign posts ran",
                (unsigned long long)mail.spawned_ran, (unsigned long long)mail.spawned,
                (unsigned long long)mail.foreign_ran, (unsigned long long)mail.foreign);
    }
    if (verdict->good) {
        verdict->succeeded = true;
        (void)snprintf(verdict->what, sizeof(verdict->what),
                       "%u posts, %llu calls, %llu fibers, %llu look-ups", mail.post_count,
                       (unsigned long long)mail.called, (unsigned long long)mail.spawned,
                       (unsigned long long)mail.blocking);
    }
}

/* --- copying: an ordered flow from a file to a new file that takes the place of an old one ---- */

#define PIECE_MAX     6000u
#define KEYS          5u
#define IN_FLIGHT_MAX 64u

static struct {
    /* Set-up. */
    uint8_t *source, *expected;
    uint64_t source_bytes, expected_bytes;
    uint32_t piece, home;
    struct rmill_flow_options flow;
    bool share, forget_sync;
    uint64_t stop_after_ns;
    /* State. */
    struct rmill_file in, out;
    uint64_t next_commit, next_write, out_bytes;
    uint64_t key_next[KEYS]; /* Per key: no unit before this one may come any more. */
    uint32_t key_live[KEYS];
    uint32_t live, live_max;
    uint64_t live_bytes;
    /* Outcome. */
    struct rmill_flow_statistics statistics;
    bool renamed, done_with_power, write_failed;
    uint64_t failed_units, failures;
} copy;

struct piece {
    uint64_t offset, bytes;
    uint64_t out_offset, out_bytes;
    uint8_t *data;
    uint32_t steps;
    uint64_t sequence;
};

/* The work on one piece; in order, its result is as long as its content says. */
static uint64_t
transform(uint8_t *data, uint64_t bytes, uint64_t sequence, bool resize)
{
    uint64_t kept = resize ? bytes / 2 + rmill_hash64(data, bytes, 0) % (bytes / 2 + 1) : bytes;

    for (uint64_t i = 0; i < kept; i++) {
        data[i] = (uint8_t)(data[i] ^ (sequence * 31 + i));
    }
    return kept;
}

static int
copy_produce(struct rmill_unit *unit)
{
    struct piece *piece = unit->data;
    uint64_t offset = unit->sequence * copy.piece;

    RMILL_ASSERT(unit->sequence == 0 || copy.live > 0 || copy.in.fd >= 0);
    if (offset >= copy.source_bytes) {
        return 0;
    }
    if (below(8) == 0) {
        rmill_sleep(below(20000));
    }
    *piece = (struct piece){.offset = offset, .sequence = unit->sequence};
    piece->bytes = rmill_min_u64(copy.piece, copy.source_bytes - offset);
    unit->bytes = piece->bytes;
    unit->key = copy.flow.order == RMILL_FLOW_KEYED ? unit->sequence % KEYS : unit->sequence / 3;
    copy.live++;
    copy.live_bytes += unit->bytes;
    copy.live_max = copy.live > copy.live_max ? copy.live : copy.live_max;
    RMILL_ASSERT(copy.live <= copy.flow.window);
    return 1;
}

static enum rmill_progress_kind
copy_task(void *argument)
{
    struct piece *piece = argument;

    if (++piece->steps < 3) {
        return RMILL_TASK_AGAIN;
    }
    piece->out_bytes = transform(piece->data, piece->bytes, piece->sequence,
                                 copy.flow.order == RMILL_FLOW_ORDERED);
    return RMILL_TASK_DONE;
}

static int
copy_write(struct rmill_unit *unit)
{
    struct piece *piece = unit->data;

    if (copy.flow.write_at_home) {
        RMILL_ASSERT(rmill_core_index() == copy.home && unit->sequence >= copy.next_write);
        copy.next_write = unit->sequence + 1;
    } else {
        RMILL_ASSERT(unit->core == rmill_core_index());
    }
    RMILL_ASSERT(!(copy.write_failed && copy.flow.write_at_home && copy.flow.stop_on_error));
    int64_t wrote = rmill_write(copy.out, piece->data, piece->out_bytes, piece->out_offset);

    copy.write_failed |= wrote < 0;
    copy.failures += wrote < 0;
    return wrote < 0 ? (int)wrote : 0;
}

static int
copy_process(struct rmill_unit *unit)
{
    struct piece *piece = unit->data;
    uint64_t first = below(piece->bytes + 1);

    RMILL_ASSERT(unit->core == rmill_core_index());
    if (copy.flow.order == RMILL_FLOW_KEYED) { /* One after another, in their order. */
        RMILL_ASSERT(copy.key_live[unit->key]++ == 0);
        RMILL_ASSERT(unit->sequence >= copy.key_next[unit->key]);
        copy.key_next[unit->key] = unit->sequence + 1;
    }
    piece->data = malloc(PIECE_MAX);
    RMILL_ASSERT(piece->data != NULL);
    int64_t got = rmill_read(copy.in, piece->data, first, piece->offset);

    if (got >= 0) {
        RMILL_ASSERT((uint64_t)got == first);
        got = rmill_read(copy.in, piece->data + first, piece->bytes - first, piece->offset + first);
        RMILL_ASSERT(got < 0 || (uint64_t)got == piece->bytes - first);
    }
    if (got < 0) {
        copy.failures++;
        return (int)got;
    }
    rmill_task_run(copy_task, piece, below(40000));
    if (copy.flow.write == NULL) {
        piece->out_offset = piece->offset;
        return copy_write(unit);
    }
    return 0;
}

static int
copy_commit(struct rmill_unit *unit)
{
    struct piece *piece = unit->data;

    if (copy.flow.order == RMILL_FLOW_ORDERED) {
        RMILL_ASSERT(unit->sequence == copy.next_commit);
        copy.next_commit++;
    }
    copy.failed_units += unit->error != 0;
    piece->out_offset = copy.flow.order == RMILL_FLOW_ORDERED ? copy.out_bytes : piece->offset;
    if (unit->error == 0) {
        copy.out_bytes += piece->out_bytes;
    }
    return 0;
}

static void
copy_release(struct rmill_unit *unit)
{
    struct piece *piece = unit->data;

    RMILL_ASSERT(unit->core == rmill_core_index() && copy.live > 0);
    if (copy.flow.order == RMILL_FLOW_KEYED && piece->data != NULL) {
        RMILL_ASSERT(copy.key_live[unit->key]-- == 1);
    }
    free(piece->data);
    piece->data = NULL;
    copy.live--;
    copy.live_bytes -= unit->bytes;
}

static int64_t
copy_flow_run(void *argument)
{
    (void)argument;
    return rmill_flow_run(&copy.flow, &copy.statistics);
}

static int
directory_sync(void)
{
    struct rmill_file directory;
    int code = rmill_open(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0, 0, &directory);

    if (code < 0) {
        return code;
    }
    code = rmill_fsync(directory, false);
    int closed = rmill_close(&directory);

    return code < 0 ? code : closed;
}

/* Put the finished file in its place. */
static int
copy_finish(void)
{
    int code = copy.forget_sync ? 0 : rmill_fsync(copy.out, false);
    int closed = rmill_close(&copy.out);

    code = code < 0 ? code : closed;
    if (code == 0) {
        code = rmill_plain_rename(AT_FDCWD, "out.tmp", AT_FDCWD, "out", 0);
        copy.renamed = code == 0;
    }
    return code < 0 ? code : directory_sync();
}

static int
copy_main(void *argument)
{
    (void)argument;
    copy.in.fd = copy.out.fd = -1;
    copy.home %= rmill_core_count();
    int code = rmill_plain_unlink(AT_FDCWD, "out.tmp", false); /* Left over from before. */

    if (code < 0 && code != -ENOENT) {
        return code;
    }
    code = rmill_open(AT_FDCWD, "in", O_RDONLY, 0, 0, &copy.in);
    if (code == 0) {
        code = rmill_open(AT_FDCWD, "out.tmp", O_WRONLY | O_CREAT | O_EXCL, 0644, 0, &copy.out);
    }
    if (code == 0 && copy.share) {
        (void)rmill_file_share(&copy.in); /* Or not: it only makes things faster. */
        (void)rmill_file_share(&copy.out);
    }
    if (code == 0) {
        code = (int)rmill_call(copy.home, copy_flow_run, NULL);
        RMILL_ASSERT(copy.live == 0 && copy.live_bytes == 0);
        code = code == 0 && copy.failed_units > 0 ? -EIO : code;
    }
    if (code == 0 && copy.statistics.failed > 0) {
        code = -EIO;
    }
    if (code == 0) {
        code = copy_finish();
        copy.done_with_power = code == 0 && rmill_sim_powered();
    }
    if (copy.out.fd >= 0) {
        (void)rmill_close(&copy.out);
    }
    if (copy.in.fd >= 0) {
        (void)rmill_close(&copy.in);
    }
    if (code < 0 && !copy.renamed) {
        (void)rmill_plain_unlink(AT_FDCWD, "out.tmp", false);
    }
    return code;
}

static void
copy_plan(uint64_t seed, enum rmill_flow_order order)
{
    plan = rmill_prng_seeded(seed * 5 + 2);
    memset(&copy, 0, sizeof(copy));
    copy.source_bytes = below(20) == 0 ? 0 : 1 + below(120000);
    copy.piece = 100 + (uint32_t)below(PIECE_MAX - 100);
    copy.source = malloc(copy.source_bytes + 1);
    copy.expected = malloc(copy.source_bytes + PIECE_MAX);
    RMILL_ASSERT(copy.source != NULL && copy.expected != NULL);
    for (uint64_t i = 0; i < copy.source_bytes; i++) {
        copy.source[i] = (uint8_t)rmill_prng_next(&plan);
    }
    for (uint64_t at = 0, unit = 0; at < copy.source_bytes; at += copy.piece, unit++) {
        uint64_t bytes = rmill_min_u64(copy.piece, copy.source_bytes - at);
        uint8_t *to = copy.expected + copy.expected_bytes;

        memcpy(to, copy.source + at, bytes);
        copy.expected_bytes += transform(to, bytes, unit, order == RMILL_FLOW_ORDERED);
    }
    copy.home = (uint32_t)below(CORES_MAX);
    copy.share = below(2) == 0;
    copy.flow = (struct rmill_flow_options){
        .name = "copy",
        .unit_bytes = sizeof(struct piece),
        .window = 1u << below(6),
        .bytes_max = below(3) == 0 ? 0 : 1 + below(20000),
        .core_units = (uint32_t)below(5),
        .order = order,
        .write_at_home = order == RMILL_FLOW_ORDERED && below(3) == 0,
        .unclaimed = below(6) == 0,
        .stop_on_error = below(2) == 0,
        .produce = copy_produce,
        .process = copy_process,
        .commit = copy_commit,
        .write = copy_write,
        .release = copy_release,
    };
    if (order != RMILL_FLOW_ORDERED && below(3) == 0) {
        copy.flow.write = NULL; /* The process step writes: the place is known without a commit. */
    }
}

static void
copy_plan_free(void)
{
    free(copy.source);
    free(copy.expected);
}

#define OLD "the old content"

static struct rmill_sim_disk *
copy_disk(uint64_t seed, uint64_t capacity_bytes)
{
    struct rmill_sim_disk *disk = rmill_sim_disk_create(seed, capacity_bytes);

    RMILL_ASSERT(disk != NULL);
    RMILL_ASSERT(rmill_sim_disk_put(disk, "in", 0644, copy.source, copy.source_bytes) == 0);
    RMILL_ASSERT(rmill_sim_disk_put(disk, "out", 0644, OLD, strlen(OLD)) == 0);
    rmill_sim_disk_sync(disk);
    return disk;
}

enum content { OLD_CONTENT, NEW_CONTENT, MIXED_CONTENT };

static enum content
content_of(const struct rmill_sim_disk *disk)
{
    void *data = NULL;
    uint64_t bytes = 0;
    enum content content = MIXED_CONTENT;

    if (rmill_sim_disk_get(disk, "out", &data, &bytes) < 0) {
        return MIXED_CONTENT;
    }
    if (bytes == copy.expected_bytes && memcmp(data, copy.expected, bytes) == 0) {
        content = NEW_CONTENT;
    } else if (bytes == strlen(OLD) && memcmp(data, OLD, bytes) == 0) {
        content = OLD_CONTENT;
    }
    free(data);
    return content;
}

static void
name_check(void *context, const char *name)
{
    if (strcmp(name, "in") != 0 && strcmp(name, "out") != 0 && strcmp(name, "out.tmp") != 0) {
        condemn(context, "a file \"%s\" came from nowhere", name);
    }
}

static bool
is_injected(int code)
{
    return code == -EIO || code == -ENOSPC || code == -ENOMEM;
}

/* The limits a flow promises, whatever happened. */
static void
flow_judge(struct verdict *verdict)
{
    const struct rmill_flow_statistics *s = &copy.statistics;
    uint64_t bytes_max = copy.flow.bytes_max;

    if (s->units_in_flight_max > copy.flow.window) {
        condemn(verdict, "%u units in flight, %u allowed", s->units_in_flight_max,
                copy.flow.window);
    }
    if (bytes_max != 0 && s->bytes_in_flight_max > rmill_max_u64(bytes_max, copy.piece)) {
        condemn(verdict, "%llu bytes in flight, %llu allowed",
                (unsigned long long)s->bytes_in_flight_max, (unsigned long long)bytes_max);
    }
    if (copy.flow.unclaimed && s->claimed > 0) {
        condemn(verdict, "units were claimed where that was forbidden");
    }
    if (s->waiting.max_ns > 3600 * RMILL_NS_PER_S || s->held.max_ns > 3600 * RMILL_NS_PER_S) {
        condemn(verdict, "a unit waited for longer than an hour: a negative time");
    }
    if (s->failed != copy.failures) {
        condemn(verdict, "%llu units failed, %llu counted", (unsigned long long)copy.failures,
                (unsigned long long)s->failed);
    }
    verdict->claimed += s->claimed;
}

static void
copy_judge(const struct rmill_sim_disk *disk, struct verdict *verdict)
{
    int value = verdict->run.value;
    enum content content = content_of(disk);

    flow_judge(verdict);
    (void)rmill_sim_disk_list(disk, ".", name_check, verdict);
    if (value == 0 && content != NEW_CONTENT) {
        condemn(verdict, "success was reported, but the output is not the expected one");
    } else if (value != 0 && content != (copy.renamed ? NEW_CONTENT : OLD_CONTENT)) {
        condemn(verdict, "the output was not left alone after error %d", value);
    } else if (value != 0 && !is_injected(value) &&
               !(value == -ECANCELED && copy.stop_after_ns != 0)) {
        condemn(verdict, "error %d was never injected", value);
    } else if (value == 0 && (copy.statistics.committed != copy.statistics.produced ||
                              copy.statistics.failed != 0)) {
        condemn(verdict, "success with %llu of %llu units committed",
                (unsigned long long)copy.statistics.committed,
                (unsigned long long)copy.statistics.produced);
    }
    verdict->succeeded = value == 0;
    if (verdict->good) {
        (void)snprintf(verdict->what, sizeof(verdict->what),
                       "result %d, %llu units, %llu failed, %llu claimed, %llu operations", value,
                       (unsigned long long)copy.statistics.produced,
                       (unsigned long long)copy.statistics.failed,
                       (unsigned long long)copy.statistics.claimed,
                       (unsigned long long)verdict->run.operations);
    }
}

static void
copy_run(uint64_t seed, FILE *trace, struct verdict *verdict, enum rmill_flow_order order,
         void (*meanwhile)(struct rmill_engine *engine))
{
    copy_plan(seed, order);
    uint64_t needed = copy.source_bytes + copy.expected_bytes + RMILL_KIB(16);
    uint64_t capacity = below(5) == 0 ? copy.source_bytes + RMILL_KIB(16) + below(needed) : 0;
    struct rmill_sim_disk *disk = copy_disk(seed, capacity);
    struct program program = {
        .options = engine_options(), .main_fiber = copy_main, .meanwhile = meanwhile};
    struct rmill_sim_options options = world(seed, trace, true);

    options.disk = disk;
    copy.stop_after_ns = meanwhile != NULL ? 1 + below(3000000) : 0;
    run(&options, &program, verdict);
    copy_judge(disk, verdict);
    rmill_sim_disk_destroy(disk);
    copy_plan_free();
}

static void
flow_ordered(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    copy_run(seed, trace, verdict, RMILL_FLOW_ORDERED, NULL);
}

static void
flow_unordered(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    copy_run(seed, trace, verdict, seed % 2 == 0 ? RMILL_FLOW_KEYED : RMILL_FLOW_ANY, NULL);
}

static void
stop_meanwhile(struct rmill_engine *engine)
{
    rmill_sim_sleep(copy.stop_after_ns);
    rmill_engine_stop(engine);
}

static void
stop(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    copy_run(seed, trace, verdict, RMILL_FLOW_ORDERED, stop_meanwhile);
}

/* --- power loss ------------------------------------------------------------------------------- */

/* Run once to learn how many calls reach the disk, then again and lose power at one of them;
 * then once more. */
static void
power_run(uint64_t seed, FILE *trace, struct verdict *verdict, bool forget_sync)
{
    copy_plan(seed, RMILL_FLOW_ORDERED);
    struct program program = {.options = engine_options(), .main_fiber = copy_main};
    struct rmill_sim_options options = world(seed, trace, !forget_sync && below(2) == 0);

    copy_plan_free();
    for (int pass = 0; pass < 3; pass++) {
        struct rmill_sim_disk *disk = options.disk;

        copy_plan(seed, RMILL_FLOW_ORDERED);
        copy.forget_sync = forget_sync;
        if (pass < 2) {
            disk = copy_disk(seed, 0);
        }
        options.disk = disk;
        run(&options, &program, verdict);
        enum content content = content_of(disk);

        if (pass == 0) {
            options.power_loss_operation = 1 + below(verdict->run.reached);
        } else if (pass == 1) {
            if (!verdict->run.power_lost) {
                condemn(verdict, "the power was not lost: the runs differ");
            }
            if (content == MIXED_CONTENT) {
                condemn(verdict, "after power loss the output is neither the old nor the new one");
            }
            if (copy.done_with_power && content != NEW_CONTENT) {
                condemn(verdict,
                        "success was reported before the power was lost, but the output is old");
            }
            (void)rmill_sim_disk_list(disk, ".", name_check, verdict);
            options.power_loss_operation = 0;
            options.seed ^= 0x5555;
            memset(options.fault_per_million, 0, sizeof(options.fault_per_million));
        } else if (content != NEW_CONTENT || verdict->run.value != 0) {
            condemn(verdict, "the restart did not bring the new output: %d", verdict->run.value);
        }
        if (pass != 1) {
            rmill_sim_disk_destroy(disk);
        }
        copy_plan_free();
    }
    verdict->succeeded = true;
    if (verdict->good) {
        (void)snprintf(verdict->what, sizeof(verdict->what), "power lost and restarted");
    }
}

static void
power(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    power_run(seed, trace, verdict, false);
}

void
scenario_power_forgetful(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    power_run(seed, trace, verdict, true);
}

/* --- start: threads, rings and registrations fail --------------------------------------------- */

static void
start(uint64_t seed, FILE *trace, struct verdict *verdict)
{
    plan = rmill_prng_seeded(seed * 7 + 3);
    memset(&mail, 0, sizeof(mail));
    struct program program = {
        .options = engine_options(), .main_fiber = messages_main, .may_fail_to_start = true};
    struct rmill_sim_options options = world(seed, trace, false);

    options.fault_per_million[RMILL_SIM_SETUP] = 20000u << below(5);
    run(&options, &program, verdict);
    if (program.started && verdict->run.value != 0) {
        condemn(verdict, "the program failed: %d", verdict->run.value);
    }
    verdict->succeeded = program.started;
    if (verdict->good) {
        (void)snprintf(verdict->what, sizeof(verdict->what), "%s (%d)",
                       program.started ? "started" : "refused to start", verdict->run.value);
    }
}

const struct scenario scenarios[] = {
    {"messages", "cores call, post to and start fibers on each other", messages},
    {"flow", "an ordered flow from file to file, with faults", flow_ordered},
    {"unordered", "the same keyed, or in any order", flow_unordered},
    {"stop", "the same, stopped somewhere in the middle", stop},
    {"power", "the same, power lost somewhere, restarted", power},
    {"start", "engines that cannot start", start},
};
const uint32_t scenario_count = RMILL_ARRAY_COUNT(scenarios);
