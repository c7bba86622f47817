/* tests/fuzz/fuzz_tar.c — any bytes as a tar: the parser never reads outside them, and what it
 * accepts within our limits comes back the same from our own writer. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "workloads/files/pathname.h"
#include "workloads/files/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
text_compare(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes)
{
    RMILL_ASSERT(a_bytes == b_bytes);
    RMILL_ASSERT(a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

static void
write_and_compare(const struct rmill_entry *entry)
{
    struct rmill_tar_parser parser = {0};
    struct rmill_entry again;
    size_t header_bytes;
    uint32_t bytes = rmill_tar_header_bytes(entry);
    uint8_t *buffer = malloc(bytes);

    RMILL_ASSERT(buffer != NULL);
    RMILL_ASSERT(rmill_tar_header_write(entry, buffer) == bytes);
    RMILL_ASSERT(rmill_tar_header_parse(&parser, buffer, bytes, &again, &header_bytes, NULL) ==
                 RMILL_TAR_MEMBER);
    RMILL_ASSERT(header_bytes == bytes);
    text_compare(entry->path, entry->path_bytes, again.path, again.path_bytes);
    text_compare(entry->link, entry->link_bytes, again.link, again.link_bytes);
    text_compare(entry->uname, entry->uname_bytes, again.uname, again.uname_bytes);
    text_compare(entry->gname, entry->gname_bytes, again.gname, again.gname_bytes);
    RMILL_ASSERT(entry->size == again.size && entry->mode == again.mode);
    RMILL_ASSERT(entry->uid == again.uid && entry->gid == again.gid && entry->type == again.type);
    RMILL_ASSERT(entry->mtime_s == again.mtime_s && entry->mtime_ns == again.mtime_ns);
    free(buffer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rmill_tar_parser parser = {0};
    size_t at = 0;

    for (;;) {
        struct rmill_entry entry;
        struct rmill_error error;
        size_t header_bytes;
        int result =
            rmill_tar_header_parse(&parser, data + at, bytes - at, &entry, &header_bytes, &error);

        if (result == -EAGAIN) {
            RMILL_ASSERT(header_bytes > bytes - at);
        }
        if (result < 0 || result == RMILL_TAR_END) {
            return 0;
        }
        if (result == RMILL_TAR_MEMBER &&
            rmill_pathname_check(entry.path, entry.path_bytes, &error) == 0) {
            write_and_compare(&entry);
        }
        uint64_t step = header_bytes + entry.size + rmill_tar_padding(entry.size);

        if (step > bytes - at) {
            return 0;
        }
        at += step;
    }
}
