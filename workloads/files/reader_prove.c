/* workloads/files/reader_prove.c — proves one unit: frames by hash and decoding, members by header,
 * digest and padding. Tasks: nothing here parks, reads a file or knows the flow. */
#include "workloads/files/reader_private.h"

#include <errno.h>
#include <string.h>

#include "workloads/files/digest.h"
#include "workloads/files/tar.h"

#define ONE_SHOT_BYTES  RMILL_MIB(4)   /* Larger frames are decoded in steps. */
#define STEP_BYTES      RMILL_KIB(512) /* About 200 us of decoding. */
#define CHECKS_PER_STEP 256u           /* Members. */

/* --- decoding -------------------------------------------------------------------------------- */

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

enum rmill_progress_kind
rmill_reader_decode_task(void *argument)
{
    struct decoding *decoding = argument;
    struct reader_unit *unit = decoding->unit;
    const struct rmill_index_frame *frame = rmill_reader_frame(unit, unit->frame);
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

/* --- checking -------------------------------------------------------------------------------- */

/* Is [begin, end) of the tar in a bad frame? Then tell it, with the range of the file it takes with
 * it. */
static bool
range_damaged(struct reader_unit *unit, const struct rmill_catalog_member *member, uint64_t begin,
              uint64_t end, struct rmill_findings *findings)
{
    uint64_t raw_at = unit->raw_offset, file_at = unit->file_offset;
    uint64_t content = member->entry.raw_offset + member->entry.header_bytes;

    for (uint32_t number = 0; unit->bad_frames != 0 && number < unit->frame_count; number++) {
        const struct rmill_index_frame *frame = rmill_reader_frame(unit, number);
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

bool
rmill_reader_digest_right(const struct rmill_entry *entry, const struct rmill_hash128 *root)
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

        if (!rmill_reader_digest_right(entry, &root)) {
            rmill_findings_add(&unit->findings, RMILL_FINDING_DAMAGE, entry,
                               "bytes 0 to %llu do not match the digest",
                               (unsigned long long)entry->size);
            return false;
        }
    }
    return true;
}

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

enum rmill_progress_kind
rmill_reader_check_task(void *argument)
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
