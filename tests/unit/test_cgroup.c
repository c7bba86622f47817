/* Goal: the smallest limit of all groups around us is found, with the file it stands in, in version
 * 1, 2 and both. Method: made-up /proc and cgroup trees in a temporary folder; and, as root, a real
 * group with a limit that a child process enters. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "numa/cgroup.h"

/* Write `text` to the file root/path, with the folders on the way. */
static void
put(const char *root, const char *path, const char *text)
{
    char full[512];

    assert_true(snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full));
    for (char *slash = strchr(full + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
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
    static char root[256];

    directory_create(root);
    *state = root;
    return 0;
}

static int
tree_remove(void **state)
{
    directory_remove(*state);
    return 0;
}

static void
the_smallest_limit_on_the_way_up_counts_in_version_2(void **state)
{
    const char *root = *state;
    struct rmill_cgroup cgroup;

    put(root, "/proc/self/cgroup", "0::/outer/inner");
    put(root, "/proc/self/mountinfo",
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate");
    put(root, "/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids");
    put(root, "/sys/fs/cgroup/outer/memory.max", "1000000");
    put(root, "/sys/fs/cgroup/outer/memory.high", "max");
    put(root, "/sys/fs/cgroup/outer/memory.current", "700000");
    put(root, "/sys/fs/cgroup/outer/cpu.max", "max 100000");
    put(root, "/sys/fs/cgroup/outer/inner/memory.max", "2000000");
    put(root, "/sys/fs/cgroup/outer/inner/memory.current", "100");
    put(root, "/sys/fs/cgroup/outer/inner/cpu.max", "150000 100000");
    put(root, "/sys/fs/cgroup/outer/cpuset.cpus.effective", "0-3");
    put(root, "/sys/fs/cgroup/outer/inner/cpuset.cpus.effective", "1-2");
    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.memory_version, 2);
    assert_int_equal(cgroup.memory_limit_bytes, 1000000);
    assert_int_equal(cgroup.memory_current_bytes, 700000);
    assert_string_equal(cgroup.memory_path, "/sys/fs/cgroup/outer/memory.max");
    assert_int_equal(cgroup.cpu_millis, 1500);
    assert_string_equal(cgroup.cpu_path, "/sys/fs/cgroup/outer/inner/cpu.max");
    assert_true(cgroup.cpuset_known);
    assert_int_equal(cgroup.cpuset.words[0], 6);

    put(root, "/sys/fs/cgroup/outer/inner/memory.high", "900000");
    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.memory_limit_bytes, 900000);
    assert_int_equal(cgroup.memory_current_bytes, 100);
    assert_string_equal(cgroup.memory_path, "/sys/fs/cgroup/outer/inner/memory.high");
}

static void
version_1_has_a_hierarchy_per_controller(void **state)
{
    const char *root = *state;
    struct rmill_cgroup cgroup;

    put(root, "/proc/self/cgroup",
        "9:memory:/a/b\n5:cpu,cpuacct:/c\n3:cpuset:/\n1:name=systemd:/x\n0::/u");
    put(root, "/proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "35 31 0:32 / /cg\\040memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw");
    put(root, "/cg memory/memory.limit_in_bytes", "9223372036854771712");
    put(root, "/cg memory/a/memory.limit_in_bytes", "536870912");
    put(root, "/cg memory/a/memory.usage_in_bytes", "4096");
    put(root, "/cg memory/a/b/memory.limit_in_bytes", "9223372036854771712");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "50000");
    put(root, "/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000");
    put(root, "/sys/fs/cgroup/cpuset/cpuset.cpus", "0,4");
    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.memory_version, 1);
    assert_int_equal(cgroup.memory_limit_bytes, 536870912);
    assert_int_equal(cgroup.memory_current_bytes, 4096);
    assert_string_equal(cgroup.memory_path, "/cg memory/a/memory.limit_in_bytes");
    assert_int_equal(cgroup.cpu_version, 1);
    assert_int_equal(cgroup.cpu_millis, 500);
    assert_int_equal(cgroup.cpuset.words[0], 0x11);
}

static void
in_a_hybrid_a_controller_is_where_it_is_listed(void **state)
{
    const char *root = *state;
    struct rmill_cgroup cgroup;

    put(root, "/proc/self/cgroup", "4:cpu,cpuacct:/one\n0::/two");
    put(root, "/proc/self/mountinfo",
        "32 31 0:29 / /v1/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "41 31 0:38 / /v2 rw - cgroup2 cgroup2 rw");
    put(root, "/v2/cgroup.controllers", "memory");
    put(root, "/v2/two/memory.max", "4096");
    put(root, "/v1/cpu/one/cpu.cfs_quota_us", "-1");
    put(root, "/v1/cpu/one/cpu.cfs_period_us", "100000");
    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.memory_version, 2);
    assert_int_equal(cgroup.memory_limit_bytes, 4096);
    assert_int_equal(cgroup.cpu_version, 1);
    assert_int_equal(cgroup.cpu_millis, RMILL_CGROUP_UNLIMITED);
    assert_string_equal(cgroup.cpu_path, "");
    assert_int_equal(cgroup.cpuset_version, 0);
    assert_false(cgroup.cpuset_known);
}

