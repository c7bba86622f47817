/* cli/progress.h — the one line that shows how a job is going, on a terminal.
 *
 * Workloads may include this.
 *
 *     pack  1.21 GB of 3.40 GB  36%  12,345 of 70,209 items  812 MB/s  ETA 2.7 s
 *
 * Drawn on standard error when that is a terminal, at most ten times a second, and cleared at the
 * end. When nothing moves for ten seconds the line says so. Anywhere else than on a terminal
 * nothing is printed. */
#ifndef RMILL_CLI_PROGRESS_H
#define RMILL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Owned by the control thread that started it; on its stack is fine. The fields are private. */
struct rmill_progress {
    const char *verb;
    bool enabled;
    uint64_t started_ns;
    uint64_t drawn_ns;    /* When the line was last drawn, 0: never. */
    uint64_t moved_ns;    /* When the numbers last changed. */
    uint64_t moved_bytes; /* The numbers at that time. */
    uint64_t moved_items;
    double rate; /* Bytes per second, smoothed; items per second when no bytes are counted. */
    uint64_t sampled_ns; /* When and at what count the rate was last sampled. */
    uint64_t sampled_count;
};

/* Begin; `verb` is static ("pack"). Nothing is ever drawn unless `enabled` and standard error is a
 * terminal. At most one progress is live in the program at a time. Thread: the control thread, as
 * for all but hide. */
void rmill_progress_start(struct rmill_progress *progress, const char *verb, bool enabled);

/* Say how far the job is. A total of 0 is unknown. Cheap when it is not yet time to draw. */
void rmill_progress_update(struct rmill_progress *progress, uint64_t done_bytes,
                           uint64_t total_bytes, uint64_t done_items, uint64_t total_items);

/* Clear the line. Must be called before the struct goes; calling it twice is harmless. */
void rmill_progress_end(struct rmill_progress *progress);

/* Clear the line before something else is printed; it comes back at the next update. Thread: any.
 */
void rmill_progress_hide(void);

#endif
