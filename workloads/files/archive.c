#include "workloads/files/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

/* --- opening --------------------------------------------------------------------------------- */

int
rmill_archive_read(const struct rmill_archive *archive, void *buffer, uint64_t bytes,
                   uint64_t offset, struct rmill_error *error)
{
    uint64_t done = 0;

    if (offset > archive->file_bytes || bytes > archive->file_bytes - offset) {
        return rmill_error_set(error, -EBADMSG, "bytes %llu to %llu lie behind the end of the file",
                               (unsigned long long)offset, (unsigned long long)(offset + bytes));
    }
    while (done < bytes) {
        int64_t got =
            rmill_plain_read(archive->file.fd, (char *)buffer + done, bytes - done, offset + done);

        if (got == -EAGAIN) {
            continue;
        }
        if (got < 0) {
            return rmill_error_set(error, (int)got, "cannot read at byte %llu: %s",
                                   (unsigned long long)(offset + done), rmill_errno_text((int)got));
        }
        if (got == 0) {
            return rmill_error_set(error, -EBADMSG, "the file became shorter while it was read");
        }
        done += (uint64_t)got;
    }
    return 0;
}

static int
table_load(struct rmill_archive *archive, struct rmill_error *error)
{
    uint8_t footer[RMILL_SEEKABLE_FOOTER_BYTES];

    if (archive->file_bytes < sizeof(footer)) {
        return rmill_error_set(error, -EBADMSG, "%llu bytes are too few for an archive",
                               (unsigned long long)archive->file_bytes);
    }
    int code = rmill_archive_read(archive, footer, sizeof(footer),
                                  archive->file_bytes - sizeof(footer), error);

    if (code < 0) {
        return code;
    }
    if (rmill_seekable_footer_parse(footer, archive->file_bytes, &archive->table_location, error) <
        0) {
        return rmill_error_set(
            error, -EBADMSG,
            "no seek table at its end: it is cut off, or no archive of ringmill; "
            "tar --zstd -xf reads what is there");
    }
    archive->table_frame = malloc(archive->table_location.frame_bytes);
    if (archive->table_frame == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for a seek table of %llu bytes",
                               (unsigned long long)archive->table_location.frame_bytes);
    }
    code = rmill_archive_read(archive, archive->table_frame, archive->table_location.frame_bytes,
                              archive->table_location.file_offset, error);
    return code < 0 ? code
                    : rmill_seekable_parse(archive->table_frame, &archive->table_location,
                                           &archive->table, error);
}

static int
directory_load(struct rmill_archive *archive, struct rmill_error *error)
{
    uint8_t footer[RMILL_INDEX_FOOTER_BYTES];
    struct rmill_index_location location;
    uint64_t end = archive->table_location.file_offset;

    if (end < sizeof(footer)) {
        return rmill_error_set(error, -ENOENT,
                               "it has no index of ringmill; read it with tar --zstd -xf");
    }
    int code = rmill_archive_read(archive, footer, sizeof(footer), end - sizeof(footer), error);

    if (code == 0) {
        code = rmill_index_footer_parse(footer, end, &location, error);
    }
    if (code == -ENOENT) {
        return rmill_error_set(
            error, -ENOENT,
            "it has a seek table, but no index of ringmill; read it with tar --zstd -xf");
    }
    if (code < 0) {
        return code;
    }
    uint8_t *frame = malloc(location.frame_bytes);

    if (frame == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for an index directory of %llu bytes",
                               (unsigned long long)location.frame_bytes);
    }
    code = rmill_archive_read(archive, frame, location.frame_bytes, location.file_offset, error);
    if (code == 0) {
        code = rmill_index_directory_decode(frame, &location, &archive->directory, error);
    }
    free(frame);
    return code < 0 ? code
                    : rmill_index_directory_check(archive->directory, &archive->table, error);
}

/* The tables are gone, the data is not. */
static RMILL_COLD void
rest_advise(struct rmill_error *error)
{
    char what[RMILL_ERROR_ADVICE_BYTES];

    if (error != NULL && strstr(error->advice, "tar ") == NULL) {
        (void)snprintf(what, sizeof(what), "%s", error->advice);
        (void)rmill_error_set(error, -EBADMSG,
                              "%.400s; what is intact of the files can still be read with zstd -dc "
                              "ARCHIVE | tar -x",
                              what);
    }
}

