#include "workloads/files/pathname.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/macros.h"

/* "." stands for the empty path, which sorts before every other. */
static size_t
bytes_to_compare(const char *path, size_t bytes)
{
    return bytes == 1 && path[0] == '.' ? 0 : bytes;
}

static int
compare_counts(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int
compare_bytes(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t shared = rmill_min_u64(a_bytes, b_bytes);
    int difference = shared > 0 ? memcmp(a, b, shared) : 0;

    return difference != 0 ? difference : compare_counts(a_bytes, b_bytes);
}

int
rmill_pathname_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    a_bytes = bytes_to_compare(a, a_bytes);
    b_bytes = bytes_to_compare(b, b_bytes);
    size_t shared = rmill_min_u64(a_bytes, b_bytes);

    if (shared == 0 || memcmp(a, b, shared) == 0) {
        return compare_counts(a_bytes, b_bytes);
    }
    size_t i = 0;

    while (a[i] == b[i]) {
        i++;
    }
    if (a[i] == '/') {
        return -1;
    }
    if (b[i] == '/') {
        return 1;
    }
    return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
}

const char *
rmill_pathname_last(const char *path, size_t bytes, size_t *name_bytes)
{
    const char *slash = bytes > 0 ? memrchr(path, '/', bytes) : NULL;
    const char *name = slash != NULL ? slash + 1 : path;

    *name_bytes = bytes - (size_t)(name - path);
    return name;
}

/* The bytes after the last dot that does not begin the name; none without such a dot. */
static const char *
extension_of(const char *name, size_t name_bytes, size_t *extension_bytes)
{
    const char *dot = name_bytes > 1 ? memrchr(name + 1, '.', name_bytes - 1) : NULL;
    const char *extension = dot != NULL ? dot + 1 : name + name_bytes;

    *extension_bytes = (size_t)(name + name_bytes - extension);
    return extension;
}

int
rmill_pathname_compare_grouped(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t a_name_bytes, b_name_bytes, a_extension_bytes, b_extension_bytes;
    const char *a_name = rmill_pathname_last(a, a_bytes, &a_name_bytes);
    const char *b_name = rmill_pathname_last(b, b_bytes, &b_name_bytes);
    const char *a_extension = extension_of(a_name, a_name_bytes, &a_extension_bytes);
    const char *b_extension = extension_of(b_name, b_name_bytes, &b_extension_bytes);
    int difference = compare_bytes(a_extension, a_extension_bytes, b_extension, b_extension_bytes);

    if (difference == 0) {
        difference = compare_bytes(a_name, a_name_bytes, b_name, b_name_bytes);
    }
    return difference != 0 ? difference : rmill_pathname_compare(a, a_bytes, b, b_bytes);
}

/* Directories, then the rest, then hard links. */
static int
group_of(const struct rmill_entry *entry)
{
    switch (entry->type) {
    case RMILL_ENTRY_DIRECTORY:
        return 0;
    case RMILL_ENTRY_HARDLINK:
        return 2;
    default:
        return 1;
    }
}

int
rmill_pathname_order_compare(const struct rmill_entry *a, const struct rmill_entry *b,
                             enum rmill_pathname_order order)
{
    if (order == RMILL_PATHNAME_GROUPED) {
        int difference = group_of(a) - group_of(b);

        if (difference != 0) {
            return difference;
        }
        if (a->type != RMILL_ENTRY_DIRECTORY) {
            return rmill_pathname_compare_grouped(a->path, a->path_bytes, b->path, b->path_bytes);
        }
    }
    return rmill_pathname_compare(a->path, a->path_bytes, b->path, b->path_bytes);
}

/* Why these bytes are no component, or NULL. */
static const char *
component_fault(const char *component, size_t bytes)
{
    if (bytes == 0) {
        return "has an empty component";
    }
    if (bytes == 1 && component[0] == '.') {
        return "has the component \".\"";
    }
    if (bytes == 2 && component[0] == '.' && component[1] == '.') {
        return "has the component \"..\"";
    }
    return NULL;
}

