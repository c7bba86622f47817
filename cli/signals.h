/* cli/signals.h — Ctrl-C as a request to stop cleanly, and where the control thread waits.
 *
 * Workloads may include this.
 *
 *     rmill_signals_start(&signals);         before the engine starts: its threads inherit the mask
 *     start the engine and the job; when the job is over it calls rmill_signals_wake(&signals)
 *     while (!job_is_over()) {
 *         if (rmill_signals_wait(&signals, 100 * RMILL_NS_PER_MS)) {
 *             ask the job to stop;              once more Ctrl-C ends the process at once
 *         }
 *         draw the progress;
 *     }
 *     stop the engine
 *     rmill_signals_stop(&signals);
 *
 * The library installs no handler; this is the program's business. SIGINT, SIGTERM and SIGHUP ask
 * for the stop. After the first of them SIGINT and SIGTERM have their default effect again, so that
 * a stop that hangs can be ended; what such an end leaves behind, the next run recognises. */
#ifndef RMILL_CLI_SIGNALS_H
#define RMILL_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Owned by the control thread. At most one is started at a time. */
struct rmill_signals {
    sigset_t mask_before;
    int signal_fd;
    int wake_fd;
    int stop_signal; /* The first signal that asked for the stop, or 0. */
};

/* Block the signals in this thread and in all it starts from now on. 0, or -errno of signalfd or
 * eventfd (-EMFILE, -ENFILE, -ENOMEM), and then nothing is changed. Thread: the control thread. */
int rmill_signals_start(struct rmill_signals *signals);

/* Wait for a signal, a wake or the end of the time, whichever is first. True when the stop has been
 * asked for, now or before. A pending stop counts even with a timeout of 0. Thread: control. */
bool rmill_signals_wait(struct rmill_signals *signals, uint64_t timeout_ns);

/* End the wait that is going on, or the next one. Thread: any, until stop is called. */
void rmill_signals_wake(struct rmill_signals *signals);

/* Give the thread its mask back. Signals that came in the meantime take their effect now. */
void rmill_signals_stop(struct rmill_signals *signals);

#endif