int
rmill_archive_open(const char *path, struct rmill_archive *archive, struct rmill_error *error)
{
    struct stat status;

    memset(archive, 0, sizeof(*archive));
    archive->file.fd = -1;
    int fd = rmill_plain_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, 0);

    if (fd < 0) {
        return rmill_error_set(error, fd, "%s", rmill_errno_text(fd));
    }
    archive->file.fd = fd;
    int code = rmill_plain_stat(fd, "", &status);

    if (code < 0) {
        (void)rmill_error_set(error, code, "%s", rmill_errno_text(code));
    } else if (!S_ISREG(status.st_mode)) {
        code = rmill_error_set(error, -EINVAL,
                               "it is no regular file; an archive is read by its "
                               "index, which needs one");
    } else {
        archive->file_bytes = (uint64_t)status.st_size;
        code = table_load(archive, error);
    }
    if (code == 0) {
        code = directory_load(archive, error);
    }
    if (code == -EBADMSG) {
        rest_advise(error);
    }
    if (code < 0) {
        rmill_archive_close(archive);
    }
    return code;
}

int
rmill_archive_table_check(const struct rmill_archive *archive, struct rmill_error *error)
{
    uint8_t descriptor = archive->table_frame[archive->table_location.frame_bytes - 5];

    if (descriptor != 0x80) {
        return rmill_error_set(error, -EBADMSG,
                               "the seek table is damaged at its descriptor (byte %llu)",
                               (unsigned long long)archive->file_bytes - 5);
    }
    for (uint32_t index = 0; index < archive->table.entry_count; index++) {
        struct rmill_seekable_entry entry = rmill_seekable_get(&archive->table, index);

        if (entry.raw_bytes == 0 && entry.checksum != RMILL_SEEKABLE_NOTHING) {
            return rmill_error_set(error, -EBADMSG, "the seek table is damaged at its entry %u",
                                   index);
        }
    }
    return 0;
}

void
rmill_archive_close(struct rmill_archive *archive)
{
    rmill_index_directory_destroy(archive->directory);
    free(archive->table_frame);
    if (archive->file.fd > 0) {
        (void)rmill_plain_close(archive->file.fd);
    }
    memset(archive, 0, sizeof(*archive));
    archive->file.fd = -1;
}

/* --- pages ----------------------------------------------------------------------------------- */

/* Read and decode entry page `index`; `scratch` holds RMILL_INDEX_PAGE_COMPRESSED_MAX bytes. */
static int
page_load(const struct rmill_archive *archive, struct rmill_index_decoder *decoder, uint64_t index,
          uint8_t *scratch, struct rmill_error *error)
{
    struct rmill_index_page page;

    rmill_index_page_get(archive->directory, index, &page);
    if (page.compressed_bytes > RMILL_INDEX_PAGE_COMPRESSED_MAX) {
        return rmill_error_set(error, -EBADMSG, "index page at byte %llu is too large",
                               (unsigned long long)page.file_offset);
    }
    int code = rmill_archive_read(archive, scratch, page.compressed_bytes, page.file_offset, error);

    return code < 0 ? code
                    : rmill_index_page_decode(decoder, archive->directory, index, scratch, error);
}

static bool
lies_below(const struct rmill_entry *entry, const char *path, size_t bytes)
{
    if (bytes == 1 && path[0] == '.') {
        return true;
    }
    return entry->path_bytes > bytes && memcmp(entry->path, path, bytes) == 0 &&
           entry->path[bytes] == '/';
}

struct visit {
    int (*visit)(void *context, const struct rmill_entry *entry);
    void *context;
    const char *path;
    size_t path_bytes;
    bool found;
    bool over; /* Past everything at or below `path`. */
};

