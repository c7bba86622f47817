#include "numa/topology.h"

#include <errno.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"
#include "numa/files.h"
#include "numa/pin.h"
#include "numa/sysfs.h"

/* What one read needs beside its result. */
struct reading {
    const char *root;
    bool live; /* The root is this machine's: libnuma and the affinity mask mean the same one. */
    struct rmill_topology *topology;
};

/* --- numbering --- */

/* The first CPU of the physical core that `cpu` belongs to. */
static uint32_t
core_leader(const struct reading *reading, const struct rmill_topology_cpu *cpu)
{
    const struct rmill_topology *topology = reading->topology;
    struct rmill_cpuset siblings;

    if (rmill_sysfs_siblings_read(reading->root, &topology->online, cpu->cpu, &siblings) == 0) {
        return rmill_cpuset_next(&siblings, 0);
    }
    for (const struct rmill_topology_cpu *other = topology->cpus; other < cpu; other++) {
        if (cpu->core_id != RMILL_TOPOLOGY_NO_INDEX && other->core_id == cpu->core_id &&
            other->package == cpu->package) {
            return other->cpu;
        }
    }
    return cpu->cpu;
}

/* Dense index of the core led by `leader`; a leader that is no leader itself (files that contradict
 * each other) still gives each CPU exactly one core. */
static int
cores_number(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    uint32_t *index_of = calloc(2 * (size_t)RMILL_CPUS_MAX, sizeof(index_of[0]));

    if (index_of == NULL) {
        return -ENOMEM;
    }
    uint32_t *next_rank = index_of + RMILL_CPUS_MAX;

    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        struct rmill_topology_cpu *cpu = &topology->cpus[i];
        uint32_t leader = core_leader(reading, cpu);

        if (index_of[leader] == 0) {
            index_of[leader] = ++topology->core_count;
        }
        cpu->core_index = index_of[leader] - 1;
        cpu->sibling_rank = next_rank[leader]++;
    }
    free(index_of);
    return 0;
}

static void
l3_number(struct rmill_topology *topology)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        struct rmill_topology_cpu *cpu = &topology->cpus[i];
        const struct rmill_topology_cpu *leader = rmill_topology_cpu_find(topology, cpu->l3_index);

        if (cpu->l3_index == RMILL_TOPOLOGY_NO_INDEX) {
            continue;
        }
        /* Leaders come before those they lead, so their own index is a dense one already. */
        cpu->l3_index = leader != NULL && leader < cpu && leader->l3_index < topology->l3_count
                            ? leader->l3_index
                            : topology->l3_count++;
    }
}

static int
speed_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? 1 : a > b ? -1 : 0; /* The fastest first. */
}

/* kind = rank of the speed among the distinct ones. */
static int
kinds_number(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    const uint32_t count = topology->cpu_count;
    uint32_t *speeds = calloc(2 * (size_t)count, sizeof(speeds[0]));

    if (speeds == NULL) {
        return -ENOMEM;
    }
    uint32_t *sorted = speeds + count;

    rmill_sysfs_speeds_read(reading->root, topology->cpus, count, speeds);
    memcpy(sorted, speeds, count * sizeof(speeds[0]));
    qsort(sorted, count, sizeof(sorted[0]), speed_compare);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || sorted[i] != sorted[topology->kind_count - 1]) {
            sorted[topology->kind_count++] = sorted[i];
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t kind = 0;

        while (sorted[kind] != speeds[i]) {
            kind++;
        }
        topology->cpus[i].kind = kind;
    }
    free(speeds);
    return 0;
}

static void
packages_count(struct rmill_topology *topology)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        uint32_t j = 0;

        while (topology->cpus[j].package != topology->cpus[i].package) {
            j++;
        }
        topology->package_count += j == i;
    }
}

static int
cpus_read(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    struct rmill_cpuset isolated = {0};

    topology->cpus = calloc(rmill_cpuset_count(&topology->online), sizeof(topology->cpus[0]));
    if (topology->cpus == NULL) {
        return -ENOMEM;
    }
    (void)rmill_files_cpulist(reading->root, &isolated, "/sys/devices/system/cpu/isolated");
    for (uint32_t number = rmill_cpuset_next(&topology->online, 0); number != RMILL_CPU_NONE;
         number = rmill_cpuset_next(&topology->online, number + 1)) {
        struct rmill_topology_cpu *cpu = &topology->cpus[topology->cpu_count++];

        cpu->cpu = number;
        cpu->isolated = rmill_cpuset_has(&isolated, number);
        cpu->usable = rmill_cpuset_has(&topology->usable, number);
        rmill_sysfs_cpu_read(reading->root, &topology->online, cpu);
    }
    l3_number(topology);
    packages_count(topology);

    int code = cores_number(reading);

    return code != 0 ? code : kinds_number(reading);
}

