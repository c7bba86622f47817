#include "tests/bench/bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/ringmill.h"

#define USAGE "usage: bench_NAME [--quick] [--json] [--repetitions N]\n"

struct settings {
    bool quick, json;
    uint32_t repetitions;
};

static double samples[BENCH_CASES_MAX][BENCH_REPETITIONS_MAX];

/* --- the machine ----------------------------------------------------------------------------- */

static void
cpu_model(char *text, size_t bytes)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];

    (void)snprintf(text, bytes, "unknown CPU");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *colon = strstr(line, ": ");

        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            (void)snprintf(text, bytes, "%.*s", (int)strcspn(colon + 2, "\n\"\\"), colon + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void
print_head(const char *name, const struct settings *settings)
{
    struct utsname system = {0};
    char model[128];

    (void)uname(&system);
    cpu_model(model, sizeof(model));
    if (settings->json) {
        printf("{\"bench\":\"%s\",\"cores\":%ld,\"cpu\":\"%s\",\"kernel\":\"%s\",\"quick\":%s}\n",
               name, sysconf(_SC_NPROCESSORS_ONLN), model, system.release,
               settings->quick ? "true" : "false");
    } else {
        printf("bench-%s\n%ld cores, %s, %s %s\n", name, sysconf(_SC_NPROCESSORS_ONLN), model,
               system.sysname, system.release);
    }
}

/* --- cases ----------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double
floor_of(const struct bench_case *cases, uint32_t case_count, const struct bench_case *one,
         uint32_t repetitions)
{
    for (uint32_t i = 0; one->floor != NULL && i < case_count; i++) {
        if (strcmp(cases[i].name, one->floor) == 0) {
            return samples[i][repetitions / 2] * (one->floor_factor > 0 ? one->floor_factor : 1);
        }
    }
    if (one->floor != NULL) {
        fprintf(stderr, "bench: no case is called %s\n", one->floor);
        exit(1);
    }
    return 0;
}

static void
print_json(const struct bench_case *one, const char *bench, const double quartiles[3], double floor)
{
    printf("{\"bench\":\"%s\",\"case\":\"%s\",", bench, one->name);
    if (quartiles[1] < 0) {
        printf("\"impossible\":true}\n");
        return;
    }
    printf("\"ns\":%.3f,\"p25\":%.3f,\"p75\":%.3f", quartiles[1], quartiles[0], quartiles[2]);
    if (floor > 0) {
        printf(",\"floor\":\"%s\",\"floor_ns\":%.3f,\"ratio\":%.3f", one->floor, floor,
               quartiles[1] / floor);
    }
    printf("}\n");
}

static void
print_text(const struct bench_case *one, const double quartiles[3], double floor)
{
    if (quartiles[1] < 0) {
        printf("%-34s not to be had here\n", one->name);
        return;
    }
    printf("%-34s %9.1f ns   [%.1f .. %.1f]", one->name, quartiles[1], quartiles[0], quartiles[2]);
    if (floor > 0) {
        printf("   %.2f x ", quartiles[1] / floor);
        if (one->floor_factor > 0) {
            printf("%g of ", one->floor_factor);
        }
        printf("%s", one->floor);
    }
    printf("\n");
}

static int
read_options(int argc, char **argv, struct settings *settings)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            settings->quick = true;
            settings->repetitions = 1;
        } else if (strcmp(argv[i], "--json") == 0) {
            settings->json = true;
        } else if (strcmp(argv[i], "--repetitions") == 0 && i + 1 < argc) {
            settings->repetitions = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            settings->repetitions = 0;
        }
    }
    if (settings->repetitions == 0 || settings->repetitions > BENCH_REPETITIONS_MAX) {
        fputs(USAGE, stderr);
        return -1;
    }
    return 0;
}

int
bench_main(int argc, char **argv, const char *name, const struct bench_case *cases,
           uint32_t case_count)
{
    struct settings settings = {.repetitions = 15};

    if (case_count > BENCH_CASES_MAX || read_options(argc, argv, &settings) < 0) {
        return 2;
    }
    print_head(name, &settings);
    for (uint32_t repetition = 0; repetition < settings.repetitions; repetition++) {
        for (uint32_t i = 0; i < case_count; i++) {
            uint64_t count = settings.quick ? cases[i].count / 100 : cases[i].count;

            samples[i][repetition] = cases[i].run(&cases[i], count > 0 ? count : 1);
        }
    }
    uint32_t n = settings.repetitions;

    for (uint32_t i = 0; i < case_count; i++) {
        qsort(samples[i], n, sizeof(double), compare);
    }
    for (uint32_t i = 0; i < case_count; i++) {
        double quartiles[3] = {samples[i][n / 4], samples[i][n / 2], samples[i][n - 1 - n / 4]};
        double floor = floor_of(cases, case_count, &cases[i], n);

        if (settings.json) {
            print_json(&cases[i], name, quartiles, floor);
        } else {
            print_text(&cases[i], quartiles, floor);
        }
    }
    return 0;
}

/* --- engines --------------------------------------------------------------------------------- */

void
bench_on_engine(const char *cores, uint64_t spin_ns, int (*main_fiber)(void *argument),
                void *argument)
{
    struct rmill_options options = {.cores = cores, .spin_ns = spin_ns};
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    int code = rmill_engine_create(&options, &engine, &error);

    if (code == 0) {
        code = rmill_engine_start(engine, main_fiber, argument, &error);
    }
    if (code < 0) {
        fprintf(stderr, "bench: %s\n", error.advice);
        exit(code == -EPERM || code == -ENOSYS ? 77 : 1);
    }
    (void)rmill_engine_wait(engine, UINT64_MAX, NULL);
    rmill_engine_destroy(engine);
}

/* --- two pinned threads ---------------------------------------------------------------------- */

static cpu_set_t allowed;
static bool allowed_known;

/* The `which`th allowed CPU, counted from 0; the last when there are fewer. */
static int
allowed_cpu(int which)
{
    int found = 0;

    for (int cpu = 0; cpu < CPU_SETSIZE && which >= 0; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            found = cpu;
            which--;
        }
    }
    return found;
}