static int
page_visit(struct visit *visit, struct rmill_index_decoder *decoder, struct rmill_error *error)
{
    struct rmill_entry entry;
    int code = 0;

    while (!visit->over && (code = rmill_index_page_next(decoder, &entry, error)) == 1) {
        if (visit->path != NULL) {
            bool itself = entry.path_bytes == visit->path_bytes &&
                          memcmp(entry.path, visit->path, visit->path_bytes) == 0;

            if (!itself && !lies_below(&entry, visit->path, visit->path_bytes)) {
                visit->over = rmill_pathname_compare(entry.path, entry.path_bytes, visit->path,
                                                     visit->path_bytes) > 0;
                continue;
            }
        }
        visit->found = true;
        code = visit->visit(visit->context, &entry);
        if (code != 0) {
            return code;
        }
    }
    return code < 0 ? code : 0;
}

int
rmill_archive_visit(const struct rmill_archive *archive, const char *path,
                    int (*visit_entry)(void *context, const struct rmill_entry *entry),
                    void *context, struct rmill_error *error)
{
    struct visit visit = {.visit = visit_entry,
                          .context = context,
                          .path = path,
                          .path_bytes = path != NULL ? strlen(path) : 0};
    struct rmill_index_decoder *decoder = NULL;
    uint8_t *scratch = malloc(RMILL_INDEX_PAGE_COMPRESSED_MAX);
    uint64_t index = 0;
    int code = scratch != NULL ? rmill_index_decoder_create(&decoder) : -ENOMEM;

    if (code < 0) {
        (void)rmill_error_set(error, code, "no memory to read the index");
    } else if (path != NULL) {
        code = rmill_index_page_find(archive->directory, path, visit.path_bytes, &index);
        if (code == -ENOENT) { /* It would sort before all; only "." has everything below it. */
            index = visit.path_bytes == 1 && path[0] == '.' ? 0 : archive->directory->page_count;
            code = 0;
        }
    }
    for (; code == 0 && !visit.over && index < archive->directory->page_count; index++) {
        code = page_load(archive, decoder, index, scratch, error);
        if (code == 0) {
            code = page_visit(&visit, decoder, error);
        }
    }
    if (code == 0 && path != NULL && !visit.found) {
        code = rmill_error_set(error, -ENOENT, "no such entry");
    }
    rmill_index_decoder_destroy(decoder);
    free(scratch);
    return code;
}

/* --- windows --------------------------------------------------------------------------------- */

struct loading {
    const struct rmill_archive *archive;
    struct rmill_catalog *catalog;
    struct rmill_index_decoder *decoder;
    uint8_t *scratch;
    uint64_t texts_bytes, texts_capacity;
    struct rmill_error *error;
};

static int
frames_load(struct loading *loading)
{
    const struct rmill_archive *archive = loading->archive;
    struct rmill_catalog *catalog = loading->catalog;
    uint32_t done = 0;

    for (uint32_t i = 0; i < catalog->window.frame_page_count; i++) {
        uint64_t index = catalog->window.first_frame_page + i;
        struct rmill_index_frame_page page;

        rmill_index_frame_page_get(archive->directory, index, &page);
        if (page.compressed_bytes > RMILL_INDEX_PAGE_COMPRESSED_MAX ||
            page.frame_count > catalog->window.frame_count - done) {
            return rmill_error_set(loading->error, -EBADMSG, "frame page at byte %llu is too large",
                                   (unsigned long long)page.file_offset);
        }
        int code = rmill_archive_read(archive, loading->scratch, page.compressed_bytes,
                                      page.file_offset, loading->error);

        if (code == 0) {
            code = rmill_index_frame_page_decode(loading->decoder, archive->directory, index,
                                                 loading->scratch, catalog->frames + done,
                                                 loading->error);
        }
        if (code < 0) {
            return code;
        }
        done += page.frame_count;
    }
    return done == catalog->window.frame_count
               ? 0
               : rmill_error_set(loading->error, -EBADMSG, "window %u has %u frames, its pages %u",
                                 catalog->index, catalog->window.frame_count, done);
}