/* --- nodes --- */

/* One row of distances. What the file does not say, libnuma does on a live machine. */
static void
distances_fill(const struct reading *reading, uint32_t from)
{
    struct rmill_topology *topology = reading->topology;
    const struct rmill_topology_node *nodes = topology->nodes;
    uint32_t *row = topology->distances + (size_t)from * topology->node_count;

    rmill_sysfs_distances_read(reading->root, nodes[from].id, row, topology->node_count);
    for (uint32_t to = 0; to < topology->node_count; to++) {
        if (row[to] == 0 && reading->live && topology->numa) {
            int distance = numa_distance((int)nodes[from].id, (int)nodes[to].id);

            row[to] = distance > 0 && distance <= (int)RMILL_DISTANCE_MAX ? (uint32_t)distance : 0;
        }
        if (row[to] < RMILL_DISTANCE_LOCAL) {
            row[to] = from == to ? RMILL_DISTANCE_LOCAL : RMILL_DISTANCE_REMOTE;
        }
    }
    topology->nodes[from].distances = row;
}

/* CPUs that no node claims belong to the first; one claimed twice, to the first that does. */
static void
nodes_assign(struct rmill_topology *topology)
{
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        struct rmill_topology_cpu *cpu = &topology->cpus[i];
        uint32_t owner = RMILL_TOPOLOGY_NO_INDEX;

        for (uint32_t index = 0; index < topology->node_count; index++) {
            if (!rmill_cpuset_has(&topology->nodes[index].cpus, cpu->cpu)) {
                continue;
            }
            if (owner == RMILL_TOPOLOGY_NO_INDEX) {
                owner = index;
            } else {
                rmill_cpuset_remove(&topology->nodes[index].cpus, cpu->cpu);
            }
        }
        if (owner == RMILL_TOPOLOGY_NO_INDEX) {
            owner = 0;
            (void)rmill_cpuset_add(&topology->nodes[0].cpus, cpu->cpu);
        }
        cpu->node_index = owner;
        cpu->node = topology->nodes[owner].id;
    }
}

static int
nodes_read(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    struct rmill_cpuset online; /* A list of nodes is written as one of CPUs. */
    bool listed =
        rmill_files_cpulist(reading->root, &online, "/sys/devices/system/node/online") == 0 &&
        rmill_cpuset_count(&online) > 0 &&
        rmill_cpuset_next(&online, RMILL_NODES_MAX) == RMILL_CPU_NONE;

    topology->numa = listed && (!reading->live || numa_available() >= 0);
    if (!listed) {
        online = (struct rmill_cpuset){.words = {1}};
    }
    topology->node_count = rmill_cpuset_count(&online);
    size_t count = topology->node_count;

    topology->nodes = calloc(count, sizeof(topology->nodes[0]));
    topology->distances = calloc(count * count, sizeof(topology->distances[0]));
    if (topology->nodes == NULL || topology->distances == NULL) {
        return -ENOMEM;
    }
    uint32_t id = rmill_cpuset_next(&online, 0);

    for (uint32_t index = 0; index < count; index++, id = rmill_cpuset_next(&online, id + 1)) {
        topology->nodes[index].id = id;
        rmill_sysfs_node_read(reading->root, &topology->online, listed, &topology->nodes[index]);
    }
    for (uint32_t index = 0; index < count; index++) {
        distances_fill(reading, index); /* Once all ids are known. */
    }
    nodes_assign(topology);
    return 0;
}

/* --- what is ours --- */

static int
masks_read(const struct reading *reading, const struct rmill_cpuset *affinity,
           struct rmill_error *error)
{
    struct rmill_topology *topology = reading->topology;
    int code = affinity == NULL && reading->live ? rmill_pin_affinity(&topology->affinity) : 0;

