/* workloads/files/owner.h — names of users and groups, each asked for once.
 *
 * The system's answer may come over a network, so look-ups belong on the blocking lane. A name
 * that is not known, or too long to store, is the empty one. One table for users, one for groups.
 *
 * Owner: one thread at a time; the records it gave stay where they are and are read by anyone. */
#ifndef RMILL_FILES_OWNER_H
#define RMILL_FILES_OWNER_H

#include <stdint.h>

struct rmill_owner {
    uint32_t id;
    uint32_t name_bytes;
    const char *name;
};

struct rmill_owners;

/* Where names come from: write the name of `id` into `name` (RMILL_ENTRY_NAME_BYTES_MAX bytes of
 * room) and return its length, 0 when there is none. */
typedef uint32_t rmill_owner_source(uint32_t id, char *name);

rmill_owner_source rmill_owner_user_name;  /* The system's users. */
rmill_owner_source rmill_owner_group_name; /* The system's groups. */

/* `source` NULL: nobody has a name. NULL out of memory. */
struct rmill_owners *rmill_owners_create(rmill_owner_source *source);
void rmill_owners_destroy(struct rmill_owners *owners); /* Accepts NULL. */

/* The record of `id`, alive as long as the table; NULL out of memory. */
const struct rmill_owner *rmill_owners_get(struct rmill_owners *owners, uint32_t id);

#endif
