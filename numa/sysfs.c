#include "numa/sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "numa/files.h"

#define CACHES_MAX        16u /* cacheI folders looked at for a CPU; machines have 4 or 5. */
#define CACHE_BYTES_LIMIT RMILL_GIB(64) /* A cache that claims more is a broken file. */
#define LINE_BYTES_LIMIT  4096u
#define DISTANCE_BYTES    8192u /* One row: 1024 numbers of 3 digits and a blank, with room. */
#define MEMINFO_BYTES     8192u

#define CPU_FOLDER  "/sys/devices/system/cpu/cpu%u/"
#define NODE_FOLDER "/sys/devices/system/node/node%u/"

/* --- one CPU --- */

/* The core's number by the kernel, the package, and how fast it is. */
static void
identity_read(const char *root, struct rmill_topology_cpu *cpu)
{
    uint64_t value;

    cpu->core_id = RMILL_TOPOLOGY_NO_INDEX;
    if (rmill_files_u64(root, &value, CPU_FOLDER "topology/core_id", cpu->cpu) == 0 &&
        value < RMILL_TOPOLOGY_NO_INDEX) {
        cpu->core_id = (uint32_t)value;
    }
    /* -1 (unknown, on some boards) is no unsigned number and stays package 0. */
    if (rmill_files_u64(root, &value, CPU_FOLDER "topology/physical_package_id", cpu->cpu) == 0 &&
        value < RMILL_TOPOLOGY_NO_INDEX) {
        cpu->package = (uint32_t)value;
    }
    if (rmill_files_u64(root, &value, CPU_FOLDER "cpu_capacity", cpu->cpu) == 0 &&
        value <= UINT32_MAX) {
        cpu->capacity = (uint32_t)value;
    }
    (void)rmill_files_u64(root, &cpu->frequency_khz_max, CPU_FOLDER "cpufreq/cpuinfo_max_freq",
                          cpu->cpu);
}

/* "32K", "1024K" (what the kernel writes), "36M" in bytes; 0 for nonsense. */
static uint64_t
cache_size_parse(const char *text)
{
    uint64_t value;
    const char *unit = rmill_files_number(text, &value);

    if (unit == NULL || value > CACHE_BYTES_LIMIT) {
        return 0;
    }
    if (strcmp(unit, "K") != 0 && strcmp(unit, "M") != 0) {
        return 0;
    }
    value <<= *unit == 'K' ? 10 : 20; /* At most 2^36 << 20: no overflow. */
    return value <= CACHE_BYTES_LIMIT ? value : 0;
}

/* The L3 of a CPU is named by the first CPU that shares it. */
static uint32_t
l3_leader(const char *root, const struct rmill_cpuset *online, uint32_t cpu, uint32_t cache)
{
    struct rmill_cpuset sharing;

    if (rmill_files_cpulist(root, &sharing, CPU_FOLDER "cache/index%u/shared_cpu_list", cpu,
                            cache) != 0 ||
        !rmill_cpuset_has(&sharing, cpu)) {
        return cpu;
    }
    rmill_cpuset_and(&sharing, online);
    return rmill_cpuset_next(&sharing, 0);
}

/* One cache. False when there is no such folder, which ends the search. */
static bool
cache_read(const char *root, const struct rmill_cpuset *online, uint32_t cache,
           struct rmill_topology_cpu *cpu)
{
    uint64_t level;
    uint64_t line;
    char type[32];
    char size[32];

    if (rmill_files_u64(root, &level, CPU_FOLDER "cache/index%u/level", cpu->cpu, cache) != 0) {
        return false;
    }
    if (rmill_files_text(root, type, sizeof(type), CPU_FOLDER "cache/index%u/type", cpu->cpu,
                         cache) < 0 ||
        rmill_files_text(root, size, sizeof(size), CPU_FOLDER "cache/index%u/size", cpu->cpu,
                         cache) < 0 ||
        strcmp(type, "Instruction") == 0) {
        return true;
    }
    uint64_t bytes = cache_size_parse(size);

    if (level == 1) {
        cpu->l1d_bytes = bytes;
        if (rmill_files_u64(root, &line, CPU_FOLDER "cache/index%u/coherency_line_size", cpu->cpu,
                            cache) == 0 &&
            line <= LINE_BYTES_LIMIT) {
            cpu->line_bytes = (uint32_t)line;
        }
    } else if (level == 2) {
        cpu->l2_bytes = bytes;
    } else if (level == 3) {
        cpu->l3_bytes = bytes;
        cpu->l3_index = l3_leader(root, online, cpu->cpu, cache);
    }
    return true;
}

