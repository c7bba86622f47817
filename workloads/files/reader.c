#include "workloads/files/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/macros.h"
#include "cli/escape.h"
#include "workloads/files/digest.h"
#include "workloads/files/tar.h"

#define CORE_UNITS_MAX  4u
#define CORE_BYTES_MAX  RMILL_MIB(512) /* Buffers of one core, at the most. */
#define MEMORY_SHARE    4u             /* Of what the process may use, this part for buffers. */
#define UNIT_FRAMES_MAX 64u            /* 2 MiB in frames of 64 KiB, and room. */
#define UNIT_SLACK_BYTES                                                                           \
    RMILL_MIB(2)                      /* A small member may exceed a chunk: content and
                                          * headers. */
#define ONE_SHOT_BYTES RMILL_MIB(4)   /* Larger frames are decoded in steps. */
#define STEP_BYTES     RMILL_KIB(512) /* About 200 us of decoding. */
#define WINDOW_LOG_MAX                                                                             \
    27 /* 128 MiB: no frame of ours needs more than its
                                          * content. */
#define CORES_MAX      256u
#define DECODE_COST_NS (400 * RMILL_NS_PER_US) /* One step, for the simulator. */
#define CHECK_COST_NS  (100 * RMILL_NS_PER_US)

/* A regular file of more than one leaf. Made by home; its parts fill `leaves` from their cores,
 * each its own elements; read again when the last part was committed, which orders all of it. */
struct rmill_large {
    struct rmill_catalog *catalog; /* Holds it: `member` must outlive the last unit too. */
    struct rmill_catalog_member *member;
    struct rmill_large *next, **link; /* Those under way. Owner: home. */
    void *handle;
    bool accepted; /* The sink wants its parts. */
    bool told;     /* Its first damage was told. Owner: home. */
    _Atomic bool bad;
    struct rmill_hash128 leaves[];
};

/* Per core; made on it when its first unit comes. */
struct reader_core {
    RMILL_CACHE_ALIGNED struct rmill_core_pool *pool;
    ZSTD_DCtx *decoder;
};

struct reader {
    const struct rmill_archive *archive;
    const struct rmill_reader_sink *sink;
    const struct rmill_reader_options *options;
    struct rmill_reader_report *report;
    struct rmill_error *error; /* Written by home only. */
    uint32_t home;
    uint64_t unit_raw_max, unit_compressed_max;
    uint32_t core_units;
    struct reader_core cores[CORES_MAX];

    /* Producing; owner: home. */
    struct rmill_catalog *catalog;
    uint32_t next_window, next_frame, next_member;
    uint64_t file_offset, raw_offset;
    struct rmill_large *large; /* The large file whose parts come next. */
    struct rmill_large *large_first;
};

/* The data of one unit of the flow. */
struct reader_unit {
    struct rmill_catalog *catalog;
    uint32_t first_frame, frame_count;
    uint32_t first_member, member_count; /* Whose headers lie in it. */
    uint64_t file_offset, compressed_bytes;
    uint64_t raw_offset, raw_bytes;
    struct rmill_large *large; /* All of the unit is a part of this file. */
    bool large_last;
    uint8_t *compressed, *raw;
    uint64_t bad_frames; /* A bit per frame. */
    struct rmill_findings findings;
    struct rmill_findings large_findings; /* About the content of `large`. */
    /* Progress of the task that decodes. */
    uint32_t frame;
    uint64_t frame_compressed_at, frame_raw_at, frame_done;
    uint64_t frame_consumed;
};

/* --- findings -------------------------------------------------------------------------------- */

void
rmill_findings_add(struct rmill_findings *findings, enum rmill_finding_kind kind,
                   const struct rmill_entry *entry, const char *format, ...)
{
    char what[512];
    char *path = entry != NULL ? rmill_escape_copy(entry->path, entry->path_bytes) : NULL;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    size_t bytes = (path != NULL ? strlen(path) : 0) + strlen(what) + 3;
    struct rmill_finding *finding = malloc(sizeof(*finding) + bytes);

    if (finding == NULL) { /* A lost line must not turn damage into success. */
        RMILL_PANIC("out of memory while reporting what is wrong with an archive");
    }
    (void)snprintf(finding->text, bytes, "%s%s%s", path != NULL ? path : "",
                   path != NULL ? ": " : "", what);
    free(path);
    finding->kind = kind;
    finding->next = NULL;
    if (findings->last != NULL) {
        findings->last->next = finding;
    } else {
        findings->first = finding;
    }
    findings->last = finding;
}

