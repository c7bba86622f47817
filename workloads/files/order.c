/* workloads/files/order.c — see order.h. */
#include "workloads/files/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_FIRST 256u

/* ---- hard links ------------------------------------------------------------------------------ */

/* An inode whose first name is in the archive. */
struct link {
    struct link *next;
    uint64_t device, inode;
    uint32_t names_left; /* Names the walk may still meet. */
    uint32_t path_bytes;
    char path[];
};

struct rmill_links {
    struct link **buckets; /* A power of two of them. */
    uint32_t bucket_count, count;
};

struct rmill_links *
rmill_links_create(void)
{
    struct rmill_links *links = calloc(1, sizeof(*links));

    if (links == NULL) {
        return NULL;
    }
    links->bucket_count = BUCKETS_FIRST;
    links->buckets = calloc(links->bucket_count, sizeof(links->buckets[0]));
    if (links->buckets == NULL) {
        free(links);
        return NULL;
    }
    return links;
}

void
rmill_links_destroy(struct rmill_links *links)
{
    if (links == NULL) {
        return;
    }
    for (uint32_t i = 0; i < links->bucket_count; i++) {
        while (links->buckets[i] != NULL) {
            struct link *next = links->buckets[i]->next;

            free(links->buckets[i]);
            links->buckets[i] = next;
        }
    }
    free(links->buckets);
    free(links);
}

static uint32_t
bucket_of(uint32_t bucket_count, uint64_t device, uint64_t inode)
{
    return (uint32_t)(rmill_hash64_key(inode ^ (device << 40 | device >> 24)) & (bucket_count - 1));
}

/* Where the pointer to the inode's link is, or where it would be. */
static struct link **
link_find(struct rmill_links *links, uint64_t device, uint64_t inode)
{
    struct link **at = &links->buckets[bucket_of(links->bucket_count, device, inode)];

    while (*at != NULL && ((*at)->inode != inode || (*at)->device != device)) {
        at = &(*at)->next;
    }
    return at;
}

/* Twice the buckets; without memory the chains only grow longer. */
static void
links_grow(struct rmill_links *links)
{
    uint32_t bucket_count = links->bucket_count * 2;
    struct link **buckets = calloc(bucket_count, sizeof(buckets[0]));

    if (buckets == NULL) {
        return;
    }
    for (uint32_t i = 0; i < links->bucket_count; i++) {
        while (links->buckets[i] != NULL) {
            struct link *moved = links->buckets[i];
            struct link **to = &buckets[bucket_of(bucket_count, moved->device, moved->inode)];

            links->buckets[i] = moved->next;
            moved->next = *to;
            *to = moved;
        }
    }
    free(links->buckets);
    links->buckets = buckets;
    links->bucket_count = bucket_count;
}

static int
link_remember(struct rmill_links *links, const struct rmill_member *member)
{
    struct link *link = malloc(sizeof(*link) + member->path_bytes);

    if (link == NULL) {
        return -ENOMEM;
    }
    link->device = member->device;
    link->inode = member->inode;
    link->names_left = member->names - 1;
    link->path_bytes = member->path_bytes;
    memcpy(link->path, member->path, member->path_bytes);
    if (++links->count > links->bucket_count) {
        links_grow(links);
    }
    struct link **bucket =
        &links->buckets[bucket_of(links->bucket_count, link->device, link->inode)];

    link->next = *bucket;
    *bucket = link;
    return 0;
}

static int
member_link(struct rmill_links *links, struct rmill_window *window, struct rmill_member *member,
            struct link **at)
{
    struct link *link = *at;
    char *text = rmill_window_text(window, link->path_bytes);

    if (text == NULL) {
        return -ENOMEM;
    }
    memcpy(text, link->path, link->path_bytes);
    member->type = RMILL_ENTRY_HARDLINK;
    member->link = text;
    member->link_bytes = link->path_bytes;
    member->size = 0;
    if (--link->names_left == 0) {
        *at = link->next;
        free(link);
        links->count--;
    }
    return 0;
}

int
rmill_order_links(struct rmill_links *links, struct rmill_window *window,
                  rmill_order_readable *readable, void *context)
{
    for (uint32_t i = 0; i < window->count; i++) {
        struct rmill_member *member = &window->members[i];
        int code;

        if (member->names < 2 || member->dropped ||
            (member->type != RMILL_ENTRY_FILE && member->type != RMILL_ENTRY_SYMLINK)) {
            continue;
        }
        struct link **at = link_find(links, member->device, member->inode);

        if (*at != NULL) {
            code = member_link(links, window, member, at);
        } else {
            code = member->type == RMILL_ENTRY_FILE ? readable(context, member) : 0;
            if (code < 0) {
                member->dropped = true;
                member->error = code;
                continue;
            }
            code = link_remember(links, member);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

/* ---- the order inside a window --------------------------------------------------------------- */

/* A member with the part of its key that decides nearly always: its group, then the first seven
 * bytes of the extension. The rest is asked of pathname.h. */
struct sorted {
    uint64_t key;
    uint32_t number;
};

static uint64_t
key_of(const struct rmill_member *member)
{
    size_t bytes;
    const char *name = rmill_pathname_last(member->path, member->path_bytes, &bytes);
    const char *dot = bytes > 1 ? memrchr(name + 1, '.', bytes - 1) : NULL;
    const char *end = name + bytes;
    uint64_t key = member->type == RMILL_ENTRY_DIRECTORY  ? 0
                   : member->type == RMILL_ENTRY_HARDLINK ? 2
                                                          : 1;

    for (int i = 0; i < 7; i++) {
        const char *at = dot != NULL ? dot + 1 + i : end;

        key = key << 8 | (member->type != RMILL_ENTRY_DIRECTORY && at < end ? (uint8_t)*at : 0);
    }
    return key;
}

static int
sorted_compare(const void *a, const void *b, void *argument)
{
    const struct sorted *left = a, *right = b;
    const struct rmill_window *window = argument;

    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    const struct rmill_member *one = &window->members[left->number];
    const struct rmill_member *other = &window->members[right->number];

    if (one->type == RMILL_ENTRY_DIRECTORY) { /* The walk's order is by path. */
        return left->number < right->number ? -1 : 1;
    }
    return rmill_pathname_compare_grouped(one->path, one->path_bytes, other->path,
                                          other->path_bytes);
}

int
rmill_order_sort(struct rmill_window *window, enum rmill_pathname_order order)
{
    struct sorted *sorted = malloc(((size_t)window->count + 1) * sizeof(sorted[0]));

    window->order = malloc(((size_t)window->count + 1) * sizeof(window->order[0]));
    if (sorted == NULL || window->order == NULL) {
        free(sorted);
        return -ENOMEM;
    }
    window->order_count = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        if (!window->members[i].dropped) {
            sorted[window->order_count++] = (struct sorted){key_of(&window->members[i]), i};
        }
    }
    if (order == RMILL_PATHNAME_GROUPED) {
        qsort_r(sorted, window->order_count, sizeof(sorted[0]), sorted_compare, window);
    }
    for (uint32_t i = 0; i < window->order_count; i++) {
        window->order[i] = sorted[i].number;
    }
    free(sorted);
    return 0;
}