    if (code != 0) {
        return rmill_error_set(error, code, "cannot read the CPU affinity: %s",
                               rmill_errno_text(code));
    }
    code = rmill_files_cpulist(reading->root, &topology->online, "/sys/devices/system/cpu/online");
    if (code == -ENOENT && reading->live) {
        topology->online =
            topology->affinity; /* No sysfs here (a bare chroot): what we may use is there. */
    } else if (code != 0) {
        return rmill_error_set(error, code, "cannot read %s/sys/devices/system/cpu/online: %s",
                               reading->root, rmill_errno_text(code));
    }
    if (rmill_cpuset_count(&topology->online) == 0) {
        return rmill_error_set(error, -ENODEV, "%s/sys/devices/system/cpu/online lists no CPU",
                               reading->root);
    }
    if (affinity != NULL || !reading->live) {
        topology->affinity = affinity != NULL ? *affinity : topology->online;
    }
    topology->usable = topology->online;
    rmill_cpuset_and(&topology->usable, &topology->affinity);
    if (topology->cgroup.cpuset_known) {
        rmill_cpuset_and(&topology->usable, &topology->cgroup.cpuset);
    }
    if (rmill_cpuset_count(&topology->usable) == 0) {
        return rmill_error_set(
            error, -ENODEV,
            "no online CPU is both in the affinity mask and in the cgroup's cpuset "
            "(%s); see taskset -p and that file",
            topology->cgroup.cpuset_path);
    }
    return 0;
}

/* A usable CPU on its way into the order of the default policy. */
struct candidate {
    const struct rmill_topology_cpu *cpu;
    uint32_t turn; /* 0 for the first usable CPU of its core, 1 for the second ... */
};

static int
candidate_compare(const void *left, const void *right)
{
    const struct candidate *a = left;
    const struct candidate *b = right;

    if (a->turn != b->turn) {
        return a->turn < b->turn ? -1 : 1;
    }
    if (a->cpu->kind != b->cpu->kind) {
        return a->cpu->kind < b->cpu->kind ? -1 : 1;
    }
    if (a->cpu->node_index != b->cpu->node_index) {
        return a->cpu->node_index < b->cpu->node_index ? -1 : 1;
    }
    return a->cpu->cpu < b->cpu->cpu ? -1 : a->cpu->cpu > b->cpu->cpu;
}

static int
order_make(struct rmill_topology *topology)
{
    struct candidate *candidates = calloc(topology->cpu_count, sizeof(candidates[0]));
    uint32_t *turns = calloc(topology->core_count, sizeof(turns[0]));

    topology->order = calloc(topology->cpu_count, sizeof(topology->order[0]));
    if (candidates == NULL || turns == NULL || topology->order == NULL) {
        free(candidates);
        free(turns);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        const struct rmill_topology_cpu *cpu = &topology->cpus[i];

        if (cpu->usable) {
            candidates[topology->order_count++] =
                (struct candidate){.cpu = cpu, .turn = turns[cpu->core_index]++};
        }
    }
    qsort(candidates, topology->order_count, sizeof(candidates[0]), candidate_compare);
    for (uint32_t i = 0; i < topology->order_count; i++) {
        topology->order[i] = candidates[i].cpu->cpu;
        topology->physical_count += candidates[i].turn == 0;
    }
    free(candidates);
    free(turns);
    return 0;
}

/* --- reading and asking --- */

int
rmill_topology_read(const struct rmill_topology_options *options, struct rmill_topology **out,
                    struct rmill_error *error)
{
    const char *root = options != NULL && options->root != NULL ? options->root : "";
    struct rmill_topology *topology = calloc(1, sizeof(*topology));
    const struct reading reading = {.root = root, .live = root[0] == '\0', .topology = topology};

    if (topology == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for the topology");
    }
    int code = rmill_cgroup_read(root, &topology->cgroup);

    if (code == 0) {
        code = masks_read(&reading, options != NULL ? options->affinity : NULL, error);
    }
    if (code == 0 && ((code = cpus_read(&reading)) != 0 || (code = nodes_read(&reading)) != 0 ||
                      (code = order_make(topology)) != 0)) {
        (void)rmill_error_set(error, code, "no memory for the topology");
    }
    if (code != 0) {
        rmill_topology_destroy(topology);
        return code;
    }
    *out = topology;
    return 0;
}

void
rmill_topology_destroy(struct rmill_topology *topology)
{
    if (topology != NULL) {
        free(topology->cpus);
        free(topology->nodes);
        free(topology->distances);
        free(topology->order);
        free(topology);
    }
}

const struct rmill_topology_cpu *
rmill_topology_cpu_find(const struct rmill_topology *topology, uint32_t cpu)
{
    uint32_t low = 0;
    uint32_t high = topology->cpu_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (topology->cpus[middle].cpu < cpu) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < topology->cpu_count && topology->cpus[low].cpu == cpu ? &topology->cpus[low]
                                                                       : NULL;
}

