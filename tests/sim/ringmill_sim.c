/* ringmill-sim — run a scenario of the simulator from a seed, to replay what a test reported.
 *
 *     ringmill-sim SCENARIO [--seed N] [--seeds COUNT] [--trace FILE] [--quiet]
 *
 * Exit: 0 all seeds good, 1 one was not, 2 usage. A panic aborts with the seed and the last
 * records of the trace. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scenarios.h"

struct arguments {
    const struct scenario *scenario;
    uint64_t seed, seeds;
    const char *trace;
    bool quiet;
};

static int
usage(void)
{
    (void)fprintf(
        stderr,
        "usage: ringmill-sim SCENARIO [--seed N] [--seeds COUNT] [--trace FILE] [--quiet]\n");
    for (uint32_t i = 0; i < scenario_count; i++) {
        (void)fprintf(stderr, "  %-10s %s\n", scenarios[i].name, scenarios[i].what);
    }
    return 2;
}

static bool
parse(int count, char **words, struct arguments *arguments)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : NULL;

        if (strcmp(words[i], "--quiet") == 0) {
            arguments->quiet = true;
        } else if (words[i][0] != '-') {
            for (uint32_t k = 0; k < scenario_count; k++) {
                if (strcmp(words[i], scenarios[k].name) == 0) {
                    arguments->scenario = &scenarios[k];
                }
            }
        } else if (value == NULL) {
            return false;
        } else if (strcmp(words[i], "--seed") == 0) {
            arguments->seed = strtoull(words[++i], NULL, 0);
        } else if (strcmp(words[i], "--seeds") == 0) {
            arguments->seeds = strtoull(words[++i], NULL, 0);
        } else if (strcmp(words[i], "--trace") == 0) {
            arguments->trace = words[++i];
        } else {
            return false;
        }
    }
    return arguments->scenario != NULL;
}

static void
print(uint64_t seed, const struct verdict *verdict)
{
    (void)printf("seed %" PRIu64 ": %s: %s; %.3f ms, %" PRIu64 " switches, trace %016" PRIx64 ";",
                 seed, verdict->good ? "good" : "BAD", verdict->what,
                 (double)verdict->run.virtual_ns / 1e6, verdict->run.switches, verdict->trace_hash);
    for (uint32_t i = 0; i < RMILL_SIM_FAULT_COUNT; i++) {
        if (verdict->run.faults[i] > 0) {
            (void)printf(" %s %" PRIu64, rmill_sim_fault_name((enum rmill_sim_fault)i),
                         verdict->run.faults[i]);
        }
    }
    (void)printf("\n");
}

int
main(int count, char **words)
{
    struct arguments arguments = {.seed = 1, .seeds = 1};
    FILE *trace = NULL;
    int exit_code = 0;

    if (!parse(count, words, &arguments)) {
        return usage();
    }
    if (arguments.trace != NULL && (trace = fopen(arguments.trace, "w")) == NULL) {
        perror(arguments.trace);
        return 2;
    }
    for (uint64_t seed = arguments.seed; seed < arguments.seed + arguments.seeds; seed++) {
        struct verdict verdict = {.good = true};

        arguments.scenario->run(seed, trace, &verdict);
        if (!verdict.good || !arguments.quiet) {
            print(seed, &verdict);
        }
        exit_code |= !verdict.good;
    }
    if (trace != NULL && fclose(trace) != 0) {
        perror(arguments.trace);
        return 2;
    }
    return exit_code;
}