/* Home only. */
static void
findings_tell(struct reader *reader, struct rmill_findings *findings)
{
    while (findings->first != NULL) {
        struct rmill_finding *finding = findings->first;

        findings->first = finding->next;
        reader->report->count[finding->kind]++;
        if (reader->sink->told != NULL) {
            reader->sink->told(reader->sink->context, finding);
        }
        free(finding);
    }
    findings->last = NULL;
}

struct telling {
    struct reader *reader;
    struct rmill_findings *findings;
};

static int64_t
findings_tell_call(void *argument)
{
    struct telling *telling = argument;

    findings_tell(telling->reader, telling->findings);
    return 0;
}

/* --- producing: windows ---------------------------------------------------------------------- */

struct window_loading {
    struct reader *reader;
    struct rmill_catalog *catalog;
};

static int64_t
window_load(void *argument)
{
    struct window_loading *loading = argument;

    return rmill_catalog_load(loading->reader->archive, loading->reader->next_window,
                              &loading->catalog, loading->reader->error);
}

/* Tell that a window's index is gone, and what still reads its files. */
static void
window_lost(struct reader *reader)
{
    struct rmill_findings findings = {0};
    struct rmill_index_window window;

    rmill_index_window_get(reader->archive->directory, reader->next_window, &window);
    rmill_findings_add(&findings, RMILL_FINDING_DAMAGE, NULL,
                       "%.300s; its %u entries are not read (zstd -dc ARCHIVE | tar -x may)",
                       reader->error->advice, window.entry_count);
    reader->error->code = 0;
    reader->report->unread_windows++;
    reader->report->unread_entries += window.entry_count;
    findings_tell(reader, &findings);
}

/* The next window that can be loaded. 1: there is one; 0: no more. */
static int
window_load_next(struct reader *reader)
{
    struct window_loading loading = {.reader = reader};

    for (; reader->next_window < reader->archive->directory->window_count; reader->next_window++) {
        int code = (int)rmill_blocking_call(window_load, &loading);

        if (code == 0) {
            reader->catalog = loading.catalog;
            reader->next_window++;
            return 1;
        }
        if (code != -EBADMSG) {
            return code;
        }
        window_lost(reader);
    }
    return 0;
}

/* 1: there is one; 0: that was the last. */
static int
window_next(struct reader *reader)
{
    struct rmill_findings findings = {0};

    rmill_catalog_release(reader->catalog);
    reader->catalog = NULL;
    int code = window_load_next(reader);

    if (code != 1) {
        return code;
    }
    reader->next_frame = reader->next_member = 0;
    reader->file_offset = reader->catalog->window.first_file_offset;
    reader->raw_offset = reader->catalog->window.first_raw_offset;
    if (reader->sink->window != NULL) {
        code = reader->sink->window(reader->sink->context, reader->catalog, &findings);
        findings_tell(reader, &findings);
    }
    return code < 0 ? code : 1;
}

/* --- producing: units ------------------------------------------------------------------------ */

static int
contradiction(struct reader *reader, uint64_t raw_offset, const char *what)
{
    return rmill_error_set(reader->error, -EBADMSG,
                           "the index contradicts itself at tar byte %llu: %s",
                           (unsigned long long)raw_offset, what);
}

/* Take the frames of the next unit. */
static int
unit_frames(struct reader *reader, struct reader_unit *unit)
{
    const struct rmill_catalog *catalog = reader->catalog;

    unit->first_frame = reader->next_frame;
    unit->file_offset = reader->file_offset;
    unit->raw_offset = reader->raw_offset;
    if ((catalog->frames[reader->next_frame].flags & RMILL_INDEX_FRAME_UNIT) == 0) {
        return contradiction(reader, unit->raw_offset, "a window does not begin with a unit");
    }
    do {
        const struct rmill_index_frame *frame = &catalog->frames[reader->next_frame++];

        unit->frame_count++;
        unit->compressed_bytes += frame->compressed_bytes;
        unit->raw_bytes += frame->raw_bytes;
    } while (reader->next_frame < catalog->window.frame_count &&
             (catalog->frames[reader->next_frame].flags & RMILL_INDEX_FRAME_UNIT) == 0 &&
             unit->raw_bytes <= reader->unit_raw_max);
    if (unit->raw_bytes > reader->unit_raw_max || unit->frame_count > UNIT_FRAMES_MAX ||
        unit->compressed_bytes > reader->unit_compressed_max) {
        return contradiction(reader, unit->raw_offset,
                             "a unit is larger than its chunk size allows");
    }
    reader->file_offset += unit->compressed_bytes;
    reader->raw_offset += unit->raw_bytes;
    return 0;
}

