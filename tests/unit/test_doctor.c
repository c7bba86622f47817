/* Goal: doctor says the right word about each situation, with the command that changes it.
 * Method: machines made up of files below a temporary directory, one word changed at a time. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/doctor.h"

static char root[256];

/* Write a file below the root, with the folders it needs. */
static void
put(const char *path, const char *text)
{
    char full[1024];

    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *at = full + strlen(root) + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)mkdir(full, 0755);
            *at = '/';
        }
    }
    FILE *file = fopen(full, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define LIMITS(memlock, files)                                                                     \
    "Limit                     Soft Limit           Hard Limit           Units     \n"             \
    "Max open files            " files "                 1048576              files     \n"        \
    "Max locked memory         " memlock "              unlimited            bytes     \n"

/* A machine that leaves nothing to be wished for. */
static int
machine_create(void **state)
{
    (void)state;
    directory_create(root);
    put("/proc/sys/kernel/osrelease", "6.12.1-made-up\n");
    put("/proc/sys/kernel/io_uring_disabled", "0\n");
    put("/proc/self/limits", LIMITS("unlimited", "65536"));
    put("/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
    put("/proc/sys/vm/overcommit_memory", "0\n");
    put("/sys/devices/system/cpu/online", "0-3\n");
    put("/sys/devices/system/cpu/isolated", "\n");
    put("/sys/devices/system/cpu/smt/active", "0\n");
    put("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
    put("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n");
    put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    put("/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm\n");
    return 0;
}

static int
machine_remove(void **state)
{
    (void)state;
    directory_remove(root);
    return 0;
}

static struct rmill_doctor_report report;

static const struct rmill_doctor_line *
line_of(const char *name)
{
    for (uint32_t i = 0; i < report.count; i++) {
        if (strcmp(report.lines[i].name, name) == 0) {
            return &report.lines[i];
        }
    }
    fail_msg("the report has no line %s", name);
    return NULL;
}

static void
examine(void)
{
    memset(&report, 0, sizeof(report));
    rmill_doctor_examine_ring(&report, root);
    rmill_doctor_examine_machine(&report, root);
}

/* The line has this level, and the command (when there should be one) has this text. */
static void
expect(const char *name, enum rmill_doctor_level level, const char *command)
{
    const struct rmill_doctor_line *line = line_of(name);

    if (line->level != level) {
        print_message("%s: %s\n", name, line->found);
    }
    assert_int_equal(line->level, level);
    assert_true(line->found[0] != '\0');
    if (level == RMILL_DOCTOR_OK) {
        assert_string_equal(line->command, "");
        return;
    }
    assert_true(line->cost[0] != '\0');
    if (strstr(line->command, command) == NULL) {
        print_message("%s: %s\n", name, line->command);
    }
    assert_non_null(strstr(line->command, command));
}

static void
a_good_machine_is_ok_in_every_line(void **state)
{
    (void)state;
    examine();
    assert_true(report.usable);
    assert_true(report.count >= 14);
    for (uint32_t i = 0; i < report.count; i++) {
        expect(report.lines[i].name, RMILL_DOCTOR_OK, NULL);
    }
}

static void
one_wrong_word_changes_its_line_alone(void **state)
{
    (void)state;
    const struct {
        const char *path, *text, *line;
        enum rmill_doctor_level level;
        const char *command;
    } cases[] = {
        {"/proc/sys/kernel/osrelease", "5.15.0-91-generic\n", "kernel", RMILL_DOCTOR_MISSING,
         "linux-image-amd64"},
        {"/proc/sys/kernel/io_uring_disabled", "1\n", "io_uring_disabled", RMILL_DOCTOR_BETTER,
         "sysctl kernel.io_uring_disabled=0"},
        {"/proc/sys/kernel/io_uring_disabled", "2\n", "io_uring_disabled", RMILL_DOCTOR_MISSING,
         "sysctl kernel.io_uring_disabled=0"},
        {"/proc/self/limits", LIMITS("8388608", "65536"), "memlock", RMILL_DOCTOR_BETTER,
         "ulimit -l unlimited"},
        {"/proc/self/limits", LIMITS("unlimited", "1024"), "open_files", RMILL_DOCTOR_BETTER,
         "ulimit -n 65536"},
        {"/proc/sys/vm/overcommit_memory", "2\n", "overcommit", RMILL_DOCTOR_BETTER,
         "sysctl vm.overcommit_memory=0"},
        {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "governor",
         RMILL_DOCTOR_BETTER, "cpupower frequency-set -g performance"},
        {"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n", "huge_pages",
         RMILL_DOCTOR_BETTER, "sysctl vm.nr_hugepages=1024"},
        {"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n",
         "transparent_huge", RMILL_DOCTOR_BETTER,
         "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
        {"/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock",
         RMILL_DOCTOR_BETTER, "echo tsc > /sys/devices/system/clocksource/"},
        {"/sys/devices/system/cpu/online", "0\n", "cpus", RMILL_DOCTOR_BETTER, "more CPUs"},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        directory_remove(root);
        assert_int_equal(machine_create(NULL), 0);
        put(cases[i].path, cases[i].text);
        examine();
        for (uint32_t at = 0; at < report.count; at++) {
            bool it = strcmp(report.lines[at].name, cases[i].line) == 0;

            expect(report.lines[at].name, it ? cases[i].level : RMILL_DOCTOR_OK, cases[i].command);
        }
        assert_int_equal(report.usable, cases[i].level != RMILL_DOCTOR_MISSING);
        directory_remove(root);
        assert_int_equal(machine_create(NULL), 0);
    }
}

static void
who_may_lock_memory_is_not_bound_by_the_limit(void **state)
{
    (void)state;
    put("/proc/self/limits", LIMITS("8388608", "65536"));
    put("/proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
    examine();
    expect("memlock", RMILL_DOCTOR_OK, NULL);
}

static void
cgroup_limits_name_their_file(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/box\n");
    put("/proc/self/mountinfo",
        "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    put("/sys/fs/cgroup/box/cgroup.controllers", "cpuset cpu io memory pids\n");
    put("/sys/fs/cgroup/box/memory.max", "104857600\n");
    put("/sys/fs/cgroup/box/memory.current", "1000000\n");
    put("/sys/fs/cgroup/box/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/box/cpuset.cpus.effective", "0-1\n");
    examine();
    expect("memory_limit", RMILL_DOCTOR_BETTER, "/sys/fs/cgroup/box/memory.max");
    expect("cpu_limit", RMILL_DOCTOR_BETTER, "echo max > /sys/fs/cgroup/box/cpu.max");
    expect("cpus", RMILL_DOCTOR_BETTER, "/sys/fs/cgroup/box/cpuset.cpus");
    assert_non_null(strstr(line_of("cpus")->found, "2 of 4"));
}

/* --- a path: the file is real, what the kernel says of its device is made up ----------------- */

static void
drive_create(const char *filesystem, const char *options)
{
    struct stat status;
    char text[512];

    assert_int_equal(stat(root, &status), 0);
    (void)snprintf(text, sizeof(text), "22 1 %u:%u / / rw,relatime shared:1 - %s /dev/nvme7n1 rw\n",
                   major(status.st_dev), minor(status.st_dev), filesystem);
    put("/proc/self/mountinfo", text);
    (void)snprintf(text, sizeof(text), "/sys/dev/block/%u:%u/uevent", major(status.st_dev),
                   minor(status.st_dev));
    put(text, "MAJOR=259\nDEVNAME=nvme7n1\nDEVTYPE=disk\n");
    put("/proc/fs/ext4/nvme7n1/options", options);
    put("/sys/block/nvme7n1/queue/rotational", "0\n");
    put("/sys/block/nvme7n1/queue/io_poll", "1\n");
    put("/sys/block/nvme7n1/queue/scheduler", "[none] mq-deadline\n");
}

static void
examine_path(void)
{
    memset(&report, 0, sizeof(report));
    assert_int_equal(rmill_doctor_examine_path(&report, root, root), 0);
}

static void
a_good_drive_is_ok(void **state)
{
    (void)state;
    drive_create("ext4", "rw\ndata=ordered\n");
    examine_path();
    expect("filesystem", RMILL_DOCTOR_OK, NULL);
    assert_string_equal(line_of("filesystem")->found, "ext4 on /dev/nvme7n1");
    assert_string_equal(line_of("device")->found, "nvme7n1, does not rotate");
    expect("polled_queues", RMILL_DOCTOR_OK, NULL);
    expect("scheduler", RMILL_DOCTOR_OK, NULL);
    (void)line_of("direct_io"); /* Tried for real: what it says depends on the directory. */
}

static void
a_poor_drive_is_told_how_to_be_better(void **state)
{
    (void)state;
    drive_create("ext4", "rw\nbarrier\n");
    put("/sys/block/nvme7n1/queue/io_poll", "0\n");
    put("/sys/block/nvme7n1/queue/scheduler", "none [mq-deadline]\n");
    examine_path();
    expect("filesystem", RMILL_DOCTOR_BETTER, "tune2fs -O has_journal /dev/nvme7n1");
    expect("polled_queues", RMILL_DOCTOR_BETTER, "nvme poll_queues=2");
    expect("scheduler", RMILL_DOCTOR_BETTER, "echo none > /sys/block/nvme7n1/queue/scheduler");
    put("/sys/block/nvme7n1/queue/rotational", "1\n");
    examine_path();
    expect("scheduler", RMILL_DOCTOR_OK, NULL); /* Where an arm moves, sorting pays. */
}

static void
a_path_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(rmill_doctor_examine_path(&report, root, "/nonexistent/for/sure"), -ENOENT);
}

int
main(void)
{
#define MADE_UP(test) cmocka_unit_test_setup_teardown(test, machine_create, machine_remove)
    const struct CMUnitTest tests[] = {
        MADE_UP(a_good_machine_is_ok_in_every_line),
        MADE_UP(one_wrong_word_changes_its_line_alone),
        MADE_UP(who_may_lock_memory_is_not_bound_by_the_limit),
        MADE_UP(cgroup_limits_name_their_file),
        MADE_UP(a_good_drive_is_ok),
        MADE_UP(a_poor_drive_is_told_how_to_be_better),
        MADE_UP(a_path_that_is_not_there_is_an_error),
    };

    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
