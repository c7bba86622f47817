#include "tests/files_writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "engine/ringmill.h"
#include "tests/common.h"
#include "tests/files_forge.h"
#include "workloads/files/digest.h"
#include "workloads/files/index.h"
#include "workloads/files/seekable.h"
#include "workloads/files/tar.h"

/* --- members --------------------------------------------------------------------------------- */

static struct files_member
member_of(uint8_t type, uint32_t mode, const char *path, const char *link)
{
    return (struct files_member){.entry = {.type = type,
                                           .mode = mode,
                                           .path = path,
                                           .path_bytes = (uint32_t)strlen(path),
                                           .link = link,
                                           .link_bytes = link != NULL ? (uint32_t)strlen(link) : 0,
                                           .mtime_s = 1700000000}};
}

struct files_member
files_directory(const char *path)
{
    return member_of(RMILL_ENTRY_DIRECTORY, 0755, path, NULL);
}

struct files_member
files_file(const char *path, const void *content, size_t bytes)
{
    struct files_member member = member_of(RMILL_ENTRY_FILE, 0644, path, NULL);

    member.content = content;
    member.entry.size = bytes;
    return member;
}

struct files_member
files_symlink(const char *path, const char *target)
{
    return member_of(RMILL_ENTRY_SYMLINK, 0777, path, target);
}

struct files_member
files_hardlink(const char *path, const char *target)
{
    return member_of(RMILL_ENTRY_HARDLINK, 0644, path, target);
}

/* --- building -------------------------------------------------------------------------------- */

struct build {
    struct files_options options;
    struct rmill_buffer *out;
    struct rmill_buffer raw; /* Of the open frame. */
    bool continues;          /* The open frame continues a unit. */
    bool sealed;             /* It ends a large file: no member may join it. */
    struct rmill_seekable_writer table;
    struct rmill_index_window_writer *window;
    struct rmill_index_directory_writer *directory;
    struct rmill_buffer frames; /* struct rmill_index_frame of the window. */
    uint64_t frames_before, raw_bytes;
};

static void
append(struct rmill_buffer *buffer, const void *bytes, size_t count)
{
    assert_int_equal(rmill_buffer_append(buffer, bytes, count), 0);
}

static void
table_add(struct build *build, size_t compressed_bytes, size_t raw_bytes, uint32_t checksum)
{
    struct rmill_seekable_entry entry = {.compressed_bytes = (uint32_t)compressed_bytes,
                                         .raw_bytes = (uint32_t)raw_bytes,
                                         .checksum = checksum};

    assert_int_equal(rmill_seekable_writer_add(&build->table, &entry), 0);
}

static void
frame_close(struct build *build)
{
    struct rmill_buffer *out = build->out, *raw = &build->raw;

    if (raw->bytes == 0) {
        return;
    }
    size_t room = ZSTD_compressBound(raw->bytes);

    assert_int_equal(rmill_buffer_reserve(out, room), 0);
    uint8_t *to = out->data + out->bytes;
    size_t bytes = ZSTD_compress(to, room, raw->data, raw->bytes, (int)build->options.level);

    assert_false(ZSTD_isError(bytes));
    struct rmill_index_frame frame = {.compressed_bytes = (uint32_t)bytes,
                                      .raw_bytes = (uint32_t)raw->bytes,
                                      .compressed_hash = rmill_hash128(to, bytes),
                                      .raw_hash = rmill_hash128(raw->data, raw->bytes),
                                      .flags = build->continues ? 0 : RMILL_INDEX_FRAME_UNIT};

    append(&build->frames, &frame, sizeof(frame));
    table_add(build, bytes, raw->bytes, rmill_hash_xxh64_low32(raw->data, raw->bytes));
    out->bytes += bytes;
    build->raw_bytes += raw->bytes;
    raw->bytes = 0;
    build->continues = build->sealed = false;
}

static void
padding_append(struct build *build, const struct files_member *member)
{
    uint8_t padding[RMILL_TAR_BLOCK_BYTES] = {0};

    padding[0] = (member->lies & FILES_WRONG_PADDING) != 0;
    append(&build->raw, padding, rmill_tar_padding(member->entry.size));
}