static struct rmill_large *
large_create(struct reader *reader, struct rmill_catalog_member *member)
{
    uint64_t leaf_count = rmill_digest_leaf_count(member->entry.size);
    struct rmill_large *large =
        calloc(1, sizeof(*large) + (leaf_count + 1) * sizeof(struct rmill_hash128));

    if (large == NULL) {
        return NULL;
    }
    large->catalog = reader->catalog;
    rmill_catalog_keep(large->catalog);
    large->member = member;
    member->large = large;
    large->next = reader->large_first;
    large->link = &reader->large_first;
    if (large->next != NULL) {
        large->next->link = &large->next;
    }
    reader->large_first = large;
    return large;
}

static int
large_start(struct reader *reader, struct rmill_catalog_member *member)
{
    struct rmill_findings findings = {0};
    struct rmill_large *large;
    int code = 0;

    /* The frames must be there before memory is given for the leaves of what an index claims. */
    if (rmill_entry_raw_end(&member->entry) >
        reader->catalog->window.first_raw_offset + reader->catalog->window.raw_bytes) {
        return contradiction(reader, member->entry.raw_offset, "a file does not end in its window");
    }
    large = large_create(reader, member);
    if (large == NULL) {
        return rmill_error_set(reader->error, -ENOMEM, "no memory for the digests of a large file");
    }
    large->accepted = reader->sink->large_part != NULL;
    if (reader->sink->large_begin != NULL) {
        code = reader->sink->large_begin(reader->sink->context, member, &large->handle, &findings);
        large->accepted = large->accepted && findings.first == NULL && code == 0;
        findings_tell(reader, &findings);
    }
    reader->large = large;
    return code;
}

/* Which members lie in the unit. A large file has units of its own. */
static int
unit_members(struct reader *reader, struct reader_unit *unit)
{
    struct rmill_catalog *catalog = reader->catalog;
    uint64_t end = unit->raw_offset + unit->raw_bytes;

    unit->first_member = reader->next_member;
    while (reader->next_member < catalog->window.entry_count &&
           catalog->members[reader->next_member].entry.raw_offset < end) {
        struct rmill_catalog_member *member = &catalog->members[reader->next_member];

        if (member->entry.size > RMILL_DIGEST_LEAF_BYTES) {
            if (reader->large != NULL || unit->member_count != 0) {
                return contradiction(reader, unit->raw_offset, "a large file shares its frames");
            }
            int code = large_start(reader, member);

            if (code < 0) {
                return code;
            }
        } else if (reader->large != NULL || rmill_entry_raw_end(&member->entry) > end) {
            return contradiction(reader, unit->raw_offset, "a member crosses the border of a unit");
        }
        unit->member_count++;
        reader->next_member++;
    }
    unit->large = reader->large;
    if (reader->large != NULL) {
        uint64_t large_end = rmill_entry_raw_end(&reader->large->member->entry);

        if (end > large_end + 1024) { /* The end of the tar may follow it. */
            return contradiction(reader, unit->raw_offset, "a large file shares its frames");
        }
        if (end >= large_end) {
            unit->large_last = true;
            reader->large = NULL;
        }
    }
    return 0;
}

static int
reader_produce(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;

    while (reader->catalog == NULL || reader->next_frame == reader->catalog->window.frame_count) {
        int code = window_next(reader);

        if (code != 1) {
            return code;
        }
    }
    int code = unit_frames(reader, unit);

    code = code < 0 ? code : unit_members(reader, unit);
    if (code < 0) {
        return code;
    }
    unit->catalog = reader->catalog;
    rmill_catalog_keep(unit->catalog);
    flow_unit->bytes = unit->compressed_bytes + unit->raw_bytes;
    return 1;
}

/* --- on the unit's core: decoding ------------------------------------------------------------ */

static const struct rmill_index_frame *
unit_frame(const struct reader_unit *unit, uint32_t number)
{
    return &unit->catalog->frames[unit->first_frame + number];
}

struct decoding {
    struct reader *reader;
    struct reader_unit *unit;
    ZSTD_DCtx *decoder;
};

/* Decode one frame or a step of it. 1: all of the frame is there; 0: more steps; -EBADMSG. */
static int
frame_decode(struct decoding *decoding, const struct rmill_index_frame *frame)
{
    struct reader_unit *unit = decoding->unit;
    uint8_t *from = unit->compressed + unit->frame_compressed_at;
    uint8_t *to = unit->raw + unit->frame_raw_at;

    if (frame->raw_bytes <= ONE_SHOT_BYTES) {
        size_t got = ZSTD_decompressDCtx(decoding->decoder, to, frame->raw_bytes, from,
                                         frame->compressed_bytes);

        return !ZSTD_isError(got) && got == frame->raw_bytes ? 1 : -EBADMSG;
    }
    if (unit->frame_consumed == 0) {
        (void)ZSTD_DCtx_reset(decoding->decoder, ZSTD_reset_session_only);
    }
    ZSTD_inBuffer in = {from, frame->compressed_bytes, unit->frame_consumed};
    ZSTD_outBuffer out = {to, rmill_min_u64(frame->raw_bytes, unit->frame_done + STEP_BYTES),
                          unit->frame_done};
    size_t left = ZSTD_decompressStream(decoding->decoder, &out, &in);
    bool moved = in.pos > unit->frame_consumed || out.pos > unit->frame_done;

    unit->frame_consumed = in.pos;
    unit->frame_done = out.pos;
    if (left == 0) {
        return in.pos == in.size && out.pos == frame->raw_bytes ? 1 : -EBADMSG;
    }
    return ZSTD_isError(left) || !moved ? -EBADMSG : 0;
}

