/* workloads/files/output.c — see output.h. */
#include "workloads/files/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/files/pathname.h"

#define MARK   ".ringmill-" /* Between the name and eight hexadecimal digits. */
#define DIGITS 8
#define ENDING ".tmp"
#define STEM_BYTES_MAX                                                                             \
    (RMILL_OUTPUT_NAME_BYTES - 1 - sizeof(".") - sizeof(MARK) - DIGITS - sizeof(ENDING))
#define ATTEMPTS   100
#define LIST_BYTES ((size_t)16 << 10)

/* ".NAME.ringmill-", the name cut so that the whole fits. */
static size_t
stem_make(char stem[RMILL_OUTPUT_NAME_BYTES], const char *name)
{
    return (size_t)snprintf(stem, RMILL_OUTPUT_NAME_BYTES, ".%.*s" MARK, (int)STEM_BYTES_MAX, name);
}

static bool
is_leftover_name(const char *name, const char *stem, size_t stem_bytes)
{
    size_t bytes = strlen(name);

    return bytes == stem_bytes + DIGITS + strlen(ENDING) && memcmp(name, stem, stem_bytes) == 0 &&
           strspn(name + stem_bytes, "0123456789abcdef") == DIGITS &&
           strcmp(name + stem_bytes + DIGITS, ENDING) == 0;
}

/* Remove a file nobody holds the lock of. */
static bool
leftover_remove(int directory, const char *name)
{
    struct stat status;
    int fd = rmill_plain_open(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, 0);
    bool removed = fd >= 0 && rmill_plain_stat(fd, "", &status) >= 0 && S_ISREG(status.st_mode) &&
                   rmill_plain_lock(fd) >= 0 && rmill_plain_unlink(directory, name, false) >= 0;

    if (fd >= 0) {
        rmill_plain_close(fd);
    }
    return removed;
}

/* A failure here only leaves rubbish where it was. */
static void
leftovers_remove(struct rmill_output *output)
{
    char stem[RMILL_OUTPUT_NAME_BYTES];
    size_t stem_bytes = stem_make(stem, output->name);
    char *block = malloc(LIST_BYTES);
    int64_t bytes;

    while (block != NULL &&
           (bytes = rmill_plain_directory_read(output->directory, block, LIST_BYTES)) > 0) {
        for (int64_t at = 0; at < bytes;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(block + at);

            if (is_leftover_name(entry->d_name, stem, stem_bytes)) {
                output->leftover_count += leftover_remove(output->directory, entry->d_name);
            }
            at += entry->d_reclen;
        }
    }
    free(block);
}

/* Open the directory and find out what has the name now. */
static int
target_look(const char *path, struct rmill_output *output, struct rmill_error *error)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    char shown[RMILL_OUTPUT_NAME_BYTES];
    struct stat status;

    rmill_pathname_escape(shown, sizeof(shown), path, strlen(path));
    if (name[0] == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return rmill_error_set(error, -EISDIR, "%s names a directory; the archive is a file",
                               shown);
    }
    if (strlen(name) >= sizeof(output->name)) {
        return rmill_error_set(error, -ENAMETOOLONG, "the name of %s is longer than 255 bytes",
                               shown);
    }
    strcpy(output->name, name);
    char *above = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);

    if (above == NULL) {
        return rmill_error_set(error, -ENOMEM, "out of memory");
    }
    output->directory = rmill_plain_open(AT_FDCWD, above, O_RDONLY | O_DIRECTORY, 0, 0);
    free(above);
    if (output->directory < 0) {
        return rmill_error_set(error, output->directory, "cannot open the directory of %s: %s",
                               shown, rmill_errno_text(output->directory));
    }
    int code = rmill_plain_stat(output->directory, output->name, &status);

    if (code >= 0 && !S_ISREG(status.st_mode)) {
        code = rmill_error_set(error, S_ISDIR(status.st_mode) ? -EISDIR : -EEXIST,
                               "%s exists and is no regular file; it would be replaced", shown);
    } else if (code >= 0) {
        output->replaces = true;
        output->old_device = status.st_dev;
        output->old_inode = status.st_ino;
        output->old_mode = status.st_mode & 0777;
        return 0;
    } else if (code == -ENOENT) {
        return 0;
    } else {
        rmill_error_set(error, code, "cannot look at %s: %s", shown, rmill_errno_text(code));
    }
    rmill_plain_close(output->directory);
    return code;
}

