#include "numa/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int path_format(char path[RMILL_FILES_PATH_BYTES], const char *root, const char *format,
                       va_list arguments) RMILL_PRINTF(3, 0);

static int
path_format(char path[RMILL_FILES_PATH_BYTES], const char *root, const char *format,
            va_list arguments)
{
    int first = snprintf(path, RMILL_FILES_PATH_BYTES, "%s", root);

    if (first < 0 || first >= RMILL_FILES_PATH_BYTES) {
        return -ENAMETOOLONG;
    }
    int second =
        vsnprintf(path + first, (size_t)(RMILL_FILES_PATH_BYTES - first), format, arguments);

    return second < 0 || second >= RMILL_FILES_PATH_BYTES - first ? -ENAMETOOLONG : 0;
}

/* Everything there is, up to bytes - 1; -EFBIG when there is more. */
static int
descriptor_read(int fd, char *text, size_t bytes)
{
    size_t used = 0;

    for (;;) {
        ssize_t got = read(fd, text + used, bytes - used);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
        if (used == bytes) {
            return -EFBIG;
        }
    }
    if (memchr(text, '\0', used) != NULL) {
        return -EINVAL;
    }
    while (used > 0 &&
           (text[used - 1] == '\n' || text[used - 1] == ' ' || text[used - 1] == '\t')) {
        used--;
    }
    text[used] = '\0';
    return (int)used;
}

static int
path_read(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* A made-up tree may hold a pipe. */

    if (fd < 0) {
        return -errno;
    }
    int length = descriptor_read(fd, text, bytes);

    (void)close(fd);
    return length;
}

int
rmill_files_text(const char *root, char *text, size_t bytes, const char *path, ...)
{
    char full[RMILL_FILES_PATH_BYTES];
    va_list arguments;

    va_start(arguments, path);
    int code = path_format(full, root, path, arguments);
    va_end(arguments);
    return code != 0 ? code : path_read(full, text, bytes);
}

const char *
rmill_files_number(const char *text, uint64_t *value)
{
    uint64_t sum = 0;

    if (*text < '0' || *text > '9') {
        return NULL;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        if (__builtin_mul_overflow(sum, 10ull, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum)) {
            return NULL;
        }
    }
    *value = sum;
    return text;
}

int
rmill_files_u64(const char *root, uint64_t *value, const char *path, ...)
{
    char full[RMILL_FILES_PATH_BYTES];
    char text[32];
    uint64_t number;
    va_list arguments;

    va_start(arguments, path);
    int code = path_format(full, root, path, arguments);
    va_end(arguments);
    if (code == 0) {
        code = path_read(full, text, sizeof(text));
    }
    if (code < 0) {
        return code;
    }
    const char *end = rmill_files_number(text, &number);

    if (end == NULL || *end != '\0') {
        return -EINVAL;
    }
    *value = number;
    return 0;
}

int
rmill_files_cpulist(const char *root, struct rmill_cpuset *set, const char *path, ...)
{
    char full[RMILL_FILES_PATH_BYTES];
    char text[RMILL_FILES_LIST_BYTES];
    va_list arguments;

    va_start(arguments, path);
    int code = path_format(full, root, path, arguments);
    va_end(arguments);
    if (code == 0) {
        code = path_read(full, text, sizeof(text));
    }
    return code < 0 ? code : rmill_cpulist_parse(text, set, NULL);
}
