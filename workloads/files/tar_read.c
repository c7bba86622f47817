#include "workloads/files/tar.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "base/macros.h"
#include "workloads/files/tar_layout.h"

#define HAS_PATH        1u
#define HAS_LINK        2u
#define HAS_SIZE        4u
#define HAS_UID         8u
#define HAS_GID         16u
#define HAS_UNAME       32u
#define HAS_GNAME       64u
#define HAS_MTIME       128u
#define HAS_SPARSE      256u
#define HAS_SPARSE_NAME 512u

#define GLOBAL_ALLOWED (HAS_UID | HAS_GID | HAS_UNAME | HAS_GNAME | HAS_MTIME)

/* A run of bytes inside the header blocks. */
struct text {
    const char *data;
    size_t bytes;
};

/* What extended headers said, pax or GNU. */
struct overrides {
    unsigned set;
    struct text path;
    struct text link;
    struct text uname;
    struct text gname;
    struct text sparse_name;
    uint64_t size;
    uint32_t uid;
    uint32_t gid;
    int64_t mtime_s;
    uint32_t mtime_ns;
};

/* Where the parse stands. */
struct scan {
    const uint8_t *bytes;
    size_t available;
    size_t at;     /* Of the block being looked at. */
    size_t needed; /* Set with -EAGAIN. */
    struct overrides local;
    struct overrides global;
    struct rmill_error *error;
};

static RMILL_COLD int
damage(const struct scan *scan, size_t offset, const char *what)
{
    return rmill_error_set(scan->error, -EBADMSG,
                           "tar header: %s, %zu bytes into the member's headers", what,
                           scan->at + offset);
}

static int
need(struct scan *scan, size_t bytes)
{
    if (bytes > RMILL_TAR_HEADER_BYTES_MAX - scan->at) {
        return damage(scan, 0, "headers of more than 1 MiB");
    }
    scan->needed = scan->at + bytes;
    return scan->needed <= scan->available ? 0 : -EAGAIN;
}

/* ---- numbers
 * ---------------------------------------------------------------------------------------- */

/* GNU base-256: the first byte's high bit, then a big-endian two's complement number. */
static int
base256_read(const uint8_t *field, size_t bytes, int64_t *value)
{
    uint8_t filler = field[0] & 0x40 ? 0xFF : 0x00;
    uint64_t sum = filler == 0xFF ? UINT64_MAX : 0;

    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = i == 0 ? (uint8_t)((field[0] & 0x7F) | (filler & 0x80)) : field[i];

        if (i + 8 < bytes && byte != filler) {
            return -EBADMSG;
        }
        sum = sum << 8 | byte;
    }
    if ((sum >> 63) != (filler & 1u)) {
        return -EBADMSG;
    }
    *value = (int64_t)sum;
    return 0;
}

/* Octal digits between optional spaces, ended by a space, a NUL or the field; nothing at all is
 * 0. */
static int
octal_read(const uint8_t *field, size_t bytes, int64_t *value)
{
    uint64_t sum = 0;
    size_t i = 0;

    while (i < bytes && field[i] == ' ') {
        i++;
    }
    for (; i < bytes && field[i] >= '0' && field[i] <= '7'; i++) {
        sum = sum << 3 | (uint64_t)(field[i] - '0'); /* 12 digits are 36 bits. */
    }
    for (; i < bytes; i++) {
        if (field[i] != ' ' && field[i] != 0) {
            return -EBADMSG;
        }
    }
    *value = (int64_t)sum;
    return 0;
}

/* A numeric field of the current block that must lie in [0, max]. */
static int
field_read(const struct scan *scan, size_t field, size_t bytes, uint64_t max, uint64_t *value)
{
    const uint8_t *at = scan->bytes + scan->at + field;
    int64_t number = 0;
    int code = at[0] & 0x80 ? base256_read(at, bytes, &number) : octal_read(at, bytes, &number);

    if (code < 0 || number < 0 || (uint64_t)number > max) {
        return damage(scan, field, "a number that cannot be");
    }
    *value = (uint64_t)number;
    return 0;
}

