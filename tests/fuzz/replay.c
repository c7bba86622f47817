/* tests/fuzz/replay.c — gives files to a fuzz target without libFuzzer.
 * Usage: replay_NAME FILE|DIRECTORY...
 *
 * Any compiler can link it, so the corpus (seeds and every input that once broke something) is part
 * of the quick tests. Prints how many inputs it gave; none is a failure, because then nothing was
 * tested. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static unsigned long input_count;

/* The target gets a block of just the input's size, so that a sanitizer sees a read beyond it. */
static int
file_replay(const char *path, size_t bytes)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    int code = 0;

    if (file == NULL || data == NULL || fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "%s: %s\n", path, errno != 0 ? strerror(errno) : "short read");
        code = 1;
    } else {
        (void)LLVMFuzzerTestOneInput(data, bytes);
        input_count++;
    }
    if (file != NULL) {
        fclose(file);
    }
    free(data);
    return code;
}

static int
path_replay(const char *path)
{
    struct stat status;
    struct dirent *entry;
    DIR *directory;
    int code = 0;

    if (stat(path, &status) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    if (!S_ISDIR(status.st_mode)) {
        return file_replay(path, (size_t)status.st_size);
    }
    directory = opendir(path);
    if (directory == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    while ((entry = readdir(directory)) != NULL) {
        char child[4096];

        if (entry->d_name[0] == '.') {
            continue;
        }
        if ((size_t)snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) >= sizeof(child)) {
            code = 1;
            continue;
        }
        code |= path_replay(child);
    }
    closedir(directory);
    return code;
}

int
main(int argc, char **argv)
{
    int code = 0;

    for (int i = 1; i < argc; i++) {
        code |= path_replay(argv[i]);
    }
    printf("%lu inputs\n", input_count);
    return code != 0 || input_count == 0;
}
