/* engine/sim/sim.c — one run: options, chance, trace, the end of power, the result. */
#include "engine/sim/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/sim/execute.h"
#include "engine/sim/files.h"
#ifdef RMILL_CONTEXT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define MILLION   1000000u
#define TAIL_TEXT 40u /* Records printed when the process aborts. */

_Thread_local struct rmill_sim *rmill_sim_current;

static const char *const fault_names[] = {
    [RMILL_SIM_SHORT] = "short",
    [RMILL_SIM_INTERRUPTED] = "interrupted",
    [RMILL_SIM_AGAIN] = "again",
    [RMILL_SIM_IO_ERROR] = "io error",
    [RMILL_SIM_NO_SPACE] = "no space",
    [RMILL_SIM_NO_MEMORY] = "no memory",
    [RMILL_SIM_SETUP] = "setup",
    [RMILL_SIM_EARLY_WAKE] = "early wake",
    [RMILL_SIM_CANCEL_LATE] = "cancel late",
    [RMILL_SIM_STALL] = "stall",
    [RMILL_SIM_TYPE_UNKNOWN] = "type unknown",
};
_Static_assert(RMILL_ARRAY_COUNT(fault_names) == RMILL_SIM_FAULT_COUNT, "every fault has a name");

static const char *const record_names[] = {
    [RMILL_SIM_RECORD_RUN] = "run",           [RMILL_SIM_RECORD_START] = "start",
    [RMILL_SIM_RECORD_END] = "end",           [RMILL_SIM_RECORD_SLEEP] = "sleep",
    [RMILL_SIM_RECORD_WAKE] = "wake",         [RMILL_SIM_RECORD_SPEND] = "spend",
    [RMILL_SIM_RECORD_SUBMIT] = "submit",     [RMILL_SIM_RECORD_EXECUTE] = "execute",
    [RMILL_SIM_RECORD_COMPLETE] = "complete", [RMILL_SIM_RECORD_RING_WAKE] = "ring wake",
    [RMILL_SIM_RECORD_CALL] = "call",         [RMILL_SIM_RECORD_DATA] = "data",
    [RMILL_SIM_RECORD_FAULT] = "fault",       [RMILL_SIM_RECORD_JOB] = "job",
    [RMILL_SIM_RECORD_POWER] = "power lost",  [RMILL_SIM_RECORD_NOTE] = "note",
};
_Static_assert(RMILL_ARRAY_COUNT(record_names) == RMILL_SIM_RECORD_COUNT,
               "every record has a name");

const char *
rmill_sim_fault_name(enum rmill_sim_fault fault)
{
    return (unsigned)fault < RMILL_SIM_FAULT_COUNT ? fault_names[fault] : "?";
}

/* --- trace ------------------------------------------------------------------------------------ */

static int
record_format(const struct rmill_sim_record *record, char *text, size_t bytes)
{
    char thread[16] = "-", what[40];

    if (record->thread != UINT32_MAX) {
        (void)snprintf(thread, sizeof(thread), "%" PRIu32, record->thread);
    }
    (void)snprintf(what, sizeof(what), "%" PRIu64, record->a);
    if (record->kind == RMILL_SIM_RECORD_FAULT) {
        (void)snprintf(what, sizeof(what), "%s",
                       rmill_sim_fault_name((enum rmill_sim_fault)record->a));
    } else if (record->kind == RMILL_SIM_RECORD_SUBMIT ||
               record->kind == RMILL_SIM_RECORD_EXECUTE ||
               record->kind == RMILL_SIM_RECORD_COMPLETE) {
        (void)snprintf(what, sizeof(what), "%s", rmill_opcode_name((enum rmill_opcode)record->a));
    } else if (record->kind == RMILL_SIM_RECORD_CALL || record->kind == RMILL_SIM_RECORD_NOTE) {
        char name[9] = {0};

        memcpy(name, &record->a, 8);
        (void)snprintf(what, sizeof(what), "%s", name);
    }
    int length = snprintf(text, bytes, "%12" PRIu64 " %3s %-9s %s %" PRId64 "\n", record->time_ns,
                          thread, record_names[record->kind], what, (int64_t)record->b);

    return length < (int)bytes ? length : (int)bytes - 1;
}

static void
records_hash(struct rmill_sim *sim)
{
    rmill_hash_stream_update(sim->hash, sim->pending, sim->pending_count * sizeof(sim->pending[0]));
    sim->pending_count = 0;
}

void
rmill_sim_record(struct rmill_sim *sim, enum rmill_sim_record_kind kind, uint64_t a, uint64_t b)
{
    struct rmill_sim_record record = {
        .time_ns = rmill_sim_clock(sim), .kind = (uint32_t)kind, .a = a, .b = b};

    record.thread = sim->running != NULL ? sim->running->number : UINT32_MAX;
    sim->tail[sim->result.trace_count++ % RMILL_SIM_TAIL] = record;
    sim->pending[sim->pending_count++] = record;
    if (sim->pending_count == RMILL_SIM_RECORD_HASH) {
        records_hash(sim);
    }
    if (sim->options->trace != NULL) {
        char text[160];

        (void)fwrite(text, 1, (size_t)record_format(&record, text, sizeof(text)),
                     sim->options->trace);
    }
}

