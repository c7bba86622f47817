/* cli/job.h — run one job on an engine from the control thread: signals, progress, figures.
 *
 * Workloads may include this.
 *
 * A job is a main fiber and what it wants of the engine. While it runs, Ctrl-C asks it to stop
 * (rmill_stopping) and the progress line follows what it publishes. Nothing of a workload is known
 * here. */
#ifndef RMILL_CLI_JOB_H
#define RMILL_CLI_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "cli/command.h"
#include "cli/summary.h"
#include "engine/ringmill.h"

/* What a running job shows. Writers: the job's cores; reader: the control thread. Relaxed: only for
 * the eye. Totals of 0 are unknown. */
struct rmill_job_progress {
    _Atomic uint64_t done_bytes, total_bytes, done_items, total_items;
};

struct rmill_job {
    const struct rmill_command_line *line;
    const char *verb;              /* "verify"; static. */
    struct rmill_options options;  /* `cores` and `log` are set here from the command line. */
    int (*main_fiber)(void *argument);
    void *argument;
    struct rmill_job_progress progress;

    /* After rmill_job_run. */
    int result;       /* The main fiber's value. */
    bool interrupted; /* A signal asked it to stop. */
    uint64_t wall_ns;
    uint32_t core_count;
    double core_busy[256]; /* Share of the wall time each core's thread used its CPU. */
};

/* Run it to the end. 0 with the results filled, or an enum rmill_exit after the reason was said
 * (io_uring forbidden: RMILL_EXIT_UNSUPPORTED). Thread: main. */
int rmill_job_run(struct rmill_job *job);

/* Put the job's wall time and CPU shares into a summary. */
void rmill_job_summarize(const struct rmill_job *job, struct rmill_summary *summary);

#endif
