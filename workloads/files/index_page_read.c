#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "workloads/files/index_layout.h"

#define LLU(value) ((unsigned long long)(value))

#define NAMES_MAX (2 * RMILL_INDEX_PAGE_ENTRIES)

struct rmill_index_decoder {
    ZSTD_DCtx *zstd;
    struct rmill_index_page
        page; /* The one decoded, and its window; page.entry_count 0 when none is. */
    struct rmill_index_window window;
    uint64_t index;
    uint32_t entry_next;
    uint32_t name_count;
    struct cursor rows;
    struct cursor digests;
    uint64_t raw_block_before;
    uint32_t path_bytes;
    uint32_t next_path_bytes;
    const char *next_path; /* First of the next page, in the directory; NULL behind the last. */
    const uint8_t *names[NAMES_MAX];
    uint8_t name_bytes[NAMES_MAX];
    char path[RMILL_ENTRY_PATH_BYTES_MAX];
    uint8_t raw[RMILL_INDEX_PAGE_BYTES_MAX];
};

_Static_assert(RMILL_ENTRY_NAME_BYTES_MAX <= UINT8_MAX, "the bytes of a name fit its field");

int
rmill_index_decoder_create(struct rmill_index_decoder **decoder)
{
    struct rmill_index_decoder *self = malloc(sizeof(*self));

    *decoder = NULL;
    if (self == NULL) {
        return -ENOMEM;
    }
    self->page.entry_count = 0;
    self->entry_next = 0;
    self->zstd = ZSTD_createDCtx();
    if (self->zstd == NULL) {
        free(self);
        return -ENOMEM;
    }
    *decoder = self;
    return 0;
}

void
rmill_index_decoder_destroy(struct rmill_index_decoder *decoder)
{
    if (decoder != NULL) {
        (void)ZSTD_freeDCtx(decoder->zstd);
        free(decoder);
    }
}

/* A page as the directory describes it: hash, then size, then decoding into a buffer of known
 * room. One call and no window, so that no frame header can ask for memory. */
static int
page_decode(struct rmill_index_decoder *decoder, const void *compressed, size_t compressed_bytes,
            const struct rmill_hash128 *hash, size_t raw_bytes)
{
    if (!hash_is(hash->bytes, compressed, compressed_bytes)) {
        return -EBADMSG;
    }
    if (raw_bytes > sizeof(decoder->raw) ||
        ZSTD_getFrameContentSize(compressed, compressed_bytes) != raw_bytes ||
        ZSTD_findFrameCompressedSize(compressed, compressed_bytes) != compressed_bytes) {
        return -EBADMSG;
    }
    size_t bytes =
        ZSTD_decompressDCtx(decoder->zstd, decoder->raw, raw_bytes, compressed, compressed_bytes);

    return ZSTD_isError(bytes) || bytes != raw_bytes ? -EBADMSG : 0;
}

static RMILL_COLD int
page_damage(const struct rmill_index_decoder *decoder, const char *what, struct rmill_error *error)
{
    return rmill_error_set(error, -EBADMSG, "index page %llu (offset %llu, %u bytes): %s",
                           LLU(decoder->index), LLU(decoder->page.file_offset),
                           decoder->page.compressed_bytes, what);
}

/* The owners' names of the page. */
static int
names_read(struct rmill_index_decoder *decoder, struct cursor cursor)
{
    decoder->name_count = 0;
    while (cursor.at < cursor.end) {
        uint64_t bytes = cursor_varint_max(&cursor, RMILL_ENTRY_NAME_BYTES_MAX);
        const uint8_t *name = cursor_bytes(&cursor, bytes);

        if (cursor.bad || bytes == 0 || decoder->name_count == NAMES_MAX) {
            return -EBADMSG;
        }
        decoder->names[decoder->name_count] = name;
        decoder->name_bytes[decoder->name_count++] = (uint8_t)bytes;
    }
    return 0;
}

