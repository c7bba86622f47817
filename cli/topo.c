/* cli/topo.c — `ringmill topo`: the machine as the engine sees it, and the cores it would take. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/topo_svg.h"
#include "numa/topology.h"

/* A set as text, for print; cut at its end when it is very long. */
struct set_text {
    char text[512];
};

static const char *
set_format(struct set_text *to, const struct rmill_cpuset *set)
{
    (void)rmill_cpulist_format(set, to->text, sizeof(to->text));
    return to->text[0] != '\0' ? to->text : "none";
}

/* --- text --- */

static void
limits_print(const struct rmill_topology *topology)
{
    const struct rmill_cgroup *cgroup = &topology->cgroup;
    char limit[32];
    char use[32];

    if (cgroup->memory_limit_bytes != RMILL_CGROUP_UNLIMITED) {
        printf("memory   at most %s, %s in use (%s)\n",
               rmill_topo_size(limit, cgroup->memory_limit_bytes),
               rmill_topo_size(use, cgroup->memory_current_bytes), cgroup->memory_path);
    }
    if (cgroup->cpu_millis != RMILL_CGROUP_UNLIMITED) {
        printf("CPU time at most %.2f CPUs (%s)\n", (double)cgroup->cpu_millis / 1000,
               cgroup->cpu_path);
    }
}

static void
machine_print(const struct rmill_topology *topology)
{
    struct set_text a;
    struct set_text b;

    printf("machine  %u CPUs on %u physical cores, %u package%s, %u node%s, %u kind%s of core\n",
           topology->cpu_count, topology->core_count, topology->package_count,
           topology->package_count == 1 ? "" : "s", topology->node_count,
           topology->node_count == 1 ? "" : "s", topology->kind_count,
           topology->kind_count == 1 ? "" : "s");
    printf("online   %s\n", set_format(&a, &topology->online));
    printf("usable   %s (affinity %s", set_format(&a, &topology->usable),
           set_format(&b, &topology->affinity));
    if (topology->cgroup.cpuset_known) {
        printf(", cpuset %s", set_format(&a, &topology->cgroup.cpuset));
    }
    printf(")\n");
    limits_print(topology);
}

static void
nodes_print(const struct rmill_topology *topology)
{
    for (uint32_t index = 0; index < topology->node_count; index++) {
        const struct rmill_topology_node *node = &topology->nodes[index];
        struct set_text set;
        char total[32];
        char spare[32];

        printf("node %-3u CPUs %s; memory %s, %s free; 2 MiB pages %llu, %llu free", node->id,
               set_format(&set, &node->cpus), rmill_topo_size(total, node->memory_bytes),
               rmill_topo_size(spare, node->memory_free_bytes),
               (unsigned long long)node->huge_count, (unsigned long long)node->huge_free_count);
        if (topology->node_count > 1) {
            printf("; distances");
            for (uint32_t to = 0; to < topology->node_count; to++) {
                printf(" %u", node->distances[to]);
            }
        }
        printf("\n");
    }
}

/* How many cores of the engine are on this CPU. */
static uint32_t
engine_core_count(const struct rmill_core_choice *choice, uint32_t cpu)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < choice->count; i++) {
        count += choice->cpus[i] == cpu;
    }
    return count;
}

static const char *
size_or_dash(char to[32], uint64_t bytes)
{
    return bytes > 0 ? rmill_topo_size(to, bytes) : "-";
}

static void
cpus_print(const struct rmill_topology *topology, const struct rmill_core_choice *choice)
{
    printf("\n  CPU  core  thread  package  node  kind       L1d        L2        L3   L3 no.    "
           "MHz\n");
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rmill_topology_cpu *cpu = &topology->cpus[i];
        char l1d[32];
        char l2[32];
        char l3[32];
        char group[16] = "-";
        char mhz[24] = "-";

        if (cpu->l3_index != RMILL_TOPOLOGY_NO_INDEX) {
            (void)snprintf(group, sizeof(group), "%u", cpu->l3_index);
        }
        if (cpu->frequency_khz_max > 0) {
            (void)snprintf(mhz, sizeof(mhz), "%llu",
                           (unsigned long long)(cpu->frequency_khz_max / 1000));
        }
        printf("%c %3u  %4u  %6u  %7u  %4u  %4u  %8s  %8s  %8s  %7s  %5s%s%s\n",
               engine_core_count(choice, cpu->cpu) > 0 ? '*' : ' ', cpu->cpu, cpu->core_index,
               cpu->sibling_rank, cpu->package, cpu->node, cpu->kind,
               size_or_dash(l1d, cpu->l1d_bytes), size_or_dash(l2, cpu->l2_bytes),
               size_or_dash(l3, cpu->l3_bytes), group, mhz, cpu->usable ? "" : "  not usable",
               cpu->isolated ? "  isolated" : "");
    }
}

