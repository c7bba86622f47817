/* Goal: the topology is what sysfs says, whatever machine that is, and the right cores are chosen
 * from it. Method: made-up sysfs trees in a temporary folder (two nodes with SMT, hybrid,
 * big.LITTLE, nodes without memory or CPUs, offline CPUs, no nodes at all, files full of nonsense),
 * and once the live machine. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "numa/pin.h"
#include "numa/topology.h"

#define CPU  "/sys/devices/system/cpu/"
#define NODE "/sys/devices/system/node/"

struct tree {
    char root[256];
};

static void put(const struct tree *tree, const char *text, const char *path, ...)
    RMILL_PRINTF(3, 4);

/* Write `text` and a newline to the file root/path, with the folders on the way. */
static void
put(const struct tree *tree, const char *text, const char *path, ...)
{
    char full[512];
    va_list arguments;
    int used = snprintf(full, sizeof(full), "%s", tree->root);

    va_start(arguments, path);
    (void)vsnprintf(full + used, sizeof(full) - (size_t)used, path, arguments);
    va_end(arguments);
    for (char *slash = strchr(full + used + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", text) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int
tree_create(void **state)
{
    static struct tree tree;

    directory_create(tree.root);
    *state = &tree;
    return 0;
}

static int
tree_remove(void **state)
{
    directory_remove(((struct tree *)*state)->root);
    return 0;
}

/* Two packages, each one node of two cores of two threads: core c has the CPUs c and c + 4. */
static void
server_put(const struct tree *tree)
{
    put(tree, "0-7", CPU "online");
    put(tree, "0-1", NODE "online");
    for (unsigned cpu = 0; cpu < 8; cpu++) {
        char siblings[16];
        unsigned core = cpu % 4;

        (void)snprintf(siblings, sizeof(siblings), "%u,%u", core, core + 4);
        put(tree, siblings, CPU "cpu%u/topology/core_cpus_list", cpu);
        put(tree, core % 2 == 0 ? "0" : "1", CPU "cpu%u/topology/core_id", cpu);
        put(tree, core < 2 ? "0" : "1", CPU "cpu%u/topology/physical_package_id", cpu);
        put(tree, "3500000", CPU "cpu%u/cpufreq/cpuinfo_max_freq", cpu);
        put(tree, "1", CPU "cpu%u/cache/index0/level", cpu);
        put(tree, "Data", CPU "cpu%u/cache/index0/type", cpu);
        put(tree, "48K", CPU "cpu%u/cache/index0/size", cpu);
        put(tree, "64", CPU "cpu%u/cache/index0/coherency_line_size", cpu);
        put(tree, "1", CPU "cpu%u/cache/index1/level", cpu);
        put(tree, "Instruction", CPU "cpu%u/cache/index1/type", cpu);
        put(tree, "32K", CPU "cpu%u/cache/index1/size", cpu);
        put(tree, "2", CPU "cpu%u/cache/index2/level", cpu);
        put(tree, "Unified", CPU "cpu%u/cache/index2/type", cpu);
        put(tree, "2M", CPU "cpu%u/cache/index2/size", cpu);
        put(tree, "3", CPU "cpu%u/cache/index3/level", cpu);
        put(tree, "Unified", CPU "cpu%u/cache/index3/type", cpu);
        put(tree, "36608K", CPU "cpu%u/cache/index3/size", cpu);
        put(tree, core < 2 ? "0-1,4-5" : "2-3,6-7", CPU "cpu%u/cache/index3/shared_cpu_list", cpu);
    }
    put(tree, "0-1,4-5", NODE "node0/cpulist");
    put(tree, "2-3,6-7", NODE "node1/cpulist");
    put(tree, "10 21", NODE "node0/distance");
    put(tree, "21 10", NODE "node1/distance");
    put(tree, "Node 0 MemTotal:       1024 kB\nNode 0 MemFree:        512 kB",
        NODE "node0/meminfo");
    put(tree, "Node 1 MemTotal:       2048 kB\nNode 1 MemFree:        100 kB",
        NODE "node1/meminfo");
    put(tree, "16", NODE "node1/hugepages/hugepages-2048kB/nr_hugepages");
    put(tree, "7", NODE "node1/hugepages/hugepages-2048kB/free_hugepages");
}

static struct rmill_topology *
topology_of(const struct tree *tree, const char *affinity)
{
    struct rmill_cpuset set;
    struct rmill_topology_options options = {.root = tree->root};
    struct rmill_topology *topology = NULL;
    struct rmill_error error = {0};

    if (affinity != NULL) {
        assert_int_equal(rmill_cpulist_parse(affinity, &set, NULL), 0);
        options.affinity = &set;
    }
    if (rmill_topology_read(&options, &topology, &error) != 0) {
        fail_msg("%s", error.advice);
    }
    return topology;
}

/* What `spec` chooses, as text: "0 1 2". */
static const char *
chosen(const struct rmill_topology *topology, const char *spec)
{
    static struct rmill_core_choice choice;
    static char text[256];
    struct rmill_error error = {0};
    int used = 0;

    if (rmill_topology_chosen_cores(topology, spec, &choice, &error) != 0) {
        (void)snprintf(text, sizeof(text), "%.255s", error.advice);
        return text;
    }
    for (uint32_t i = 0; i < choice.count && used < 200; i++) {
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%u", i > 0 ? " " : "",
                         choice.cpus[i]);
    }
    (void)snprintf(text + used, sizeof(text) - (size_t)used, "%s%s", choice.shared ? " shared" : "",
                   choice.oversubscribed ? " over" : "");
    return text;
}

static void
two_nodes_with_smt_are_read(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    struct rmill_topology *topology = topology_of(tree, NULL);
    const struct rmill_topology_cpu *cpu = rmill_topology_cpu_find(topology, 6);

    assert_int_equal(topology->cpu_count, 8);
    assert_int_equal(topology->core_count, 4);
    assert_int_equal(topology->package_count, 2);
    assert_int_equal(topology->node_count, 2);
    assert_int_equal(topology->kind_count, 1);
    assert_int_equal(topology->l3_count, 2);
    assert_non_null(cpu);
    assert_int_equal(cpu->core_index, 2);
    assert_int_equal(cpu->core_id, 0);
    assert_int_equal(cpu->package, 1);
    assert_int_equal(cpu->node, 1);
    assert_int_equal(cpu->sibling_rank, 1);
    assert_int_equal(cpu->l1d_bytes, 48 << 10);
    assert_int_equal(cpu->l2_bytes, 2 << 20);
    assert_int_equal(cpu->l3_bytes, 36608 << 10);
    assert_int_equal(cpu->l3_index, 1);
    assert_int_equal(cpu->line_bytes, 64);
    assert_int_equal(cpu->frequency_khz_max, 3500000);
    assert_int_equal(topology->nodes[0].distances[1], 21);
    assert_int_equal(topology->nodes[1].memory_bytes, 2048 << 10);
    assert_int_equal(topology->nodes[1].memory_free_bytes, 100 << 10);
    assert_int_equal(topology->nodes[1].huge_count, 16);
    assert_int_equal(topology->nodes[1].huge_free_count, 7);
    assert_int_equal(rmill_topology_memory_node(topology, 6), 1);
    assert_int_equal(rmill_topology_memory_node(topology, 99), RMILL_NODE_ANY);
    assert_null(rmill_topology_cpu_find(topology, 8));
    rmill_topology_destroy(topology);
}

static void
one_cpu_of_each_core_is_the_default(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_string_equal(chosen(topology, NULL), "0 1 2 3");
    assert_string_equal(chosen(topology, ""), "0 1 2 3");
    rmill_topology_destroy(topology);

    topology = topology_of(tree, "3-6"); /* Of cores 0, 1 and 2 only one thread each is ours. */
    assert_string_equal(chosen(topology, NULL), "4 5 3 6");
    rmill_topology_destroy(topology);
    topology = topology_of(tree, "2,6");
    assert_string_equal(chosen(topology, NULL), "2");
    rmill_topology_destroy(topology);
}

static void
a_number_counts_cores_and_a_list_names_them(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_string_equal(chosen(topology, "2"), "0 1");
    assert_string_equal(chosen(topology, "2,"), "2");
    assert_string_equal(chosen(topology, "0-2"), "0 1 2");
    assert_string_equal(chosen(topology, "7,0"), "0 7");
    assert_string_equal(chosen(topology, "0-6:2"), "0 2 4 6 shared");
    assert_string_equal(chosen(topology, "6"), "0 1 2 3 4 5 shared");
    assert_string_equal(chosen(topology, "10"), "0 1 2 3 4 5 6 7 0 1 shared over");
    rmill_topology_destroy(topology);
}

static void
a_choice_that_is_none_is_refused_by_name(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    struct rmill_topology *topology = topology_of(tree, "0-3");

    assert_non_null(strstr(chosen(topology, "2-5"), "CPU 4-5 cannot be used"));
    assert_non_null(strstr(chosen(topology, "2-5"), "usable are 0-3"));
    assert_non_null(strstr(chosen(topology, "0"), "neither a number"));
    assert_non_null(strstr(chosen(topology, "1025"), "neither a number"));
    assert_non_null(strstr(chosen(topology, "18446744073709551617"), "neither a number"));
    assert_non_null(strstr(chosen(topology, "four"), "neither a number"));
    assert_non_null(strstr(chosen(topology, "0-x"), "character 3"));
    assert_non_null(strstr(chosen(topology, ","), "character 1"));
    rmill_topology_destroy(topology);
}

static void
the_fast_cores_of_a_hybrid_machine_come_first(void **state)
{
    const struct tree *tree = *state;

    put(tree, "0-5", CPU "online"); /* Efficient ones first, as no machine numbers them. */
    put(tree, "3-5", "/sys/devices/cpu_core/cpus");
    put(tree, "1-2", "/sys/devices/cpu_atom/cpus");
    put(tree, "0", "/sys/devices/cpu_lowpower/cpus");
    put(tree, "3-4", CPU "cpu3/topology/thread_siblings_list"); /* The old name of the file. */
    put(tree, "3-4", CPU "cpu4/topology/thread_siblings_list");
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_int_equal(topology->kind_count, 3);
    assert_int_equal(rmill_topology_cpu_find(topology, 0)->kind, 2);
    assert_int_equal(rmill_topology_cpu_find(topology, 1)->kind, 1);
    assert_int_equal(rmill_topology_cpu_find(topology, 3)->kind, 0);
    assert_string_equal(chosen(topology, NULL), "3 5 1 2 0");
    assert_string_equal(chosen(topology, "6"), "3 5 1 2 0 4 shared");
    rmill_topology_destroy(topology);
}

static void
the_fast_cores_of_a_big_little_machine_come_first(void **state)
{
    static const char *const capacities[] = {"400", "400", "906", "1024"};
    const struct tree *tree = *state;

    put(tree, "0-3", CPU "online");
    for (unsigned cpu = 0; cpu < 4; cpu++) {
        put(tree, capacities[cpu], CPU "cpu%u/cpu_capacity", cpu);
    }
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_int_equal(topology->kind_count, 3);
    assert_string_equal(chosen(topology, NULL), "3 2 0 1");
    rmill_topology_destroy(topology);
}

static void
nodes_without_memory_or_cpus_are_nodes(void **state)
{
    const struct tree *tree = *state;

    put(tree, "0-1", CPU "online");
    put(tree, "0,2-3", NODE "online"); /* Node 0: CPUs only. 2: memory only, near. 3: both, far. */
    put(tree, "0", NODE "node0/cpulist");
    put(tree, "", NODE "node2/cpulist");
    put(tree, "1", NODE "node3/cpulist");
    put(tree, "10 15 30", NODE "node0/distance");
    put(tree, "15 10 30", NODE "node2/distance");
    put(tree, "30 30 10", NODE "node3/distance");
    put(tree, "Node 0 MemTotal:          0 kB", NODE "node0/meminfo");
    put(tree, "Node 2 MemTotal:       4096 kB", NODE "node2/meminfo");
    put(tree, "Node 3 MemTotal:       4096 kB", NODE "node3/meminfo");
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_int_equal(topology->node_count, 3);
    assert_int_equal(topology->nodes[1].id, 2);
    assert_int_equal(rmill_cpuset_count(&topology->nodes[1].cpus), 0);
    assert_int_equal(rmill_topology_memory_node(topology, 0), 2); /* The nearest with memory. */
    assert_int_equal(rmill_topology_memory_node(topology, 1), 3);
    rmill_topology_destroy(topology);
}

static void
offline_cpus_are_not_there(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    put(tree, "0,2-3,5-7", CPU "online");
    put(tree, "7", CPU "isolated");
    struct rmill_topology *topology = topology_of(tree, "0-7");

    assert_int_equal(topology->cpu_count, 6);
    assert_null(rmill_topology_cpu_find(topology, 1));
    assert_int_equal(rmill_topology_cpu_find(topology, 5)->sibling_rank, 0); /* 1 is offline. */
    assert_true(rmill_topology_cpu_find(topology, 7)->isolated);
    assert_false(rmill_cpuset_has(&topology->nodes[0].cpus, 1));
    assert_string_equal(chosen(topology, NULL), "0 5 2 3");
    assert_non_null(strstr(chosen(topology, "1,"), "CPU 1 cannot be used"));
    rmill_topology_destroy(topology);
}

static void
a_machine_without_nodes_is_one_node(void **state)
{
    const struct tree *tree = *state;

    put(tree, "0-1", CPU "online");
    put(tree, "MemTotal:  8192 kB\nMemFree:   10 kB", "/proc/meminfo");
    put(tree, "3", "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    struct rmill_topology *topology = topology_of(tree, NULL);

    assert_int_equal(topology->node_count, 1);
    assert_int_equal(topology->nodes[0].memory_bytes, 8192 << 10);
    assert_int_equal(topology->nodes[0].huge_count, 3);
    assert_int_equal(topology->nodes[0].distances[0], RMILL_DISTANCE_LOCAL);
    assert_int_equal(rmill_cpuset_count(&topology->nodes[0].cpus), 2);
    assert_int_equal(rmill_topology_memory_node(topology, 1), RMILL_NODE_ANY); /* Not for mbind. */
    assert_string_equal(chosen(topology, NULL), "0 1");
    rmill_topology_destroy(topology);
}

static void
the_cpuset_of_the_cgroup_is_kept_to(void **state)
{
    const struct tree *tree = *state;

    server_put(tree);
    put(tree, "0::/box", "/proc/self/cgroup");
    put(tree, "30 20 0:26 / /cg rw - cgroup2 cgroup2 rw", "/proc/self/mountinfo");
    put(tree, "cpuset cpu memory", "/cg/cgroup.controllers");
    put(tree, "1-6", "/cg/box/cpuset.cpus.effective");
    struct rmill_topology *topology = topology_of(tree, "0-4");

    assert_string_equal(chosen(topology, NULL), "1 4 2 3");
    assert_non_null(strstr(chosen(topology, "0,"), "CPU 0 cannot be used"));
    rmill_topology_destroy(topology);
}

static void
nothing_usable_is_an_error_that_names_the_knob(void **state)
{
    const struct tree *tree = *state;
    struct rmill_cpuset affinity = {.words = {1ull << 9}};
    struct rmill_topology_options options = {.root = tree->root, .affinity = &affinity};
    struct rmill_topology *topology = NULL;
    struct rmill_error error = {0};

    server_put(tree);
    assert_int_equal(rmill_topology_read(&options, &topology, &error), -ENODEV);
    assert_non_null(strstr(error.advice, "taskset"));
    put(tree, "", CPU "online");
    assert_int_equal(rmill_topology_read(&options, &topology, &error), -ENODEV);
    put(tree, "0-4096", CPU "online");
    assert_int_equal(rmill_topology_read(&options, &topology, &error), -EINVAL);
    assert_null(topology);
}

static void
nonsense_in_files_changes_nothing_else(void **state)
{
    static const char *const nonsense[] = {
        "",         "-1",         "99999999999999999999999", "0-",
        "\x01\x02", "4294967295", "18446744073709551615K"};
    const struct tree *tree = *state;

    server_put(tree);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(nonsense); i++) {
        put(tree, nonsense[i], CPU "cpu1/topology/core_cpus_list");
        put(tree, nonsense[i], CPU "cpu1/topology/core_id");
        put(tree, nonsense[i], CPU "cpu1/topology/physical_package_id");
        put(tree, nonsense[i], CPU "cpu1/cpu_capacity");
        put(tree, nonsense[i], CPU "cpu1/cache/index3/size");
        put(tree, nonsense[i], CPU "cpu1/cache/index3/shared_cpu_list");
        put(tree, nonsense[i], CPU "isolated");
        put(tree, nonsense[i], NODE "node0/distance");
        put(tree, nonsense[i], NODE "node0/meminfo");
        put(tree, nonsense[i], NODE "node1/cpulist");
        struct rmill_topology *topology = topology_of(tree, NULL);

        assert_int_equal(topology->cpu_count, 8);
        assert_true(topology->core_count >= 4 && topology->core_count <= 5);
        assert_int_equal(topology->cpus[0].core_index, 0);
        assert_int_equal(topology->cpus[1].l3_bytes, 0);
        assert_true(topology->nodes[0].distances[1] >= RMILL_DISTANCE_LOCAL);
        assert_int_equal(topology->order_count, 8);
        rmill_topology_destroy(topology);
    }
}

static void
this_machine_can_be_read(void **state)
{
    struct rmill_topology *topology = NULL;
    struct rmill_cpuset affinity;

    (void)state;
    assert_int_equal(rmill_topology_read(NULL, &topology, NULL), 0);
    assert_int_equal(rmill_pin_affinity(&affinity), 0);
    assert_true(topology->cpu_count >= rmill_cpuset_count(&topology->usable));
    assert_true(rmill_cpuset_equal(&topology->affinity, &affinity));
    assert_true(topology->physical_count >= 1);
    assert_int_equal(topology->order_count, rmill_cpuset_count(&topology->usable));

    /* A thread can be put where the policy says, and back. */
    assert_int_equal(rmill_pin_thread(topology->order[0]), 0);
    assert_int_equal(rmill_pin_affinity(&affinity), 0);
    assert_int_equal(rmill_cpuset_count(&affinity), 1);
    assert_true(rmill_cpuset_has(&affinity, topology->order[0]));
    assert_int_equal(rmill_pin_restore(&topology->affinity), 0);
    assert_int_equal(rmill_pin_thread(RMILL_CPUS_MAX), -EINVAL);
    assert_int_equal(rmill_pin_thread(RMILL_CPUS_MAX - 1), -EINVAL);
    assert_int_equal(rmill_pin_name("a name that is too long"), 0);
    assert_int_equal(rmill_pin_timer_slack(), 0);
    rmill_topology_destroy(topology);
    rmill_topology_destroy(NULL);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, tree_create, tree_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREE(two_nodes_with_smt_are_read),
        WITH_TREE(one_cpu_of_each_core_is_the_default),
        WITH_TREE(a_number_counts_cores_and_a_list_names_them),
        WITH_TREE(a_choice_that_is_none_is_refused_by_name),
        WITH_TREE(the_fast_cores_of_a_hybrid_machine_come_first),
        WITH_TREE(the_fast_cores_of_a_big_little_machine_come_first),
        WITH_TREE(nodes_without_memory_or_cpus_are_nodes),
        WITH_TREE(offline_cpus_are_not_there),
        WITH_TREE(a_machine_without_nodes_is_one_node),
        WITH_TREE(the_cpuset_of_the_cgroup_is_kept_to),
        WITH_TREE(nothing_usable_is_an_error_that_names_the_knob),
        WITH_TREE(nonsense_in_files_changes_nothing_else),
        cmocka_unit_test(this_machine_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