int
rmill_index_page_decode(struct rmill_index_decoder *decoder,
                        const struct rmill_index_directory *directory, uint64_t index,
                        const void *compressed, struct rmill_error *error)
{
    struct rmill_index_page *page = &decoder->page;

    rmill_index_page_get(directory, index, page);
    rmill_index_window_get(directory, page->window, &decoder->window);
    decoder->index = index;
    decoder->entry_next = 0;
    decoder->raw_block_before = 0;
    decoder->path_bytes = 0;
    decoder->next_path = NULL;
    if (index + 1 < directory->page_count) {
        struct rmill_index_page next;

        rmill_index_page_get(directory, index + 1, &next);
        decoder->next_path = next.first_path;
        decoder->next_path_bytes = next.first_path_bytes;
    }
    uint32_t entry_count = page->entry_count;

    page->entry_count = 0; /* Nothing to iterate until all is well. */
    if (page_decode(decoder, compressed, page->compressed_bytes, &page->hash, page->raw_bytes) <
        0) {
        return page_damage(decoder, "its hash or size does not match", error);
    }
    const uint8_t *raw = decoder->raw;
    uint64_t names_bytes = rmill_load_le32(raw + PAGE_NAMES_BYTES);
    uint64_t rows_bytes = rmill_load_le32(raw + PAGE_ROWS_BYTES);
    uint64_t digests_bytes = rmill_load_le32(raw + PAGE_DIGESTS_BYTES);

    if (rmill_load_le32(raw + PAGE_ENTRY_COUNT) != entry_count ||
        PAGE_HEAD_BYTES + names_bytes + rows_bytes + digests_bytes != page->raw_bytes) {
        return page_damage(decoder, "its parts do not add up", error);
    }
    const uint8_t *rows = raw + PAGE_HEAD_BYTES + names_bytes;

    decoder->rows = (struct cursor){.at = rows, .end = rows + rows_bytes};
    decoder->digests = (struct cursor){.at = rows + rows_bytes, .end = raw + page->raw_bytes};
    if (names_read(decoder, (struct cursor){.at = raw + PAGE_HEAD_BYTES, .end = rows}) < 0) {
        return page_damage(decoder, "its table of owners cannot be read", error);
    }
    page->entry_count = entry_count;
    return 0;
}

/* '/' counts as lower than every byte a name can have. */
static unsigned
order_key(uint8_t byte)
{
    return byte == '/' ? 0 : byte;
}

/* Do the bytes behind a shared beginning ascend from `a` to `b`? */
static bool
tails_ascend(const uint8_t *a, uint64_t a_bytes, const uint8_t *b, uint64_t b_bytes)
{
    uint64_t i = 0;

    while (i < a_bytes && i < b_bytes && a[i] == b[i]) {
        i++;
    }
    if (i == a_bytes || i == b_bytes) {
        return i < b_bytes;
    }
    return order_key(a[i]) < order_key(b[i]);
}

/* The path of an entry that is not its page's first ascends from the one before; "." only ever
 * comes first of all, and everything follows it. */
static bool
path_ascends(const struct rmill_index_decoder *decoder, uint64_t shared, const uint8_t *rest,
             uint64_t rest_bytes)
{
    if (shared + rest_bytes == 1 && (shared == 1 ? (uint8_t)decoder->path[0] : rest[0]) == '.') {
        return false;
    }
    if (decoder->path_bytes == 1 && decoder->path[0] == '.') {
        return true;
    }
    return tails_ascend((const uint8_t *)decoder->path + shared, decoder->path_bytes - shared, rest,
                        rest_bytes);
}

/* Shared bytes and the rest: the next path, in place of the one before. */
static int
path_read(struct rmill_index_decoder *decoder, struct rmill_entry *entry)
{
    struct cursor *rows = &decoder->rows;
    uint64_t shared = cursor_varint_max(rows, decoder->path_bytes);
    uint64_t rest_bytes = cursor_varint_max(rows, RMILL_ENTRY_PATH_BYTES_MAX - shared);
    const uint8_t *rest = cursor_bytes(rows, rest_bytes);

    if (rows->bad || shared + rest_bytes == 0) {
        return -EBADMSG;
    }
    if (decoder->entry_next > 0 && !path_ascends(decoder, shared, rest, rest_bytes)) {
        return -EBADMSG;
    }
    memcpy(decoder->path + shared, rest, rest_bytes);
    decoder->path_bytes = (uint32_t)(shared + rest_bytes);
    entry->path = decoder->path;
    entry->path_bytes = decoder->path_bytes;
    return 0;
}