static int
decimal_read(struct text text, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;

    if (text.bytes == 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned digit = (unsigned)((unsigned char)text.data[i] - '0');

        if (digit > 9 || sum > (max - digit) / 10) {
            return -EBADMSG;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return 0;
}

/* "[-]SECONDS[.FRACTION]", rounded down to a nanosecond. */
static int
mtime_read(struct text text, struct overrides *to)
{
    int negative = text.bytes > 0 && text.data[0] == '-';
    struct text whole = {text.data + negative, text.bytes - (size_t)negative};
    const char *dot = whole.bytes > 0 ? memchr(whole.data, '.', whole.bytes) : NULL;
    uint64_t seconds, ns = 0;
    int rest = 0; /* A digit behind the ninth that is not 0. */

    if (dot != NULL) {
        size_t digits = whole.bytes - (size_t)(dot - whole.data) - 1;

        for (size_t i = 0; i < digits || i < 9; i++) {
            unsigned digit = i < digits ? (unsigned)((unsigned char)dot[1 + i] - '0') : 0;

            if (digit > 9) {
                return -EBADMSG;
            }
            ns = i < 9 ? ns * 10 + digit : ns;
            rest |= i >= 9 && digit > 0;
        }
        whole.bytes = (size_t)(dot - whole.data);
    }
    if (decimal_read(whole, (uint64_t)1 << 62, &seconds) < 0) {
        return -EBADMSG;
    }
    int64_t total_s = (int64_t)seconds;

    if (negative) {
        ns += (unsigned)rest;
        total_s = -total_s - (ns > 0);
        ns = ns > 0 ? RMILL_NS_PER_S - ns : 0;
    }
    to->mtime_s = total_s;
    to->mtime_ns = (uint32_t)ns;
    return 0;
}

/* ---- extended headers
 * ------------------------------------------------------------------------------- */

static int
text_is(struct text text, const char *word)
{
    return text.bytes == strlen(word) && memcmp(text.data, word, text.bytes) == 0;
}

static int
text_keep(struct text value, size_t max, struct text *to)
{
    if (value.bytes > max || memchr(value.data, 0, value.bytes) != NULL) {
        return -EBADMSG;
    }
    *to = value;
    return 0;
}

static int
id_keep(struct text value, uint32_t *to)
{
    uint64_t number;

    if (decimal_read(value, UINT32_MAX, &number) < 0) {
        return -EBADMSG;
    }
    *to = (uint32_t)number;
    return 0;
}

/* Which override a key stands for; 0 for keys that change nothing we keep. */
static unsigned
key_bit(struct text key)
{
    static const struct {
        const char *word;
        unsigned bit;
    } rows[] = {
        {"path", HAS_PATH},   {"linkpath", HAS_LINK}, {"size", HAS_SIZE},
        {"uid", HAS_UID},     {"gid", HAS_GID},       {"uname", HAS_UNAME},
        {"gname", HAS_GNAME}, {"mtime", HAS_MTIME},   {"GNU.sparse.name", HAS_SPARSE_NAME},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rows); i++) {
        if (text_is(key, rows[i].word)) {
            return rows[i].bit;
        }
    }
    return key.bytes > 11 && memcmp(key.data, "GNU.sparse.", 11) == 0 ? HAS_SPARSE : 0;
}

static int
value_keep(struct overrides *to, unsigned bit, struct text value)
{
    switch (bit) {
    case HAS_PATH:
        return text_keep(value, RMILL_ENTRY_PATH_BYTES_MAX + 1, &to->path);
    case HAS_LINK:
        return text_keep(value, RMILL_ENTRY_PATH_BYTES_MAX, &to->link);
    case HAS_SPARSE_NAME:
        return text_keep(value, RMILL_ENTRY_PATH_BYTES_MAX, &to->sparse_name);
    case HAS_UNAME:
        return text_keep(value, RMILL_ENTRY_NAME_BYTES_MAX, &to->uname);
    case HAS_GNAME:
        return text_keep(value, RMILL_ENTRY_NAME_BYTES_MAX, &to->gname);
    case HAS_SIZE:
        return decimal_read(value, RMILL_ENTRY_SIZE_MAX, &to->size);
    case HAS_UID:
        return id_keep(value, &to->uid);
    case HAS_GID:
        return id_keep(value, &to->gid);
    case HAS_MTIME:
        return mtime_read(value, to);
    default:
        return 0;
    }
}

/* One record at `from`, `left` bytes of records left. Returns its bytes or -EBADMSG. */
static ssize_t
record_read(const char *from, size_t left, struct overrides *to)
{
    size_t digits = 0;
    uint64_t length;

    while (digits < left && digits < 8 && from[digits] >= '0' && from[digits] <= '9') {
        digits++;
    }
    if (decimal_read((struct text){from, digits}, left, &length) < 0 || length < digits + 4 ||
        from[digits] != ' ' || from[length - 1] != '\n') {
        return -EBADMSG;
    }
    const char *key = from + digits + 1;
    const char *end = from + length - 1;
    const char *equals = memchr(key, '=', (size_t)(end - key));

    if (equals == NULL || equals == key) {
        return -EBADMSG;
    }
    unsigned bit = key_bit((struct text){key, (size_t)(equals - key)});
    struct text value = {equals + 1, (size_t)(end - equals - 1)};

    if (value.bytes == 0) {
        to->set &= ~bit; /* POSIX: an empty value takes the override back. */
        return (ssize_t)length;
    }
    if (value_keep(to, bit, value) < 0) {
        return -EBADMSG;
    }
    to->set |= bit;
    return (ssize_t)length;
}

static int
pax_read(struct scan *scan, size_t bytes, struct overrides *to)
{
    size_t at = 0;

    while (at < bytes) {
        const char *from = (const char *)scan->bytes + scan->at + RMILL_TAR_BLOCK_BYTES + at;
        ssize_t length = record_read(from, bytes - at, to);

        if (length < 0) {
            return damage(scan, RMILL_TAR_BLOCK_BYTES + at, "a pax record that cannot be read");
        }
        at += (size_t)length;
    }
    if (to == &scan->global && (to->set & ~GLOBAL_ALLOWED) != 0) {
        return damage(scan, 0, "a global pax header that names or sizes all members");
    }
    return 0;
}

/* GNU 'L' and 'K': the long name, up to its NUL. A pax record of the same member goes first. */
static void
gnu_read(struct scan *scan, size_t bytes, unsigned bit, struct text *to)
{
    const char *from = (const char *)scan->bytes + scan->at + RMILL_TAR_BLOCK_BYTES;

    if ((scan->local.set & bit) == 0) {
        *to = (struct text){from, strnlen(from, bytes)};
        scan->local.set |= bit;
    }
}

/* An extended header at scan->at: take it in and step behind it. */
static int
extended_read(struct scan *scan, uint8_t type)
{
    uint64_t bytes;
    int code = field_read(scan, TAR_SIZE, 12, RMILL_TAR_HEADER_BYTES_MAX, &bytes);

    if (code == 0) {
        code = need(scan, RMILL_TAR_BLOCK_BYTES + rmill_align_up(bytes, RMILL_TAR_BLOCK_BYTES));
    }
    if (code < 0) {
        return code;
    }
    switch (type) {
    case 'x':
        code = pax_read(scan, bytes, &scan->local);
        break;
    case 'g':
        code = pax_read(scan, bytes, &scan->global);
        break;
    case 'L':
        gnu_read(scan, bytes, HAS_PATH, &scan->local.path);
        break;
    default:
        gnu_read(scan, bytes, HAS_LINK, &scan->local.link);
        break;
    }
    scan->at = scan->needed;
    return code;
}

/* ---- the header itself
 * ------------------------------------------------------------------------------ */

static int
checksum_check(const struct scan *scan)
{
    const uint8_t *block = scan->bytes + scan->at;
    uint64_t stored;
    uint64_t sum = 8 * ' ';
    int code = field_read(scan, TAR_CHECKSUM, 8, UINT32_MAX, &stored);

    if (code < 0) {
        return code;
    }
    for (size_t i = 0; i < RMILL_TAR_BLOCK_BYTES; i++) {
        sum += i < TAR_CHECKSUM || i >= TAR_CHECKSUM + 8 ? block[i] : 0;
    }
    return sum == stored ? 0 : damage(scan, TAR_CHECKSUM, "its checksum does not match");
}

static struct text
field_text(const struct scan *scan, size_t field, size_t bytes)
{
    const char *from = (const char *)scan->bytes + scan->at + field;

    return (struct text){from, strnlen(from, bytes)};
}

/* The path of header or overrides; joins prefix and name in the parser. */
static struct text
path_of(const struct scan *scan, struct rmill_tar_parser *parser)
{
    struct text name = field_text(scan, TAR_NAME, TAR_NAME_BYTES);
    struct text prefix = field_text(scan, TAR_PREFIX, TAR_PREFIX_BYTES);

    if (scan->local.set & HAS_SPARSE_NAME) {
        return scan->local.sparse_name;
    }
    if (scan->local.set & HAS_PATH) {
        return scan->local.path;
    }
    /* Only POSIX headers ("ustar" and a NUL) have a prefix; GNU's ("ustar" and spaces) have
     * times there. */
    if (prefix.bytes == 0 || memcmp(scan->bytes + scan->at + TAR_MAGIC, "ustar", 6) != 0) {
        return name;
    }
    memcpy(parser->path, prefix.data, prefix.bytes);
    parser->path[prefix.bytes] = '/';
    memcpy(parser->path + prefix.bytes + 1, name.data, name.bytes);
    return (struct text){parser->path, prefix.bytes + 1 + name.bytes};
}

static const struct overrides *
source_of(const struct scan *scan, unsigned bit)
{
    if (scan->local.set & bit) {
        return &scan->local;
    }
    return scan->global.set & bit ? &scan->global : NULL;
}

/* Owner and time from overrides or fields. */
static int
metadata_read(const struct scan *scan, struct rmill_entry *entry)
{
    const struct overrides *from;
    uint64_t mode = 0, uid = 0, gid = 0;
    int64_t mtime = 0;
    const uint8_t *mtime_field = scan->bytes + scan->at + TAR_MTIME;
    int code = field_read(scan, TAR_MODE, 8, INT64_MAX, &mode);

    if ((from = source_of(scan, HAS_UID)) != NULL) {
        uid = from->uid;
    } else if (code == 0) {
        code = field_read(scan, TAR_UID, 8, UINT32_MAX, &uid);
    }
    if ((from = source_of(scan, HAS_GID)) != NULL) {
        gid = from->gid;
    } else if (code == 0) {
        code = field_read(scan, TAR_GID, 8, UINT32_MAX, &gid);
    }
    if ((from = source_of(scan, HAS_MTIME)) != NULL) {
        mtime = from->mtime_s;
        entry->mtime_ns = from->mtime_ns;
    } else if (code == 0 && (mtime_field[0] & 0x80 ? base256_read(mtime_field, 12, &mtime)
                                                   : octal_read(mtime_field, 12, &mtime)) < 0) {
        code = damage(scan, TAR_MTIME, "a time that cannot be");
    }
    entry->mode = mode & RMILL_ENTRY_MODE_MASK;
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->mtime_s = mtime;
    return code;
}

static void
owner_names_read(const struct scan *scan, struct rmill_entry *entry)
{
    const struct overrides *uname_from = source_of(scan, HAS_UNAME);
    const struct overrides *gname_from = source_of(scan, HAS_GNAME);
    int has_names = memcmp(scan->bytes + scan->at + TAR_MAGIC, "ustar", 5) == 0;
    struct text none = {NULL, 0};
    struct text uname = has_names ? field_text(scan, TAR_UNAME, TAR_OWNER_BYTES) : none;
    struct text gname = has_names ? field_text(scan, TAR_GNAME, TAR_OWNER_BYTES) : none;

    uname = uname_from != NULL ? uname_from->uname : uname;
    gname = gname_from != NULL ? gname_from->gname : gname;
    entry->uname = uname.data;
    entry->uname_bytes = (uint32_t)uname.bytes;
    entry->gname = gname.data;
    entry->gname_bytes = (uint32_t)gname.bytes;
}

/* The kind of a member we do not keep, or NULL for one that we do. */
static const char *
skip_reason(const struct scan *scan, uint8_t type)
{
    switch (type) {
    case '0':
    case '\0':
    case '7':
        return scan->local.set & (HAS_SPARSE | HAS_SPARSE_NAME) ? "a sparse file" : NULL;
    case '1':
    case '2':
    case '5':
        return NULL;
    case '3':
        return "a character device";
    case '4':
        return "a block device";
    case '6':
        return "a fifo";
    case 'S':
        return "a sparse file";
    default:
        return "a member of a type that is not kept";
    }
}

/* Type, link and size; the path is there. Hard links and what has no content occupy no blocks,
 * whatever their size field says, as other readers see it too. */
static int
content_read(struct scan *scan, uint8_t type, struct rmill_entry *entry)
{
    int code = 0;

    entry->size = scan->local.size;
    if ((scan->local.set & HAS_SIZE) == 0) {
        code = field_read(scan, TAR_SIZE, 12, RMILL_ENTRY_SIZE_MAX, &entry->size);
    }
    if (code < 0) {
        return code;
    }
    if (type == '2' || type == '5') {
        if (entry->size != 0) {
            return damage(scan, TAR_SIZE, "a size on what has no content");
        }
    } else if (type == '1' || type == '3' || type == '4' || type == '6') {
        entry->size = 0;
    }
    entry->type = type == '1'   ? RMILL_ENTRY_HARDLINK
                  : type == '2' ? RMILL_ENTRY_SYMLINK
                  : type == '5' ? RMILL_ENTRY_DIRECTORY
                                : RMILL_ENTRY_FILE;
    if (entry->type == RMILL_ENTRY_HARDLINK || entry->type == RMILL_ENTRY_SYMLINK) {
        struct text link = scan->local.set & HAS_LINK ? scan->local.link
                                                      : field_text(scan, TAR_LINK, TAR_NAME_BYTES);

        if (link.bytes == 0 || link.bytes > RMILL_ENTRY_PATH_BYTES_MAX) {
            return damage(scan, TAR_LINK, "a link without a text, or with one above 65,535 bytes");
        }
        entry->link = link.data;
        entry->link_bytes = (uint32_t)link.bytes;
    }
    return 0;
}

/* Old GNU sparse headers go on in blocks of their own while a flag says so. */
static int
sparse_extensions_skip(struct scan *scan, uint8_t type)
{
    int more = type == 'S' && scan->bytes[scan->at + 482] != 0;

    scan->at += RMILL_TAR_BLOCK_BYTES;
    while (more) {
        int code = need(scan, RMILL_TAR_BLOCK_BYTES);

        if (code < 0) {
            return code;
        }
        more = scan->bytes[scan->at + 504] != 0;
        scan->at += RMILL_TAR_BLOCK_BYTES;
    }
    return 0;
}

/* A trailing slash makes a directory of an empty "file" (as old tars wrote them); it is not part
 * of the name. */
static void
path_finish(struct text path, struct rmill_entry *entry)
{
    int slash = path.bytes > 0 && path.data[path.bytes - 1] == '/';

    if (entry->type == RMILL_ENTRY_FILE && slash && entry->size == 0) {
        entry->type = RMILL_ENTRY_DIRECTORY;
    }
    while (entry->type == RMILL_ENTRY_DIRECTORY && path.bytes > 1 &&
           path.data[path.bytes - 1] == '/') {
        path.bytes--;
    }
    entry->path = path.data;
    entry->path_bytes = (uint32_t)path.bytes;
}

/* The member's own header at scan->at. */
static int
member_read(struct scan *scan, struct rmill_tar_parser *parser, struct rmill_entry *entry)
{
    uint8_t type = scan->bytes[scan->at + TAR_TYPE];
    const char *reason = skip_reason(scan, type);
    struct text path = path_of(scan, parser);
    int code = content_read(scan, type, entry);

    if (code == 0) {
        code = metadata_read(scan, entry);
    }
    if (code < 0) {
        return code;
    }
    owner_names_read(scan, entry);
    path_finish(path, entry);
    if (entry->path_bytes == 0 || entry->path_bytes > RMILL_ENTRY_PATH_BYTES_MAX) {
        return damage(scan, TAR_NAME, "no name, or one above 65,535 bytes");
    }
    code = sparse_extensions_skip(scan, type);
    if (code < 0) {
        return code;
    }
    entry->header_bytes = (uint32_t)scan->at;
    if (reason != NULL) {
        (void)rmill_error_set(scan->error, 0, "%s", reason);
        return RMILL_TAR_SKIP;
    }
    return RMILL_TAR_MEMBER;
}

static int
is_zero(const uint8_t *block)
{
    return block[0] == 0 && memcmp(block, block + 1, RMILL_TAR_BLOCK_BYTES - 1) == 0;
}

/* Two zero blocks, at scan->at, of which the first was seen. */
static int
end_read(struct scan *scan)
{
    if (scan->at != 0) {
        return damage(scan, 0, "an extended header with no member behind it");
    }
    int code = need(scan, RMILL_TAR_END_BYTES);

    if (code < 0) {
        return code;
    }
    if (!is_zero(scan->bytes + RMILL_TAR_BLOCK_BYTES)) {
        return damage(scan, RMILL_TAR_BLOCK_BYTES, "a single zero block where two end an archive");
    }
    scan->at = RMILL_TAR_END_BYTES;
    return RMILL_TAR_END;
}

/* Extended headers, then the member's. */
static int
headers_read(struct scan *scan, struct rmill_tar_parser *parser, struct rmill_entry *entry)
{
    for (;;) {
        int code = need(scan, RMILL_TAR_BLOCK_BYTES);

        if (code < 0) {
            return code;
        }
        if (is_zero(scan->bytes + scan->at)) {
            return end_read(scan);
        }
        code = checksum_check(scan);
        if (code < 0) {
            return code;
        }
        uint8_t type = scan->bytes[scan->at + TAR_TYPE];

        if (type != 'x' && type != 'g' && type != 'L' && type != 'K') {
            return member_read(scan, parser, entry);
        }
        code = extended_read(scan, type);
        if (code < 0) {
            return code;
        }
    }
}

/* ---- what is carried from member to member
 * ---------------------------------------------------------- */

static void
globals_load(const struct rmill_tar_parser *parser, struct overrides *global)
{
    *global = (struct overrides){.set = parser->global_set,
                                 .uid = parser->uid,
                                 .gid = parser->gid,
                                 .mtime_s = parser->mtime_s,
                                 .mtime_ns = parser->mtime_ns,
                                 .uname = {parser->uname, parser->uname_bytes},
                                 .gname = {parser->gname, parser->gname_bytes}};
}

/* Texts of a new global header lie in the caller's buffer, which the next member does not keep:
 * memmove, as those of an old one lie in the parser already. */
static void
globals_store(const struct overrides *global, struct rmill_tar_parser *parser)
{
    parser->global_set = global->set;
    parser->uid = global->uid;
    parser->gid = global->gid;
    parser->mtime_s = global->mtime_s;
    parser->mtime_ns = global->mtime_ns;
    parser->uname_bytes = (uint32_t)global->uname.bytes;
    parser->gname_bytes = (uint32_t)global->gname.bytes;
    if (global->uname.bytes > 0) {
        memmove(parser->uname, global->uname.data, global->uname.bytes);
    }
    if (global->gname.bytes > 0) {
        memmove(parser->gname, global->gname.data, global->gname.bytes);
    }
}

int
rmill_tar_header_parse(struct rmill_tar_parser *parser, const void *bytes, size_t available,
                       struct rmill_entry *entry, size_t *header_bytes, struct rmill_error *error)
{
    struct scan scan = {.bytes = bytes, .available = available, .error = error};

    *entry = (struct rmill_entry){0};
    globals_load(parser, &scan.global);
    int result = headers_read(&scan, parser, entry);

    if (result < 0) {
        *header_bytes = result == -EAGAIN ? scan.needed : 0;
        return result;
    }
    globals_store(&scan.global, parser);
    *header_bytes = scan.at;
    return result;
}