static bool
hashes_equal(const struct rmill_hash128 *a, const struct rmill_hash128 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Everything there is to know of one frame; a frame that fails is zeros from then on. */
static int
frame_prove(struct decoding *decoding, const struct rmill_index_frame *frame)
{
    struct reader_unit *unit = decoding->unit;
    int code = 1;

    if (unit->frame_consumed == 0) {
        struct rmill_hash128 hash =
            rmill_hash128(unit->compressed + unit->frame_compressed_at, frame->compressed_bytes);

        code = hashes_equal(&hash, &frame->compressed_hash) ? 1 : -EBADMSG;
    }
    if (code == 1) {
        code = frame_decode(decoding, frame);
    }
    /* Without it every byte is still proved: by the frame as stored, headers, digests, padding. */
    if (code == 1 && decoding->reader->options->frame_hashes) {
        struct rmill_hash128 hash = rmill_hash128(unit->raw + unit->frame_raw_at, frame->raw_bytes);

        code = hashes_equal(&hash, &frame->raw_hash) ? 1 : -EBADMSG;
    }
    return code;
}

/* The seek table has an entry per frame of the file; ours come one per data frame, with the
 * windows' in between. */
static bool
checksum_right(const struct decoding *decoding, uint32_t number,
               const struct rmill_index_frame *frame)
{
    const struct reader_unit *unit = decoding->unit;
    const struct rmill_archive *archive = decoding->reader->archive;
    uint64_t index = unit->catalog->window.first_frame + unit->first_frame + number +
                     unit->catalog->index; /* One window frame before each later window. */

    if (!decoding->reader->options->frame_hashes || archive->table.entry_bytes < 12) {
        return true;
    }
    return rmill_seekable_get(&archive->table, (uint32_t)index).checksum ==
           rmill_hash_xxh64_low32(unit->raw + unit->frame_raw_at, frame->raw_bytes);
}

static enum rmill_progress_kind
decode_task(void *argument)
{
    struct decoding *decoding = argument;
    struct reader_unit *unit = decoding->unit;
    const struct rmill_index_frame *frame = unit_frame(unit, unit->frame);
    int code = frame_prove(decoding, frame);

    if (code == 0) {
        return RMILL_TASK_AGAIN;
    }
    if (code < 0 || !checksum_right(decoding, unit->frame, frame)) {
        unit->bad_frames |= 1ull << unit->frame;
        memset(unit->raw + unit->frame_raw_at, 0, frame->raw_bytes);
    }
    unit->frame_compressed_at += frame->compressed_bytes;
    unit->frame_raw_at += frame->raw_bytes;
    unit->frame_done = unit->frame_consumed = 0;
    unit->frame++;
    return unit->frame == unit->frame_count ? RMILL_TASK_DONE : RMILL_TASK_AGAIN;
}

/* --- on the unit's core: checking ------------------------------------------------------------ */

/* Is [begin, end) of the tar in a bad frame? Then tell it, with the range of the file it takes with
 * it. */
static bool
range_damaged(struct reader_unit *unit, const struct rmill_catalog_member *member, uint64_t begin,
              uint64_t end, struct rmill_findings *findings)
{
    uint64_t raw_at = unit->raw_offset, file_at = unit->file_offset;
    uint64_t content = member->entry.raw_offset + member->entry.header_bytes;

    for (uint32_t number = 0; unit->bad_frames != 0 && number < unit->frame_count; number++) {
        const struct rmill_index_frame *frame = unit_frame(unit, number);
        uint64_t raw_end = raw_at + frame->raw_bytes;

        if ((unit->bad_frames >> number & 1) != 0 && raw_at < end && raw_end > begin) {
            uint64_t from = rmill_max_u64(rmill_max_u64(raw_at, begin), content) - content;
            uint64_t to = rmill_max_u64(rmill_min_u64(raw_end, end), content) - content;

            to = rmill_min_u64(to, member->entry.size);
            rmill_findings_add(findings, RMILL_FINDING_DAMAGE, &member->entry,
                               "bytes %llu to %llu are damaged (archive bytes %llu to %llu)",
                               (unsigned long long)rmill_min_u64(from, to), (unsigned long long)to,
                               (unsigned long long)file_at,
                               (unsigned long long)(file_at + frame->compressed_bytes));
            return true;
        }
        raw_at = raw_end;
        file_at += frame->compressed_bytes;
    }
    return false;
}

static bool
texts_equal(const char *a, uint32_t a_bytes, const char *b, uint32_t b_bytes)
{
    return a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0);
}