/* The process is about to die: say which seed, and what happened last. */
static void
report(void)
{
    struct rmill_sim *sim = rmill_sim_current;
    char text[160];

    if (sim == NULL) {
        return;
    }
    uint64_t count = sim->result.trace_count;
    uint64_t from = count > TAIL_TEXT ? count - TAIL_TEXT : 0;
    int length = snprintf(text, sizeof(text),
                          "simulation: seed %" PRIu64 ", record %" PRIu64 "; the last records:\n",
                          sim->options->seed, count);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)length);

    for (uint64_t i = from; i < count; i++) {
        length = record_format(&sim->tail[i % RMILL_SIM_TAIL], text, sizeof(text));
        ignored = write(STDERR_FILENO, text, (size_t)length);
    }
    (void)ignored;
}

/* Returning ends the process: abort() goes on, and a faulty access is made again, now without a
 * handler. */
static void
death_handle(int number)
{
    (void)number;
    report();
}

#ifdef RMILL_CONTEXT_ASAN
/* The sanitizer has its own handlers and calls us at the end of them. */
static const int deadly[] = {SIGABRT};
#else
static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE};
#endif

struct handlers {
    struct sigaction before[RMILL_ARRAY_COUNT(deadly)];
    stack_t stack_before;
    char stack[16384]; /* A coroutine may have used up its own. */
};

static void
handlers_install(struct handlers *handlers)
{
    struct sigaction action = {.sa_handler = death_handle, .sa_flags = SA_ONSTACK | SA_RESETHAND};
    stack_t stack = {.ss_sp = handlers->stack, .ss_size = sizeof(handlers->stack)};

    (void)sigaltstack(&stack, &handlers->stack_before);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(deadly); i++) {
        (void)sigaction(deadly[i], &action, &handlers->before[i]);
    }
#ifdef RMILL_CONTEXT_ASAN
    __sanitizer_set_death_callback(report);
#endif
}

static void
handlers_remove(const struct handlers *handlers)
{
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(deadly); i++) {
        (void)sigaction(deadly[i], &handlers->before[i], NULL);
    }
    (void)sigaltstack(&handlers->stack_before, NULL);
}

/* --- chance ----------------------------------------------------------------------------------- */

bool
rmill_sim_fault(struct rmill_sim *sim, enum rmill_sim_fault fault)
{
    uint32_t rate = sim->options->fault_per_million[fault];

    if (rate == 0 || !sim->faults_on || !rmill_prng_chance(&sim->chance, rate, MILLION)) {
        return false;
    }
    sim->result.faults[fault]++;
    rmill_sim_record(sim, RMILL_SIM_RECORD_FAULT, fault, 0);
    return true;
}

uint64_t
rmill_sim_up_to(struct rmill_sim *sim, uint64_t bound)
{
    return bound == UINT64_MAX ? rmill_prng_next(&sim->chance)
                               : rmill_prng_below(&sim->chance, bound + 1);
}

uint64_t
rmill_sim_random(void)
{
    return rmill_prng_next(&rmill_sim_self()->test);
}

void
rmill_sim_faults_set(bool on)
{
    rmill_sim_self()->faults_on = on;
}

void
rmill_sim_note(const char *name, uint64_t a, uint64_t b)
{
    uint64_t word = 0;

    memcpy(&word, name, strnlen(name, sizeof(word)));
    rmill_sim_record(rmill_sim_self(), RMILL_SIM_RECORD_NOTE, word, a << 32 | (b & UINT32_MAX));
}

void
rmill_sim_sleep(uint64_t duration_ns)
{
    (void)rmill_sim_thread_sleep(rmill_sim_self(), duration_ns);
}

/* --- power ------------------------------------------------------------------------------------ */

void
rmill_sim_power_lose(struct rmill_sim *sim)
{
    if (!sim->powered) {
        return;
    }
    sim->powered = false;
    sim->result.power_lost = true;
    rmill_sim_record(sim, RMILL_SIM_RECORD_POWER, sim->reach_count, 0);
    sim->survivor = rmill_sim_disk_clone(sim->disk);
    RMILL_ASSERT(sim->survivor != NULL);
    rmill_sim_disk_power_loss(sim->survivor, rmill_prng_next(&sim->chance));
}

void
rmill_sim_reach(struct rmill_sim *sim)
{
    sim->reach_count++;
    if (sim->reach_count == sim->options->power_loss_operation) {
        rmill_sim_power_lose(sim);
    }
}

bool
rmill_sim_powered(void)
{
    return rmill_sim_self()->powered;
}

