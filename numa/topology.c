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

#define CACHES_MAX        16u   /* cacheI folders looked at for a CPU; real machines have 4 or 5. */
#define DISTANCE_MAX      254u  /* 255 means unreachable to ACPI; no list has more. */
#define DISTANCE_BYTES    8192u /* One row: 1024 numbers of at most 4 bytes and a blank, with room. */
#define MEMINFO_BYTES     8192u
#define CACHE_BYTES_LIMIT RMILL_GIB(64) /* A cache that claims more is a broken file. */

/* What one read needs beside its result. */
struct reading {
    const char *root;
    bool live; /* The root is this machine's: libnuma and the affinity mask mean the same one. */
    struct rmill_topology *topology;
};

/* --- one CPU -------------------------------------------------------------------------------------------- */

/* The core's number by the kernel, and the package. */
static void
cpu_identity_read(const struct reading *reading, struct rmill_topology_cpu *cpu)
{
    uint64_t value;

    cpu->core_id = RMILL_TOPOLOGY_NO_INDEX;
    if (rmill_files_u64(reading->root, &value, "/sys/devices/system/cpu/cpu%u/topology/core_id",
                        cpu->cpu) == 0 && value < RMILL_TOPOLOGY_NO_INDEX) {
        cpu->core_id = (uint32_t)value;
    }
    /* -1 (unknown, on some boards) is no unsigned number and stays package 0. */
    if (rmill_files_u64(reading->root, &value,
                        "/sys/devices/system/cpu/cpu%u/topology/physical_package_id",
                        cpu->cpu) == 0 && value < RMILL_TOPOLOGY_NO_INDEX) {
        cpu->package = (uint32_t)value;
    }
    if (rmill_files_u64(reading->root, &value, "/sys/devices/system/cpu/cpu%u/cpu_capacity",
                        cpu->cpu) == 0 && value <= UINT32_MAX) {
        cpu->capacity = (uint32_t)value;
    }
    (void)rmill_files_u64(reading->root, &cpu->frequency_khz_max,
                          "/sys/devices/system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", cpu->cpu);
}

/* "32K", "1024K", "36M" in bytes; 0 for nonsense. */
static uint64_t
cache_size_parse(const char *text)
{
    uint64_t value;
    const char *unit = rmill_files_number(text, &value);
    uint32_t shift;

    if (unit == NULL || value > CACHE_BYTES_LIMIT) {
        return 0;
    }
    switch (*unit) {
    case '\0':
        shift = 0;
        break;
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    default:
        return 0;
    }
    value <<= shift; /* At most 2^36 << 20: no overflow. */
    return value <= CACHE_BYTES_LIMIT ? value : 0;
}

/* The L3 of a CPU is named by the first CPU that shares it. */
static uint32_t
l3_leader(const struct reading *reading, uint32_t cpu, uint32_t cache)
{
    struct rmill_cpuset sharing;

    if (rmill_files_cpulist(reading->root, &sharing,
                            "/sys/devices/system/cpu/cpu%u/cache/index%u/shared_cpu_list", cpu,
                            cache) != 0 || !rmill_cpuset_has(&sharing, cpu)) {
        return cpu;
    }
    return rmill_cpuset_next(&sharing, 0);
}

/* Fills sizes, and l3_index with the leader's number for now. */
static void
cpu_caches_read(const struct reading *reading, struct rmill_topology_cpu *cpu)
{
    static const char *const folder = "/sys/devices/system/cpu/cpu";
    const char *root = reading->root;

    cpu->l3_index = RMILL_TOPOLOGY_NO_INDEX;
    for (uint32_t cache = 0; cache < CACHES_MAX; cache++) {
        uint64_t level;
        uint64_t line;
        char type[32];
        char size[32];

        if (rmill_files_u64(root, &level, "%s%u/cache/index%u/level", folder, cpu->cpu, cache) != 0) {
            break;
        }
        if (rmill_files_text(root, type, sizeof(type), "%s%u/cache/index%u/type", folder, cpu->cpu,
                             cache) < 0 ||
            rmill_files_text(root, size, sizeof(size), "%s%u/cache/index%u/size", folder, cpu->cpu,
                             cache) < 0 || strcmp(type, "Instruction") == 0) {
            continue;
        }
        uint64_t bytes = cache_size_parse(size);

        if (level == 1) {
            cpu->l1d_bytes = bytes;
            if (rmill_files_u64(root, &line, "%s%u/cache/index%u/coherency_line_size", folder,
                                cpu->cpu, cache) == 0 && line <= 4096) {
                cpu->line_bytes = (uint32_t)line;
            }
        } else if (level == 2) {
            cpu->l2_bytes = bytes;
        } else if (level == 3) {
            cpu->l3_bytes = bytes;
            cpu->l3_index = l3_leader(reading, cpu->cpu, cache);
        }
    }
}

