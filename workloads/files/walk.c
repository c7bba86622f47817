/* workloads/files/walk.c — see walk.h. */
#include "workloads/files/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine/ringmill.h"
#include "workloads/files/directory.h"
#include "workloads/files/index.h"

#define READERS_DEFAULT   4u
#define AHEAD_DIRECTORIES 128u   /* Read and not yet emitted. */
#define AHEAD_ITEMS       16384u /* The same, entries. */
#define EMITTED_PER_YIELD 256u

struct rmill_walk {
    struct rmill_walk_options options;
    uint32_t root_next;
    struct rmill_directory *top; /* Being emitted; its parents are below it. */

    struct rmill_directory *first, *last; /* To come, in the order they are needed. */
    uint32_t ahead_directories, ahead_items;
    uint32_t readers, readers_idle;
    struct rmill_semaphore work;    /* One permit for each idle reader woken. */
    struct rmill_semaphore arrived; /* The directory that is waited for is ready. */
    struct rmill_directory *awaited;
    struct rmill_latch ended;
    uint32_t emitted;
    bool closing;
    bool out_of_memory;
};

/* ---- the list of directories to come --------------------------------------------------------- */

/* Put `directory` behind `before`; NULL: in front of all. */
static void
list_insert(struct rmill_walk *walk, struct rmill_directory *before,
            struct rmill_directory *directory)
{
    struct rmill_directory *after = before != NULL ? before->next : walk->first;

    directory->previous = before;
    directory->next = after;
    *(before != NULL ? &before->next : &walk->first) = directory;
    *(after != NULL ? &after->previous : &walk->last) = directory;
}

static void
list_remove(struct rmill_walk *walk, struct rmill_directory *directory)
{
    struct rmill_directory *before = directory->previous, *after = directory->next;

    *(before != NULL ? &before->next : &walk->first) = after;
    *(after != NULL ? &after->previous : &walk->last) = before;
    directory->next = directory->previous = NULL;
}

/* The directories of the slice that was just looked at take their places behind `before`. */
static void
list_insert_below(struct rmill_walk *walk, struct rmill_directory *above,
                  struct rmill_directory *before)
{
    for (uint32_t i = 0; i < above->item_count; i++) {
        struct rmill_directory_item *item = &above->items[i];

        if (item->error != 0 || !S_ISDIR(item->mode) ||
            rmill_directory_join_bytes(above->path, above->path_bytes, item->name_bytes) >
                RMILL_ENTRY_PATH_BYTES_MAX) {
            continue;
        }
        item->below = rmill_directory_create(above->root, above->path, above->path_bytes,
                                             item->name, item->name_bytes);
        if (item->below == NULL) {
            walk->out_of_memory = true;
            return;
        }
        item->below->device = item->device;
        item->below->inode = item->inode;
        list_insert(walk, before, item->below);
        before = item->below;
    }
}

/* ---- readers --------------------------------------------------------------------------------- */

/* The next directory to read, or NULL when none is wanted or enough has been read ahead. */
static struct rmill_directory *
wanted_get(const struct rmill_walk *walk)
{
    if (walk->ahead_directories >= AHEAD_DIRECTORIES || walk->ahead_items >= AHEAD_ITEMS) {
        return NULL;
    }
    struct rmill_directory *directory = walk->first;

    while (directory != NULL && directory->state != RMILL_DIRECTORY_WANTED) {
        directory = directory->next;
    }
    return directory;
}

static void
readers_wake(struct rmill_walk *walk)
{
    while (walk->readers_idle > 0) {
        walk->readers_idle--;
        rmill_semaphore_release(&walk->work);
    }
}

static void
directory_fetch(struct rmill_walk *walk, struct rmill_directory *directory)
{
    directory->state = RMILL_DIRECTORY_READING;
    walk->ahead_directories++;
    rmill_blocking_call(rmill_directory_read, directory);
    directory->state = RMILL_DIRECTORY_READY;
    walk->ahead_items += directory->item_count;
    list_insert_below(walk, directory, directory);
    if (walk->awaited == directory) {
        walk->awaited = NULL;
        rmill_semaphore_release(&walk->arrived);
    }
    readers_wake(walk);
}

static void
reader(void *argument)
{
    struct rmill_walk *walk = argument;

    while (!walk->closing) {
        struct rmill_directory *directory = wanted_get(walk);

        if (directory != NULL) {
            directory_fetch(walk, directory);
        } else {
            walk->readers_idle++;
            rmill_semaphore_acquire(&walk->work);
        }
    }
    rmill_latch_done(&walk->ended);
}