void
rmill_sysfs_cpu_read(const char *root, const struct rmill_cpuset *online,
                     struct rmill_topology_cpu *cpu)
{
    identity_read(root, cpu);
    cpu->l3_index = RMILL_TOPOLOGY_NO_INDEX;
    for (uint32_t cache = 0; cache < CACHES_MAX; cache++) {
        if (!cache_read(root, online, cache, cpu)) {
            break;
        }
    }
}

int
rmill_sysfs_siblings_read(const char *root, const struct rmill_cpuset *online, uint32_t cpu,
                          struct rmill_cpuset *siblings)
{
    static const char *const names[] = {"core_cpus_list", "thread_siblings_list"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(names); i++) {
        struct rmill_cpuset set;

        if (rmill_files_cpulist(root, &set, CPU_FOLDER "topology/%s", cpu, names[i]) == 0 &&
            rmill_cpuset_has(&set, cpu)) {
            rmill_cpuset_and(&set, online);
            *siblings = set;
            return 0;
        }
    }
    return -ENOENT;
}

void
rmill_sysfs_speeds_read(const char *root, const struct rmill_topology_cpu *cpus, uint32_t count,
                        uint32_t *speeds)
{
    /* Intel's hybrid processors have a folder per type of core, the fastest first here. Their
     * capacities differ from core to core of one type, so they are not asked. */
    static const char *const hybrid[] = {"cpu_core", "cpu_atom", "cpu_lowpower"};
    enum { types = RMILL_ARRAY_COUNT(hybrid) };
    struct rmill_cpuset sets[types];
    bool is_hybrid = false;

    memset(sets, 0, sizeof(sets));
    for (uint32_t type = 0; type < types; type++) {
        if (rmill_files_cpulist(root, &sets[type], "/sys/devices/%s/cpus", hybrid[type]) == 0) {
            is_hybrid = true;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        speeds[i] = is_hybrid ? 0 : cpus[i].capacity;
        for (uint32_t type = 0; type < types; type++) {
            if (rmill_cpuset_has(&sets[type], cpus[i].cpu)) {
                speeds[i] = types - type;
                break;
            }
        }
    }
}

/* --- one node --- */

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

void
rmill_sysfs_node_read(const char *root, const struct rmill_cpuset *online, bool listed,
                      struct rmill_topology_node *node)
{
    char folder[64] = "/sys/kernel/mm";
    char meminfo[96] = "/proc/meminfo";
    char text[MEMINFO_BYTES];

    if (listed) {
        (void)snprintf(folder, sizeof(folder), "/sys/devices/system/node/node%u", node->id);
        (void)snprintf(meminfo, sizeof(meminfo), "%s/meminfo", folder);
        (void)rmill_files_cpulist(root, &node->cpus, "%s/cpulist", folder);
        rmill_cpuset_and(&node->cpus, online);
    }
    if (rmill_files_text(root, text, sizeof(text), "%s", meminfo) >= 0) {
        node->memory_bytes = meminfo_bytes(text, "MemTotal:");
        node->memory_free_bytes = meminfo_bytes(text, "MemFree:");
    }
    (void)rmill_files_u64(root, &node->huge_count, "%s/hugepages/hugepages-2048kB/nr_hugepages",
                          folder);
    (void)rmill_files_u64(root, &node->huge_free_count,
                          "%s/hugepages/hugepages-2048kB/free_hugepages", folder);
}

void
rmill_sysfs_distances_read(const char *root, uint32_t id, uint32_t *row, uint32_t count)
{
    char text[DISTANCE_BYTES];
    const char *at = text;

    if (rmill_files_text(root, text, sizeof(text), NODE_FOLDER "distance", id) < 0) {
        text[0] = '\0';
    }
    for (uint32_t to = 0; to < count; to++) {
        uint64_t value = 0;

        at += strspn(at, " \t");
        const char *end = rmill_files_number(at, &value);

        at = end != NULL ? end : at;
        row[to] = value <= RMILL_DISTANCE_MAX ? (uint32_t)value : 0;
    }
}
