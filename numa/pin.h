/* numa/pin.h — what a core does to its own thread before it starts: place, name, timer slack.
 *
 * All three act on the calling thread and nothing else of the process. */
#ifndef RMILL_NUMA_PIN_H
#define RMILL_NUMA_PIN_H

#include <stdint.h>

#include "numa/cpulist.h"

/* Run the calling thread on this CPU only. Thread: any.
 * 0; -EINVAL: the CPU does not exist, is offline, or is outside the cpuset; -EPERM in some
 * sandboxes. */
int rmill_pin_thread(uint32_t cpu);

/* The CPUs the calling thread may run on. Thread: any. 0; -errno, `set` untouched then. */
int rmill_pin_affinity(struct rmill_cpuset *set);

/* Let the calling thread run on all of `set` (to undo a pin). Thread: any.
 * 0; -errno as rmill_pin_thread. */
int rmill_pin_restore(const struct rmill_cpuset *set);

/* Name the calling thread as ps and perf show it; only the first 15 bytes are kept. Thread: any.
 * 0; -errno. */
int rmill_pin_name(const char *name);

/* Timer slack of the calling thread to 1 ns: sleeps end when asked, not up to 50 us later.
 * Thread: any. 0; -errno. */
int rmill_pin_timer_slack(void);

#endif