int
rmill_walk_create(const struct rmill_walk_options *options, struct rmill_walk **walk)
{
    struct rmill_walk *made = calloc(1, sizeof(*made));
    uint32_t readers = options->readers != 0 ? options->readers : READERS_DEFAULT;

    if (made == NULL) {
        return -ENOMEM;
    }
    made->options = *options;
    for (uint32_t i = 0; i < options->roots->count; i++) {
        const struct rmill_root *root = &options->roots->list[i];

        if (S_ISDIR(root->status.st_mode)) {
            struct rmill_directory *directory =
                rmill_directory_create(root, NULL, 0, root->stored, root->stored_bytes);

            if (directory == NULL) {
                rmill_walk_destroy(made);
                return -ENOMEM;
            }
            directory->device = root->status.st_dev;
            directory->inode = root->status.st_ino;
            list_insert(made, made->last, directory);
        }
    }
    /* Without a single reader the caller reads for itself. */
    while (made->readers < readers) {
        rmill_latch_add(&made->ended, 1);
        if (rmill_spawn(reader, made) < 0) {
            rmill_latch_done(&made->ended);
            break;
        }
        made->readers++;
    }
    *walk = made;
    return 0;
}

void
rmill_walk_destroy(struct rmill_walk *walk)
{
    if (walk == NULL) {
        return;
    }
    walk->closing = true;
    readers_wake(walk);
    if (walk->readers > 0) {
        rmill_latch_wait(&walk->ended);
    }
    while (walk->top != NULL) {
        struct rmill_directory *parent = walk->top->parent;

        rmill_directory_destroy(walk->top);
        walk->top = parent;
    }
    while (walk->first != NULL) {
        struct rmill_directory *directory = walk->first;

        list_remove(walk, directory);
        rmill_directory_destroy(directory);
    }
    free(walk);
}

/* ---- emitting -------------------------------------------------------------------------------- */

static void
problem_tell(struct rmill_walk *walk, enum rmill_problem_kind kind, const char *path,
             uint32_t path_bytes, int error)
{
    walk->options.problem(walk->options.context, &(struct rmill_problem){.kind = kind,
                                                                         .path = path,
                                                                         .path_bytes = path_bytes,
                                                                         .error = error});
}

/* Wait until the first directory of the list is read, and make it the top. */
static void
directory_enter(struct rmill_walk *walk, struct rmill_directory *directory)
{
    RMILL_ASSERT(walk->first == directory);
    if (directory->state == RMILL_DIRECTORY_WANTED) {
        directory_fetch(walk, directory);
    } else if (directory->state == RMILL_DIRECTORY_READING) {
        walk->awaited = directory;
        rmill_semaphore_acquire(&walk->arrived);
    }
    list_remove(walk, directory);
    walk->ahead_directories--;
    walk->ahead_items -= directory->item_count;
    directory->parent = walk->top;
    walk->top = directory;
    readers_wake(walk);
    if (directory->error < 0) {
        problem_tell(walk, RMILL_PROBLEM_PARTIAL, directory->path, directory->path_bytes,
                     directory->error);
    }
}

/* The next slice of the top. False: there is none. */
static bool
slice_next(struct rmill_walk *walk)
{
    struct rmill_directory *top = walk->top;

    if (top->cursor == top->name_count) {
        return false;
    }
    rmill_blocking_call(rmill_directory_read, top);
    if (top->error < 0) {
        problem_tell(walk, RMILL_PROBLEM_PARTIAL, top->path, top->path_bytes, top->error);
    }
    list_insert_below(walk, top, NULL);
    readers_wake(walk);
    return true;
}

static bool
is_excluded(const struct rmill_walk *walk, const struct rmill_directory_item *item)
{
    for (uint32_t i = 0; i < walk->options.exclude_count; i++) {
        if (walk->options.excludes[i].device == item->device &&
            walk->options.excludes[i].inode == item->inode) {
            return true;
        }
    }
    return false;
}

static uint8_t
type_of(uint32_t mode)
{
    return S_ISREG(mode)   ? RMILL_ENTRY_FILE
           : S_ISDIR(mode) ? RMILL_ENTRY_DIRECTORY
           : S_ISLNK(mode) ? RMILL_ENTRY_SYMLINK
                           : 0;
}

