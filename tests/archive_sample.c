#include "tests/archive_sample.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "tests/common.h"
#include "workloads/files/digest.h"
#include "workloads/files/index.h"
#include "workloads/files/seekable.h"
#include "workloads/files/tar.h"

/* What the archive is built with, and where it stands. */
struct build {
    const struct sample_options *options;
    struct rmill_buffer *out;
    struct rmill_buffer raw; /* Of the open frame. */
    struct rmill_seekable_writer table;
    struct rmill_index_window_writer *window;
    struct rmill_index_directory_writer *directory;
    struct rmill_index_frame frames[4096];
    uint32_t frame_count; /* Of the window. */
    uint64_t frames_before;
    uint64_t raw_bytes;
};

static void
raw_append(struct build *build, const void *bytes, size_t count)
{
    assert_int_equal(rmill_buffer_append(&build->raw, bytes, count), 0);
}

static void
skippable_append(struct build *build, const uint8_t *frame, size_t bytes)
{
    struct rmill_seekable_entry entry = {.compressed_bytes = (uint32_t)bytes,
                                         .checksum = RMILL_SEEKABLE_NOTHING};

    assert_int_equal(rmill_buffer_append(build->out, frame, bytes), 0);
    assert_int_equal(rmill_seekable_writer_add(&build->table, &entry), 0);
}

static void
frame_close(struct build *build)
{
    struct rmill_buffer *out = build->out;

    if (build->raw.bytes == 0) {
        return;
    }
    assert_true(build->frame_count < 4096);
    assert_int_equal(rmill_buffer_reserve(out, ZSTD_compressBound(build->raw.bytes)), 0);
    uint8_t *to = out->data + out->bytes;
    size_t bytes =
        ZSTD_compress(to, out->capacity - out->bytes, build->raw.data, build->raw.bytes, 3);

    assert_false(ZSTD_isError(bytes));
    struct rmill_seekable_entry entry = {
        .compressed_bytes = (uint32_t)bytes,
        .raw_bytes = (uint32_t)build->raw.bytes,
        .checksum = rmill_hash_xxh64_low32(build->raw.data, build->raw.bytes)};

    build->frames[build->frame_count++] =
        (struct rmill_index_frame){.compressed_bytes = (uint32_t)bytes,
                                   .raw_bytes = (uint32_t)build->raw.bytes,
                                   .compressed_hash = rmill_hash128(to, bytes),
                                   .raw_hash = rmill_hash128(build->raw.data, build->raw.bytes),
                                   .flags = RMILL_INDEX_FRAME_UNIT};
    assert_int_equal(rmill_seekable_writer_add(&build->table, &entry), 0);
    out->bytes += bytes;
    build->raw_bytes += build->raw.bytes;
    build->raw.bytes = 0;
}

static void
member_append(struct build *build, struct sample_member *member)
{
    static const char zeros[512];
    struct rmill_entry *entry = &member->entry;
    uint32_t header_bytes = rmill_tar_header_bytes(entry);
    uint8_t *header = malloc(header_bytes);

    assert_non_null(header);
    if (build->raw.bytes + header_bytes + entry->size > build->options->frame_bytes) {
        frame_close(build);
    }
    entry->raw_offset = build->raw_bytes + build->raw.bytes;
    entry->header_bytes = header_bytes;
    if (entry->type == RMILL_ENTRY_FILE) {
        struct rmill_hash128 root = rmill_digest_small(member->content, entry->size);

        rmill_digest_set(entry, &root);
    }
    assert_int_equal(rmill_tar_header_write(entry, header), header_bytes);
    raw_append(build, header, header_bytes);
    raw_append(build, member->content, entry->size);
    raw_append(build, zeros, rmill_tar_padding(entry->size));
    free(header);
}

static enum rmill_pathname_order sort_order;

static int
compare_members(const void *a, const void *b)
{
    const struct sample_member *const *left = a, *const *right = b;

    return rmill_pathname_order_compare(&(*left)->entry, &(*right)->entry, sort_order);
}

static int
compare_paths(const void *a, const void *b)
{
    const struct sample_member *left = a, *right = b;

    return rmill_pathname_compare(left->entry.path, left->entry.path_bytes, right->entry.path,
                                  right->entry.path_bytes);
}