/* The name of the first field in which the tar header differs from the index, or NULL. */
static const char *
entry_difference(const struct rmill_entry *tar, const struct rmill_entry *index)
{
    const char *field = NULL;

    field = tar->type != index->type ? "type" : field;
    field = tar->mode != index->mode ? "mode" : field;
    field = tar->uid != index->uid || tar->gid != index->gid ? "owner" : field;
    field = tar->size != index->size ? "size" : field;
    field = tar->mtime_s != index->mtime_s || tar->mtime_ns != index->mtime_ns ? "mtime" : field;
    field = !texts_equal(tar->uname, tar->uname_bytes, index->uname, index->uname_bytes)
                ? "user name"
                : field;
    field = !texts_equal(tar->gname, tar->gname_bytes, index->gname, index->gname_bytes)
                ? "group name"
                : field;
    field =
        !texts_equal(tar->link, tar->link_bytes, index->link, index->link_bytes) ? "link" : field;
    field =
        !texts_equal(tar->path, tar->path_bytes, index->path, index->path_bytes) ? "path" : field;
    return field;
}

static bool
all_zero(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Does the header at the member's place say what the index says? */
static bool
header_right(struct reader_unit *unit, const struct rmill_catalog_member *member,
             struct rmill_findings *findings)
{
    struct rmill_tar_parser parser = {0};
    struct rmill_entry from_tar = {0};
    size_t header_bytes = 0;
    uint64_t at = member->entry.raw_offset - unit->raw_offset;
    int code = rmill_tar_header_parse(&parser, unit->raw + at, unit->raw_bytes - at, &from_tar,
                                      &header_bytes, NULL);
    const char *difference = NULL;

    if (code != RMILL_TAR_MEMBER || header_bytes != member->entry.header_bytes) {
        difference = "header";
    } else {
        difference = entry_difference(&from_tar, &member->entry);
    }
    if (difference != NULL) {
        rmill_findings_add(findings, RMILL_FINDING_DAMAGE, &member->entry,
                           "tar header and index do not agree: %s (tar byte %llu)", difference,
                           (unsigned long long)member->entry.raw_offset);
    }
    return difference == NULL;
}

static bool
digest_right(const struct rmill_entry *entry, const struct rmill_hash128 *root)
{
    return entry->hash_type == RMILL_ENTRY_HASH_XXH3_128 &&
           memcmp(entry->digest, root->bytes, sizeof(root->bytes)) == 0;
}

/* A small member, whole in this unit. */
static bool
member_right(struct reader_unit *unit, const struct rmill_catalog_member *member)
{
    const struct rmill_entry *entry = &member->entry;
    uint64_t end = rmill_entry_raw_end(entry);

    if (range_damaged(unit, member, entry->raw_offset, end, &unit->findings) ||
        !header_right(unit, member, &unit->findings)) {
        return false;
    }
    const uint8_t *content =
        unit->raw + (entry->raw_offset - unit->raw_offset) + entry->header_bytes;

    if (!all_zero(content + entry->size, rmill_tar_padding(entry->size))) {
        rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, entry,
                           "its padding is not zeros");
        return false;
    }
    if (entry->type == RMILL_ENTRY_FILE) {
        struct rmill_hash128 root = rmill_digest_small(content, entry->size);

        if (!digest_right(entry, &root)) {
            rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, entry,
                               "bytes 0 to %llu do not match the digest",
                               (unsigned long long)entry->size);
            return false;
        }
    }
    return true;
}

/* The part of a large file this unit holds: where in the unit, where in the file, how much. */
struct part {
    const uint8_t *content;
    uint64_t offset, bytes;
};

static struct part
large_part_of(const struct reader_unit *unit)
{
    const struct rmill_entry *entry = &unit->large->member->entry;
    uint64_t content_begin = entry->raw_offset + entry->header_bytes;
    uint64_t begin = rmill_max_u64(content_begin, unit->raw_offset);
    uint64_t end = rmill_min_u64(content_begin + entry->size, unit->raw_offset + unit->raw_bytes);
    struct part part = {.content = unit->raw + (begin - unit->raw_offset)};

    part.offset = begin - content_begin;
    part.bytes = end > begin ? end - begin : 0;
    return part;
}

