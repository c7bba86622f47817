/* workloads/files/window.c — see window.h. */
#include "workloads/files/window.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "workloads/files/index.h"

#define TEXT_BLOCK_BYTES ((size_t)256 << 10)
#define MEMBERS_FIRST    1024u

struct rmill_window_text {
    struct rmill_window_text *next;
    size_t used, capacity;
    char bytes[];
};

void
rmill_window_deinit(struct rmill_window *window)
{
    while (window->texts != NULL) {
        struct rmill_window_text *next = window->texts->next;

        free(window->texts);
        window->texts = next;
    }
    free(window->members);
    free(window->order);
    *window = (struct rmill_window){0};
}

struct rmill_member *
rmill_window_add(struct rmill_window *window)
{
    RMILL_ASSERT(window->count < RMILL_INDEX_WINDOW_ENTRIES);
    if (window->count == window->capacity) {
        uint32_t capacity = window->capacity == 0 ? MEMBERS_FIRST : window->capacity * 2;
        struct rmill_member *members =
            realloc(window->members, (size_t)capacity * sizeof(members[0]));

        if (members == NULL) {
            return NULL;
        }
        window->members = members;
        window->capacity = capacity;
    }
    struct rmill_member *member = &window->members[window->count++];

    memset(member, 0, sizeof(*member));
    return member;
}

char *
rmill_window_text(struct rmill_window *window, size_t bytes)
{
    struct rmill_window_text *block = window->texts;

    if (block == NULL || block->capacity - block->used < bytes + 1) {
        size_t capacity = bytes + 1 > TEXT_BLOCK_BYTES ? bytes + 1 : TEXT_BLOCK_BYTES;

        block = malloc(sizeof(*block) + capacity);
        if (block == NULL) {
            return NULL;
        }
        block->next = window->texts;
        block->used = 0;
        block->capacity = capacity;
        window->texts = block;
    }
    char *text = block->bytes + block->used;

    block->used += bytes + 1;
    text[bytes] = 0;
    return text;
}

void
rmill_member_entry(const struct rmill_member *member, struct rmill_entry *entry)
{
    *entry = (struct rmill_entry){
        .path = member->path,
        .link = member->link,
        .path_bytes = member->path_bytes,
        .link_bytes = member->link_bytes,
        .size = member->type == RMILL_ENTRY_FILE ? member->size : 0,
        .mtime_s = member->mtime_s,
        .mtime_ns = member->mtime_ns,
        .mode = member->mode,
        .uid = member->uid,
        .gid = member->gid,
        .raw_offset = member->raw_offset,
        .header_bytes = member->header_bytes,
        .flags = member->flags,
        .type = member->type,
    };
    if (member->user != NULL) {
        entry->uname = member->user->name;
        entry->uname_bytes = member->user->name_bytes;
    }
    if (member->group != NULL) {
        entry->gname = member->group->name;
        entry->gname_bytes = member->group->name_bytes;
    }
    if (member->type == RMILL_ENTRY_FILE) {
        entry->hash_type = RMILL_ENTRY_HASH_XXH3_128;
        memcpy(entry->digest, member->digest.bytes, sizeof(member->digest.bytes));
    }
}