int
rmill_topology_memory_node(const struct rmill_topology *topology, uint32_t cpu)
{
    const struct rmill_topology_cpu *found = rmill_topology_cpu_find(topology, cpu);
    int best = RMILL_NODE_ANY;
    uint32_t best_distance = UINT32_MAX;

    if (found == NULL || !topology->numa) {
        return RMILL_NODE_ANY;
    }
    const uint32_t *distances = topology->nodes[found->node_index].distances;

    for (uint32_t index = 0; index < topology->node_count; index++) {
        uint32_t distance = index == found->node_index ? 0 : distances[index];

        if (topology->nodes[index].memory_bytes > 0 && distance < best_distance) {
            best = (int)topology->nodes[index].id;
            best_distance = distance;
        }
    }
    return best;
}

uint32_t
rmill_topology_default_cores(const struct rmill_topology *topology, uint32_t *cpus, uint32_t max)
{
    for (uint32_t i = 0; i < topology->physical_count && i < max; i++) {
        cpus[i] = topology->order[i];
    }
    return topology->physical_count;
}

/* N cores: the front of the order, from its start again when it ends. */
static int
choice_by_count(const struct rmill_topology *topology, const char *spec,
                struct rmill_core_choice *choice, struct rmill_error *error)
{
    uint64_t count = 0;
    const char *end = rmill_files_number(spec, &count);

    if (end == NULL || *end != '\0' || count == 0 || count > RMILL_CORE_CHOICE_MAX) {
        return rmill_error_set(
            error, -EINVAL,
            "\"%.80s\" is neither a number of cores (1-%u) nor a list of CPUs like "
            "0-3,8",
            spec, RMILL_CORE_CHOICE_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        choice->cpus[i] = topology->order[i % topology->order_count];
    }
    choice->count = (uint32_t)count;
    choice->oversubscribed = count > topology->order_count;
    return 0;
}

static int
choice_by_list(const struct rmill_topology *topology, const char *spec,
               struct rmill_core_choice *choice, struct rmill_error *error)
{
    struct rmill_cpuset set;
    char text[200];
    int code = rmill_cpulist_parse(spec, &set, error);

    if (code != 0) {
        return code;
    }
    struct rmill_cpuset foreign = set;

    rmill_cpuset_subtract(&foreign, &topology->usable);
    if (rmill_cpuset_count(&foreign) > 0) {
        char usable[200];

        (void)rmill_cpulist_format(&foreign, text, sizeof(text));
        (void)rmill_cpulist_format(&topology->usable, usable, sizeof(usable));
        return rmill_error_set(
            error, -EINVAL,
            "CPU %s cannot be used: it is offline, or outside the affinity mask or the "
            "cgroup's cpuset; usable are %s",
            text, usable);
    }
    uint32_t count = rmill_cpuset_count(&set);

    if (count == 0 || count > RMILL_CORE_CHOICE_MAX) {
        return rmill_error_set(error, -EINVAL, "\"%.80s\" lists %u CPUs; 1 to %u are possible",
                               spec, count, RMILL_CORE_CHOICE_MAX);
    }
    for (uint32_t cpu = rmill_cpuset_next(&set, 0); cpu != RMILL_CPU_NONE;
         cpu = rmill_cpuset_next(&set, cpu + 1)) {
        choice->cpus[choice->count++] = cpu;
    }
    return 0;
}

/* Do two of the cores sit on one physical core? */
static bool
choice_is_shared(const struct rmill_topology *topology, const struct rmill_core_choice *choice)
{
    struct rmill_cpuset cores = {0}; /* Physical cores are fewer than CPUs, so their indexes fit. */

    for (uint32_t i = 0; i < choice->count; i++) {
        uint32_t core = rmill_topology_cpu_find(topology, choice->cpus[i])->core_index;

        if (rmill_cpuset_has(&cores, core)) {
            return true;
        }
        (void)rmill_cpuset_add(&cores, core);
    }
    return false;
}

int
rmill_topology_chosen_cores(const struct rmill_topology *topology, const char *spec,
                            struct rmill_core_choice *choice, struct rmill_error *error)
{
    struct rmill_core_choice chosen = {0};
    int code = 0;

    if (spec == NULL || spec[0] == '\0') {
        chosen.count = (uint32_t)rmill_min_u64(topology->physical_count, RMILL_CORE_CHOICE_MAX);
        (void)rmill_topology_default_cores(topology, chosen.cpus, chosen.count);
    } else if (strpbrk(spec, ",-:") != NULL) {
        code = choice_by_list(topology, spec, &chosen, error);
    } else {
        code = choice_by_count(topology, spec, &chosen, error);
    }
    if (code == 0) {
        chosen.shared = choice_is_shared(topology, &chosen);
        *choice = chosen;
    }
    return code;
}