static bool
large_right(struct reader_unit *unit, const struct part *part)
{
    struct rmill_large *large = unit->large;
    const struct rmill_entry *entry = &large->member->entry;
    uint64_t unit_end = unit->raw_offset + unit->raw_bytes;
    struct rmill_findings *findings = &unit->large_findings;

    if (range_damaged(unit, large->member, unit->raw_offset, unit_end, findings)) {
        return false;
    }
    if (unit->member_count > 0 && !header_right(unit, large->member, findings)) {
        return false;
    }
    bool ends = part->offset + part->bytes == entry->size;
    uint64_t whole = part->bytes % RMILL_DIGEST_LEAF_BYTES;

    if (part->offset % RMILL_DIGEST_LEAF_BYTES != 0 || (whole != 0 && !ends)) {
        rmill_findings_add(findings, RMILL_FINDING_DAMAGE, entry,
                           "its frames do not begin at leaves of the digest");
        return false;
    }
    if (ends && !all_zero(part->content + part->bytes, rmill_tar_padding(entry->size))) {
        rmill_findings_add(findings, RMILL_FINDING_DAMAGE, entry, "its padding is not zeros");
        return false;
    }
    for (uint64_t at = 0; at < part->bytes; at += RMILL_DIGEST_LEAF_BYTES) {
        large->leaves[(part->offset + at) / RMILL_DIGEST_LEAF_BYTES] = rmill_digest_leaf(
            part->content + at, rmill_min_u64(part->bytes - at, RMILL_DIGEST_LEAF_BYTES));
    }
    return true;
}

/* What follows the last member of the archive: two zero blocks, told as belonging to no entry. */
static void
end_check(struct decoding *checking)
{
    struct reader_unit *unit = checking->unit;
    const struct rmill_index_directory *directory = checking->reader->archive->directory;

    if (unit->raw_offset + unit->raw_bytes != directory->raw_bytes) {
        return;
    }
    uint64_t last = unit->raw_bytes - rmill_min_u64(unit->raw_bytes, RMILL_TAR_END_BYTES);

    if (unit->bad_frames >> (unit->frame_count - 1) & 1) {
        if (unit->member_count == 0 && unit->large == NULL) {
            rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, NULL,
                               "the end of the tar is damaged (archive byte %llu)",
                               (unsigned long long)unit->file_offset);
        }
    } else if (!all_zero(unit->raw + last, unit->raw_bytes - last)) {
        rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, NULL,
                           "the tar does not end in two zero blocks");
    }
}

/* --- on the unit's core: one unit ------------------------------------------------------------ */

struct checking {
    struct decoding decoding;
    struct part part;
    uint32_t next;  /* Member to check. */
    uint64_t *good; /* A bit per member of the unit. */
    bool part_good;
};

#define CHECKS_PER_STEP 256u

static enum rmill_progress_kind
check_task(void *argument)
{
    struct checking *checking = argument;
    struct reader_unit *unit = checking->decoding.unit;

    if (unit->large != NULL) {
        checking->part = large_part_of(unit);
        checking->part_good = large_right(unit, &checking->part);
        end_check(&checking->decoding);
        return RMILL_TASK_DONE;
    }
    uint32_t stop = (uint32_t)rmill_min_u64(unit->member_count, checking->next + CHECKS_PER_STEP);

    for (; checking->next < stop; checking->next++) {
        if (member_right(unit, &unit->catalog->members[unit->first_member + checking->next])) {
            checking->good[checking->next / 64] |= 1ull << (checking->next % 64);
        }
    }
    if (checking->next < unit->member_count) {
        return RMILL_TASK_AGAIN;
    }
    end_check(&checking->decoding);
    return RMILL_TASK_DONE;
}

static int
core_prepare(struct reader *reader, struct reader_core *core)
{
    if (core->pool == NULL) {
        core->pool = rmill_core_pool_create(reader->unit_raw_max + reader->unit_compressed_max,
                                            reader->core_units);
    }
    if (core->decoder == NULL) {
        core->decoder = ZSTD_createDCtx();
        if (core->decoder != NULL) {
            (void)ZSTD_DCtx_setParameter(core->decoder, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
        }
    }
    return core->pool == NULL || core->decoder == NULL ? -ENOMEM : 0;
}

static int
unit_read(struct reader *reader, struct reader_unit *unit)
{
    int64_t got = rmill_read(reader->archive->file, unit->compressed, unit->compressed_bytes,
                             unit->file_offset);

    if (got == (int64_t)unit->compressed_bytes) {
        return 0;
    }
    rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, NULL,
                       "archive bytes %llu to %llu cannot be read: %s",
                       (unsigned long long)unit->file_offset,
                       (unsigned long long)(unit->file_offset + unit->compressed_bytes),
                       got < 0 ? rmill_errno_text((int)got) : "the file became shorter");
    /* As if it held zeros: every frame is found damaged and names what it takes with it. */
    memset(unit->compressed, 0, unit->compressed_bytes);
    return 0;
}

