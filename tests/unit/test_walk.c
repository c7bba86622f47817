/* tests/unit/test_walk.c — the walk over real trees, and the names of roots.
 *
 * Goal: members come in path order, each once, whatever the shape of the tree, the number of
 * readers and the limit of a fill. Method: made trees; the order is checked with pathname.h, the
 * count is known. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ringmill.h"
#include "workloads/files/index.h"
#include "workloads/files/pathname.h"
#include "workloads/files/walk.h"

struct walking {
    const char *path;
    uint32_t readers, limit;
    uint32_t member_count, problem_count;
    uint64_t inode_excluded;
    bool in_order;
    int code;
};

static void
problem_told(void *context, const struct rmill_problem *problem)
{
    struct walking *walking = context;

    (void)problem;
    walking->problem_count++;
}

/* Fill windows to the end and look at the order over their borders. */
static void
windows_check(struct walking *walking, struct rmill_walk *walk)
{
    static char last[8192];
    size_t last_bytes = 0;
    int code = 1;

    walking->in_order = true;
    while (code == 1) {
        struct rmill_window window = {0};

        code = rmill_walk_fill(walk, &window, walking->limit);
        for (uint32_t i = 0; i < window.count; i++) {
            const struct rmill_member *member = &window.members[i];

            walking->in_order &=
                last_bytes == 0 ||
                rmill_pathname_compare(last, last_bytes, member->path, member->path_bytes) < 0;
            last_bytes = member->path_bytes;
            memcpy(last, member->path, last_bytes);
        }
        walking->member_count += window.count;
        rmill_window_deinit(&window);
    }
    walking->code = code;
}

static int
walk_main(void *argument)
{
    struct walking *walking = argument;
    const struct rmill_root_argument root = {.path = walking->path};
    struct rmill_walk_exclude exclude = {0};
    struct rmill_roots roots;
    struct rmill_walk *walk;

    walking->code = rmill_roots_resolve(&root, 1, &roots, problem_told, walking, NULL);
    if (walking->code < 0) {
        return 0;
    }
    exclude.device = roots.list[0].status.st_dev;
    exclude.inode = walking->inode_excluded;
    const struct rmill_walk_options options = {.roots = &roots,
                                               .excludes = &exclude,
                                               .exclude_count = 1,
                                               .readers = walking->readers,
                                               .problem = problem_told,
                                               .context = walking};

    walking->code = rmill_walk_create(&options, &walk);
    if (walking->code == 0) {
        windows_check(walking, walk);
        rmill_walk_destroy(walk);
    }
    rmill_roots_deinit(&roots);
    return 0;
}

static void
walk_run(struct walking *walking)
{
    struct rmill_options options = {.cores = "1", .unpinned = true};
    struct rmill_engine *engine;

    walking->member_count = walking->problem_count = 0;
    assert_int_equal(rmill_engine_create(&options, &engine, NULL), 0);
    assert_int_equal(rmill_engine_start(engine, walk_main, walking, NULL), 0);
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, NULL), 0);
    rmill_engine_destroy(engine);
}

static void
file_make(const char *above, const char *name)
{
    char path[4200];

    (void)snprintf(path, sizeof(path), "%s/%s", above, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);

    assert_true(fd >= 0);
    (void)close(fd);
}

/* 3 levels of 6 directories with 5 files each, names that sort around the slash. */
static uint32_t
tree_make(const char *above, int depth)
{
    static const char *const names[] = {"a", "a.b", "a-", "a!", "B", "\xff"};
    uint32_t count = 0;
    char path[4200];

    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", above, names[i]);
        assert_int_equal(mkdir(path, 0755), 0);
        count += 1 + (depth > 1 ? tree_make(path, depth - 1) : 0);
    }
    file_make(above, "a.c");
    file_make(above, "a0");
    file_make(above, "z\nz");
    return count + 3;
}

static void
members_come_in_path_order_for_any_readers_and_limits(void **state)
{
    char path[256];

    directory_create(path);
    uint32_t expected = tree_make(path, 3) + 1;

    for (uint32_t readers = 1; readers <= 8; readers += 3) {
        struct walking walking = {.path = path, .readers = readers, .limit = 37};

        walk_run(&walking);
        assert_int_equal(walking.code, 0);
        assert_int_equal(walking.member_count, expected);
        assert_int_equal(walking.problem_count, 0);
        assert_true(walking.in_order);
    }
    directory_remove(path);
}

static void
a_directory_of_many_slices_is_read_whole(void **state)
{
    struct walking walking = {.limit = RMILL_INDEX_WINDOW_ENTRIES};
    char path[256], name[32];
    struct stat status;

    directory_create(path);
    for (unsigned i = 0; i < 2500; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        file_make(path, name);
    }
    (void)snprintf(name, sizeof(name), "1700"); /* What is excluded is no member and no problem. */
    char excluded[300];

    (void)snprintf(excluded, sizeof(excluded), "%s/%s", path, name);
    assert_int_equal(stat(excluded, &status), 0);
    walking.path = path;
    walking.inode_excluded = status.st_ino;
    walk_run(&walking);
    assert_int_equal(walking.code, 0);
    assert_int_equal(walking.member_count, 2500); /* With the directory, without the excluded. */
    assert_int_equal(walking.problem_count, 0);
    assert_true(walking.in_order);
    directory_remove(path);
}

static void
a_path_longer_than_the_kernel_takes_is_walked(void **state)
{
    struct walking walking = {.limit = 15};
    char path[256], name[201];
    int fd;

    directory_create(path);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    fd = open(path, O_PATH | O_DIRECTORY);
    for (int i = 0; i < 30; i++) { /* 6,000 bytes and more. */
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int below = openat(fd, name, O_PATH | O_DIRECTORY);

        (void)close(fd);
        fd = below;
        assert_true(fd >= 0);
    }
    (void)close(fd);
    walking.path = path;
    walk_run(&walking);
    assert_int_equal(walking.code, 0);
    assert_int_equal(walking.member_count, 31);
    assert_int_equal(walking.problem_count, 0);
    directory_remove(path);
}

static void
stored_names_are_made_from_typed_ones(void **state)
{
    static const struct {
        const char *typed, *stored; /* NULL: refused. */
    } cases[] = {
        {"a", "a"},           {"/usr//share/", "usr/share"},
        {"./a/./b", "a/b"},   {".", "."},
        {"/", "."},           {"./", "."},
        {"..", NULL},         {"a/../b", NULL},
        {"", NULL},           {"a/..", NULL},
        {"...", "..."},       {"a..b/", "a..b"},
        {"-- x\n", "-- x\n"},
    };
    char stored[64];
    uint32_t bytes;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int code = rmill_root_name(cases[i].typed, stored, &bytes, NULL);

        assert_int_equal(code, cases[i].stored != NULL ? 0 : -EINVAL);
        if (code == 0) {
            assert_string_equal(stored, cases[i].stored);
            assert_int_equal(bytes, strlen(stored));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_path_order_for_any_readers_and_limits),
        cmocka_unit_test(a_directory_of_many_slices_is_read_whole),
        cmocka_unit_test(a_path_longer_than_the_kernel_takes_is_walked),
        cmocka_unit_test(stored_names_are_made_from_typed_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
