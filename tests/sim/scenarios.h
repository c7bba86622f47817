/* tests/sim/scenarios.h — programs on the engine, run in the simulator from a seed and judged.
 *
 * Shared by tests/sim/test_engine.c (many seeds) and ringmill-sim (one seed, by hand). */
#ifndef RMILL_TESTS_SIM_SCENARIOS_H
#define RMILL_TESTS_SIM_SCENARIOS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/sim/sim.h"

struct verdict {
    bool good;
    char what[200];              /* What happened, or what is wrong. */
    struct rmill_sim_result run; /* Of the last run of the scenario. */
    uint64_t trace_hash;         /* Over all its runs. */
    uint64_t claimed;            /* Units that idle cores took. */
    bool succeeded;              /* The program reported success. */
};

struct scenario {
    const char *name, *what;
    void (*run)(uint64_t seed, FILE *trace, struct verdict *verdict);
};

extern const struct scenario scenarios[];
extern const uint32_t scenario_count;

/* The power-loss scenario with a program that forgets to sync its output: some seed must find it
 * out. */
void scenario_power_forgetful(uint64_t seed, FILE *trace, struct verdict *verdict);

#endif
