/* cli/doctor_machine.c — doctor's look at limits, memory and processors, from /proc and /sys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/units.h"
#include "numa/files.h"
#include "numa/topology.h"

#define MEMLOCK_ENOUGH  RMILL_GIB(1)
#define FILES_ENOUGH    4096
#define MEMORY_ENOUGH   RMILL_MIB(512)
#define CAPABILITY_LOCK 14 /* CAP_IPC_LOCK: the limit does not count for its owner. */

/* The soft value in the line of /proc/self/limits that begins with `name`; UINT64_MAX =
 * unlimited. */
static bool
limit_of(const char *root, const char *name, uint64_t *value)
{
    char text[8192];

    if (rmill_files_text(root, text, sizeof(text), "/proc/self/limits") < 0) {
        return false;
    }
    const char *line = strstr(text, name);

    if (line == NULL) {
        return false;
    }
    line += strlen(name);
    line += strspn(line, " ");
    if (strncmp(line, "unlimited", 9) == 0) {
        *value = UINT64_MAX;
        return true;
    }
    return rmill_files_number(line, value) != NULL;
}

static bool
may_lock(const char *root)
{
    char text[16384];

    if (rmill_files_text(root, text, sizeof(text), "/proc/self/status") < 0) {
        return false;
    }
    const char *line = strstr(text, "CapEff:");

    return line != NULL && (strtoull(line + 7, NULL, 16) >> CAPABILITY_LOCK & 1) != 0;
}

static void
examine_limits(struct rmill_doctor_report *report, const char *root)
{
    uint64_t bytes = 0, files = 0;
    char amount[32];

    if (limit_of(root, "Max locked memory", &bytes)) {
        if (bytes == UINT64_MAX || bytes >= MEMLOCK_ENOUGH || may_lock(root)) {
            (void)rmill_doctor_add(report, "memlock", RMILL_DOCTOR_OK, "%s",
                                   bytes == UINT64_MAX ? "unlimited"
                                   : may_lock(root)    ? "does not bind this user (CAP_IPC_LOCK)"
                                                       : rmill_units_bytes(amount, (double)bytes));
        } else {
            rmill_doctor_advise(
                rmill_doctor_add(report, "memlock", RMILL_DOCTOR_BETTER, "%s for rings and arena",
                                 rmill_units_bytes(amount, (double)bytes)),
                "an arena over it stays unregistered (up to a sixth more CPU per direct read); "
                "many cores may get smaller rings",
                "ulimit -l unlimited (as root), or LimitMEMLOCK=infinity of the service, or a line "
                "'* - memlock unlimited' in /etc/security/limits.conf");
        }
    }
    if (limit_of(root, "Max open files", &files)) {
        if (files >= FILES_ENOUGH) {
            (void)rmill_doctor_add(report, "open_files", RMILL_DOCTOR_OK, "%" PRIu64, files);
        } else {
            rmill_doctor_advise(
                rmill_doctor_add(report, "open_files", RMILL_DOCTOR_BETTER, "%" PRIu64, files),
                "fewer files in flight on many cores", "ulimit -n 65536");
        }
    }
}

