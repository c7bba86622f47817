#include "workloads/files/unpack_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/files/archive.h"
#include "workloads/files/restore.h"

struct unpacking {
    const struct rmill_unpack_options *options;
    struct rmill_unpack_report *report;
    struct rmill_error *error;
    struct rmill_archive archive;
    struct rmill_restore restore;
    struct rmill_catalog *last; /* The window used last: often the one needed next. */
    _Atomic uint64_t *good; /* A bit per entry number: a symlink or hard link that was proven. */
};

static const char *
target_shown(const struct rmill_unpack_options *options)
{
    return options->target_shown != NULL ? options->target_shown : options->target;
}

/* --- what the reader hands over -------------------------------------------------------------- */

static int
window_sink(void *context, struct rmill_catalog *catalog, struct rmill_findings *findings)
{
    struct unpacking *unpacking = context;

    rmill_catalog_release(unpacking->last);
    unpacking->last = catalog;
    rmill_catalog_keep(catalog);
    return rmill_restore_directories(&unpacking->restore, catalog, findings);
}

static int
member_sink(void *context, struct rmill_catalog_member *member, const void *content,
            struct rmill_findings *findings)
{
    struct unpacking *unpacking = context;

    switch (member->entry.type) {
    case RMILL_ENTRY_FILE:
        return rmill_restore_file(&unpacking->restore, member, content, findings);
    case RMILL_ENTRY_SYMLINK:
    case RMILL_ENTRY_HARDLINK:
        /* Relaxed: read after the flow, whose messages order it. */
        (void)atomic_fetch_or_explicit(&unpacking->good[member->number / 64],
                                       1ull << (member->number % 64), memory_order_relaxed);
        return 0;
    default:
        return 0;
    }
}

static int
large_begin_sink(void *context, struct rmill_catalog_member *member, void **handle,
                 struct rmill_findings *findings)
{
    struct unpacking *unpacking = context;
    struct rmill_restore_large *large = NULL;
    int code = rmill_restore_large_begin(&unpacking->restore, member, &large, findings);

    *handle = large;
    return code;
}

static int
large_part_sink(void *context, struct rmill_catalog_member *member, void *handle,
                const void *content, uint64_t bytes, uint64_t offset)
{
    (void)context;
    (void)member;
    return rmill_restore_large_part(handle, content, bytes, offset);
}

static int
large_end_sink(void *context, struct rmill_catalog_member *member, void *handle, bool good,
               struct rmill_findings *findings)
{
    struct unpacking *unpacking = context;

    return rmill_restore_large_end(&unpacking->restore, member, handle, good, findings);
}

static void
told_sink(void *context, const struct rmill_finding *finding)
{
    struct unpacking *unpacking = context;

    if (unpacking->options->told != NULL) {
        unpacking->options->told(unpacking->options->context, finding);
    }
}

/* --- after the data -------------------------------------------------------------------------- */

static void
findings_tell(struct unpacking *unpacking, struct rmill_findings *findings)
{
    while (findings->first != NULL) {
        struct rmill_finding *finding = findings->first;

        findings->first = finding->next;
        unpacking->report->reader.count[finding->kind]++;
        told_sink(unpacking, finding);
        free(finding);
    }
    findings->last = NULL;
}

/* Links forward, then directories backward, window by window. Runs on the blocking lane: thousands
 * of short calls beside nothing else to do. */
struct ending {
    struct unpacking *unpacking;
    struct rmill_findings findings;
};

static int
window_need(struct unpacking *unpacking, uint32_t index)
{
    if (unpacking->last != NULL && unpacking->last->index == index) {
        return 0;
    }
    rmill_catalog_release(unpacking->last);
    return rmill_catalog_load(&unpacking->archive, index, &unpacking->last, unpacking->error);
}

static int
window_end(struct ending *ending, uint32_t index, bool links)
{
    struct unpacking *unpacking = ending->unpacking;
    int code = window_need(unpacking, index);

    if (code == -EBADMSG) { /* The reader has told of it. */
        unpacking->error->code = 0;
        return 0;
    }
    if (code < 0) {
        return code;
    }
    return links ? rmill_restore_links(&unpacking->restore, unpacking->last, unpacking->good,
                                       &ending->findings)
                 : rmill_restore_directories_end(&unpacking->restore, unpacking->last,
                                                 &ending->findings);
}

