/* Standard streams that are closed are held. Method: children that close some of the three
 * descriptors, hold them, open a file and print; the file must stay empty. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/streams.h"

/* The exit status says what went wrong. */
static int
child(unsigned closed, const char *path)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (closed >> fd & 1) {
            close(fd);
        }
    }
    if (rmill_streams_hold() != 0) {
        return 1;
    }
    if (open(path, O_RDWR | O_CREAT | O_TRUNC, 0600) <= 2) {
        return 2;
    }
    for (int fd = 1; fd <= 2; fd++) {
        if ((closed >> fd & 1) && (write(fd, "text", 4) != -1 || errno != EBADF)) {
            return 3;
        }
    }
    return 0;
}

static void
no_file_takes_the_place_of_a_closed_stream(void **state)
{
    char directory[256], path[300];

    (void)state;
    directory_create(directory);
    (void)snprintf(path, sizeof(path), "%s/file", directory);
    for (unsigned closed = 0; closed < 8; closed++) {
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(child(closed, path));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    directory_remove(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_takes_the_place_of_a_closed_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