static void
digest_set(struct files_member *member)
{
    uint64_t count = rmill_digest_leaf_count(member->entry.size);
    struct rmill_hash128 *leaves = calloc(count + 1, sizeof(*leaves));

    assert_non_null(leaves);
    for (uint64_t i = 0; i < count; i++) {
        leaves[i] =
            rmill_digest_leaf((const uint8_t *)member->content + i * RMILL_DIGEST_LEAF_BYTES,
                              rmill_digest_leaf_bytes(member->entry.size, i));
    }
    struct rmill_hash128 root = rmill_digest_root(leaves, member->entry.size);

    root.bytes[0] ^= (member->lies & FILES_WRONG_DIGEST) != 0;
    rmill_digest_set(&member->entry, &root);
    free(leaves);
}

static void
header_append(struct build *build, struct files_member *member)
{
    const struct rmill_entry *header = member->header != NULL ? member->header : &member->entry;
    uint32_t bytes = rmill_tar_header_bytes(header);
    uint8_t *blocks = malloc(bytes);

    assert_non_null(blocks);
    member->entry.raw_offset = build->raw_bytes + build->raw.bytes;
    member->entry.header_bytes = bytes;
    assert_int_equal(rmill_tar_header_write(header, blocks), bytes);
    append(&build->raw, blocks, bytes);
    free(blocks);
}

static void
large_append(struct build *build, struct files_member *member)
{
    uint64_t chunk = build->options.chunk_bytes, size = member->entry.size;
    uint64_t unit = rmill_max_u64(chunk, RMILL_DIGEST_LEAF_BYTES);

    frame_close(build);
    header_append(build, member);
    for (uint64_t at = 0; at < size; at += chunk) {
        build->continues = at % unit != 0;
        append(&build->raw, (const uint8_t *)member->content + at, rmill_min_u64(chunk, size - at));
        if (at + chunk < size) {
            frame_close(build);
        }
    }
    padding_append(build, member);
    build->sealed = true;
}

static void
member_append(struct build *build, struct files_member *member)
{
    const struct rmill_entry *header = member->header != NULL ? member->header : &member->entry;
    uint64_t size = member->entry.size;

    if (member->entry.type == RMILL_ENTRY_FILE) {
        digest_set(member);
    }
    if (size > RMILL_DIGEST_LEAF_BYTES) {
        large_append(build, member);
        return;
    }
    uint64_t bytes = rmill_tar_header_bytes(header) + size + rmill_tar_padding(size);

    if (build->sealed || build->raw.bytes + bytes > build->options.chunk_bytes) {
        frame_close(build);
    }
    header_append(build, member);
    append(&build->raw, member->content, size);
    padding_append(build, member);
}

static enum rmill_pathname_order sort_order;

static int
compare_members(const void *a, const void *b)
{
    const struct files_member *const *left = a, *const *right = b;

    return rmill_pathname_order_compare(&(*left)->entry, &(*right)->entry, sort_order);
}

static int
compare_paths(const void *a, const void *b)
{
    const struct files_member *left = a, *right = b;

    return rmill_pathname_compare(left->entry.path, left->entry.path_bytes, right->entry.path,
                                  right->entry.path_bytes);
}

static void
data_append(struct build *build, struct files_member *members, uint32_t count, bool last)
{
    struct files_member **sorted = calloc(count + 1, sizeof(*sorted));
    uint8_t end[RMILL_TAR_END_BYTES] = {0};

    assert_non_null(sorted);
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = &members[i];
    }
    sort_order = build->options.order;
    qsort(sorted, count, sizeof(struct files_member *), compare_members);
    for (uint32_t i = 0; i < count; i++) {
        member_append(build, sorted[i]);
    }
    free(sorted);
    end[700] = build->options.wrong_end;
    append(&build->raw, end, last ? sizeof(end) : 0);
    frame_close(build);
}