/* Data frames and index of one window; `last` appends the two zero blocks. */
static void
window_append(struct build *build, struct sample_member *members, uint32_t count, uint32_t number,
              int last)
{
    static const char zeros[RMILL_TAR_END_BYTES];
    struct rmill_index_window_start start = {.window = number,
                                             .first_frame = build->frames_before,
                                             .first_file_offset = build->out->bytes,
                                             .first_raw_offset = build->raw_bytes};
    struct sample_member **sorted = calloc(count + 1, sizeof(*sorted));
    const uint8_t *frame;
    size_t frame_bytes;
    struct rmill_error error = {0};

    assert_non_null(sorted);
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = &members[i];
    }
    sort_order = build->options->order;
    qsort(sorted, count, sizeof(struct sample_member *), compare_members);
    for (uint32_t i = 0; i < count; i++) {
        member_append(build, sorted[i]);
    }
    if (last) {
        raw_append(build, zeros, sizeof(zeros));
    }
    frame_close(build);
    free(sorted);

    assert_int_equal(rmill_index_window_begin(build->window, &start), 0);
    for (uint32_t i = 0; i < build->frame_count; i++) {
        assert_int_equal(rmill_index_window_frame_add(build->window, &build->frames[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        int code = rmill_index_window_entry_add(build->window, &members[i].entry, &error);

        if (code != 0) {
            fail_msg("%s", error.advice);
        }
    }
    assert_int_equal(rmill_index_window_end(build->window, &frame, &frame_bytes), 0);
    uint64_t file_offset = build->out->bytes;

    skippable_append(build, frame, frame_bytes);
    assert_int_equal(
        rmill_index_directory_add(build->directory, build->window, file_offset, &error), 0);
    build->frames_before += build->frame_count;
    build->frame_count = 0;
}

void
sample_archive_build(struct sample_member *members, uint32_t count,
                     const struct sample_options *options, struct rmill_buffer *out)
{
    struct build *build = calloc(1, sizeof(*build));
    struct rmill_index_options made_with = {.zstd_version = ZSTD_versionNumber(),
                                            .level = 3,
                                            .chunk_bytes = RMILL_INDEX_CHUNK_BYTES_DEFAULT,
                                            .order = options->order};
    struct rmill_buffer frame = {0};
    uint32_t number = 0;

    assert_non_null(build);
    build->options = options;
    build->out = out;
    assert_int_equal(rmill_index_window_writer_create(&build->window), 0);
    assert_int_equal(rmill_index_directory_writer_create(&made_with, &build->directory), 0);
    if (count > 0) {
        qsort(members, count, sizeof(*members), compare_paths);
    }
    for (uint32_t i = 0; i < count || number == 0; i += options->window_entries) {
        uint32_t step = (uint32_t)rmill_min_u64(options->window_entries, count - i);

        window_append(build, members + i, step, number++, i + step == count);
    }
    assert_int_equal(
        rmill_index_directory_end(build->directory, out->bytes, build->raw_bytes, &frame, NULL), 0);
    skippable_append(build, frame.data, frame.bytes);
    assert_int_equal(rmill_seekable_writer_end(&build->table), 0);
    assert_int_equal(rmill_buffer_append(out, build->table.frame.data, build->table.frame.bytes),
                     0);
    rmill_buffer_deinit(&frame);
    rmill_buffer_deinit(&build->raw);
    rmill_seekable_writer_deinit(&build->table);
    rmill_index_window_writer_destroy(build->window);
    rmill_index_directory_writer_destroy(build->directory);
    free(build);
}

static struct sample_member
member_of(uint8_t type, const char *path, const char *link, const char *content)
{
    return (struct sample_member){.entry = {.path = path,
                                            .path_bytes = (uint32_t)strlen(path),
                                            .link = link,
                                            .link_bytes = link != NULL ? (uint32_t)strlen(link) : 0,
                                            .uname = "ann",
                                            .uname_bytes = 3,
                                            .gname = "mill",
                                            .gname_bytes = 4,
                                            .type = type,
                                            .mode = type == RMILL_ENTRY_DIRECTORY ? 0755 : 0644,
                                            .uid = 1000,
                                            .gid = 100,
                                            .mtime_s = 1700000000,
                                            .size = content != NULL ? strlen(content) : 0},
                                  .content = content != NULL ? content : ""};
}

uint32_t
sample_tiny(struct sample_member members[8])
{
    members[0] = member_of(RMILL_ENTRY_DIRECTORY, "mill", NULL, NULL);
    members[1] = member_of(RMILL_ENTRY_FILE, "mill/grain.txt", NULL, "rye, oats, wheat\n");
    members[2] = member_of(RMILL_ENTRY_FILE, "mill/empty", NULL, "");
    members[3] = member_of(RMILL_ENTRY_SYMLINK, "mill/flour", "grain.txt", NULL);
    members[4] = member_of(RMILL_ENTRY_HARDLINK, "mill/same.txt", "mill/grain.txt", NULL);
    members[1].entry.mtime_ns = 250000000; /* Takes a pax header. */
    return 5;
}
