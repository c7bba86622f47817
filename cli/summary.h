/* cli/summary.h — what a job says when it is over: work, time, CPU, memory, latencies.
 *
 * Workloads may include this.
 *
 *     packed 70,209 items, 997 MB to 286 MB (28.7%) in 1.32 s: 755 MB/s
 *     CPU 2.60 s, 98% 97% of each core; peak memory 84.1 MB; chunk p50 2.10 ms, p99 8.00 ms,
 *     max 12.1 ms    (on one line) */
#ifndef RMILL_CLI_SUMMARY_H
#define RMILL_CLI_SUMMARY_H

#include <stdint.h>

#include "cli/command.h"

/* Zero means unknown: the part is left out. Owned by the caller. */
struct rmill_summary {
    const char *verb; /* "packed". */
    uint64_t items;
    uint64_t input_bytes;    /* The work: the rate is this by the wall time. */
    uint64_t output_bytes;   /* What became of it, when that is another number. */
    uint64_t left_out_items; /* Inputs not done. */
    uint64_t wall_ns;
    const double *core_busy; /* Share of the wall time each core was busy, 0 to 1. */
    uint32_t core_count;
    const char *latency_name; /* What the latencies are of: "chunk". */
    uint64_t latency_ns_p50, latency_ns_p99, latency_ns_max;
};

/* Print it on standard output as text, or as one object {"type":"summary",...} under --json. Text
 * is left out under --quiet. 0 or -errno of the output. Thread: main. */
int rmill_summary_print(const struct rmill_command_line *line, const struct rmill_summary *summary);

/* The most memory this process ever had resident, in bytes; 0 when the kernel does not say. */
uint64_t rmill_summary_peak_memory_bytes(void);

#endif