/* An owner's name by its number in the page's table, from 1; 0 is none. */
static void
name_read(struct rmill_index_decoder *decoder, const char **name, uint32_t *bytes)
{
    uint64_t number = cursor_varint_max(&decoder->rows, decoder->name_count);

    if (number > 0) {
        *name = (const char *)decoder->names[number - 1];
        *bytes = decoder->name_bytes[number - 1];
    }
}

/* Where the header begins: counted in blocks from the entry before. */
static uint64_t
raw_offset_read(struct rmill_index_decoder *decoder)
{
    uint64_t block = decoder->raw_block_before + (uint64_t)unzigzag(cursor_varint(&decoder->rows));

    decoder->rows.bad |= block > RMILL_ENTRY_SIZE_MAX / 512;
    decoder->raw_block_before = block;
    return decoder->rows.bad ? 0 : block * 512;
}

/* The row behind the path. Returns the number of references to chunks stored elsewhere. */
static uint64_t
row_read(struct rmill_index_decoder *decoder, struct rmill_entry *entry)
{
    struct cursor *rows = &decoder->rows;
    const uint8_t *types = cursor_bytes(rows, 2);

    entry->type = types != NULL ? types[0] : 0;
    entry->hash_type = types != NULL ? types[1] : 0;
    entry->flags = (uint32_t)cursor_varint_max(rows, UINT32_MAX);
    entry->mode = (uint32_t)cursor_varint_max(rows, UINT32_MAX);
    entry->uid = (uint32_t)cursor_varint_max(rows, UINT32_MAX);
    entry->gid = (uint32_t)cursor_varint_max(rows, UINT32_MAX);
    name_read(decoder, &entry->uname, &entry->uname_bytes);
    name_read(decoder, &entry->gname, &entry->gname_bytes);
    entry->mtime_s = unzigzag(cursor_varint(rows));
    entry->mtime_ns = (uint32_t)cursor_varint_max(rows, UINT32_MAX);
    entry->size = cursor_varint_max(rows, RMILL_ENTRY_SIZE_MAX);
    entry->raw_offset = raw_offset_read(decoder);
    entry->header_bytes = (uint32_t)cursor_varint_max(rows, UINT32_MAX / 512) * 512;
    entry->link_bytes = (uint32_t)cursor_varint_max(rows, RMILL_ENTRY_PATH_BYTES_MAX);
    const uint8_t *link = cursor_bytes(rows, entry->link_bytes);

    entry->link = entry->link_bytes > 0 ? (const char *)link : NULL;
    return cursor_varint(rows);
}

static int
digest_read(struct rmill_index_decoder *decoder, struct rmill_entry *entry)
{
    int bytes = rmill_entry_digest_bytes(entry->hash_type);
    const uint8_t *digest = bytes > 0 ? cursor_bytes(&decoder->digests, (uint64_t)bytes) : NULL;

    if (bytes > 0 && digest != NULL) {
        memcpy(entry->digest, digest, (size_t)bytes);
    }
    return bytes < 0 || decoder->digests.bad ? -EBADMSG : 0;
}

/* What the page's place promises of its entries: the first path, an end before the next page,
 * positions inside the window, nothing left over behind the last entry. NULL when all is so. */
