/* engine/sim/machine.c — the seam's clock, chance, environment and CPUs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sim/internal.h"
#include "numa/cpulist.h"

/* Asking for the time takes this long, so that a loop that only asks comes to its end. */
#define LOOK_NS 25u

uint64_t
rmill_seam_now_ns(void)
{
    struct rmill_sim *sim = rmill_sim_self();

    if (sim->running != NULL) {
        sim->running->clock_ns += LOOK_NS;
    }
    /* One clock for all, as CLOCK_MONOTONIC is: nobody is told a time before one that was told
     * already. */
    sim->told_ns = rmill_max_u64(sim->told_ns, rmill_sim_clock(sim));
    if (sim->running != NULL) {
        sim->running->clock_ns = sim->told_ns;
    }
    return sim->told_ns;
}

uint64_t
rmill_seam_thread_cpu_ns(void)
{
    const struct rmill_sim *sim = rmill_sim_self();

    return sim->running != NULL ? sim->running->busy_ns : 0;
}

uint64_t
rmill_seam_seed(void)
{
    return rmill_prng_next(&rmill_sim_self()->chance);
}

const char *
rmill_seam_environment(const char *name)
{
    const char *const *entry = rmill_sim_self()->options->environment;
    size_t length = strlen(name);

    for (; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

void
rmill_seam_relax(void)
{
    struct rmill_sim *sim = rmill_sim_self();

    rmill_sim_step_aside(sim, 40 + rmill_sim_up_to(sim, 80));
}

void
rmill_seam_spend(uint64_t cost_ns)
{
    struct rmill_sim *sim = rmill_sim_self();
    uint64_t spread = cost_ns / 100 * sim->spend_percent;
    uint64_t spent = cost_ns - spread + rmill_sim_up_to(sim, 2 * spread);

    rmill_sim_record(sim, RMILL_SIM_RECORD_SPEND, spent, 0);
    /* The others catch up before this thread goes on: what it does next they must not see before
     * its time. */
    rmill_sim_step_aside(sim, spent);
}

/* --- CPUs ------------------------------------------------------------------------------------- */

static uint32_t
fill_count(const struct rmill_sim *sim, uint64_t count, struct rmill_seam_core *cores)
{
    for (uint64_t i = 0; i < count; i++) {
        cores[i].cpu = (uint32_t)(i % sim->cpus);
    }
    return (uint32_t)count;
}

static int
fill_list(const struct rmill_sim *sim, const char *spec, struct rmill_seam_core *cores,
          uint32_t max, struct rmill_error *error)
{
    struct rmill_cpuset set;
    uint32_t count = 0;
    int code = rmill_cpulist_parse(spec, &set, error);

    if (code < 0) {
        return code;
    }
    for (uint32_t cpu = rmill_cpuset_next(&set, 0); cpu != RMILL_CPU_NONE;
         cpu = rmill_cpuset_next(&set, cpu + 1)) {
        if (cpu >= sim->cpus || count == max) {
            return rmill_error_set(error, -EINVAL, "cores \"%s\": CPU %u cannot be used", spec,
                                   cpu);
        }
        cores[count++].cpu = cpu;
    }
    return (int)count;
}

int
rmill_seam_cores_choose(const char *spec, struct rmill_seam_core *cores, uint32_t max,
                        bool *oversubscribed, struct rmill_error *error)
{
    const struct rmill_sim *sim = rmill_sim_self();
    char *end = NULL;
    int count;

    spec = spec != NULL ? spec : rmill_seam_environment("RINGMILL_CORES");
    uint64_t wanted =
        spec == NULL || *spec == '\0' ? rmill_min_u64(sim->cpus, max) : strtoull(spec, &end, 10);

    if (end != NULL && (end == spec || *end != '\0')) {
        count = fill_list(sim, spec, cores, max, error);
    } else if (wanted > max) {
        count = rmill_error_set(error, -EINVAL, "cores \"%s\": at most %u", spec, max);
    } else {
        count = (int)fill_count(sim, wanted, cores);
    }
    if (count == 0) {
        count = rmill_error_set(error, -EINVAL, "cores \"%s\": at least one is needed", spec);
    }
    for (int i = 0; i < count; i++) {
        cores[i].node = (int32_t)((uint64_t)cores[i].cpu * sim->nodes / sim->cpus);
    }
    *oversubscribed = count > (int)sim->cpus;
    return count;
}

uint64_t
rmill_seam_memory_limit_bytes(void)
{
    return RMILL_GIB(16);
}

uint32_t
rmill_seam_ring_entries(uint32_t wanted, uint32_t cores)
{
    (void)cores;
    return wanted;
}