/* The first CPU of the physical core that `cpu` belongs to. */
static uint32_t
core_leader(const struct reading *reading, const struct rmill_topology_cpu *cpu)
{
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};
    const struct rmill_topology *topology = reading->topology;

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(names); i++) {
        struct rmill_cpuset siblings;

        if (rmill_files_cpulist(reading->root, &siblings,
                                "/sys/devices/system/cpu/cpu%u/topology/%s", cpu->cpu, names[i]) == 0 &&
            rmill_cpuset_has(&siblings, cpu->cpu)) {
            rmill_cpuset_and(&siblings, &topology->online);
            return rmill_cpuset_next(&siblings, 0);
        }
    }
    for (const struct rmill_topology_cpu *other = topology->cpus; other < cpu; other++) {
        if (cpu->core_id != RMILL_TOPOLOGY_NO_INDEX && other->core_id == cpu->core_id &&
            other->package == cpu->package) {
            return other->cpu;
        }
    }
    return cpu->cpu;
}

/* --- numbering ------------------------------------------------------------------------------------------ */

/* Dense index of the core led by `leader`; a leader that is no leader itself (files that contradict each other)
 * still gives each CPU exactly one core. */
static void
cores_number(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    uint32_t *index_of = calloc(2 * (size_t)RMILL_CPUS_MAX, sizeof(index_of[0]));
    uint32_t *next_rank = index_of + RMILL_CPUS_MAX;

    if (index_of == NULL) {
        topology->core_count = 0; /* The caller takes this for out of memory. */
        return;
    }
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

/* How fast each CPU is, as a number that only means something beside the others'. */
static void
speeds_read(const struct reading *reading, uint32_t *speeds)
{
    static const char *const hybrid[] = {"cpu_core", "cpu_atom", "cpu_lowpower"};
    const struct rmill_topology *topology = reading->topology;
    struct rmill_cpuset sets[RMILL_ARRAY_COUNT(hybrid)] = {0};
    bool is_hybrid = false;

    for (size_t class = 0; class < RMILL_ARRAY_COUNT(hybrid); class++) {
        if (rmill_files_cpulist(reading->root, &sets[class], "/sys/devices/%s/cpus",
                                hybrid[class]) == 0) {
            is_hybrid = true;
        }
    }
    for (uint32_t i = 0; i < topology->cpu_count; i++) {
        speeds[i] = is_hybrid ? 0 : topology->cpus[i].capacity;
        for (size_t class = 0; is_hybrid && class < RMILL_ARRAY_COUNT(hybrid); class++) {
            if (rmill_cpuset_has(&sets[class], topology->cpus[i].cpu)) {
                speeds[i] = (uint32_t)(RMILL_ARRAY_COUNT(hybrid) - class);
                break;
            }
        }
    }
}

/* kind = rank of the speed among the distinct ones. */
static int
kinds_number(const struct reading *reading)
{
    struct rmill_topology *topology = reading->topology;
    const uint32_t count = topology->cpu_count;
    uint32_t *speeds = calloc(2 * (size_t)count, sizeof(speeds[0]));
    uint32_t *sorted = speeds + count;

    if (speeds == NULL) {
        return -ENOMEM;
    }
    speeds_read(reading, speeds);
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
        cpu_identity_read(reading, cpu);
        cpu_caches_read(reading, cpu);
    }
    cores_number(reading);
    if (topology->core_count == 0) {
        return -ENOMEM;
    }
    l3_number(topology);
    packages_count(topology);
    return kinds_number(reading);
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

/* The number behind `name` in a meminfo text, from kB to bytes; 0 when it is not there. */
static uint64_t
meminfo_bytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    uint64_t kib;

    if (at == NULL) {
        return 0;
    }
    at += strlen(name);
    at += strspn(at, " \t");
    return rmill_files_number(at, &kib) != NULL && kib <= UINT64_MAX >> 10 ? kib << 10 : 0;
}

