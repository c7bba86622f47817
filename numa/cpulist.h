/* numa/cpulist.h — a set of CPUs, and the lists `taskset -c` and sysfs write: "0-3,8,10-14:2".
 *
 * A set is a plain bitmap on the caller's memory: copy it by assignment, compare it with
 * rmill_cpuset_equal. A CPU number at or above RMILL_CPUS_MAX is in no set. */
#ifndef RMILL_NUMA_CPULIST_H
#define RMILL_NUMA_CPULIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RMILL_CPUS_MAX     4096u
#define RMILL_CPU_NONE     UINT32_MAX
#define RMILL_CPUSET_WORDS (RMILL_CPUS_MAX / 64)

/* Zeroed is empty. The layout is what sched_setaffinity(2) takes on a 64-bit machine. */
struct rmill_cpuset {
    uint64_t words[RMILL_CPUSET_WORDS];
};

/* Thread: any, for all of these; the caller owns the set. */

/* Add or remove one CPU; a number out of range is ignored by remove and refused (false) by add. */
bool rmill_cpuset_add(struct rmill_cpuset *set, uint32_t cpu);
void rmill_cpuset_remove(struct rmill_cpuset *set, uint32_t cpu);

bool rmill_cpuset_has(const struct rmill_cpuset *set, uint32_t cpu);
uint32_t rmill_cpuset_count(const struct rmill_cpuset *set);
bool rmill_cpuset_equal(const struct rmill_cpuset *a, const struct rmill_cpuset *b);

/* The first CPU of the set at or above `from`, or RMILL_CPU_NONE. Walk a set with
 *     for (uint32_t cpu = rmill_cpuset_next(&set, 0); cpu != RMILL_CPU_NONE;
 *          cpu = rmill_cpuset_next(&set, cpu + 1)) */
uint32_t rmill_cpuset_next(const struct rmill_cpuset *set, uint32_t from);

/* `set` keeps what is in `other` too (and), or loses what is in `other` (subtract). */
void rmill_cpuset_and(struct rmill_cpuset *set, const struct rmill_cpuset *other);
void rmill_cpuset_subtract(struct rmill_cpuset *set, const struct rmill_cpuset *other);

/* Read a list: items "N", "N-M" and "N-M:STRIDE" with commas between, in any order, overlaps
 * allowed, blanks around an item ignored; one comma may end the list ("2,"). An empty text is the
 * empty set. `text` is borrowed for the call. 0; -EINVAL with the place and the reason in `error`
 * (may be NULL). `out` is untouched on failure. */
int rmill_cpulist_parse(const char *text, struct rmill_cpuset *out, struct rmill_error *error);

/* Write the set in its shortest sorted form ("0-3,8-14:2"), NUL-terminated, into `bytes` bytes.
 * A stride is used for three CPUs or more. The length without NUL; -ENOSPC when it does not fit
 * (then `text` holds a prefix, NUL-terminated, if bytes > 0). */
int rmill_cpulist_format(const struct rmill_cpuset *set, char *text, size_t bytes);

#endif
