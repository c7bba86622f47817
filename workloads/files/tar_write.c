#include "workloads/files/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"
#include "workloads/files/pathname.h"
#include "workloads/files/tar_layout.h"

/* What of an entry does not fit the ustar header and goes to a pax record. */
#define NEEDS_CHARSET 1u
#define NEEDS_PATH    2u
#define NEEDS_LINK    4u
#define NEEDS_SIZE    8u
#define NEEDS_UID     16u
#define NEEDS_GID     32u
#define NEEDS_UNAME   64u
#define NEEDS_GNAME   128u
#define NEEDS_MTIME   256u

/* The path as the tar has it: with a slash behind a directory's name. */
static size_t
stored_bytes(const struct rmill_entry *entry)
{
    return (size_t)entry->path_bytes + (entry->type == RMILL_ENTRY_DIRECTORY);
}

/* Where to cut a path of more than 100 bytes into prefix and name: the index of the slash
 * between them, the first that leaves a name short enough; 0 when no slash does. The slash
 * behind a directory's name is no border. */
static size_t
split_of(const struct rmill_entry *entry)
{
    size_t stored = stored_bytes(entry);
    size_t first = stored - TAR_NAME_BYTES - 1;

    if (first > TAR_PREFIX_BYTES) {
        return 0;
    }
    for (size_t i = rmill_max_u64(first, 1); i <= TAR_PREFIX_BYTES && i + 1 < entry->path_bytes;
         i++) {
        if (entry->path[i] == '/') {
            return i;
        }
    }
    return 0;
}

static int
is_binary(const char *text, uint32_t bytes)
{
    return bytes > 0 && !rmill_pathname_is_utf8(text, bytes);
}

static unsigned
needs_of(const struct rmill_entry *entry)
{
    unsigned needs = 0;

    if (stored_bytes(entry) > TAR_NAME_BYTES && split_of(entry) == 0) {
        needs |= NEEDS_PATH | (is_binary(entry->path, entry->path_bytes) ? NEEDS_CHARSET : 0);
    }
    if (entry->link_bytes > TAR_NAME_BYTES) {
        needs |= NEEDS_LINK | (is_binary(entry->link, entry->link_bytes) ? NEEDS_CHARSET : 0);
    }
    if (entry->uname_bytes >= TAR_OWNER_BYTES) {
        needs |= NEEDS_UNAME | (is_binary(entry->uname, entry->uname_bytes) ? NEEDS_CHARSET : 0);
    }
    if (entry->gname_bytes >= TAR_OWNER_BYTES) {
        needs |= NEEDS_GNAME | (is_binary(entry->gname, entry->gname_bytes) ? NEEDS_CHARSET : 0);
    }
    needs |= entry->size > TAR_OCTAL11_MAX ? NEEDS_SIZE : 0;
    needs |= entry->uid > TAR_OCTAL7_MAX ? NEEDS_UID : 0;
    needs |= entry->gid > TAR_OCTAL7_MAX ? NEEDS_GID : 0;
    if (entry->mtime_ns != 0 || entry->mtime_s < 0 || entry->mtime_s > (int64_t)TAR_OCTAL11_MAX) {
        needs |= NEEDS_MTIME;
    }
    return needs;
}

/* Collects pax records: counts only while `out` is NULL. */
struct records {
    uint8_t *out;
    size_t bytes;
};

static unsigned
decimal_digits(size_t value)
{
    unsigned digits = 1;

    for (; value >= 10; value /= 10) {
        digits++;
    }
    return digits;
}

/* "LEN KEY=VALUE\n", where VALUE is two pieces one after the other. */
static void
record_add2(struct records *records, const char *key, const char *value, size_t value_bytes,
            const char *tail)
{
    size_t rest = 1 + strlen(key) + 1 + value_bytes + strlen(tail) + 1;
    size_t length = rest + decimal_digits(rest);

    length = rest + decimal_digits(length); /* LEN counts its own digits: one more carry at most. */
    if (records->out != NULL) {
        char head[64];
        int head_bytes = snprintf(head, sizeof(head), "%zu %s=", length, key);
        uint8_t *to = records->out + records->bytes;

        memcpy(to, head, (size_t)head_bytes);
        to += head_bytes;
        memcpy(to, value, value_bytes);
        to += value_bytes;
        memcpy(to, tail, strlen(tail));
        to[strlen(tail)] = '\n';
    }
    records->bytes += length;
}