static void
a_container_sees_its_group_as_the_root_of_the_mount(void **state)
{
    static const struct {
        const char *group;
        const char *mount_root;
        uint64_t limit;
    } cases[] = {
        {"0::/docker/abc", "/docker/abc", 1000},   /* Our group is the mount point. */
        {"0::/docker/abc/sub", "/docker/abc", 10}, /* One below it. */
        {"0::/docker/abcd", "/docker/abc", 1000},  /* No prefix by whole names: the mount point. */
        {"0::/../sub", "/", 1000},                 /* Outside of what we see: the mount point. */
        {"0::/", "/", 1000},
        {"0::/sub", "/", 10},
    };
    const char *root = *state;

    put(root, "/cg/cgroup.controllers", "memory");
    put(root, "/cg/memory.max", "1000");
    put(root, "/cg/sub/memory.max", "10");
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        struct rmill_cgroup cgroup;
        char mount[128];

        (void)snprintf(mount, sizeof(mount), "41 31 0:38 %s /cg rw - cgroup2 cgroup2 rw",
                       cases[i].mount_root);
        put(root, "/proc/self/cgroup", cases[i].group);
        put(root, "/proc/self/mountinfo", mount);
        assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
        assert_int_equal(cgroup.memory_limit_bytes, cases[i].limit);
    }
}

static void
no_groups_and_nonsense_limit_nothing(void **state)
{
    static const char *const nonsense[] = {"",    "::",       "x",
                                           "0::", "0:memory", "1:memory:/\n:::::\n\n"};
    const char *root = *state;
    struct rmill_cgroup cgroup;

    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.memory_limit_bytes, RMILL_CGROUP_UNLIMITED);
    assert_int_equal(cgroup.memory_version, 0);
    put(root, "/cg/memory.max", "-5");
    put(root, "/cg/cpu.max", "100");
    put(root, "/cg/cpuset.cpus.effective", "no");
    put(root, "/cg/cgroup.controllers", "memory cpu cpuset");
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(nonsense); i++) {
        put(root, "/proc/self/cgroup", nonsense[i]);
        put(root, "/proc/self/mountinfo",
            i % 2 == 0 ? "1 2 3 - \n - cgroup2 \n 1 2 - cgroup2 x y"
                       : "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw");
        assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
        assert_int_equal(cgroup.memory_limit_bytes, RMILL_CGROUP_UNLIMITED);
        assert_int_equal(cgroup.cpu_millis, RMILL_CGROUP_UNLIMITED);
        assert_false(cgroup.cpuset_known);
    }
    put(root, "/proc/self/cgroup", "0::/");
    put(root, "/cg/cpu.max", "100 0"); /* Not a period to divide by. */
    assert_int_equal(rmill_cgroup_read(root, &cgroup), 0);
    assert_int_equal(cgroup.cpu_millis, RMILL_CGROUP_UNLIMITED);
}

/* Write to a file that is there. True when all of it was taken. */
static bool
kernel_file_write(const char *folder, const char *name, const char *text)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    ssize_t written = write(fd, text, strlen(text));

    (void)close(fd);
    return written == (ssize_t)strlen(text);
}

/* In a child: enter the group, and see whether its limit is found. The exit status. */
static int
group_enter_and_look(const char *group, const char *file)
{
    struct rmill_cgroup cgroup;
    char expected[512];

    if (!kernel_file_write(group, "cgroup.procs", "0")) {
        return 1;
    }
    (void)snprintf(expected, sizeof(expected), "%s/%s", group, file);
    if (rmill_cgroup_read("", &cgroup) != 0 || cgroup.memory_limit_bytes != RMILL_MIB(64)) {
        return 2;
    }
    return strcmp(cgroup.memory_path, expected) == 0 && cgroup.memory_current_bytes > 0 ? 0 : 3;
}

static void
a_real_group_is_found(void **state)
{
    static const char *const places[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"};
    static const char *const files[] = {"memory.limit_in_bytes", "memory.max"};
    char group[300];
    int version = 1;

    (void)state;
    if (access("/sys/fs/cgroup/memory/cgroup.procs", F_OK) != 0) {
        version = 2;
        (void)kernel_file_write(places[1], "cgroup.subtree_control", "+memory");
    }
    (void)snprintf(group, sizeof(group), "%s/ringmill-test-%d", places[version - 1], (int)getpid());
    if (mkdir(group, 0755) != 0) {
        SKIP_BECAUSE("no control group can be made here (needs root)");
    }
    if (!kernel_file_write(group, files[version - 1], "67108864")) {
        (void)rmdir(group);
        SKIP_BECAUSE("the control group has no memory limit to set");
    }
    pid_t child = fork();

    if (child == 0) {
        _exit(group_enter_and_look(group, files[version - 1]));
    }
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    for (int tries = 0; rmdir(group) != 0 && tries < 100; tries++) {
        (void)usleep(10000); /* The kernel may take a moment to forget the child. */
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, tree_create, tree_remove)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREE(the_smallest_limit_on_the_way_up_counts_in_version_2),
        WITH_TREE(version_1_has_a_hierarchy_per_controller),
        WITH_TREE(in_a_hybrid_a_controller_is_where_it_is_listed),
        WITH_TREE(a_container_sees_its_group_as_the_root_of_the_mount),
        WITH_TREE(no_groups_and_nonsense_limit_nothing),
        cmocka_unit_test(a_real_group_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