/* Create and lock a file under a new name. -EAGAIN: another run took it for a leftover in between.
 * */
static int
temporary_create(struct rmill_output *output)
{
    char stem[RMILL_OUTPUT_NAME_BYTES];
    struct stat status;

    stem_make(stem, output->name);
    if (snprintf(output->temporary, sizeof(output->temporary), "%s%08x" ENDING, stem,
                 (unsigned)rmill_random()) >= (int)sizeof(output->temporary)) {
        return -ENAMETOOLONG;
    }
    int fd = rmill_plain_open(output->directory, output->temporary,
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0666, 0);

    if (fd < 0) {
        return fd == -EEXIST ? -EAGAIN : fd;
    }
    int code = rmill_plain_lock(fd);

    if (code >= 0) {
        code = rmill_plain_stat(fd, "", &status);
    }
    if (code >= 0 && status.st_nlink == 0) {
        code = -EAGAIN;
    }
    if (code >= 0 && output->replaces) { /* An archive kept from others stays so. */
        code = rmill_plain_chmod(fd, output->old_mode);
        code = code == -EPERM || code == -EOPNOTSUPP ? 0 : code;
    }
    if (code < 0) {
        if (code != -EAGAIN) {
            rmill_plain_unlink(output->directory, output->temporary, false);
        }
        rmill_plain_close(fd);
        return code;
    }
    output->file = (struct rmill_file){.fd = fd};
    output->device = status.st_dev;
    output->inode = status.st_ino;
    return 0;
}

int
rmill_output_create(const char *path, struct rmill_output *output, struct rmill_error *error)
{
    char shown[RMILL_OUTPUT_NAME_BYTES];

    *output = (struct rmill_output){0};
    int code = target_look(path, output, error);

    if (code < 0) {
        return code;
    }
    leftovers_remove(output);
    code = -EAGAIN;
    for (int attempt = 0; attempt < ATTEMPTS && code == -EAGAIN; attempt++) {
        code = temporary_create(output);
    }
    if (code < 0) {
        rmill_plain_close(output->directory);
        return rmill_error_set(error, code, "cannot create a file beside %s: %s",
                               rmill_pathname_escape(shown, sizeof(shown), path, strlen(path)),
                               rmill_errno_text(code));
    }
    (void)rmill_file_share(&output->file); /* Works as well without. */
    return 0;
}

void
rmill_output_abandon(struct rmill_output *output)
{
    rmill_plain_unlink(output->directory, output->temporary, false);
    if (output->file.fd >= 0) {
        rmill_close(&output->file);
    }
    rmill_plain_close(output->directory);
}

int
rmill_output_commit(struct rmill_output *output, struct rmill_error *error)
{
    char shown[RMILL_OUTPUT_NAME_BYTES];
    const char *step = "sync";
    int code = rmill_fsync(output->file, false);

    rmill_pathname_escape(shown, sizeof(shown), output->name, strlen(output->name));
    if (code >= 0) { /* Before the close: another run takes what nobody locks for a leftover. */
        step = "rename";
        code = rmill_plain_rename(output->directory, output->temporary, output->directory,
                                  output->name, 0);
    }
    if (code >= 0) {
        (void)rmill_close(&output->file); /* Synced: a close has nothing left to fail at. */
    }
    if (code < 0) {
        rmill_output_abandon(output);
        return rmill_error_set(error, code, "cannot %s the archive %s: %s", step, shown,
                               rmill_errno_text(code));
    }
    code = rmill_plain_fsync(output->directory, false);
    if (code == -EINVAL || code == -EBADF) { /* This file system has nothing to sync there. */
        code = 0;
    }
    rmill_plain_close(output->directory);
    if (code < 0) {
        return rmill_error_set(error, code, "%s is written, but its directory cannot be synced: %s",
                               shown, rmill_errno_text(code));
    }
    return 0;
}
