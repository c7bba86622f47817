#include "cli/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int
rmill_streams_hold(void)
{
    int fd;

    do { /* Not /dev/null: that may be missing, and would take what is printed for written. */
        fd = open("/", O_PATH | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 ? -errno : close(fd);
}