static void
window_append(struct build *build, struct files_member *members, uint32_t count, uint32_t number,
              bool last)
{
    struct rmill_index_window_start start = {.window = number,
                                             .first_frame = build->frames_before,
                                             .first_file_offset = build->out->bytes,
                                             .first_raw_offset = build->raw_bytes};
    struct rmill_error error = {0};
    const uint8_t *bytes;
    size_t byte_count;

    data_append(build, members, count, last);
    const struct rmill_index_frame *frames = (const void *)build->frames.data;
    size_t frame_count = build->frames.bytes / sizeof(*frames);

    assert_int_equal(files_forge_begin(build->window, &start), 0);
    for (size_t i = 0; i < frame_count; i++) {
        assert_int_equal(files_forge_frame_add(build->window, &frames[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (files_forge_entry_add(build->window, &members[i].entry, &error) != 0) {
            fail_msg("%s", error.advice);
        }
    }
    assert_int_equal(files_forge_end(build->window, &bytes, &byte_count), 0);
    assert_int_equal(
        rmill_index_directory_add(build->directory, build->window, build->out->bytes, &error), 0);
    append(build->out, bytes, byte_count);
    table_add(build, byte_count, 0, RMILL_SEEKABLE_NOTHING);
    build->frames_before += frame_count;
    build->frames.bytes = 0;
}

static void
end_append(struct build *build)
{
    struct rmill_buffer frame = {0};

    assert_int_equal(rmill_index_directory_end(build->directory, build->out->bytes,
                                               build->raw_bytes, &frame, NULL),
                     0);
    append(build->out, frame.data, frame.bytes);
    table_add(build, frame.bytes, 0, RMILL_SEEKABLE_NOTHING);
    assert_int_equal(rmill_seekable_writer_end(&build->table), 0);
    append(build->out, build->table.frame.data, build->table.frame.bytes);
    rmill_buffer_deinit(&frame);
}

void
files_archive_build(struct files_member *members, uint32_t count,
                    const struct files_options *options, struct rmill_buffer *out)
{
    struct build build = {.options = *options, .out = out};
    uint32_t number = 0;

    build.options.chunk_bytes =
        options->chunk_bytes != 0 ? options->chunk_bytes : RMILL_INDEX_CHUNK_BYTES_DEFAULT;
    build.options.window_entries =
        options->window_entries != 0 ? options->window_entries : RMILL_INDEX_WINDOW_ENTRIES;
    build.options.level = options->level != 0 ? options->level : 3;
    struct rmill_index_options made_with = {.zstd_version = ZSTD_versionNumber(),
                                            .level = (int32_t)build.options.level,
                                            .chunk_bytes = build.options.chunk_bytes,
                                            .order = options->order};

    assert_int_equal(files_forge_create(&build.window), 0);
    assert_int_equal(rmill_index_directory_writer_create(&made_with, &build.directory), 0);
    if (count > 0) {
        qsort(members, count, sizeof(*members), compare_paths);
    }
    for (uint32_t i = 0; i < count || number == 0; i += build.options.window_entries) {
        uint32_t step = (uint32_t)rmill_min_u64(build.options.window_entries, count - i);

        window_append(&build, members + i, step, number++, i + step == count);
    }
    end_append(&build);
    rmill_buffer_deinit(&build.raw);
    rmill_buffer_deinit(&build.frames);
    rmill_seekable_writer_deinit(&build.table);
    files_forge_destroy(build.window);
    rmill_index_directory_writer_destroy(build.directory);
}

void
files_archive_write(struct files_member *members, uint32_t count,
                    const struct files_options *options, const char *path)
{
    struct rmill_buffer bytes = {0};

    files_archive_build(members, count, options, &bytes);
    files_put(path, bytes.data, bytes.bytes);
    rmill_buffer_deinit(&bytes);
}

/* --- files and engines ----------------------------------------------------------------------- */

void
files_put(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
        return;
    }
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void
files_get(const char *path, struct rmill_buffer *bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t block[4096];
    size_t got;

    if (file == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
        return;
    }
    bytes->bytes = 0;
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        append(bytes, block, got);
    }
    assert_int_equal(fclose(file), 0);
}

int
files_engine_run(const struct rmill_options *options, int (*main_fiber)(void *argument),
                 void *argument)
{
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    int result = -1;

    if (rmill_engine_create(options, &engine, &error) != 0 ||
        rmill_engine_start(engine, main_fiber, argument, &error) != 0) {
        rmill_engine_destroy(engine);
        fail_msg("%s", error.advice);
        return -1;
    }
    assert_int_equal(rmill_engine_wait(engine, UINT64_MAX, &result), 0);
    rmill_engine_destroy(engine);
    return result;
}
