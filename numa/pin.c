#include "numa/pin.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

_Static_assert(sizeof(unsigned long) == sizeof(uint64_t),
               "the mask's words are the kernel's words");

int
rmill_pin_restore(const struct rmill_cpuset *set)
{
    cpu_set_t mask[sizeof(*set) / sizeof(cpu_set_t)];

    memcpy(mask, set, sizeof(mask));
    return sched_setaffinity(0, sizeof(mask), mask) == 0 ? 0 : -errno;
}

int
rmill_pin_thread(uint32_t cpu)
{
    struct rmill_cpuset set = {0};

    return rmill_cpuset_add(&set, cpu) ? rmill_pin_restore(&set) : -EINVAL;
}

int
rmill_pin_affinity(struct rmill_cpuset *set)
{
    cpu_set_t mask[sizeof(*set) / sizeof(cpu_set_t)];

    memset(mask, 0, sizeof(mask));
    if (sched_getaffinity(0, sizeof(mask), mask) != 0) {
        return -errno;
    }
    memcpy(set, mask, sizeof(mask));
    return 0;
}

int
rmill_pin_name(const char *name)
{
    char kept[16];

    (void)snprintf(kept, sizeof(kept), "%s", name);
    return prctl(PR_SET_NAME, kept) == 0 ? 0 : -errno;
}

int
rmill_pin_timer_slack(void)
{
    return prctl(PR_SET_TIMERSLACK, 1ul) == 0 ? 0 : -errno;
}
