/* Metadata, warm: by plain call, through the ring, by the blocking lane. Why part 4 of
 * engine/ringmill.h exists. The floor is the plain call. */
#include "tests/bench/bench.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core.h"

enum what { STAT, OPEN_CLOSE, MAKE_REMOVE };
enum how { PLAIN, RING, LANE };

struct job {
    enum what what;
    enum how how;
    uint64_t count;
    int directory;
    double each;
};

/* --- plain, also on a helper ----------------------------------------------------------------- */

static int64_t
do_plain(void *argument)
{
    const struct job *job = argument;
    struct stat status;
    int code = 0;

    switch (job->what) {
    case STAT:
        code = rmill_plain_stat(job->directory, "file", &status);
        break;
    case OPEN_CLOSE:
        code = rmill_plain_open(job->directory, "file", O_RDONLY, 0, 0);
        code = code < 0 ? code : rmill_plain_close(code);
        break;
    case MAKE_REMOVE:
        code = rmill_plain_mkdir(job->directory, "made", 0700);
        code = code < 0 ? code : rmill_plain_unlink(job->directory, "made", true);
        break;
    }
    return code;
}

/* --- through the ring of the core ------------------------------------------------------------ */

struct waiting {
    struct rmill_operation operation; /* First member. */
    struct rmill_fiber *fiber;
};

static void
wake(struct rmill_operation *operation)
{
    rmill_fiber_ready(rmill_core_self(), ((struct waiting *)operation)->fiber);
}

static int32_t
ring_run(struct rmill_operation operation)
{
    struct rmill_core *core = rmill_core_self();
    struct waiting waiting = {.operation = operation, .fiber = core->running};

    waiting.operation.complete = wake;
    rmill_ring_submit(core->ring, &waiting.operation);
    rmill_fiber_park(core);
    return waiting.operation.result;
}

static int64_t
do_ring(const struct job *job)
{
    static char file[] = "file", made[] = "made";
    struct statx status;
    struct rmill_file opened;
    int code = 0;

    switch (job->what) {
    case STAT:
        code = ring_run((struct rmill_operation){.opcode = RMILL_OP_STATX,
                                                 .fd = job->directory,
                                                 .address = file,
                                                 .flags = AT_SYMLINK_NOFOLLOW,
                                                 .bytes = STATX_BASIC_STATS,
                                                 .address2 = &status});
        break;
    case OPEN_CLOSE:
        code = rmill_open(job->directory, "file", O_RDONLY, 0, 0, &opened);
        if (code == 0) {
            code = ring_run((struct rmill_operation){.opcode = RMILL_OP_CLOSE, .fd = opened.fd});
        }
        break;
    case MAKE_REMOVE:
        code = ring_run((struct rmill_operation){
            .opcode = RMILL_OP_MKDIR, .fd = job->directory, .address = made, .bytes = 0700});
        if (code == 0) {
            code = ring_run((struct rmill_operation){.opcode = RMILL_OP_UNLINK,
                                                     .fd = job->directory,
                                                     .address = made,
                                                     .flags = AT_REMOVEDIR});
        }
        break;
    }
    return code;
}

/* --- cases ----------------------------------------------------------------------------------- */

static int
metadata_main(void *argument)
{
    struct job *job = argument;
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 0; i < job->count; i++) {
        int64_t code = job->how == PLAIN  ? do_plain(job)
                       : job->how == RING ? do_ring(job)
                                          : rmill_blocking_call(do_plain, job);

        if (code < 0) {
            fprintf(stderr, "bench: %s\n", rmill_errno_text((int)code));
            exit(1);
        }
    }
    job->each = bench_each(begin_ns, job->count);
    return 0;
}

static double
metadata(const struct bench_case *self, uint64_t count)
{
    const char *base = getenv("TMPDIR");
    char path[200], file[256];
    struct job job = {
        .what = (enum what)self->parameter, .how = (enum how)self->parameter2, .count = count};

    (void)snprintf(path, sizeof(path), "%s/ringmill-bench-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(path) == NULL) {
        perror("bench: temporary directory");
        exit(1);
    }
    (void)snprintf(file, sizeof(file), "%s/file", path);
    job.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    bench_on_engine("1", 0, metadata_main, &job);
    (void)close(fd);
    (void)close(job.directory);
    (void)unlink(file);
    (void)rmdir(path);
    return job.each;
}

#define CASE(label, n, against, w, h)                                                              \
    {                                                                                              \
        .name = label, .run = metadata, .count = n, .floor = against, .parameter = w,              \
        .parameter2 = h                                                                            \
    }

static const struct bench_case cases[] = {
    CASE("stat, plain", 20000, NULL, STAT, PLAIN),
    CASE("stat, ring", 5000, "stat, plain", STAT, RING),
    CASE("stat, blocking lane", 2000, "stat, plain", STAT, LANE),
    CASE("open and close, plain", 20000, NULL, OPEN_CLOSE, PLAIN),
    CASE("open and close, ring", 5000, "open and close, plain", OPEN_CLOSE, RING),
    CASE("open and close, blocking lane", 2000, "open and close, plain", OPEN_CLOSE, LANE),
    CASE("mkdir and rmdir, plain", 3000, NULL, MAKE_REMOVE, PLAIN),
    CASE("mkdir and rmdir, ring", 2000, "mkdir and rmdir, plain", MAKE_REMOVE, RING),
    CASE("mkdir and rmdir, blocking lane", 2000, "mkdir and rmdir, plain", MAKE_REMOVE, LANE),
};

BENCH_MAIN("metadata", cases)