static void
pin(int which)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(allowed_cpu(which), &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *
peer_main(void *argument)
{
    struct bench_peer *peer = argument;

    pin(1);
    return peer->entry(peer->argument);
}

void
bench_peer_start(struct bench_peer *peer, void *(*entry)(void *argument), void *argument)
{
    if (!allowed_known) {
        (void)pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed);
        allowed_known = true;
    }
    pin(0);
    peer->entry = entry;
    peer->argument = argument;
    if (pthread_create(&peer->thread, NULL, peer_main, peer) != 0) {
        fputs("bench: no thread to be had\n", stderr);
        exit(1);
    }
}

void
bench_peer_join(struct bench_peer *peer)
{
    (void)pthread_join(peer->thread, NULL);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
}

void
bench_relax(void)
{
    if (allowed_known && CPU_COUNT(&allowed) < 2) {
        (void)sched_yield();
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static struct {
    RMILL_CACHE_ALIGNED _Atomic uint64_t there;
    RMILL_CACHE_ALIGNED _Atomic uint64_t back;
} line;

static void *
line_peer(void *argument)
{
    uint64_t count = *(uint64_t *)argument;

    for (uint64_t i = 1; i <= count; i++) {
        while (atomic_load_explicit(&line.there, memory_order_acquire) != i) {
            bench_relax();
        }
        atomic_store_explicit(&line.back, i, memory_order_release);
    }
    return NULL;
}

double
bench_line_round_trip(uint64_t count)
{
    struct bench_peer peer;

    atomic_store(&line.there, 0);
    atomic_store(&line.back, 0);
    bench_peer_start(&peer, line_peer, &count);
    uint64_t begin_ns = rmill_clock_ns();

    for (uint64_t i = 1; i <= count; i++) {
        atomic_store_explicit(&line.there, i, memory_order_release);
        while (atomic_load_explicit(&line.back, memory_order_acquire) != i) {
            bench_relax();
        }
    }
    double each = bench_each(begin_ns, count);

    bench_peer_join(&peer);
    return each;
}