/* Texts are kept as offsets + 1 until all are in, because the memory may move. */
static int
text_keep(struct loading *loading, const char **text, uint32_t bytes)
{
    struct rmill_catalog *catalog = loading->catalog;

    if (*text == NULL) {
        return 0;
    }
    if (loading->texts_bytes + bytes + 1 > loading->texts_capacity) {
        uint64_t capacity = (loading->texts_capacity + bytes + 1) * 2 + RMILL_KIB(64);
        char *larger = realloc(catalog->texts, capacity);

        if (larger == NULL) {
            return rmill_error_set(loading->error, -ENOMEM, "no memory for the names of a window");
        }
        catalog->texts = larger;
        loading->texts_capacity = capacity;
    }
    memcpy(catalog->texts + loading->texts_bytes, *text, bytes);
    catalog->texts[loading->texts_bytes + bytes] = '\0';
    *text = (const char *)(uintptr_t)(loading->texts_bytes + 1);
    loading->texts_bytes += bytes + 1;
    return 0;
}

static int
entries_load(struct loading *loading)
{
    struct rmill_catalog *catalog = loading->catalog;
    uint32_t done = 0;
    int code = 0;

    for (uint32_t i = 0; code == 0 && i < catalog->window.page_count; i++) {
        struct rmill_entry entry;

        code = page_load(loading->archive, loading->decoder, catalog->window.first_page + i,
                         loading->scratch, loading->error);
        while (code == 0 &&
               (code = rmill_index_page_next(loading->decoder, &entry, loading->error)) == 1) {
            if (done == catalog->window.entry_count) {
                return rmill_error_set(loading->error, -EBADMSG,
                                       "window %u has more entries than it says", catalog->index);
            }
            code = text_keep(loading, &entry.path, entry.path_bytes);
            code = code < 0 ? code : text_keep(loading, &entry.link, entry.link_bytes);
            code = code < 0 ? code : text_keep(loading, &entry.uname, entry.uname_bytes);
            code = code < 0 ? code : text_keep(loading, &entry.gname, entry.gname_bytes);
            catalog->members[done].entry = entry;
            catalog->members[done].number = catalog->first_number + done;
            done++;
        }
    }
    if (code == 0 && done != catalog->window.entry_count) {
        code = rmill_error_set(loading->error, -EBADMSG, "window %u has fewer entries than it says",
                               catalog->index);
    }
    return code;
}

static void
text_point(const struct rmill_catalog *catalog, const char **text)
{
    if (*text != NULL) {
        *text = catalog->texts + ((uintptr_t)*text - 1);
    }
}

static int
compare_offsets(const void *a, const void *b)
{
    const struct rmill_catalog_member *x = a, *y = b;

    return (x->entry.raw_offset > y->entry.raw_offset) -
           (x->entry.raw_offset < y->entry.raw_offset);
}

/* Members must follow each other without a gap and fill the window's part of the tar; what is left
 * behind the last one is the end of the tar, and only in the last window. */
static int
members_check(const struct rmill_archive *archive, const struct rmill_catalog *catalog,
              struct rmill_error *error)
{
    uint64_t at = catalog->window.first_raw_offset;
    bool last = catalog->index + 1 == archive->directory->window_count;

    for (uint32_t i = 0; i < catalog->window.entry_count; i++) {
        const struct rmill_entry *entry = &catalog->members[i].entry;

        if (entry->raw_offset != at) {
            return rmill_error_set(error, -EBADMSG,
                                   "window %u: an entry begins at tar byte %llu, "
                                   "the one before it ends at %llu",
                                   catalog->index, (unsigned long long)entry->raw_offset,
                                   (unsigned long long)at);
        }
        at = rmill_entry_raw_end(entry);
    }
    uint64_t end = catalog->window.first_raw_offset + catalog->window.raw_bytes;

    if (at + (last ? 1024 : 0) != end) {
        return rmill_error_set(error, -EBADMSG,
                               "window %u: its entries end at tar byte %llu, its "
                               "frames at %llu",
                               catalog->index, (unsigned long long)at, (unsigned long long)end);
    }
    return 0;
}

