/* numa/cgroup.h — what the control groups around this process allow: memory, CPU time, CPUs.
 *
 * Versions 1 and 2 and both at once (hybrid: a controller is in whichever hierarchy lists it). A
 * limit counts for everything below the group it is set on, so the way up from the own group to the
 * mount is walked and the smallest limit is taken; the file it stands in is kept, so that a message
 * can name the knob. */
#ifndef RMILL_NUMA_CGROUP_H
#define RMILL_NUMA_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "numa/cpulist.h"
#include "numa/files.h"

#define RMILL_CGROUP_UNLIMITED UINT64_MAX

/* Owner: the caller. A path is "" when no file limits; it is without the root prefix. */
struct rmill_cgroup {
    int memory_version; /* Of the hierarchy that has the controller: 1, 2, or 0 for none mounted. */
    int cpu_version;
    int cpuset_version;
    uint64_t memory_limit_bytes;   /* The smallest limit, or RMILL_CGROUP_UNLIMITED. */
    uint64_t memory_current_bytes; /* Use, page cache included, of the group with that limit; else
                                      of our own. */
    char memory_path[RMILL_FILES_PATH_BYTES];
    uint64_t cpu_millis; /* CPUs' worth of time, in thousandths (1500 = 1.5 CPUs), or UNLIMITED. */
    char cpu_path[RMILL_FILES_PATH_BYTES];
    bool cpuset_known; /* False: no cpuset controller, all CPUs are allowed. */
    struct rmill_cpuset cpuset;
    char cpuset_path[RMILL_FILES_PATH_BYTES];
};

/* Read root/proc/self/cgroup, root/proc/self/mountinfo and the groups they name. `root` is "" for
 * this machine. No cgroups at all is no error: everything is unlimited then. A file that cannot be
 * read or makes no sense limits nothing. Thread: any. 0; -ENOMEM. `cgroup` is always filled. */
int rmill_cgroup_read(const char *root, struct rmill_cgroup *cgroup);

#endif