static void
record_add(struct records *records, const char *key, const char *value, size_t value_bytes)
{
    record_add2(records, key, value, value_bytes, "");
}

static void
record_add_number(struct records *records, const char *key, uint64_t value)
{
    char text[24];
    int bytes = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

    record_add(records, key, text, (size_t)bytes);
}

/* Seconds and nine digits; of a time before 1970 the nanoseconds count downwards from the next
 * second. */
static void
record_add_mtime(struct records *records, const struct rmill_entry *entry)
{
    char text[40];
    uint64_t seconds = (uint64_t)entry->mtime_s;
    uint32_t ns = entry->mtime_ns;
    const char *sign = "";

    if (entry->mtime_s < 0) {
        sign = "-";
        seconds = -seconds - (ns > 0);
        ns = ns > 0 ? (uint32_t)RMILL_NS_PER_S - ns : 0;
    }
    int bytes = ns == 0 ? snprintf(text, sizeof(text), "%s%llu", sign, (unsigned long long)seconds)
                        : snprintf(text, sizeof(text), "%s%llu.%09u", sign,
                                   (unsigned long long)seconds, ns);

    record_add(records, "mtime", text, (size_t)bytes);
}

/* All records in their fixed order. */
static void
records_fill(struct records *records, const struct rmill_entry *entry, unsigned needs)
{
    if (needs & NEEDS_CHARSET) {
        record_add(records, "hdrcharset", "BINARY", 6);
    }
    if (needs & NEEDS_PATH) {
        record_add2(records, "path", entry->path, entry->path_bytes,
                    entry->type == RMILL_ENTRY_DIRECTORY ? "/" : "");
    }
    if (needs & NEEDS_LINK) {
        record_add(records, "linkpath", entry->link, entry->link_bytes);
    }
    if (needs & NEEDS_SIZE) {
        record_add_number(records, "size", entry->size);
    }
    if (needs & NEEDS_UID) {
        record_add_number(records, "uid", entry->uid);
    }
    if (needs & NEEDS_GID) {
        record_add_number(records, "gid", entry->gid);
    }
    if (needs & NEEDS_UNAME) {
        record_add(records, "uname", entry->uname, entry->uname_bytes);
    }
    if (needs & NEEDS_GNAME) {
        record_add(records, "gname", entry->gname, entry->gname_bytes);
    }
    if (needs & NEEDS_MTIME) {
        record_add_mtime(records, entry);
    }
}

uint32_t
rmill_tar_header_bytes(const struct rmill_entry *entry)
{
    unsigned needs = needs_of(entry);

    if (needs == 0) {
        return RMILL_TAR_BLOCK_BYTES;
    }
    struct records records = {0};

    records_fill(&records, entry, needs);
    return 2 * RMILL_TAR_BLOCK_BYTES +
           (uint32_t)rmill_align_up(records.bytes, RMILL_TAR_BLOCK_BYTES);
}

/* `field_bytes` - 1 octal digits and a NUL. */
static void
octal_put(uint8_t *field, size_t field_bytes, uint64_t value)
{
    field[field_bytes - 1] = 0;
    for (size_t i = field_bytes - 1; i > 0; i--) {
        field[i - 1] = (uint8_t)('0' + (value & 7));
        value >>= 3;
    }
}

static void
text_put(uint8_t *field, size_t field_bytes, const char *text, size_t text_bytes)
{
    if (text_bytes > 0) {
        memcpy(field, text, rmill_min_u64(field_bytes, text_bytes));
    }
}

/* Constant fields and the checksum; everything else of the block is in place. */
static void
block_seal(uint8_t *block, char type)
{
    block[TAR_TYPE] = (uint8_t)type;
    memcpy(block + TAR_MAGIC,
           "ustar\0"
           "00",
           8);
    octal_put(block + TAR_DEVMAJOR, 8, 0);
    octal_put(block + TAR_DEVMINOR, 8, 0);
    memset(block + TAR_CHECKSUM, ' ', 8);
    unsigned sum = 0;

    for (size_t i = 0; i < RMILL_TAR_BLOCK_BYTES; i++) {
        sum += block[i];
    }
    octal_put(block + TAR_CHECKSUM, 7, sum); /* Six digits, NUL; the space after it stays. */
}

