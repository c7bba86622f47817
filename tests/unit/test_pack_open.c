/* tests/unit/test_pack_open.c — opening what the walk saw, when something else is there by now.
 *
 * Goal: nothing that came in the place of a file makes pack wait, and nothing stays open. Method:
 * resolve a file as a root, replace it, open it; a fifo has a writer that never writes, so that a
 * read of it would never end. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ringmill.h"
#include "workloads/files/pack_private.h"

struct opening {
    const char *path;
    int (*replace)(const char *path);
    int code;
};

static void
problem_told(void *context, const struct rmill_problem *problem)
{
    (void)context;
    (void)problem;
}

static int
open_main(void *argument)
{
    struct opening *opening = argument;
    const struct rmill_root_argument root = {.path = opening->path};
    struct rmill_roots roots;
    struct rmill_file file = {.fd = -1};
    struct stat status;

    opening->code = rmill_roots_resolve(&root, 1, &roots, problem_told, NULL, NULL);
    if (opening->code < 0) {
        return 0;
    }
    const struct rmill_member member = {.path = roots.list[0].stored,
                                        .path_bytes = roots.list[0].stored_bytes,
                                        .root = &roots.list[0]};
    int other_end = opening->replace(opening->path);

    opening->code = rmill_pack_open(&member, &file, &status);
    if (opening->code == 0) {
        opening->code = S_ISREG(status.st_mode) ? rmill_close(&file) : -EBADF;
    }
    if (other_end >= 0) {
        (void)close(other_end);
    }
    rmill_roots_deinit(&roots);
    return 0;
}

static int
replace_with_itself(const char *path)
{
    (void)path;
    return -1;
}

static int
replace_with_fifo(const char *path)
{
    return unlink(path) == 0 && mkfifo(path, 0600) == 0 ? open(path, O_RDWR | O_NONBLOCK) : -1;
}

static int
replace_with_fifo_of_nobody(const char *path)
{
    assert_true(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    return -1;
}

static int
replace_with_directory(const char *path)
{
    assert_true(unlink(path) == 0 && mkdir(path, 0700) == 0);
    return -1;
}

static int
replace_with_symlink(const char *path)
{
    assert_true(unlink(path) == 0 && symlink("/etc/passwd", path) == 0);
    return -1;
}

static void
what_is_no_file_any_more_is_told_at_once(void **state)
{
    static const struct {
        int (*replace)(const char *path);
        int code;
    } cases[] = {{replace_with_itself, 0},
                 {replace_with_fifo, -ESTALE},
                 {replace_with_fifo_of_nobody, -ESTALE},
                 {replace_with_directory, -ESTALE},
                 {replace_with_symlink, -ELOOP}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rmill_options options = {.cores = "1", .unpinned = true};
        struct rmill_engine *engine;
        char directory[256], path[300];

        directory_create(directory);
        (void)snprintf(path, sizeof(path), "%s/file", directory);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);

        assert_true(fd >= 0 && write(fd, "some", 4) == 4 && close(fd) == 0);
        struct opening opening = {.path = path, .replace = cases[i].replace};

        assert_int_equal(rmill_engine_create(&options, &engine, NULL), 0);
        assert_int_equal(rmill_engine_start(engine, open_main, &opening, NULL), 0);
        assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, NULL), 0);
        rmill_engine_destroy(engine);
        assert_int_equal(opening.code, cases[i].code);
        directory_remove(directory);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_file_any_more_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