static int
catalog_arrange(struct loading *loading)
{
    struct rmill_catalog *catalog = loading->catalog;
    uint32_t count = catalog->window.entry_count;

    for (uint32_t i = 0; i < count; i++) {
        struct rmill_entry *entry = &catalog->members[i].entry;

        text_point(catalog, &entry->path);
        text_point(catalog, &entry->link);
        text_point(catalog, &entry->uname);
        text_point(catalog, &entry->gname);
    }
    qsort(catalog->members, count, sizeof(*catalog->members), compare_offsets);
    for (uint32_t i = 0; i < count; i++) {
        catalog->by_path[catalog->members[i].number - catalog->first_number] = i;
    }
    return members_check(loading->archive, catalog, loading->error);
}

/* The frame around the pages: its header and hash cover what the pages do not. */
static int
window_frame_check(const struct rmill_archive *archive, uint32_t index,
                   const struct rmill_index_window *window, struct rmill_error *error)
{
    uint8_t *frame = malloc(window->frame_bytes);

    if (frame == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for an index window of %llu bytes",
                               (unsigned long long)window->frame_bytes);
    }
    int code = rmill_archive_read(archive, frame, window->frame_bytes, window->file_offset, error);

    if (code == 0) {
        code = rmill_index_window_check(archive->directory, index, frame, error);
    }
    free(frame);
    return code;
}

static void
catalog_destroy(struct rmill_catalog *catalog)
{
    if (catalog == NULL) {
        return;
    }
    free(catalog->frames);
    free(catalog->members);
    free(catalog->by_path);
    free(catalog->texts);
    free(catalog);
}

static struct rmill_catalog *
catalog_allocate(const struct rmill_archive *archive, uint32_t index)
{
    struct rmill_catalog *catalog = calloc(1, sizeof(*catalog));

    if (catalog == NULL) {
        return NULL;
    }
    rmill_index_window_get(archive->directory, index, &catalog->window);
    catalog->index = index;
    atomic_init(&catalog->references, 1);
    for (uint32_t before = 0; before < index; before++) {
        struct rmill_index_window window;

        rmill_index_window_get(archive->directory, before, &window);
        catalog->first_number += window.entry_count;
    }
    /* One more of each: an empty window is no failed allocation. The counts were checked by
     * decode. */
    catalog->frames = calloc((uint64_t)catalog->window.frame_count + 1, sizeof(*catalog->frames));
    catalog->members = calloc((uint64_t)catalog->window.entry_count + 1, sizeof(*catalog->members));
    catalog->by_path = calloc((uint64_t)catalog->window.entry_count + 1, sizeof(uint32_t));
    if (catalog->frames == NULL || catalog->members == NULL || catalog->by_path == NULL) {
        catalog_destroy(catalog);
        return NULL;
    }
    return catalog;
}

int
rmill_catalog_load(const struct rmill_archive *archive, uint32_t index, struct rmill_catalog **out,
                   struct rmill_error *error)
{
    struct loading loading = {.archive = archive, .error = error};
    int code = 0;

    *out = NULL;
    loading.catalog = catalog_allocate(archive, index);
    loading.scratch = malloc(RMILL_INDEX_PAGE_COMPRESSED_MAX);
    if (loading.catalog == NULL || loading.scratch == NULL ||
        rmill_index_decoder_create(&loading.decoder) < 0) {
        code = rmill_error_set(error, -ENOMEM, "no memory for a window of the index");
    }
    if (code == 0) {
        code = window_frame_check(archive, index, &loading.catalog->window, error);
    }
    code = code < 0 ? code : frames_load(&loading);
    code = code < 0 ? code : entries_load(&loading);
    code = code < 0 ? code : catalog_arrange(&loading);
    rmill_index_decoder_destroy(loading.decoder);
    free(loading.scratch);
    if (code < 0) {
        catalog_destroy(loading.catalog);
        return code;
    }
    *out = loading.catalog;
    return 0;
}

void
rmill_catalog_keep(struct rmill_catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->references, 1, memory_order_relaxed);
}

void
rmill_catalog_release(struct rmill_catalog *catalog)
{
    /* acq_rel: whoever frees has seen all that the others did with it. */
    if (catalog != NULL &&
        atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel) == 1) {
        catalog_destroy(catalog);
    }
}
