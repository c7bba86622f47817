/* without_uring EPERM|ENOSYS COMMAND... — run a command that may not use io_uring. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/forbid.h"

int
main(int count, char **arguments)
{
    if (count < 3) {
        fprintf(stderr, "usage: without_uring EPERM|ENOSYS COMMAND...\n");
        return 2;
    }
    int code = forbid_uring(strcmp(arguments[1], "ENOSYS") == 0 ? ENOSYS : EPERM);

    if (code < 0) {
        fprintf(stderr, "without_uring: no seccomp filter: %s\n", strerror(-code));
        return 2;
    }
    (void)execvp(arguments[2], arguments + 2);
    fprintf(stderr, "without_uring: %s: %s\n", arguments[2], strerror(errno));
    return 127;
}