static void
examine_huge(struct rmill_doctor_report *report, const char *root)
{
    const char *pool = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    uint64_t total = 0, available = 0;
    char mode[128];

    (void)rmill_files_u64(root, &total, "%s/nr_hugepages", pool);
    (void)rmill_files_u64(root, &available, "%s/free_hugepages", pool);
    if (available > 0) {
        (void)rmill_doctor_add(report, "huge_pages", RMILL_DOCTOR_OK,
                               "%" PRIu64 " of %" PRIu64 " explicit 2 MiB pages are free",
                               available, total);
    } else {
        rmill_doctor_advise(
            rmill_doctor_add(report, "huge_pages", RMILL_DOCTOR_BETTER,
                             "no explicit 2 MiB page is free (%" PRIu64 " in the pool)", total),
            "the arena takes transparent huge pages, which may be fewer on a busy machine",
            "sysctl vm.nr_hugepages=%" PRIu64, total + 512);
    }
    if (rmill_files_text(root, mode, sizeof(mode), "/sys/kernel/mm/transparent_hugepage/enabled") <
        0) {
        rmill_doctor_advise(rmill_doctor_add(report, "transparent_huge", RMILL_DOCTOR_MISSING,
                                             "this kernel has no transparent huge pages"),
                            "4 KiB pages: about 8 times the CPU per MiB of direct reads",
                            "sysctl vm.nr_hugepages=%" PRIu64, total + 512);
    } else if (strstr(mode, "[never]") != NULL) {
        rmill_doctor_advise(
            rmill_doctor_add(report, "transparent_huge", RMILL_DOCTOR_BETTER, "never"),
            "4 KiB pages without explicit ones: about 8 times the CPU per MiB of direct reads",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    } else {
        (void)rmill_doctor_add(report, "transparent_huge", RMILL_DOCTOR_OK, "%s",
                               strstr(mode, "[always]") != NULL ? "always" : "madvise");
    }
}

static void
examine_cpus(struct rmill_doctor_report *report, const struct rmill_topology *topology)
{
    uint32_t online = rmill_cpuset_count(&topology->online), usable = topology->order_count;
    char list[256];

    if (rmill_cpulist_format(&topology->online, list, sizeof(list)) < 0) {
        (void)snprintf(list, sizeof(list), "0-%u", online - 1);
    }
    if (online == 1) {
        rmill_doctor_advise(rmill_doctor_add(report, "cpus", RMILL_DOCTOR_BETTER,
                                             "1 CPU: everything runs on one core"),
                            "no parallel work; kernel and program take turns",
                            "a machine with more CPUs");
    } else if (usable == online) {
        (void)rmill_doctor_add(report, "cpus", RMILL_DOCTOR_OK,
                               "all %u CPUs may be used, %u by default", online,
                               topology->physical_count);
    } else if (topology->cgroup.cpuset_known && topology->cgroup.cpuset_path[0] != '\0' &&
               rmill_cpuset_count(&topology->cgroup.cpuset) < online) {
        rmill_doctor_advise(
            rmill_doctor_add(report, "cpus", RMILL_DOCTOR_BETTER,
                             "%u of %u CPUs: the cgroup's cpuset says so", usable, online),
            "the other CPUs stay unused", "echo %s > %s", list, topology->cgroup.cpuset_path);
    } else {
        rmill_doctor_advise(rmill_doctor_add(report, "cpus", RMILL_DOCTOR_BETTER,
                                             "%u of %u CPUs: the affinity of this process says so",
                                             usable, online),
                            "the other CPUs stay unused", "taskset -c %s ringmill ...", list);
    }
}

static void
examine_cgroup(struct rmill_doctor_report *report, const struct rmill_topology *topology)
{
    const struct rmill_cgroup *cgroup = &topology->cgroup;
    char limit[32], used[32];

    if (cgroup->memory_limit_bytes == RMILL_CGROUP_UNLIMITED) {
        (void)rmill_doctor_add(report, "memory_limit", RMILL_DOCTOR_OK, "no cgroup limit");
    } else {
        (void)rmill_units_bytes(limit, (double)cgroup->memory_limit_bytes);
        (void)rmill_units_bytes(used, (double)cgroup->memory_current_bytes);
        if (cgroup->memory_limit_bytes >= MEMORY_ENOUGH) {
            (void)rmill_doctor_add(report, "memory_limit", RMILL_DOCTOR_OK,
                                   "%s by the cgroup, %s in use", limit, used);
        } else {
            rmill_doctor_advise(rmill_doctor_add(report, "memory_limit", RMILL_DOCTOR_BETTER,
                                                 "%s by the cgroup (v%d), %s in use", limit,
                                                 cgroup->memory_version, used),
                                "smaller arenas and windows; over it the kernel kills",
                                "echo %" PRIu64 " > %s", (uint64_t)RMILL_GIB(1),
                                cgroup->memory_path);
        }
    }
    if (cgroup->cpu_millis == RMILL_CGROUP_UNLIMITED ||
        cgroup->cpu_millis >= (uint64_t)topology->order_count * 1000) {
        (void)rmill_doctor_add(report, "cpu_limit", RMILL_DOCTOR_OK, "no cgroup limit that binds");
    } else {
        rmill_doctor_advise(
            rmill_doctor_add(report, "cpu_limit", RMILL_DOCTOR_BETTER,
                             "%" PRIu64 ".%03" PRIu64 " CPUs of time by the cgroup, on %u CPUs",
                             cgroup->cpu_millis / 1000, cgroup->cpu_millis % 1000,
                             topology->order_count),
            "cores are stopped in the middle of their work; ask for fewer with --cores",
            cgroup->cpu_version == 2 ? "echo max > %s" : "echo -1 > %s", cgroup->cpu_path);
    }
}

static void
examine_governor(struct rmill_doctor_report *report, const char *root,
                 const struct rmill_topology *topology)
{
    char governor[64];
    uint32_t first = topology->cpus[0].cpu;

    if (rmill_files_text(root, governor, sizeof(governor),
                         "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor", first) < 0) {
        (void)rmill_doctor_add(report, "governor", RMILL_DOCTOR_OK,
                               "the frequency is not this kernel's to choose");
    } else if (strcmp(governor, "performance") == 0) {
        (void)rmill_doctor_add(report, "governor", RMILL_DOCTOR_OK, "performance");
    } else {
        rmill_doctor_advise(
            rmill_doctor_add(report, "governor", RMILL_DOCTOR_BETTER, "%s", governor),
            "slow first milliseconds after each pause, and figures that vary",
            "cpupower frequency-set -g performance");
    }
}

static void
examine_clock(struct rmill_doctor_report *report, const char *root)
{
    const char *folder = "/sys/devices/system/clocksource/clocksource0";
    const char *const quick[] = {"tsc", "kvm-clock", "arch_sys_counter",
                                 "hyperv_clocksource_tsc_page"};
    char source[64], choices[256] = "";

    if (rmill_files_text(root, source, sizeof(source), "%s/current_clocksource", folder) < 0) {
        (void)rmill_doctor_add(report, "clock", RMILL_DOCTOR_BETTER, "clock source unknown");
        return;
    }
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(quick); i++) {
        if (strcmp(source, quick[i]) == 0) {
            (void)rmill_doctor_add(report, "clock", RMILL_DOCTOR_OK,
                                   "%s, read without a system call", source);
            return;
        }
    }
    (void)rmill_files_text(root, choices, sizeof(choices), "%s/available_clocksource", folder);
    rmill_doctor_advise(rmill_doctor_add(report, "clock", RMILL_DOCTOR_BETTER,
                                         "%s, a system call per look", source),
                        "about 1 us per look at the clock, several per turn of a core's loop",
                        strstr(choices, "tsc") != NULL
                            ? "echo tsc > %s/current_clocksource"
                            : "boot with clocksource=tsc (%s lists none)",
                        folder);
}