static void
node_memory_read(const struct reading *reading, struct rmill_topology_node *node,
                 const char *meminfo, const char *huge)
{
    char text[MEMINFO_BYTES];

    if (rmill_files_text(reading->root, text, sizeof(text), "%s", meminfo) >= 0) {
        node->memory_bytes = meminfo_bytes(text, "MemTotal:");
        node->memory_free_bytes = meminfo_bytes(text, "MemFree:");
    }
    (void)rmill_files_u64(reading->root, &node->huge_count,
                          "%s/hugepages/hugepages-2048kB/nr_hugepages", huge);
    (void)rmill_files_u64(reading->root, &node->huge_free_count,
                          "%s/hugepages/hugepages-2048kB/free_hugepages", huge);
}

static void
node_read(const struct reading *reading, struct rmill_topology_node *node)
{
    char folder[64];
    char meminfo[96];

    (void)snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%u", node->id);
    (void)snprintf(meminfo, sizeof(meminfo), "%s/meminfo", folder);
    (void)rmill_files_cpulist(reading->root, &node->cpus, "%s/cpulist", folder);
    rmill_cpuset_and(&node->cpus, &reading->topology->online);
    node_memory_read(reading, node, meminfo, folder);
}

/* One row of distances. What the file does not say, libnuma does on a live machine; else the usual. */
static void
distances_read(const struct reading *reading, uint32_t from)
{
    struct rmill_topology *topology = reading->topology;
    uint32_t *row = topology->distances + (size_t)from * topology->node_count;
    char text[DISTANCE_BYTES] = "";
    const char *at = text;

    (void)rmill_files_text(reading->root, text, sizeof(text),
                           "/sys/devices/system/node/node%u/distance", topology->nodes[from].id);
    for (uint32_t to = 0; to < topology->node_count; to++) {
        uint64_t value = 0;

        at += strspn(at, " \t");
        const char *end = rmill_files_number(at, &value);

        if (end != NULL) {
            at = end;
        } else if (reading->live && topology->numa) {
            int distance = numa_distance((int)topology->nodes[from].id, (int)topology->nodes[to].id);

            value = distance > 0 ? (uint64_t)distance : 0;
        }
        if (value < RMILL_DISTANCE_LOCAL || value > DISTANCE_MAX) {
            value = from == to ? RMILL_DISTANCE_LOCAL : RMILL_DISTANCE_REMOTE;
        }
        row[to] = (uint32_t)value;
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
    bool listed = rmill_files_cpulist(reading->root, &online, "/sys/devices/system/node/online") == 0 &&
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
        if (listed) {
            node_read(reading, &topology->nodes[index]);
        } else {
            node_memory_read(reading, &topology->nodes[index], "/proc/meminfo", "/sys/kernel/mm");
        }
        distances_read(reading, index);
    }
    nodes_assign(topology);
    return 0;
}

/* --- what is ours --------------------------------------------------------------------------------------- */

static int
masks_read(const struct reading *reading, const struct rmill_cpuset *affinity,
           struct rmill_error *error)
{
    struct rmill_topology *topology = reading->topology;
    int code = affinity == NULL && reading->live ? rmill_pin_affinity(&topology->affinity) : 0;

    if (code != 0) {
        return rmill_error_set(error, code, "cannot read the CPU affinity: %s", rmill_errno_text(code));
    }
    code = rmill_files_cpulist(reading->root, &topology->online, "/sys/devices/system/cpu/online");
    if (code == -ENOENT && reading->live) {
        topology->online = topology->affinity; /* No sysfs here (a bare chroot): what we may use is there. */
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
        return rmill_error_set(error, -ENODEV,
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

/* --- reading and asking --------------------------------------------------------------------------------- */

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
    return low < topology->cpu_count && topology->cpus[low].cpu == cpu ? &topology->cpus[low] : NULL;
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
        return rmill_error_set(error, -EINVAL,
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
        return rmill_error_set(error, -EINVAL,
                               "CPU %s cannot be used: it is offline, or outside the affinity mask or the "
                               "cgroup's cpuset; usable are %s",
                               text, usable);
    }
    uint32_t count = rmill_cpuset_count(&set);

    if (count == 0 || count > RMILL_CORE_CHOICE_MAX) {
        return rmill_error_set(error, -EINVAL, "\"%.80s\" lists %u CPUs; 1 to %u are possible", spec,
                               count, RMILL_CORE_CHOICE_MAX);
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
