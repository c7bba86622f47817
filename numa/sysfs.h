/* numa/sysfs.h — what the files of one CPU and of one node say, as plain fields of the topology.
 *
 * Internal to numa/: topology.c numbers and connects what is read here. Every file is optional; a
 * field whose file is missing or makes no sense keeps "unknown" (0, or NO_INDEX where 0 means
 * something). Thread: any, for all of these; `root` is the prefix of /sys and /proc. */
#ifndef RMILL_NUMA_SYSFS_H
#define RMILL_NUMA_SYSFS_H

#include "numa/topology.h"

/* Core number, package, capacity, frequency and caches of cpu->cpu. l3_index becomes the number of
 * the first CPU in `online` that shares the L3. */
void rmill_sysfs_cpu_read(const char *root, const struct rmill_cpuset *online,
                          struct rmill_topology_cpu *cpu);

/* The CPUs in `online` that share the physical core of `cpu`, itself included.
 * 0; -ENOENT when no file says so (`siblings` is untouched then). */
int rmill_sysfs_siblings_read(const char *root, const struct rmill_cpuset *online, uint32_t cpu,
                              struct rmill_cpuset *siblings);

/* How fast each of `count` CPUs is, as a number that only means something beside the others'. */
void rmill_sysfs_speeds_read(const char *root, const struct rmill_topology_cpu *cpus,
                             uint32_t count, uint32_t *speeds);

/* CPUs (of `online`), memory and huge pages of node->id; of the whole machine, without CPUs, when
 * `listed` is false. */
void rmill_sysfs_node_read(const char *root, const struct rmill_cpuset *online, bool listed,
                           struct rmill_topology_node *node);

/* The row of distances from node `id` to the `count` online nodes; 0 for what the file does not
 * say. */
void rmill_sysfs_distances_read(const char *root, uint32_t id, uint32_t *row, uint32_t count);

#endif