static void
examine_small(struct rmill_doctor_report *report, const char *root)
{
    struct rmill_cpuset isolated;
    char list[256] = "";
    uint64_t smt = 0, overcommit = 0;

    if (rmill_files_cpulist(root, &isolated, "/sys/devices/system/cpu/isolated") == 0 &&
        rmill_cpuset_count(&isolated) > 0) {
        (void)rmill_cpulist_format(&isolated, list, sizeof(list));
    }
    (void)rmill_doctor_add(report, "isolated_cpus", RMILL_DOCTOR_OK, "%s",
                           list[0] != '\0' ? list : "none, and only latency cores would want some");
    (void)rmill_files_u64(root, &smt, "/sys/devices/system/cpu/smt/active");
    (void)rmill_doctor_add(report, "smt", RMILL_DOCTOR_OK, "%s",
                           smt != 0 ? "on: one CPU of each pair is used by default" : "off");
    if (rmill_files_u64(root, &overcommit, "/proc/sys/vm/overcommit_memory") == 0 &&
        overcommit == 2) {
        rmill_doctor_advise(rmill_doctor_add(report, "overcommit", RMILL_DOCTOR_BETTER,
                                             "vm.overcommit_memory=2: strict"),
                            "arenas and stacks count in full before they are touched, and may be "
                            "refused",
                            "sysctl vm.overcommit_memory=0");
    } else {
        (void)rmill_doctor_add(report, "overcommit", RMILL_DOCTOR_OK, "%s",
                               overcommit == 1 ? "always" : "heuristic");
    }
}

static void
examine_nodes(struct rmill_doctor_report *report, const char *root,
              const struct rmill_topology *topology)
{
    uint64_t balancing = 0;

    if (topology->node_count < 2) {
        (void)rmill_doctor_add(report, "nodes", RMILL_DOCTOR_OK, "one");
        return;
    }
    (void)rmill_files_u64(root, &balancing, "/proc/sys/kernel/numa_balancing");
    if (balancing == 0) {
        (void)rmill_doctor_add(report, "nodes", RMILL_DOCTOR_OK, "%u", topology->node_count);
        return;
    }
    rmill_doctor_advise(rmill_doctor_add(report, "nodes", RMILL_DOCTOR_BETTER,
                                         "%u, and the kernel moves pages between them by itself",
                                         topology->node_count),
                        "page faults for a placement that is right already",
                        "sysctl kernel.numa_balancing=0");
}

void
rmill_doctor_examine_machine(struct rmill_doctor_report *report, const char *root)
{
    const struct rmill_topology_options options = {.root = root};
    struct rmill_topology *topology = NULL;
    struct rmill_error error = {0};

    examine_limits(report, root);
    examine_huge(report, root);
    if (rmill_topology_read(&options, &topology, &error) < 0) {
        (void)rmill_doctor_add(report, "cpus", RMILL_DOCTOR_MISSING, "%s", error.advice);
    } else {
        examine_cpus(report, topology);
        examine_nodes(report, root, topology);
        examine_cgroup(report, topology);
        examine_governor(report, root, topology);
        rmill_topology_destroy(topology);
    }
    examine_clock(report, root);
    examine_small(report, root);
}
