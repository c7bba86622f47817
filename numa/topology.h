/* numa/topology.h — the machine as the engine sees it: CPUs, cores, kinds, caches, nodes.
 *
 * Read once, at set-up, from sysfs and procfs (and libnuma on a live machine); read-only
 * afterwards. A *CPU* here is what the kernel schedules on; a *physical core* has one or more of
 * them (SMT siblings). What a file does not say is 0 or "none", never a guess that matters: a
 * machine without the node folder is one node, a CPU without cache files has no caches. */
#ifndef RMILL_NUMA_TOPOLOGY_H
#define RMILL_NUMA_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "numa/cgroup.h"
#include "numa/cpulist.h"
#include "numa/memory.h"

#define RMILL_NODES_MAX         1024u
#define RMILL_CORE_CHOICE_MAX   1024u
#define RMILL_TOPOLOGY_NO_INDEX UINT32_MAX
#define RMILL_DISTANCE_LOCAL    10u  /* What ACPI calls the distance of a node to itself. */
#define RMILL_DISTANCE_REMOTE   20u  /* And to another one, when nobody says. */
#define RMILL_DISTANCE_MAX      254u /* 255 means unreachable. */

/* One online CPU. */
struct rmill_topology_cpu {
    uint32_t cpu;
    uint32_t core_index; /* Physical core, dense from 0, in the order of their first CPU. */
    uint32_t
        core_id; /* The kernel's number, unique only inside the package; NO_INDEX if unknown. */
    uint32_t package;      /* Socket. */
    uint32_t node;         /* The kernel's number of the node. */
    uint32_t node_index;   /* Index into nodes[]. */
    uint32_t sibling_rank; /* 0 for the first online CPU of its core, 1 for the second ... */
    uint32_t kind;         /* 0 = the fastest kind of core of this machine. */
    uint32_t capacity;     /* cpu_capacity, 1024 = the fastest; 0 when the kernel does not say. */
    uint64_t frequency_khz_max; /* 0 when the kernel does not say. */
    uint64_t l1d_bytes;
    uint64_t l2_bytes;
    uint64_t l3_bytes;
    uint32_t line_bytes; /* Of the L1 data cache. */
    uint32_t l3_index;   /* CPUs with the same one share an L3; NO_INDEX when there is none. */
    bool isolated;       /* isolcpus: the scheduler puts nothing here by itself. */
    bool usable;
};

/* One node that is online; it may have no CPUs, or no memory. */
struct rmill_topology_node {
    uint32_t id;
    struct rmill_cpuset cpus; /* Its online CPUs. */
    uint64_t memory_bytes;
    uint64_t memory_free_bytes;
    uint64_t huge_count; /* 2 MiB pages in the pool. */
    uint64_t huge_free_count;
    const uint32_t
        *distances; /* node_count numbers, to nodes[i]; RMILL_DISTANCE_LOCAL to itself. */
};

/* Owner: set-up, then read-only for everybody. */
struct rmill_topology {
    struct rmill_topology_cpu *cpus; /* By ascending CPU number. */
    uint32_t cpu_count;
    struct rmill_topology_node *nodes; /* By ascending number; at least one. */
    uint32_t node_count;
    uint32_t core_count; /* Physical cores. */
    uint32_t package_count;
    uint32_t kind_count;
    uint32_t l3_count;
    uint32_t *order;      /* The usable CPUs in the order of the default policy, siblings last. */
    uint32_t order_count; /* = CPUs in `usable`. */
    uint32_t physical_count; /* So many at the front of `order` are one per physical core. */
    struct rmill_cpuset online;
    struct rmill_cpuset affinity; /* Of the thread that read; what new threads inherit. */
    struct rmill_cpuset usable;   /* online, affinity and the cgroup's cpuset together. */
    struct rmill_cgroup cgroup;
    bool numa; /* The kernel has nodes; false: node numbers must not be given to mbind(2). */
    uint32_t *distances; /* The rows of all nodes. Private. */
};

/* Zeroed: this machine, the calling thread's affinity. */
struct rmill_topology_options {
    const char *root; /* Prefix of /sys and /proc; NULL or "" for this machine. */
    const struct rmill_cpuset
        *affinity; /* NULL: the calling thread's, or with a root all online ones. */
};

/* Read everything. `options` may be NULL and is borrowed for the call; `*out` belongs to the
 * caller, who destroys it. Thread: any. 0; -ENODEV when no CPU is online or usable; -EINVAL when
 * the list of online CPUs makes no sense; -ENOMEM; -errno of reading that list. `error` (may be
 * NULL) says which; `*out` is untouched then. */
int rmill_topology_read(const struct rmill_topology_options *options, struct rmill_topology **out,
                        struct rmill_error *error);

/* NULL is accepted. Thread: any. */
void rmill_topology_destroy(struct rmill_topology *topology);

/* The CPU with this number, or NULL when it is not online. Thread: any. */
const struct rmill_topology_cpu *rmill_topology_cpu_find(const struct rmill_topology *topology,
                                                         uint32_t cpu);

/* The node to bind memory for `cpu` to: its own, or the nearest that has memory. RMILL_NODE_ANY for
 * a CPU that is not online or a machine without nodes. Thread: any. */
int rmill_topology_memory_node(const struct rmill_topology *topology, uint32_t cpu);

/* The default policy: one usable CPU per physical core, fastest kind first, inside a kind node by
 * node, then by number. At most `max` are written to `cpus`. How many there are, at least 1.
 * Thread: any. */
uint32_t rmill_topology_default_cores(const struct rmill_topology *topology, uint32_t *cpus,
                                      uint32_t max);

/* Which CPU each core of an engine is put on. */
struct rmill_core_choice {
    uint32_t cpus[RMILL_CORE_CHOICE_MAX];
    uint32_t count;
    bool oversubscribed; /* More cores than usable CPUs: some CPUs occur more than once. Warn. */
    bool shared;         /* Two of the cores are SMT siblings, or the same CPU. */
};

/* What --cores and RINGMILL_CORES mean. NULL or "": the default policy. A plain number N: N cores,
 * first those of the default policy, then their SMT siblings, then the same again. With a comma,
 * dash or colon: exactly these CPUs in ascending order ("2," is CPU 2). Thread: any. 0; -EINVAL (no
 * list, 0 or more than RMILL_CORE_CHOICE_MAX cores, or CPUs that are not usable) with `error` (may
 * be NULL) naming them. `choice` is untouched on failure. */
int rmill_topology_chosen_cores(const struct rmill_topology *topology, const char *spec,
                                struct rmill_core_choice *choice, struct rmill_error *error);

#endif