static int
members_sink(struct reader *reader, struct reader_unit *unit, const uint64_t *good)
{
    for (uint32_t i = 0; i < unit->member_count; i++) {
        struct rmill_catalog_member *member = &unit->catalog->members[unit->first_member + i];
        const uint8_t *content =
            unit->raw + (member->entry.raw_offset - unit->raw_offset) + member->entry.header_bytes;

        if ((good[i / 64] >> (i % 64) & 1) == 0) {
            continue;
        }
        int code = reader->sink->member(reader->sink->context, member, content, &unit->findings);

        if (code < 0) {
            return code;
        }
        if (rmill_should_yield()) {
            rmill_yield();
        }
    }
    return 0;
}

static int
unit_sink(struct reader *reader, struct reader_unit *unit, const struct checking *checking)
{
    if (unit->large == NULL) {
        return reader->sink->member != NULL ? members_sink(reader, unit, checking->good) : 0;
    }
    if (!checking->part_good) {
        atomic_store_explicit(&unit->large->bad, true, memory_order_relaxed);
        return 0;
    }
    if (!unit->large->accepted || checking->part.bytes == 0) {
        return 0;
    }
    return reader->sink->large_part(reader->sink->context, unit->large->member, unit->large->handle,
                                    checking->part.content, checking->part.bytes,
                                    checking->part.offset);
}

static int
reader_process(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;
    struct reader_core *here = &reader->cores[flow_unit->core];
    struct checking checking = {.decoding = {.reader = reader, .unit = unit}};
    int code = core_prepare(reader, here);

    if (code < 0) {
        return code;
    }
    checking.decoding.decoder = here->decoder;
    checking.good = calloc((uint64_t)unit->member_count / 64 + 1, sizeof(uint64_t));
    if (checking.good == NULL) {
        return -ENOMEM;
    }
    unit->raw = rmill_core_pool_get(here->pool);
    RMILL_ASSERT(unit->raw != NULL); /* The flow starts at most core_units here. */
    unit->compressed = unit->raw + reader->unit_raw_max;
    code = unit_read(reader, unit);
    rmill_task_run(decode_task, &checking.decoding, DECODE_COST_NS);
    rmill_task_run(check_task, &checking, CHECK_COST_NS);
    if (code == 0) {
        code = unit_sink(reader, unit, &checking);
    }
    free(checking.good);
    return code;
}