static void
text_print(const struct rmill_topology *topology, const struct rmill_core_choice *choice)
{
    machine_print(topology);
    nodes_print(topology);
    cpus_print(topology, choice);
    printf("\n* the engine runs %u core%s, on CPU", choice->count, choice->count == 1 ? "" : "s");
    for (uint32_t i = 0; i < choice->count; i++) {
        printf("%s%u", i == 0 ? " " : ", ", choice->cpus[i]);
    }
    printf("\n");
}

/* --- JSON --- */

static struct json_t *
set_json(const struct rmill_cpuset *set)
{
    struct json_t *array = json_array();

    for (uint32_t cpu = rmill_cpuset_next(set, 0); array != NULL && cpu != RMILL_CPU_NONE;
         cpu = rmill_cpuset_next(set, cpu + 1)) {
        if (json_array_append_new(array, json_integer(cpu)) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static struct json_t *
numbers_json(const uint32_t *numbers, uint32_t count)
{
    struct json_t *array = json_array();

    for (uint32_t i = 0; array != NULL && i < count; i++) {
        if (json_array_append_new(array, json_integer(numbers[i])) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

/* A number that may be unknown: then null. */
static void
known_json(struct rmill_json *json, const char *key, uint64_t number, uint64_t unknown)
{
    if (number == unknown) {
        rmill_json_value(json, key, json_null());
    } else {
        rmill_json_unsigned(json, key, number);
    }
}

static struct json_t *
cpu_json(const struct rmill_topology_cpu *cpu, const struct rmill_core_choice *choice)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_unsigned(&json, "cpu", cpu->cpu);
    rmill_json_unsigned(&json, "core", cpu->core_index);
    known_json(&json, "core_id", cpu->core_id, RMILL_TOPOLOGY_NO_INDEX);
    rmill_json_unsigned(&json, "package", cpu->package);
    rmill_json_unsigned(&json, "node", cpu->node);
    rmill_json_unsigned(&json, "thread", cpu->sibling_rank);
    rmill_json_unsigned(&json, "kind", cpu->kind);
    known_json(&json, "capacity", cpu->capacity, 0);
    known_json(&json, "frequency_khz_max", cpu->frequency_khz_max, 0);
    known_json(&json, "l1d_bytes", cpu->l1d_bytes, 0);
    known_json(&json, "l2_bytes", cpu->l2_bytes, 0);
    known_json(&json, "l3_bytes", cpu->l3_bytes, 0);
    known_json(&json, "l3", cpu->l3_index, RMILL_TOPOLOGY_NO_INDEX);
    known_json(&json, "line_bytes", cpu->line_bytes, 0);
    rmill_json_bool(&json, "usable", cpu->usable);
    rmill_json_bool(&json, "isolated", cpu->isolated);
    rmill_json_unsigned(&json, "engine_cores", engine_core_count(choice, cpu->cpu));
    return rmill_json_take(&json);
}

static struct json_t *
node_json(const struct rmill_topology *topology, const struct rmill_topology_node *node)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_unsigned(&json, "node", node->id);
    rmill_json_value(&json, "cpus", set_json(&node->cpus));
    rmill_json_unsigned(&json, "memory_bytes", node->memory_bytes);
    rmill_json_unsigned(&json, "memory_free_bytes", node->memory_free_bytes);
    rmill_json_unsigned(&json, "huge_pages", node->huge_count);
    rmill_json_unsigned(&json, "huge_pages_free", node->huge_free_count);
    rmill_json_value(&json, "distances", numbers_json(node->distances, topology->node_count));
    return rmill_json_take(&json);
}

static struct json_t *
cgroup_json(const struct rmill_cgroup *cgroup)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_unsigned(&json, "memory_version", (uint64_t)cgroup->memory_version);
    known_json(&json, "memory_limit_bytes", cgroup->memory_limit_bytes, RMILL_CGROUP_UNLIMITED);
    rmill_json_unsigned(&json, "memory_current_bytes", cgroup->memory_current_bytes);
    rmill_json_name(&json, "memory_path", cgroup->memory_path, strlen(cgroup->memory_path));
    known_json(&json, "cpu_millis", cgroup->cpu_millis, RMILL_CGROUP_UNLIMITED);
    rmill_json_name(&json, "cpu_path", cgroup->cpu_path, strlen(cgroup->cpu_path));
    return rmill_json_take(&json);
}

/* The arrays "cpus" and "nodes". */
static void
parts_json(struct rmill_json *json, const struct rmill_topology *topology,
           const struct rmill_core_choice *choice)
{
    struct json_t *cpus = json_array();
    struct json_t *nodes = json_array();

    for (uint32_t i = 0; i < topology->cpu_count && json->code == 0; i++) {
        if (json_array_append_new(cpus, cpu_json(&topology->cpus[i], choice)) != 0) {
            json->code = -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < topology->node_count && json->code == 0; i++) {
        if (json_array_append_new(nodes, node_json(topology, &topology->nodes[i])) != 0) {
            json->code = -ENOMEM;
        }
    }
    rmill_json_value(json, "nodes", nodes);
    rmill_json_value(json, "cpus", cpus);
}

static int
json_print(const struct rmill_topology *topology, const struct rmill_core_choice *choice)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_unsigned(&json, "cpu_count", topology->cpu_count);
    rmill_json_unsigned(&json, "core_count", topology->core_count);
    rmill_json_unsigned(&json, "package_count", topology->package_count);
    rmill_json_unsigned(&json, "node_count", topology->node_count);
    rmill_json_unsigned(&json, "kind_count", topology->kind_count);
    rmill_json_value(&json, "online", set_json(&topology->online));
    rmill_json_value(&json, "affinity", set_json(&topology->affinity));
    rmill_json_value(&json, "usable", set_json(&topology->usable));
    rmill_json_value(&json, "cgroup", cgroup_json(&topology->cgroup));
    parts_json(&json, topology, choice);
    rmill_json_value(&json, "engine_cpus", numbers_json(choice->cpus, choice->count));
    rmill_json_bool(&json, "oversubscribed", choice->oversubscribed);
    rmill_json_bool(&json, "siblings_shared", choice->shared);
    return rmill_json_print(&json);
}

/* --- the command --- */

static int
print(struct rmill_command_line *line, const struct rmill_topology *topology,
      const struct rmill_core_choice *choice)
{
    int code = 0;

    if (choice->oversubscribed) {
        rmill_command_note(line, "%u cores on %u usable CPUs: some share one and take turns",
                           choice->count, topology->order_count);
    } else if (choice->shared) {
        rmill_command_note(line, "some of the %u cores are threads of one physical core",
                           choice->count);
    }
    if (rmill_line_has(line, "svg")) {
        code = rmill_topo_svg_print(stdout, topology, choice);
    } else if (rmill_line_has(line, "json")) {
        code = json_print(topology, choice);
    } else {
        text_print(topology, choice);
    }
    return code != 0
               ? rmill_command_fail(line, "cannot print the topology: %s", rmill_errno_text(code))
               : RMILL_EXIT_DONE;
}

static int
run(struct rmill_command_line *line)
{
    const struct rmill_topology_options options = {.root = rmill_line_string(line, "root", "")};
    const char *spec = rmill_line_string(line, "cores", getenv("RINGMILL_CORES"));
    struct rmill_topology *topology = NULL;
    struct rmill_core_choice choice;
    struct rmill_error error = {0};
    int code;

    if (rmill_line_has(line, "svg") && rmill_line_has(line, "json")) {
        return rmill_command_misuse(line, "--svg and --json are two different outputs; choose one");
    }
    if (rmill_topology_read(&options, &topology, &error) != 0) {
        return rmill_command_fail_error(line, &error, false);
    }
    if (rmill_topology_chosen_cores(topology, spec, &choice, &error) != 0) {
        code = rmill_command_misuse(line, "%s", error.advice);
    } else {
        code = print(line, topology, &choice);
    }
    rmill_topology_destroy(topology);
    return code;
}

static const struct rmill_option_spec options_topo[] = {
    {.name = "svg", .type = RMILL_OPTION_FLAG, .help = "draw the machine, as an SVG document"},
    {.name = "root",
     .type = RMILL_OPTION_STRING,
     .value = "DIR",
     .help = "read sys and proc below DIR: a copy from another machine (default /)",
     .completes = RMILL_COMPLETE_DIRECTORY},
    {.name = NULL},
};

const struct rmill_command rmill_command_topo = {
    .name = "topo",
    .summary = "show the machine as the engine sees it, and the cores it would take",
    .usage = "[--cores SPEC] [--json | --svg]",
    .details =
        "Shows nodes, packages, cores, threads and caches, the CPUs this process may use "
        "(affinity mask and cgroup cpuset), and which of them an engine runs on.\n\n"
        "Without --cores and RINGMILL_CORES the engine takes one CPU of each usable physical "
        "core, the fastest kind first. A plain number takes that many; a list with a comma, a "
        "dash or a colon (0-3,8,10-14:2; \"2,\" for CPU 2 alone) takes exactly these.",
    .examples = "ringmill topo\n"
                "ringmill topo --cores 4 --json\n"
                "# a picture of the machine\n"
                "ringmill topo --svg > machine.svg",
    .options = options_topo,
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run,
};
