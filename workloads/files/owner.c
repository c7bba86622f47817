/* workloads/files/owner.c — see owner.h. */
#include "workloads/files/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/files/entry.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 20) /* A group with very many members. */
#define SLOTS_FIRST      16u

/* Open addressing, a power of two, at most half full. The one asked for last is asked for again. */
struct rmill_owners {
    rmill_owner_source *source;
    struct rmill_owner **slots;
    uint32_t slot_count, count;
    const struct rmill_owner *last;
};

static uint32_t
name_copy(char *to, const char *name)
{
    size_t bytes = name != NULL ? strlen(name) : 0;

    if (bytes > RMILL_ENTRY_NAME_BYTES_MAX) {
        return 0;
    }
    memcpy(to, name != NULL ? name : "", bytes);
    return (uint32_t)bytes;
}

/* Ask with a growing buffer. */
static uint32_t
name_ask(uint32_t id, char *name, int (*ask)(uint32_t id, char *buffer, size_t bytes, char **found))
{
    uint32_t name_bytes = 0;

    for (size_t bytes = 1024; bytes <= ANSWER_BYTES_MAX; bytes *= 4) {
        char *buffer = malloc(bytes);
        char *found = NULL;
        int code = buffer != NULL ? ask(id, buffer, bytes, &found) : ENOMEM;

        if (code == 0) {
            name_bytes = name_copy(name, found);
        }
        free(buffer);
        if (code != ERANGE) {
            break;
        }
    }
    return name_bytes;
}

static int
user_ask(uint32_t id, char *buffer, size_t bytes, char **found)
{
    struct passwd record, *result = NULL;
    int code = getpwuid_r(id, &record, buffer, bytes, &result);

    *found = result != NULL ? record.pw_name : NULL;
    return code;
}

static int
group_ask(uint32_t id, char *buffer, size_t bytes, char **found)
{
    struct group record, *result = NULL;
    int code = getgrgid_r(id, &record, buffer, bytes, &result);

    *found = result != NULL ? record.gr_name : NULL;
    return code;
}

uint32_t
rmill_owner_user_name(uint32_t id, char *name)
{
    return name_ask(id, name, user_ask);
}

uint32_t
rmill_owner_group_name(uint32_t id, char *name)
{
    return name_ask(id, name, group_ask);
}

struct rmill_owners *
rmill_owners_create(rmill_owner_source *source)
{
    struct rmill_owners *owners = calloc(1, sizeof(*owners));

    if (owners == NULL) {
        return NULL;
    }
    owners->source = source;
    owners->slots = calloc(SLOTS_FIRST, sizeof(owners->slots[0]));
    owners->slot_count = SLOTS_FIRST;
    if (owners->slots == NULL) {
        free(owners);
        return NULL;
    }
    return owners;
}

void
rmill_owners_destroy(struct rmill_owners *owners)
{
    if (owners != NULL) {
        for (uint32_t i = 0; i < owners->slot_count; i++) {
            free(owners->slots[i]);
        }
        free(owners->slots);
        free(owners);
    }
}

/* The slot of `id`, or the empty one where it belongs. */
static struct rmill_owner **
slot_find(struct rmill_owner **slots, uint32_t slot_count, uint32_t id)
{
    uint32_t slot = (id * 2654435761u) & (slot_count - 1);

    while (slots[slot] != NULL && slots[slot]->id != id) {
        slot = (slot + 1) & (slot_count - 1);
    }
    return &slots[slot];
}

static int
owners_grow(struct rmill_owners *owners)
{
    uint32_t slot_count = owners->slot_count * 2;
    struct rmill_owner **slots = calloc(slot_count, sizeof(slots[0]));

    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < owners->slot_count; i++) {
        if (owners->slots[i] != NULL) {
            *slot_find(slots, slot_count, owners->slots[i]->id) = owners->slots[i];
        }
    }
    free(owners->slots);
    owners->slots = slots;
    owners->slot_count = slot_count;
    return 0;
}

const struct rmill_owner *
rmill_owners_get(struct rmill_owners *owners, uint32_t id)
{
    if (owners->last != NULL && owners->last->id == id) {
        return owners->last;
    }
    struct rmill_owner **slot = slot_find(owners->slots, owners->slot_count, id);

    if (*slot == NULL) {
        char name[RMILL_ENTRY_NAME_BYTES_MAX];
        uint32_t bytes = owners->source != NULL ? owners->source(id, name) : 0;
        struct rmill_owner *owner = malloc(sizeof(*owner) + bytes);

        if (owner == NULL) {
            return NULL;
        }
        memcpy(owner + 1, name, bytes);
        *owner =
            (struct rmill_owner){.id = id, .name_bytes = bytes, .name = (const char *)(owner + 1)};
        *slot = owner;
        owners->last = owner;
        owners->count++;
        if (owners->count * 2 > owners->slot_count && owners_grow(owners) < 0) {
            return NULL;
        }
        return owner;
    }
    owners->last = *slot;
    return *slot;
}