/* What keeps an entry out of the archive, told; true when something does. */
static bool
is_left_out(struct rmill_walk *walk, const struct rmill_directory_item *item, const char *path,
            uint32_t path_bytes)
{
    if (item->error != 0) {
        problem_tell(walk, RMILL_PROBLEM_LEFT_OUT, path, path_bytes, item->error);
    } else if (path_bytes > RMILL_ENTRY_PATH_BYTES_MAX) {
        problem_tell(walk, RMILL_PROBLEM_LEFT_OUT, path, path_bytes, -ENAMETOOLONG);
    } else if (type_of(item->mode) == 0) {
        problem_tell(walk, RMILL_PROBLEM_SPECIAL, path, path_bytes, 0);
    } else {
        return is_excluded(walk, item);
    }
    return true;
}

/* Append the member `name` in `above` (NULL: the root itself). */
static int
item_emit(struct rmill_walk *walk, struct rmill_window *window, const struct rmill_root *root,
          const struct rmill_directory *above, const struct rmill_directory_item *item)
{
    uint32_t path_bytes = above == NULL ? item->name_bytes
                                        : rmill_directory_join_bytes(above->path, above->path_bytes,
                                                                     item->name_bytes);
    char *path = rmill_window_text(window, path_bytes);
    char *link = NULL;

    if (path == NULL) {
        return -ENOMEM;
    }
    rmill_directory_join(path, above != NULL ? above->path : ".",
                         above != NULL ? above->path_bytes : 1, item->name, item->name_bytes);
    if (is_left_out(walk, item, path, path_bytes)) {
        return 0;
    }
    struct rmill_member *member = rmill_window_add(window);

    if (item->link_bytes > 0) {
        link = rmill_window_text(window, item->link_bytes);
        if (link != NULL) {
            memcpy(link, item->link, item->link_bytes);
        }
    }
    if (member == NULL || (item->link_bytes > 0 && link == NULL)) {
        return -ENOMEM;
    }
    *member = (struct rmill_member){.path = path,
                                    .path_bytes = path_bytes,
                                    .link = link,
                                    .link_bytes = item->link_bytes,
                                    .root = root,
                                    .size = S_ISREG(item->mode) ? item->size : 0,
                                    .device = item->device,
                                    .inode = item->inode,
                                    .mtime_s = item->mtime_s,
                                    .mtime_ns = item->mtime_ns,
                                    .mode = item->mode & RMILL_ENTRY_MODE_MASK,
                                    .uid = item->uid,
                                    .gid = item->gid,
                                    .names = item->names,
                                    .type = type_of(item->mode)};
    return 0;
}

static int
root_emit(struct rmill_walk *walk, struct rmill_window *window)
{
    const struct rmill_root *root = &walk->options.roots->list[walk->root_next++];
    struct rmill_directory_item item = {
        .name = root->stored, .name_bytes = root->stored_bytes, .link_bytes = root->link_bytes};
    char link[RMILL_ROOT_PATH_BYTES];

    rmill_directory_item_set(&item, &root->status);
    if (root->link_bytes > 0) {
        memcpy(link, root->link, root->link_bytes);
        item.link = link;
    }
    int code = item_emit(walk, window, root, NULL, &item);

    if (code == 0 && S_ISDIR(item.mode)) {
        directory_enter(walk, walk->first);
    }
    return code;
}

/* The next entry of the top directory, which has one in its slice. */
static int
top_emit(struct rmill_walk *walk, struct rmill_window *window)
{
    struct rmill_directory *top = walk->top;
    struct rmill_directory_item *item = &top->items[top->cursor++ - top->item_first];
    int code = item_emit(walk, window, top->root, top, item);

    if (code == 0 && item->below != NULL) {
        directory_enter(walk, item->below);
    }
    return code;
}

static bool
is_over(struct rmill_walk *walk)
{
    if (++walk->emitted % EMITTED_PER_YIELD == 0) {
        rmill_yield();
    }
    return rmill_stopping() || (walk->options.abandoned != NULL && *walk->options.abandoned);
}

int
rmill_walk_fill(struct rmill_walk *walk, struct rmill_window *window, uint32_t limit)
{
    RMILL_ASSERT(limit <= RMILL_INDEX_WINDOW_ENTRIES);
    for (;;) {
        struct rmill_directory *top = walk->top;
        int code = 0;

        if (walk->out_of_memory) {
            return -ENOMEM;
        }
        if (is_over(walk)) {
            return -ECANCELED;
        }
        if (top != NULL && top->cursor == top->item_first + top->item_count) {
            if (!slice_next(walk)) {
                walk->top = top->parent;
                rmill_directory_destroy(top);
            }
            continue;
        }
        if (top == NULL && walk->root_next == walk->options.roots->count) {
            return 0;
        }
        if (window->count >= limit) {
            return 1;
        }
        code = top != NULL ? top_emit(walk, window) : root_emit(walk, window);
        if (code < 0) {
            return code;
        }
    }
}