/* The pax header: a name that no pass of another program can differ in. */
static uint32_t
pax_write(const struct rmill_entry *entry, unsigned needs, uint8_t *to)
{
    struct records records = {.out = to + RMILL_TAR_BLOCK_BYTES};

    memset(to, 0, RMILL_TAR_BLOCK_BYTES);
    records_fill(&records, entry, needs);
    uint32_t padding = rmill_tar_padding(records.bytes);

    memset(records.out + records.bytes, 0, padding);
    text_put(to + TAR_NAME, TAR_NAME_BYTES, TAR_PAX_NAME, strlen(TAR_PAX_NAME));
    octal_put(to + TAR_MODE, 8, 0644);
    octal_put(to + TAR_UID, 8, 0);
    octal_put(to + TAR_GID, 8, 0);
    octal_put(to + TAR_SIZE, 12, records.bytes);
    octal_put(to + TAR_MTIME, 12, 0);
    block_seal(to, 'x');
    return RMILL_TAR_BLOCK_BYTES + (uint32_t)records.bytes + padding;
}

/* Name and prefix; with a path record the name's first 100 bytes are there for readers without
 * pax. */
static void
path_put(const struct rmill_entry *entry, unsigned needs, uint8_t *block)
{
    size_t stored = stored_bytes(entry);
    size_t split = 0;

    if (stored > TAR_NAME_BYTES && (needs & NEEDS_PATH) == 0) {
        split = split_of(entry);
        text_put(block + TAR_PREFIX, TAR_PREFIX_BYTES, entry->path, split);
        split++;
    }
    text_put(block + TAR_NAME, TAR_NAME_BYTES, entry->path + split, entry->path_bytes - split);
    if (stored - split <= TAR_NAME_BYTES && entry->type == RMILL_ENTRY_DIRECTORY) {
        block[TAR_NAME + stored - split - 1] = '/';
    }
}

static char
type_of(const struct rmill_entry *entry)
{
    switch (entry->type) {
    case RMILL_ENTRY_FILE:
        return '0';
    case RMILL_ENTRY_HARDLINK:
        return '1';
    case RMILL_ENTRY_SYMLINK:
        return '2';
    case RMILL_ENTRY_DIRECTORY:
        return '5';
    default:
        RMILL_PANIC("an entry of no type");
    }
}

uint32_t
rmill_tar_header_write(const struct rmill_entry *entry, void *buffer)
{
    unsigned needs = needs_of(entry);
    uint8_t *block = buffer;
    uint64_t mtime = (needs & NEEDS_MTIME) && entry->mtime_s < 0 ? 0 : (uint64_t)entry->mtime_s;

    RMILL_ASSERT(entry->path_bytes > 0 && entry->path_bytes <= RMILL_ENTRY_PATH_BYTES_MAX);
    RMILL_ASSERT(entry->link_bytes <= RMILL_ENTRY_PATH_BYTES_MAX);
    RMILL_ASSERT(entry->uname_bytes <= RMILL_ENTRY_NAME_BYTES_MAX);
    RMILL_ASSERT(entry->gname_bytes <= RMILL_ENTRY_NAME_BYTES_MAX);
    RMILL_ASSERT(entry->mtime_ns < RMILL_NS_PER_S);
    if (needs != 0) {
        block += pax_write(entry, needs, block);
    }
    memset(block, 0, RMILL_TAR_BLOCK_BYTES);
    path_put(entry, needs, block);
    octal_put(block + TAR_MODE, 8, entry->mode & RMILL_ENTRY_MODE_MASK);
    octal_put(block + TAR_UID, 8, needs & NEEDS_UID ? 0 : entry->uid);
    octal_put(block + TAR_GID, 8, needs & NEEDS_GID ? 0 : entry->gid);
    octal_put(block + TAR_SIZE, 12, needs & NEEDS_SIZE ? 0 : entry->size);
    octal_put(block + TAR_MTIME, 12, rmill_min_u64(mtime, TAR_OCTAL11_MAX));
    text_put(block + TAR_LINK, TAR_NAME_BYTES, entry->link, entry->link_bytes);
    text_put(block + TAR_UNAME, TAR_OWNER_BYTES - 1, entry->uname, entry->uname_bytes);
    text_put(block + TAR_GNAME, TAR_OWNER_BYTES - 1, entry->gname, entry->gname_bytes);
    block_seal(block, type_of(entry));
    return (uint32_t)(block + RMILL_TAR_BLOCK_BYTES - (uint8_t *)buffer);
}
