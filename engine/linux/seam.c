/* engine/linux/seam.c — the seam on a real machine: clock, chance, environment, choice of cores. */
#include "engine/seam.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "numa/cgroup.h"
#include "numa/topology.h"
#include "uring/selftest.h"

#define RING_ENTRIES_MIN 32u

uint64_t
rmill_seam_now_ns(void)
{
    return rmill_clock_ns();
}

uint64_t
rmill_seam_thread_cpu_ns(void)
{
    return rmill_clock_thread_cpu_ns();
}

uint64_t
rmill_seam_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        seed = rmill_clock_ns(); /* Early in boot. Nothing here is a secret. */
    }
    return seed;
}

const char *
rmill_seam_environment(const char *name)
{
    return getenv(name);
}

void
rmill_seam_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void
rmill_seam_spend(uint64_t cost_ns)
{
    (void)cost_ns;
}

int
rmill_seam_cores_choose(const char *spec, struct rmill_seam_core *cores, uint32_t max,
                        bool *oversubscribed, struct rmill_error *error)
{
    struct rmill_topology *topology = NULL;
    struct rmill_core_choice *choice = malloc(sizeof(*choice));
    int code = choice != NULL ? rmill_topology_read(NULL, &topology, error)
                              : rmill_error_set(error, -ENOMEM, "no memory to choose cores");

    if (spec == NULL) {
        spec = rmill_seam_environment("RINGMILL_CORES");
    }
    if (code == 0) {
        code = rmill_topology_chosen_cores(topology, spec, choice, error);
    }
    if (code == 0 && choice->count > max) {
        code = rmill_error_set(error, -EINVAL,
                               "%u cores were asked for; an engine has at most %u: "
                               "give fewer --cores",
                               choice->count, max);
    }
    if (code == 0) {
        for (uint32_t i = 0; i < choice->count; i++) {
            cores[i] = (struct rmill_seam_core){
                .cpu = choice->cpus[i],
                .node = rmill_topology_memory_node(topology, choice->cpus[i])};
        }
        *oversubscribed = choice->oversubscribed;
        code = (int)choice->count;
    }
    rmill_topology_destroy(topology);
    free(choice);
    return code;
}

uint64_t
rmill_seam_memory_limit_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
    uint64_t limit = pages > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_MAX;
    struct rmill_cgroup *cgroup = malloc(sizeof(*cgroup));

    if (cgroup != NULL && rmill_cgroup_read("", cgroup) == 0) {
        limit = rmill_min_u64(limit, cgroup->memory_limit_bytes);
    }
    free(cgroup);
    return limit;
}

/* What the kernel counts as locked for a ring: submission entries of 64 bytes, and eight times as
 * many completions of 16 with the ring's head. */
static uint64_t
ring_bytes(uint64_t entries)
{
    return rmill_align_up(entries * 64, 4096) + rmill_align_up(entries * 8 * 16 + 1024, 4096);
}

uint32_t
rmill_seam_ring_entries(uint32_t wanted, uint32_t cores)
{
    struct rlimit limit;
    uint32_t entries = wanted;

    if (geteuid() == 0 || getrlimit(RLIMIT_MEMLOCK, &limit) < 0 ||
        limit.rlim_cur == RLIM_INFINITY) {
        return wanted;
    }
    while (entries > RING_ENTRIES_MIN && cores * ring_bytes(entries) > limit.rlim_cur / 2) {
        entries /= 2;
    }
    return entries;
}

bool
rmill_seam_wakes_by_message(void)
{
    const struct rmill_ring_options small = {.entries = RING_ENTRIES_MIN};
    struct rmill_selftest result;

    /* What cannot be tried here fails again, with its own words, when the cores make their
     * rings. */
    return rmill_selftest_run(&small, &result, NULL) < 0 || result.message_wake;
}
