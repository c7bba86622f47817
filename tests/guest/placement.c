/* placement — for each node with memory: an arena bound to it lies there. Exit status 77 with
 * one node only. */
#include <stdio.h>

#include "numa/arena.h"
#include "numa/topology.h"

static int
place(uint32_t node)
{
    const struct rmill_arena_options options = {
        .budget_bytes = RMILL_MIB(32), .node = (int)node, .prefault = true};
    struct rmill_arena_statistics statistics;
    struct rmill_arena arena;
    struct rmill_error error = {0};
    uint64_t resident = 0, away = 0;

    if (rmill_arena_init(&arena, &options, &error) < 0) {
        printf("node %u: %s\n", node, error.advice);
        return 1;
    }
    rmill_arena_statistics_get(&arena, &statistics);
    int code = rmill_memory_placement(&arena.regions[0].memory, &resident, &away);

    printf("node %u: bind %d, placement %d, %llu bytes resident, %llu elsewhere\n", node,
           statistics.bind_code, code, (unsigned long long)resident, (unsigned long long)away);
    rmill_arena_deinit(&arena);
    return statistics.bind_code != 0 || code != 0 || away != 0 || resident < RMILL_MIB(32);
}

int
main(void)
{
    struct rmill_topology *topology;
    struct rmill_error error;
    int failed = 0;

    if (rmill_topology_read(NULL, &topology, &error) < 0) {
        printf("%s\n", error.advice);
        return 1;
    }
    if (topology->node_count < 2) {
        printf("this machine has one node\n");
        return 77;
    }
    for (uint32_t i = 0; i < topology->node_count; i++) {
        failed |= place(topology->nodes[i].id);
    }
    rmill_topology_destroy(topology);
    return failed;
}
