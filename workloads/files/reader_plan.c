/* workloads/files/reader_plan.c — cuts an archive into units: windows loaded, frames gathered,
 * members counted in; refuses what contradicts itself. */
#include "workloads/files/reader_private.h"

#include <errno.h>
#include <stdlib.h>

#include "workloads/files/digest.h"

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
    rmill_reader_tell(reader, &findings);
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
        rmill_reader_tell(reader, &findings);
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
    if (unit->raw_bytes > reader->unit_raw_max ||
        unit->frame_count > RMILL_READER_UNIT_FRAMES_MAX ||
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
        rmill_reader_tell(reader, &findings);
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

int
rmill_reader_produce(struct rmill_unit *flow_unit)
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
