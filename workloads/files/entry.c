#include "workloads/files/entry.h"

#include <errno.h>
#include <string.h>

#include "workloads/files/pathname.h"

/* Which rule of the link the entry breaks, or NULL. */
static const char *
link_fault(const struct rmill_entry *entry)
{
    if (entry->type != RMILL_ENTRY_SYMLINK && entry->type != RMILL_ENTRY_HARDLINK) {
        return entry->link_bytes != 0 ? "a link text on what is no link" : NULL;
    }
    if (entry->link_bytes == 0 || entry->link_bytes > RMILL_ENTRY_PATH_BYTES_MAX) {
        return "a link text that is empty or longer than 65,535 bytes";
    }
    if (entry->type == RMILL_ENTRY_SYMLINK) {
        return memchr(entry->link, 0, entry->link_bytes) != NULL ? "a NUL byte in its link" : NULL;
    }
    if (rmill_pathname_check(entry->link, entry->link_bytes, NULL) < 0) {
        return "a hard link to an unsafe name";
    }
    return NULL;
}

/* Which rule of the content the entry breaks, or NULL. */
static const char *
content_fault(const struct rmill_entry *entry)
{
    if (entry->hash_type != RMILL_ENTRY_HASH_NONE &&
        entry->hash_type != RMILL_ENTRY_HASH_XXH3_128) {
        return "a hash type this version does not know";
    }
    if ((entry->type == RMILL_ENTRY_FILE) != (entry->hash_type != RMILL_ENTRY_HASH_NONE)) {
        return "a digest on what has no content, or none on a file";
    }
    if (entry->type != RMILL_ENTRY_FILE && entry->size != 0) {
        return "a size on what has no content";
    }
    if (entry->size > RMILL_ENTRY_SIZE_MAX || entry->raw_offset > RMILL_ENTRY_SIZE_MAX) {
        return "a size or offset above 2^62";
    }
    if (entry->raw_offset % 512 != 0 || entry->header_bytes % 512 != 0 ||
        entry->header_bytes == 0) {
        return "a position that is not on a border of 512 bytes";
    }
    return NULL;
}

/* Which limit of the numbers and names the entry breaks, or NULL. */
static const char *
limit_fault(const struct rmill_entry *entry)
{
    if (entry->type < RMILL_ENTRY_FILE || entry->type > RMILL_ENTRY_HARDLINK) {
        return "a type this version does not know";
    }
    if ((entry->mode & ~RMILL_ENTRY_MODE_MASK) != 0) {
        return "more in its mode than permissions";
    }
    if ((entry->flags & ~RMILL_ENTRY_FLAGS) != 0) {
        return "flags this version does not know";
    }
    if (entry->mtime_ns > 999999999) {
        return "nanoseconds of a second or more";
    }
    if (entry->uname_bytes > RMILL_ENTRY_NAME_BYTES_MAX ||
        entry->gname_bytes > RMILL_ENTRY_NAME_BYTES_MAX) {
        return "an owner's name of more than 255 bytes";
    }
    if ((entry->uname_bytes > 0 && memchr(entry->uname, 0, entry->uname_bytes) != NULL) ||
        (entry->gname_bytes > 0 && memchr(entry->gname, 0, entry->gname_bytes) != NULL)) {
        return "a NUL byte in an owner's name";
    }
    if (entry->path_bytes == 1 && entry->path[0] == '.' && entry->type != RMILL_ENTRY_DIRECTORY) {
        return "the name \".\" without being a directory";
    }
    return NULL;
}

int
rmill_entry_check(const struct rmill_entry *entry, struct rmill_error *error)
{
    int code = rmill_pathname_check(entry->path, entry->path_bytes, error);

    if (code < 0) {
        return code;
    }
    const char *fault = limit_fault(entry);

    if (fault == NULL) {
        fault = content_fault(entry);
    }
    if (fault == NULL) {
        fault = link_fault(entry);
    }
    if (fault != NULL) {
        char name[128];

        return rmill_error_set(
            error, -EINVAL, "entry %s has %s",
            rmill_pathname_escape(name, sizeof(name), entry->path, entry->path_bytes), fault);
    }
    return 0;
}