static const char *
place_fault(const struct rmill_index_decoder *decoder, const struct rmill_entry *entry)
{
    const struct rmill_index_page *page = &decoder->page;
    const struct rmill_index_window *window = &decoder->window;

    if (decoder->entry_next == 0 &&
        (entry->path_bytes != page->first_path_bytes ||
         memcmp(entry->path, page->first_path, entry->path_bytes) != 0)) {
        return "its first path is not the one the directory names";
    }
    if (entry->raw_offset < window->first_raw_offset ||
        rmill_entry_raw_end(entry) > window->first_raw_offset + window->raw_bytes) {
        return "an entry lies outside its window";
    }
    if (decoder->entry_next + 1 < page->entry_count) {
        return NULL;
    }
    if (decoder->rows.at != decoder->rows.end || decoder->digests.at != decoder->digests.end) {
        return "bytes are left over behind its last entry";
    }
    if (decoder->next_path != NULL &&
        rmill_pathname_compare(entry->path, entry->path_bytes, decoder->next_path,
                               decoder->next_path_bytes) >= 0) {
        return "its last path does not come before the next page";
    }
    return NULL;
}

/* Later versions may give what is a limit here a meaning: that is no damage, the page's hash was
 * right. */
static int
entry_refuse(const struct rmill_index_decoder *decoder, const struct rmill_entry *entry,
             uint64_t chunk_references, struct rmill_error *error)
{
    char name[128];

    (void)rmill_pathname_escape(name, sizeof(name), entry->path, entry->path_bytes);
    if (chunk_references > 0) {
        return rmill_error_set(error, -ENOTSUP,
                               "entry %s refers to chunks stored elsewhere, which this version "
                               "cannot read",
                               name);
    }
    return rmill_error_set(error, -ENOTSUP,
                           "entry %s has type %u, hash %u, flags 0x%x: this version does not know "
                           "them",
                           name, entry->type, entry->hash_type, entry->flags);
}

int
rmill_index_page_next(struct rmill_index_decoder *decoder, struct rmill_entry *entry,
                      struct rmill_error *error)
{
    const char *fault = "an entry cannot be read";
    uint64_t chunk_references = 0;

    if (decoder->entry_next >= decoder->page.entry_count) {
        return 0;
    }
    *entry = (struct rmill_entry){0};
    if (path_read(decoder, entry) == 0) {
        chunk_references = row_read(decoder, entry);
        if (!decoder->rows.bad && digest_read(decoder, entry) == 0) {
            fault = NULL;
        }
    }
    uint32_t entry_count = decoder->page.entry_count;

    decoder->page.entry_count = 0; /* After a fault there is nothing to go on with. */
    if (fault != NULL) {
        return page_damage(decoder, fault, error);
    }
    if (chunk_references > 0 || entry->type > RMILL_ENTRY_HARDLINK ||
        entry->hash_type > RMILL_ENTRY_HASH_XXH3_128 || (entry->flags & ~RMILL_ENTRY_FLAGS) != 0) {
        return entry_refuse(decoder, entry, chunk_references, error);
    }
    if (rmill_entry_check(entry, error) < 0) {
        if (error != NULL) {
            error->code = -EBADMSG;
        }
        rmill_error_prefix(error, "index page %llu (offset %llu)", LLU(decoder->index),
                           LLU(decoder->page.file_offset));
        return -EBADMSG;
    }
    decoder->page.entry_count = entry_count;
    fault = place_fault(decoder, entry);
    if (fault != NULL) {
        decoder->page.entry_count = 0;
        return page_damage(decoder, fault, error);
    }
    decoder->entry_next++;
    return 1;
}

int
rmill_index_page_seek(struct rmill_index_decoder *decoder, const char *path, size_t bytes,
                      struct rmill_entry *entry, struct rmill_error *error)
{
    for (;;) {
        int code = rmill_index_page_next(decoder, entry, error);

        if (code <= 0) {
            return code;
        }
        int order = rmill_pathname_compare(entry->path, entry->path_bytes, path, bytes);

        if (order >= 0) {
            return order == 0;
        }
    }
}

/* ---- frames
 * ----------------------------------------------------------------------------------------- */

/* Every record of the decoded page possible by itself, and all together as long as the directory
 * says. */
