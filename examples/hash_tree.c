/* examples/hash_tree.c — a first program on libringmill: hash files on all cores, print in order.
 *
 * Build and run (after make install):
 *     cc hash_tree.c $(pkg-config --cflags --libs ringmill) -o hash_tree && ./hash_tree FILE...
 *
 * The shape is a flow: `produce` names the next file, `process` reads and hashes it on whichever
 * core has room, `commit` prints in the order of the arguments. Memory is bounded by core_units. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ringmill.h>

#define BLOCK_BYTES (1u << 20)

struct job {
    char **paths;
    int count;
    int next;
    int failed;
};

struct item { /* One unit's data. */
    const char *path;
    uint64_t hash, bytes;
};

static int
produce(struct rmill_unit *unit)
{
    struct job *job = unit->context;
    struct item *item = unit->data;

    if (job->next == job->count) {
        return 0;
    }
    item->path = job->paths[job->next++];
    return 1;
}

static uint64_t
fnv(uint64_t hash, const unsigned char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

static int
process(struct rmill_unit *unit)
{
    struct item *item = unit->data;
    struct rmill_file file;
    unsigned char *block = malloc(BLOCK_BYTES);
    int64_t got = rmill_open(AT_FDCWD, item->path, O_RDONLY, 0, 0, &file);

    if (block == NULL || got < 0) {
        free(block);
        return block == NULL ? -ENOMEM : (int)got;
    }
    item->hash = 14695981039346656037u;
    while ((got = rmill_read(file, block, BLOCK_BYTES, item->bytes)) > 0) {
        item->hash = fnv(item->hash, block, got); /* Real work of this size belongs into a task. */
        item->bytes += (uint64_t)got;
    }
    rmill_close(&file);
    free(block);
    return (int)got;
}

static int
commit(struct rmill_unit *unit)
{
    struct job *job = unit->context;
    struct item *item = unit->data;

    if (unit->error != 0) {
        fprintf(stderr, "%s: %s\n", item->path, strerror(-unit->error));
        job->failed = 1;
    } else {
        printf("%016" PRIx64 " %12" PRIu64 " %s\n", item->hash, item->bytes, item->path);
    }
    return 0;
}

static int
main_fiber(void *argument)
{
    struct rmill_flow_options flow = {.name = "hash", .context = argument, .produce = produce,
                                      .process = process, .commit = commit,
                                      .unit_bytes = sizeof(struct item)};

    return rmill_flow_run(&flow, NULL);
}

int
main(int argc, char **argv)
{
    struct job job = {.paths = argv + 1, .count = argc - 1};
    struct rmill_options options = {0};
    struct rmill_engine *engine;
    struct rmill_error error;
    int result = 0;

    if (rmill_engine_create(&options, &engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.advice);
        return 1;
    }
    if (rmill_engine_start(engine, main_fiber, &job, &error) < 0) {
        fprintf(stderr, "%s\n", error.advice);
        rmill_engine_destroy(engine);
        return 1;
    }
    rmill_engine_wait(engine, UINT64_MAX, &result);
    rmill_engine_destroy(engine);
    return result < 0 || job.failed ? 1 : 0;
}