static int
reader_commit(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;

    findings_tell(reader, &unit->findings);
    if (unit->large != NULL && unit->large_findings.first != NULL) { /* The first says it all. */
        if (!unit->large->told) {
            findings_tell(reader, &unit->large_findings);
        }
        unit->large->told = true;
    }
    if (unit->large_last && flow_unit->error == 0) { /* From here on it is the write step's. */
        *unit->large->link = unit->large->next;
        if (unit->large->next != NULL) {
            unit->large->next->link = unit->large->link;
        }
    }
    if (reader->options->done_bytes != NULL) {
        atomic_fetch_add_explicit(reader->options->done_bytes, unit->raw_bytes,
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(reader->options->done_items, unit->member_count,
                                  memory_order_relaxed);
    }
    return 0;
}

/* After the last part of a large file was committed, all its leaves are known. */
static int
large_finish(struct reader *reader, struct rmill_large *large, bool whole)
{
    struct rmill_findings findings = {0};
    struct telling telling = {.reader = reader, .findings = &findings};
    struct rmill_catalog_member *member = large->member;
    bool good = whole && !atomic_load_explicit(&large->bad, memory_order_relaxed);
    int code = 0;

    if (good) {
        struct rmill_hash128 root = rmill_digest_root(large->leaves, member->entry.size);

        good = digest_right(&member->entry, &root);
        if (!good) {
            rmill_findings_add(&findings, RMILL_FINDING_DAMAGE, &member->entry,
                               "bytes 0 to %llu do not match the digest",
                               (unsigned long long)member->entry.size);
        }
    }
    if (large->accepted && reader->sink->large_end != NULL) {
        code =
            reader->sink->large_end(reader->sink->context, member, large->handle, good, &findings);
    }
    member->large = NULL;
    rmill_catalog_release(large->catalog);
    free(large);
    if (findings.first != NULL) {
        (void)rmill_call(reader->home, findings_tell_call, &telling);
    }
    return code;
}

static int
reader_write(struct rmill_unit *flow_unit)
{
    struct reader_unit *unit = flow_unit->data;
    struct rmill_large *large = unit->large;

    if (!unit->large_last) {
        return 0;
    }
    unit->large = NULL;
    return large_finish(flow_unit->context, large, true);
}

/* Of a unit the flow did not commit, or told already. */
static void
findings_drop(struct rmill_findings *findings)
{
    while (findings->first != NULL) {
        struct rmill_finding *finding = findings->first;

        findings->first = finding->next;
        free(finding);
    }
    findings->last = NULL;
}

static void
reader_release(struct rmill_unit *flow_unit)
{
    struct reader *reader = flow_unit->context;
    struct reader_unit *unit = flow_unit->data;

    findings_drop(&unit->findings);
    findings_drop(&unit->large_findings);
    if (unit->raw != NULL) {
        rmill_core_pool_put(reader->cores[flow_unit->core].pool, unit->raw);
    }
    rmill_catalog_release(unit->catalog);
}

/* --- a run ----------------------------------------------------------------------------------- */

static void
reader_size(struct reader *reader)
{
    const struct rmill_index_directory *directory = reader->archive->directory;
    uint64_t chunk = rmill_max_u64(directory->options.chunk_bytes, RMILL_DIGEST_LEAF_BYTES);
    uint64_t raw_max = rmill_min_u64(chunk + UNIT_SLACK_BYTES, directory->raw_bytes);

    reader->unit_raw_max = rmill_align_up(raw_max, 4096);
    reader->unit_compressed_max =
        rmill_align_up(ZSTD_compressBound(reader->unit_raw_max) + UNIT_FRAMES_MAX * 64, 4096);
    uint64_t pair = reader->unit_raw_max + reader->unit_compressed_max;
    uint64_t units = rmill_min_u64(CORE_UNITS_MAX, CORE_BYTES_MAX / pair);
    uint64_t allowed = rmill_memory_limit_bytes() / MEMORY_SHARE / rmill_core_count();

    units = rmill_min_u64(units, allowed / pair); /* In a small cgroup: slower, not killed. */

    if (reader->options->depth != 0) {
        uint64_t share = (reader->options->depth + rmill_core_count() - 1) / rmill_core_count();

        units = rmill_min_u64(units, share);
    }
    reader->core_units = (uint32_t)rmill_max_u64(units, 1);
}

static uint32_t
window_of(uint64_t units)
{
    uint32_t window = 1;

    while (window < units && window < 65536) {
        window *= 2;
    }
    return window;
}

/* On each core: its own pool and context. */
static int64_t
core_close(void *argument)
{
    struct reader_core *core = &((struct reader *)argument)->cores[rmill_core_index()];

    rmill_core_pool_destroy(core->pool);
    (void)ZSTD_freeDCtx(core->decoder);
    return 0;
}

static void
reader_close(struct reader *reader)
{
    while (reader->large_first != NULL) { /* Begun, but the reading ended first. */
        struct rmill_large *large = reader->large_first;

        reader->large_first = large->next;
        (void)large_finish(reader, large, false);
    }
    rmill_catalog_release(reader->catalog);
    for (uint32_t core = 0; core < rmill_core_count(); core++) {
        (void)rmill_call(core, core_close, reader);
    }
}

int
rmill_reader_run(const struct rmill_archive *archive, const struct rmill_reader_sink *sink,
                 const struct rmill_reader_options *options, struct rmill_reader_report *report,
                 struct rmill_error *error)
{
    struct reader *reader = aligned_alloc(RMILL_CACHE_LINE_BYTES,
                                          rmill_align_up(sizeof(*reader), RMILL_CACHE_LINE_BYTES));

    if (reader == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory to read the archive");
    }
    memset(reader, 0, sizeof(*reader));
    reader->archive = archive;
    reader->sink = sink;
    reader->options = options;
    reader->report = report;
    reader->error = error;
    reader->home = rmill_core_index();
    reader_size(reader);
    uint64_t units = (uint64_t)reader->core_units * rmill_core_count();
    struct rmill_flow_options flow = {
        .name = "read",
        .context = reader,
        .unit_bytes = sizeof(struct reader_unit),
        .window = window_of(units * 2),
        .core_units = reader->core_units,
        .order = RMILL_FLOW_ORDERED,
        .stop_on_error = true,
        .produce = reader_produce,
        .process = reader_process,
        .commit = reader_commit,
        .write = reader_write,
        .release = reader_release,
    };

    error->code = 0;
    int code = rmill_flow_run(&flow, &report->flow);

    report->bytes_in_flight_max = units * (reader->unit_raw_max + reader->unit_compressed_max);
    reader_close(reader);
    free(reader);
    if (code < 0 && error->code == 0) {
        (void)rmill_error_set(error, code, code == -ECANCELED ? "stopped" : "%s",
                              rmill_errno_text(code));
    }
    return code;
}