/* Why this is no name to store, or NULL. */
static const char *
path_fault(const char *path, size_t bytes)
{
    if (bytes == 0) {
        return "is empty";
    }
    if (bytes > RMILL_ENTRY_PATH_BYTES_MAX) {
        return "is longer than 65,535 bytes";
    }
    if (path[0] == '/') {
        return "is absolute";
    }
    if (memchr(path, 0, bytes) != NULL) {
        return "has a NUL byte";
    }
    if (bytes == 1 && path[0] == '.') {
        return NULL;
    }
    const char *fault = NULL;
    size_t begin = 0;

    while (fault == NULL && begin <= bytes) {
        const char *slash = begin < bytes ? memchr(path + begin, '/', bytes - begin) : NULL;
        size_t end = slash != NULL ? (size_t)(slash - path) : bytes;

        fault = component_fault(path + begin, end - begin);
        begin = end + 1;
    }
    return fault;
}

int
rmill_pathname_check(const char *path, size_t bytes, struct rmill_error *error)
{
    const char *fault = path_fault(path, bytes);

    if (fault == NULL) {
        return 0;
    }
    char name[128];

    return rmill_error_set(error, -EINVAL, "the name \"%s\" %s",
                           rmill_pathname_escape(name, sizeof(name), path, bytes), fault);
}

/* Bytes of the UTF-8 sequence that begins at `text` (RFC 3629), or 0 when none does. */
static size_t
sequence_bytes(const unsigned char *text, size_t bytes)
{
    /* Lead byte range, sequence length, range of the second byte. */
    static const struct {
        unsigned char first, last, length, low, high;
    } rows[] = {
        {0x00, 0x7F, 1, 0, 0},       {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF},
        {0xE1, 0xEC, 3, 0x80, 0xBF}, {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF},
        {0xF0, 0xF0, 4, 0x90, 0xBF}, {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rows); i++) {
        if (text[0] < rows[i].first || text[0] > rows[i].last) {
            continue;
        }
        if (rows[i].length > bytes) {
            return 0;
        }
        if (rows[i].length > 1 && (text[1] < rows[i].low || text[1] > rows[i].high)) {
            return 0;
        }
        for (size_t k = 2; k < rows[i].length; k++) {
            if ((text[k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return rows[i].length;
    }
    return 0;
}

int
rmill_pathname_is_utf8(const char *text, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        size_t step = sequence_bytes((const unsigned char *)text + at, bytes - at);

        if (step == 0) {
            return 0;
        }
        at += step;
    }
    return 1;
}

/* C0, DEL and C1 controls can drive a terminal; a backslash would make the escapes ambiguous. */
static int
is_printable(const unsigned char *text, size_t step)
{
    if (step == 0 || text[0] < 0x20 || text[0] == 0x7F || text[0] == '\\') {
        return 0;
    }
    return !(step == 2 && text[0] == 0xC2 && text[1] < 0xA0);
}

/* Put one character or one escaped byte in `piece`; returns its bytes, *step those it stands
 * for. */
static size_t
piece_of(char piece[4], const unsigned char *text, size_t bytes, size_t *step)
{
    *step = sequence_bytes(text, bytes);
    if (is_printable(text, *step)) {
        memcpy(piece, text, *step);
        return *step;
    }
    *step = 1;
    piece[0] = '\\';
    piece[1] = (char)('0' + (text[0] >> 6));
    piece[2] = (char)('0' + ((text[0] >> 3) & 7));
    piece[3] = (char)('0' + (text[0] & 7));
    return 4;
}

const char *
rmill_pathname_escape(char *out, size_t size, const char *text, size_t bytes)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t used = 0, cut = 0; /* cut: the last border with room for "..." behind it */

    RMILL_ASSERT(size >= 1);
    while (bytes > 0) {
        char piece[4];
        size_t step;
        size_t length = piece_of(piece, from, bytes, &step);

        if (used + length + 1 > size) {
            size_t dots = rmill_min_u64(3, size - 1 - cut);

            memset(out + cut, '.', dots);
            used = cut + dots;
            break;
        }
        memcpy(out + used, piece, length);
        used += length;
        from += step;
        bytes -= step;
        cut = used + 4 <= size ? used : cut;
    }
    out[used] = '\0';
    return out;
}