static void
power_event(struct rmill_sim *sim, const struct rmill_sim_event *event)
{
    (void)event;
    rmill_sim_power_lose(sim);
}

/* --- a run ------------------------------------------------------------------------------------ */

struct control {
    int (*function)(void *argument);
    void *argument;
    int value;
};

static void
control_main(void *argument)
{
    struct control *control = argument;

    control->value = control->function(control->argument);
}

static uint64_t
or_default(uint64_t value, uint64_t usual)
{
    return value != 0 ? value : usual;
}

static struct rmill_sim *
sim_create(const struct rmill_sim_options *options)
{
    struct rmill_sim *sim = calloc(1, sizeof(*sim));

    if (sim == NULL) {
        return NULL;
    }
    sim->options = options;
    sim->delay_ns_min = or_default(options->delay_ns_min, RMILL_NS_PER_US);
    sim->delay_ns_max =
        rmill_max_u64(or_default(options->delay_ns_max, 100 * RMILL_NS_PER_US), sim->delay_ns_min);
    sim->skew_ns = or_default(options->skew_ns, 2 * RMILL_NS_PER_US);
    sim->stall_ns_max = or_default(options->stall_ns_max, RMILL_NS_PER_MS);
    sim->time_limit_ns = or_default(options->time_limit_ns, 10 * RMILL_NS_PER_S);
    sim->cpus = (uint32_t)or_default(options->cpus, 4);
    sim->nodes = (uint32_t)or_default(options->nodes, 1);
    sim->spend_percent = (uint32_t)rmill_min_u64(or_default(options->spend_percent, 20), 100);
    sim->faults_on = true;
    sim->powered = true;
    sim->chance = rmill_prng_seeded(options->seed);
    sim->test = rmill_prng_seeded(~options->seed);
    sim->now_ns = sim->told_ns = RMILL_NS_PER_S; /* 0 is a time nobody is told. */
    sim->hash = rmill_hash_stream_create();
    sim->disk = options->disk != NULL ? options->disk : rmill_sim_disk_create(options->seed, 0);
    sim->files = rmill_sim_files_create();
    rmill_context_init_thread(&sim->scheduler);
    return sim;
}

static void
sim_destroy(struct rmill_sim *sim)
{
    rmill_sim_files_destroy(sim->files, sim->disk);
    rmill_sim_disk_settle(sim->disk);
    if (sim->survivor != NULL) {
        rmill_sim_disk_replace(sim->disk, sim->survivor);
    }
    if (sim->options->disk == NULL) {
        rmill_sim_disk_destroy(sim->disk);
    }
    rmill_hash_stream_destroy(sim->hash);
    rmill_sim_threads_free(sim);
    free(sim->events);
    free(sim);
}

static void
result_fill(struct rmill_sim *sim, struct rmill_sim_result *result)
{
    struct rmill_hash128 digest;

    records_hash(sim);
    digest = rmill_hash_stream_digest(sim->hash);
    memcpy(&sim->result.trace_hash, digest.bytes, sizeof(sim->result.trace_hash));
    sim->result.virtual_ns = sim->told_ns - RMILL_NS_PER_S;
    sim->result.descriptors_open = rmill_sim_files_open(sim->files);
    sim->result.reached = sim->reach_count;
    sim->result.rings_open = 0;
    for (const struct rmill_ring *ring = sim->rings; ring != NULL;
         ring = rmill_sim_ring_next(ring)) {
        sim->result.rings_open++;
    }
    if (result != NULL) {
        *result = sim->result;
    }
}

int
rmill_sim_run(const struct rmill_sim_options *options, int (*control)(void *argument),
              void *argument, struct rmill_sim_result *result)
{
    struct control call = {.function = control, .argument = argument};
    struct rmill_thread *self = rmill_thread_self;
    struct handlers handlers;

    if (rmill_sim_current != NULL || options->cpus > 4096 ||
        options->nodes > (options->cpus != 0 ? options->cpus : 4)) {
        return -EINVAL;
    }
    struct rmill_sim *sim = sim_create(options);

    if (sim == NULL || sim->hash == NULL || sim->disk == NULL || sim->files == NULL) {
        return -ENOMEM; /* What was made is lost; nobody goes on after this. */
    }
    rmill_sim_current = sim;
    rmill_thread_self = NULL;
    handlers_install(&handlers);
    if (options->power_loss_ns != 0) {
        rmill_sim_event_add(sim, sim->now_ns + options->power_loss_ns, power_event, 0, 0);
    }
    struct rmill_seam_thread *thread = rmill_sim_thread_new(sim, "control", control_main, &call);

    RMILL_ASSERT(thread != NULL);
    rmill_sim_schedule(sim, thread);
    sim->result.value = call.value;
    result_fill(sim, result);
    sim_destroy(sim);
    rmill_sim_current = NULL;
    rmill_thread_self = self;
    handlers_remove(&handlers);
    return 0;
}