static int64_t
end_call(void *argument)
{
    struct ending *ending = argument;
    uint32_t count = ending->unpacking->archive.directory->window_count;
    int code = 0;

    for (uint32_t index = 0; code == 0 && index < count; index++) {
        code = window_end(ending, index, true);
    }
    for (uint32_t index = count; code == 0 && index-- > 0;) {
        code = window_end(ending, index, false);
    }
    return code == 0 ? rmill_restore_finish(&ending->unpacking->restore, ending->unpacking->error)
                     : code;
}

/* --- the run
 *     ----------------------------------------------------------------------------------- */

static void
totals_show(const struct unpacking *unpacking)
{
    const struct rmill_index_directory *directory = unpacking->archive.directory;

    unpacking->report->entry_count = directory->entry_count;
    unpacking->report->archive_bytes = unpacking->archive.file_bytes;
    unpacking->report->raw_bytes = directory->raw_bytes;
    if (unpacking->options->total_bytes != NULL) {
        atomic_store_explicit(unpacking->options->total_bytes, directory->raw_bytes,
                              memory_order_relaxed);
        atomic_store_explicit(unpacking->options->total_items, directory->entry_count,
                              memory_order_relaxed);
    }
}

static int
unpack_all(struct unpacking *unpacking)
{
    struct rmill_reader_sink sink = {.context = unpacking,
                                     .window = window_sink,
                                     .member = member_sink,
                                     .large_begin = large_begin_sink,
                                     .large_part = large_part_sink,
                                     .large_end = large_end_sink,
                                     .told = told_sink};
    struct rmill_reader_options options = {.depth = unpacking->options->depth,
                                           .done_bytes = unpacking->options->done_bytes,
                                           .done_items = unpacking->options->done_items};
    struct ending ending = {.unpacking = unpacking};
    int code = rmill_reader_run(&unpacking->archive, &sink, &options, &unpacking->report->reader,
                                unpacking->error);

    if (code < 0 && code != -EBADMSG && code != -ECANCELED) {
        rmill_error_prefix(unpacking->error, "%s", target_shown(unpacking->options));
    }
    if (code == 0) {
        code = (int)rmill_blocking_call(end_call, &ending);
        findings_tell(unpacking, &ending.findings);
    }
    unpacking->report->file_count =
        atomic_load_explicit(&unpacking->restore.files, memory_order_relaxed);
    unpacking->report->file_bytes =
        atomic_load_explicit(&unpacking->restore.bytes, memory_order_relaxed);
    return code;
}

int
rmill_unpack_run(const struct rmill_unpack_options *options, struct rmill_unpack_report *report,
                 struct rmill_error *error)
{
    struct unpacking *unpacking = calloc(1, sizeof(*unpacking));

    if (unpacking == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory to unpack");
    }
    memset(report, 0, sizeof(*report));
    error->code = 0;
    unpacking->options = options;
    unpacking->report = report;
    unpacking->error = error;
    int code = rmill_archive_open(options->archive, &unpacking->archive, error);

    if (code < 0) {
        rmill_error_prefix(error, "%s",
                           options->archive_shown != NULL ? options->archive_shown
                                                          : options->archive);
        free(unpacking);
        return code;
    }
    struct rmill_restore_options how = {
        .owners = options->owners, .sync = !options->unsynced, .shown = target_shown(options)};

    totals_show(unpacking);
    unpacking->good = calloc(report->entry_count / 64 + 1, sizeof(*unpacking->good));
    code = unpacking->good != NULL
               ? rmill_restore_open(&unpacking->restore, options->target, &how, error)
               : rmill_error_set(error, -ENOMEM, "no memory to unpack");
    if (code == 0) {
        code = unpack_all(unpacking);
    }
    if (code < 0 && error->code == 0) {
        (void)rmill_error_set(error, code, "%s: %s", target_shown(options), rmill_errno_text(code));
    }
    rmill_catalog_release(unpacking->last);
    rmill_restore_close(&unpacking->restore);
    rmill_archive_close(&unpacking->archive);
    free(unpacking->good);
    free(unpacking);
    return code;
}
