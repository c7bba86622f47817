/* workloads/files/directory.c — see directory.h. */
#include "workloads/files/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ringmill.h"

#define LIST_BYTES ((size_t)32 << 10)

/* ---- names ----------------------------------------------------------------------------------- */

static bool
is_everything(const char *path, uint32_t path_bytes)
{
    return path_bytes == 1 && path[0] == '.';
}

uint32_t
rmill_directory_join_bytes(const char *above, uint32_t above_bytes, uint32_t name_bytes)
{
    return is_everything(above, above_bytes) ? name_bytes : above_bytes + 1 + name_bytes;
}

void
rmill_directory_join(char *to, const char *above, uint32_t above_bytes, const char *name,
                     uint32_t name_bytes)
{
    if (!is_everything(above, above_bytes)) {
        memcpy(to, above, above_bytes);
        to[above_bytes] = '/';
        to += above_bytes + 1;
    }
    memcpy(to, name, name_bytes);
}

struct rmill_directory *
rmill_directory_create(const struct rmill_root *root, const char *above, uint32_t above_bytes,
                       const char *name, uint32_t name_bytes)
{
    struct rmill_directory *directory = calloc(1, sizeof(*directory));

    if (directory == NULL) {
        return NULL;
    }
    directory->root = root;
    directory->path_bytes =
        above == NULL ? name_bytes : rmill_directory_join_bytes(above, above_bytes, name_bytes);
    directory->path = calloc(1, (size_t)directory->path_bytes + 1);
    if (directory->path == NULL) {
        free(directory);
        return NULL;
    }
    rmill_directory_join(directory->path, above != NULL ? above : ".",
                         above != NULL ? above_bytes : 1, name, name_bytes);
    return directory;
}

static void
items_drop(struct rmill_directory *directory)
{
    for (uint32_t i = 0; i < directory->item_count; i++) {
        free(directory->items[i].link);
    }
    free(directory->items);
    directory->items = NULL;
    directory->item_first = directory->cursor;
    directory->item_count = 0;
}

void
rmill_directory_destroy(struct rmill_directory *directory)
{
    if (directory != NULL) {
        items_drop(directory);
        free(directory->names);
        free(directory->text);
        free(directory->path);
        free(directory);
    }
}

/* ---- listing --------------------------------------------------------------------------------- */

struct listing {
    struct rmill_directory *directory;
    size_t text_bytes, text_capacity;
    uint32_t name_capacity;
};

static int
name_add(struct listing *listing, const char *name)
{
    struct rmill_directory *directory = listing->directory;
    size_t bytes = strlen(name) + 1;

    if (listing->text_capacity - listing->text_bytes < bytes) {
        size_t capacity = (listing->text_capacity + bytes) * 2;
        char *text = capacity <= UINT32_MAX ? realloc(directory->text, capacity) : NULL;

        if (text == NULL) {
            return -ENOMEM;
        }
        directory->text = text;
        listing->text_capacity = capacity;
    }
    if (directory->name_count == listing->name_capacity) {
        uint32_t capacity = listing->name_capacity * 2 + 16;
        uint32_t *names = realloc(directory->names, (size_t)capacity * sizeof(names[0]));

        if (names == NULL) {
            return -ENOMEM;
        }
        directory->names = names;
        listing->name_capacity = capacity;
    }
    memcpy(directory->text + listing->text_bytes, name, bytes);
    directory->names[directory->name_count++] = (uint32_t)listing->text_bytes;
    listing->text_bytes += bytes;
    return 0;
}

static int
name_compare(const void *a, const void *b, void *text)
{
    const uint32_t *left = a, *right = b;

    return strcmp((const char *)text + *left, (const char *)text + *right);
}

/* Sort; a file system that is changed while it is listed may show a name twice. */
static void
names_sort(struct rmill_directory *directory)
{
    uint32_t kept = 0;

    if (directory->name_count == 0) {
        return;
    }
    qsort_r(directory->names, directory->name_count, sizeof(directory->names[0]), name_compare,
            directory->text);
    for (uint32_t i = 1; i < directory->name_count; i++) {
        if (strcmp(directory->text + directory->names[kept],
                   directory->text + directory->names[i]) != 0) {
            directory->names[++kept] = directory->names[i];
        }
    }
    directory->name_count = kept + 1;
}