static int
frames_check(const struct rmill_index_frame_page *page, const struct rmill_index_frame *frames,
             uint64_t file_bytes, uint64_t raw_bytes)
{
    uint64_t compressed = 0, raw = 0;

    for (uint32_t i = 0; i < page->frame_count; i++) {
        if (frames[i].compressed_bytes == 0 || frames[i].raw_bytes == 0 ||
            frames[i].raw_bytes > RMILL_SEEKABLE_RAW_BYTES_MAX) {
            return -EBADMSG;
        }
        compressed += frames[i].compressed_bytes;
        raw += frames[i].raw_bytes;
    }
    return compressed == file_bytes && raw == raw_bytes ? 0 : -EBADMSG;
}

/* Where the frames of page `index` end, in the file and in the tar. */
static void
frame_page_ends(const struct rmill_index_directory *directory, uint64_t index, uint64_t *file_end,
                uint64_t *raw_end)
{
    const uint8_t *record = directory->frame_pages + index * FRAME_PAGE_BYTES;
    struct rmill_index_window window;
    struct rmill_index_frame_page next;

    rmill_index_window_get(directory, rmill_load_le32(record + FRAME_PAGE_WINDOW), &window);
    *file_end = window.file_offset;
    *raw_end = window.first_raw_offset + window.raw_bytes;
    if (index + 1 < window.first_frame_page + window.frame_page_count) {
        rmill_index_frame_page_get(directory, index + 1, &next);
        *file_end = next.first_file_offset;
        *raw_end = next.first_raw_offset;
    }
}

static void
frame_columns_get(const uint8_t *raw, uint32_t count, struct rmill_index_frame *frames)
{
    for (uint32_t i = 0; i < count; i++) {
        frames[i] = (struct rmill_index_frame){
            .compressed_bytes =
                rmill_load_le32(raw + FRAME_COMPRESSED_BYTES(count) + (size_t)4 * i),
            .raw_bytes = rmill_load_le32(raw + FRAME_RAW_BYTES(count) + (size_t)4 * i),
            .flags = raw[FRAME_FLAGS(count) + i],
            .compressed_hash = hash_get(raw + FRAME_COMPRESSED_HASHES(count) + (size_t)16 * i),
            .raw_hash = hash_get(raw + FRAME_RAW_HASHES(count) + (size_t)16 * i)};
    }
}

int
rmill_index_frame_page_decode(struct rmill_index_decoder *decoder,
                              const struct rmill_index_directory *directory, uint64_t index,
                              const void *compressed, struct rmill_index_frame *frames,
                              struct rmill_error *error)
{
    struct rmill_index_frame_page page;
    uint64_t file_end, raw_end;
    const char *fault = NULL;
    unsigned flags = 0;

    rmill_index_frame_page_get(directory, index, &page);
    frame_page_ends(directory, index, &file_end, &raw_end);
    decoder->page.entry_count = 0; /* The page of entries that was here is gone. */
    if (page_decode(decoder, compressed, page.compressed_bytes, &page.hash,
                    (size_t)page.frame_count * RMILL_INDEX_FRAME_RECORD_BYTES) < 0) {
        fault = "its hash or size does not match";
    } else {
        frame_columns_get(decoder->raw, page.frame_count, frames);
        if (frames_check(&page, frames, file_end - page.first_file_offset,
                         raw_end - page.first_raw_offset) < 0) {
            fault = "its frames do not add up";
        }
    }
    if (fault != NULL) {
        return rmill_error_set(error, -EBADMSG, "index frame page %llu (offset %llu, %u bytes): %s",
                               LLU(index), LLU(page.file_offset), page.compressed_bytes, fault);
    }
    for (uint32_t i = 0; i < page.frame_count; i++) {
        flags |= frames[i].flags;
    }
    if ((flags & ~RMILL_INDEX_FRAME_FLAGS) != 0) {
        return rmill_error_set(error, -ENOTSUP,
                               "frame page %llu has flags 0x%x that this version does not know",
                               LLU(index), flags);
    }
    return 0;
}
