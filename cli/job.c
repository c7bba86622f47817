#include "cli/job.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/macros.h"
#include "cli/progress.h"
#include "cli/signals.h"

#define POLL_NS                                                                                    \
    (50 * RMILL_NS_PER_MS) /* How long a Ctrl-C may wait; the end of the job does not. */

static void
log_line(void *context, enum rmill_log_level level, const char *text)
{
    const struct rmill_command_line *line = context;

    if (level == RMILL_LOG_DEBUG) {
        rmill_command_detail(line, "%s", text);
    } else {
        rmill_command_note(line, "%s", text);
    }
}

static uint64_t
peek(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void
wait_for_end(struct rmill_job *job, struct rmill_engine *engine, struct rmill_signals *signals)
{
    struct rmill_progress progress;
    bool quiet = rmill_line_has(job->line, "quiet") || rmill_line_has(job->line, "json");

    rmill_progress_start(&progress, job->verb, !quiet);
    while (rmill_engine_wait(engine, POLL_NS, &job->result) == -ETIMEDOUT) {
        if (!job->interrupted && rmill_signals_wait(signals, 0)) {
            job->interrupted = true;
            rmill_engine_stop(engine);
        }
        rmill_progress_update(&progress, peek(&job->progress.done_bytes),
                              peek(&job->progress.total_bytes), peek(&job->progress.done_items),
                              peek(&job->progress.total_items));
    }
    rmill_progress_end(&progress);
}

static void
figures_take(struct rmill_job *job, const struct rmill_engine *engine)
{
    job->core_count = rmill_engine_core_count(engine);
    for (uint32_t core = 0; core < job->core_count && core < RMILL_ARRAY_COUNT(job->core_busy);
         core++) {
        struct rmill_core_snapshot snapshot;

        if (rmill_engine_core_snapshot(engine, core, &snapshot) == 0 && snapshot.wall_ns > 0) {
            job->core_busy[core] = (double)snapshot.cpu_ns / (double)snapshot.wall_ns;
            job->wall_ns = rmill_max_u64(job->wall_ns, snapshot.wall_ns);
        }
    }
}

/* A job opens files on every core at once, on a large machine more than the usual soft limit of
 * 1024. That limit is there for programs that use select(), which this one does not. */
static void
descriptors_allow(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool
host_cannot(int code)
{
    return code == -EPERM || code == -ENOSYS || code == -EOPNOTSUPP;
}

int
rmill_job_run(struct rmill_job *job)
{
    struct rmill_signals signals;
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    int code = rmill_signals_start(&signals);

    descriptors_allow();
    if (code < 0) {
        return rmill_command_fail(job->line, "cannot watch for signals: %s",
                                  rmill_errno_text(code));
    }
    job->options.cores = rmill_line_string(job->line, "cores", NULL);
    job->options.log = (struct rmill_log){.write = log_line};
    /* The log's context is not written through. */
    job->options.log.context = (void *)(uintptr_t)job->line;
    code = rmill_engine_create(&job->options, &engine, &error);
    int exit_code = code == -EINVAL ? rmill_command_misuse(job->line, "%s", error.advice)
                    : code < 0      ? rmill_command_fail_error(job->line, &error, false)
                                    : 0;

    if (code == 0) {
        code = rmill_engine_start(engine, job->main_fiber, job->argument, &error);
        if (code < 0) {
            exit_code = rmill_command_fail_error(job->line, &error, host_cannot(code));
        }
    }
    if (code == 0) {
        wait_for_end(job, engine, &signals);
        figures_take(job, engine);
    }
    rmill_engine_destroy(engine);
    rmill_signals_stop(&signals);
    return exit_code;
}

void
rmill_job_summarize(const struct rmill_job *job, struct rmill_summary *summary)
{
    summary->wall_ns = job->wall_ns;
    summary->core_busy = job->core_busy;
    summary->core_count = job->core_count;
}