static int
block_parse(struct listing *listing, const char *block, int64_t bytes)
{
    for (int64_t at = 0; at < bytes;) {
        const struct dirent64 *entry = (const struct dirent64 *)(const void *)(block + at);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            int code = name_add(listing, entry->d_name);

            if (code < 0) {
                return code;
            }
        }
        at += entry->d_reclen;
    }
    return 0;
}

static int
directory_list(struct rmill_directory *directory, int fd)
{
    struct listing listing = {.directory = directory};
    char *block = malloc(LIST_BYTES);
    int64_t code = block != NULL ? 1 : -ENOMEM;

    while (code > 0) {
        code = rmill_plain_directory_read(fd, block, LIST_BYTES);
        if (code > 0) {
            int parsed = block_parse(&listing, block, code);

            code = parsed < 0 ? parsed : code;
        }
    }
    free(block);
    names_sort(directory);
    return (int)code;
}

/* ---- looking --------------------------------------------------------------------------------- */

void
rmill_directory_item_set(struct rmill_directory_item *item, const struct stat *status)
{
    item->mode = status->st_mode;
    item->uid = status->st_uid;
    item->gid = status->st_gid;
    item->names = (uint32_t)rmill_min_u64(status->st_nlink, UINT32_MAX);
    item->size = (uint64_t)status->st_size;
    item->device = status->st_dev;
    item->inode = status->st_ino;
    item->mtime_s = status->st_mtim.tv_sec;
    item->mtime_ns = (uint32_t)status->st_mtim.tv_nsec;
}

static int
link_read(struct rmill_directory_item *item, int fd)
{
    char text[RMILL_ROOT_PATH_BYTES];
    int bytes = rmill_plain_readlink(fd, item->name, text, sizeof(text));

    if (bytes < 0) {
        return bytes;
    }
    if (bytes == 0 || bytes == (int)sizeof(text)) {
        return bytes == 0 ? -EINVAL : -ENAMETOOLONG;
    }
    item->link = malloc((size_t)bytes);
    if (item->link == NULL) {
        return -ENOMEM;
    }
    memcpy(item->link, text, (size_t)bytes);
    item->link_bytes = (uint32_t)bytes;
    return 0;
}

static void
item_look(struct rmill_directory_item *item, int fd)
{
    struct stat status;

    item->error = rmill_plain_stat(fd, item->name, &status);
    if (item->error < 0) {
        return;
    }
    item->error = 0;
    rmill_directory_item_set(item, &status);
    if (S_ISLNK(status.st_mode)) {
        item->error = link_read(item, fd);
    }
}

static int
slice_look(struct rmill_directory *directory, int fd)
{
    uint32_t count =
        (uint32_t)rmill_min_u64(directory->name_count - directory->cursor, RMILL_DIRECTORY_SLICE);

    items_drop(directory);
    if (count == 0) {
        return 0;
    }
    directory->items = calloc(count, sizeof(directory->items[0]));
    if (directory->items == NULL) {
        return -ENOMEM;
    }
    directory->item_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct rmill_directory_item *item = &directory->items[i];

        item->name = directory->text + directory->names[directory->cursor + i];
        item->name_bytes = (uint32_t)strlen(item->name);
        item_look(item, fd);
    }
    return 0;
}

int64_t
rmill_directory_read(void *argument)
{
    struct rmill_directory *directory = argument;
    struct stat status;
    int listed = 0;
    int fd = rmill_root_open(directory->root, directory->path, directory->path_bytes,
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    int code = fd < 0 ? fd : rmill_plain_stat(fd, "", &status);

    if (code >= 0 && (status.st_dev != directory->device || status.st_ino != directory->inode)) {
        code = -ESTALE;
    }
    if (code >= 0 && directory->text == NULL) {
        listed = directory_list(directory, fd);
    }
    if (code >= 0) {
        code = slice_look(directory, fd);
    }
    if (code < 0) { /* What was not looked at is lost. */
        items_drop(directory);
        directory->name_count = directory->cursor;
    }
    if (fd >= 0) {
        rmill_plain_close(fd);
    }
    directory->error = code < 0 ? code : listed;
    return 0;
}
