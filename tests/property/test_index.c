/* Goal: any set of entries comes back whole from the index, and no damage to window or directory
 * passes. Method: seeded random entries through the reference packer of tests/archive_sample.c
 * and back; then every byte of a small archive's index changed in turn: a reader that goes the
 * whole way must refuse. */
#include "tests/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/archive_sample.h"
#include "workloads/files/index.h"

#define MEMBERS_MAX 900

struct opened {
    struct rmill_seekable_location place;
    struct rmill_seekable_table table;
    struct rmill_index_location location;
    struct rmill_index_directory *directory;
};

static int
archive_open(const struct rmill_buffer *bytes, struct opened *opened)
{
    const uint8_t *data = bytes->data;
    int code = rmill_seekable_footer_parse(data + bytes->bytes - RMILL_SEEKABLE_FOOTER_BYTES,
                                           bytes->bytes, &opened->place, NULL);

    opened->directory = NULL;
    if (code == 0) {
        code = rmill_seekable_parse(data + opened->place.file_offset, &opened->place,
                                    &opened->table, NULL);
    }
    if (code == 0) {
        code = rmill_index_footer_parse(data + opened->place.file_offset - RMILL_INDEX_FOOTER_BYTES,
                                        opened->place.file_offset, &opened->location, NULL);
    }
    if (code == 0) {
        code = rmill_index_directory_decode(data + opened->location.file_offset, &opened->location,
                                            &opened->directory, NULL);
    }
    if (code == 0) {
        code = rmill_index_directory_check(opened->directory, &opened->table, NULL);
    }
    return code;
}

/* Texts of all members, one after the other. */
struct texts {
    char bytes[MEMBERS_MAX * 600];
    size_t used;
};

/* `bytes` random bytes that no name forbids, few enough different ones that prefixes are shared. */
static const char *
text_random(struct rmill_prng *prng, struct texts *texts, uint32_t bytes)
{
    static const char alphabet[] = "aab.-\xff\n";
    char *text = texts->bytes + texts->used;

    for (uint32_t i = 0; i < bytes; i++) {
        text[i] = alphabet[rmill_prng_below(prng, sizeof(alphabet) - 1)];
    }
    texts->used += bytes;
    return text;
}

/* A path of up to 3 components, unique by a number in it. */
static void
path_random(struct rmill_prng *prng, struct texts *texts, uint32_t number,
            struct rmill_entry *entry)
{
    char *path = texts->bytes + texts->used;
    char digits[16];
    uint32_t components = (uint32_t)rmill_prng_below(prng, 3);

    for (uint32_t i = 0; i < components; i++) {
        /* "x" in front, so that no component is "." or "..". */
        texts->bytes[texts->used++] = 'x';
        (void)text_random(prng, texts, (uint32_t)rmill_prng_below(prng, 60));
        texts->bytes[texts->used++] = '/';
    }
    int bytes = snprintf(digits, sizeof(digits), "%u", number);

    memcpy(texts->bytes + texts->used, digits, (size_t)bytes);
    texts->used += (size_t)bytes;
    entry->path = path;
    entry->path_bytes = (uint32_t)(texts->bytes + texts->used - path);
}

static struct sample_member
member_random(struct rmill_prng *prng, struct texts *texts, uint32_t number)
{
    static const char content[3000];
    struct sample_member member = {.content = content};
    struct rmill_entry *entry = &member.entry;

    path_random(prng, texts, number, entry);
    entry->type = (uint8_t)(1 + rmill_prng_below(prng, 4));
    if (entry->type == RMILL_ENTRY_FILE) {
        entry->size = rmill_prng_below(prng, sizeof(content));
        entry->flags = (uint32_t)rmill_prng_below(prng, RMILL_ENTRY_FLAGS + 1);
    } else if (entry->type != RMILL_ENTRY_DIRECTORY) {
        entry->link_bytes = (uint32_t)rmill_prng_below(prng, 140) + 1;
        entry->link = text_random(prng, texts, entry->link_bytes);
        ((char *)(uintptr_t)entry->link)[0] = 'x'; /* Not "." nor "..". */
    }
    entry->uname_bytes = (uint32_t)rmill_prng_below(prng, 3);
    entry->uname = text_random(prng, texts, entry->uname_bytes);
    entry->gname_bytes = (uint32_t)rmill_prng_below(prng, 40);
    entry->gname = text_random(prng, texts, entry->gname_bytes);
    entry->mode = (uint32_t)rmill_prng_below(prng, 010000);
    entry->uid = (uint32_t)rmill_prng_next(prng) >> rmill_prng_below(prng, 32);
    entry->gid = (uint32_t)rmill_prng_next(prng) >> rmill_prng_below(prng, 32);
    entry->mtime_s = (int64_t)rmill_prng_next(prng) >> (2 + rmill_prng_below(prng, 60));
    entry->mtime_ns = (uint32_t)rmill_prng_below(prng, 1000000000);
    return member;
}

static void
assert_same_entry(const struct rmill_entry *a, const struct rmill_entry *b)
{
    assert_int_equal(a->path_bytes, b->path_bytes);
    assert_memory_equal(a->path, b->path, a->path_bytes);
    assert_int_equal(a->link_bytes, b->link_bytes);
    assert_true(a->link_bytes == 0 || memcmp(a->link, b->link, a->link_bytes) == 0);
    assert_int_equal(a->uname_bytes, b->uname_bytes);
    assert_true(a->uname_bytes == 0 || memcmp(a->uname, b->uname, a->uname_bytes) == 0);
    assert_int_equal(a->gname_bytes, b->gname_bytes);
    assert_true(a->gname_bytes == 0 || memcmp(a->gname, b->gname, a->gname_bytes) == 0);
    assert_true(a->size == b->size && a->mtime_s == b->mtime_s && a->mtime_ns == b->mtime_ns);
    assert_true(a->mode == b->mode && a->uid == b->uid && a->gid == b->gid);
    assert_true(a->raw_offset == b->raw_offset && a->header_bytes == b->header_bytes);
    assert_true(a->flags == b->flags && a->type == b->type && a->hash_type == b->hash_type);
    assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
}

static void
any_entries_come_back_in_order_and_by_path(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    struct sample_member *members = calloc(MEMBERS_MAX, sizeof(*members));
    struct texts *texts = malloc(sizeof(*texts));
    struct rmill_index_decoder *decoder;

    assert_true(members != NULL && texts != NULL);
    assert_int_equal(rmill_index_decoder_create(&decoder), 0);
    for (uint64_t round = 0; round < scale_get(20); round++) {
        struct sample_options options = {
            .window_entries = 1 + (uint32_t)rmill_prng_below(&prng, 600),
            .frame_bytes = 4096 << rmill_prng_below(&prng, 6),
            .order = (enum rmill_pathname_order)rmill_prng_below(&prng, 2)};
        uint32_t count = (uint32_t)rmill_prng_below(&prng, MEMBERS_MAX + 1);
        struct rmill_buffer bytes = {0};
        struct opened opened;
        struct rmill_entry entry;
        uint32_t seen = 0;

        texts->used = 0;
        for (uint32_t i = 0; i < count; i++) {
            members[i] = member_random(&prng, texts, i);
        }
        sample_archive_build(members, count, &options, &bytes);
        assert_int_equal(archive_open(&bytes, &opened), 0);
        for (uint64_t i = 0; i < opened.directory->page_count; i++) {
            struct rmill_index_page page;

            rmill_index_page_get(opened.directory, i, &page);
            assert_int_equal(rmill_index_page_decode(decoder, opened.directory, i,
                                                     bytes.data + page.file_offset, NULL),
                             0);
            while (rmill_index_page_next(decoder, &entry, NULL) == 1) {
                uint64_t found;

                assert_same_entry(&entry, &members[seen++].entry);
                assert_int_equal(
                    rmill_index_page_find(opened.directory, entry.path, entry.path_bytes, &found),
                    0);
                assert_int_equal(found, i);
            }
        }
        assert_int_equal(seen, count);
        rmill_index_directory_destroy(opened.directory);
        rmill_buffer_deinit(&bytes);
    }
    rmill_index_decoder_destroy(decoder);
    free(members);
    free(texts);
}

/* Everything a reader can check of the index. */
static int
index_verify(const struct rmill_buffer *bytes, struct rmill_index_decoder *decoder)
{
    static struct rmill_index_frame frames[RMILL_INDEX_FRAME_PAGE_FRAMES];
    struct opened opened;
    struct rmill_entry entry;
    int code = archive_open(bytes, &opened);

    for (uint32_t i = 0; code == 0 && i < opened.directory->window_count; i++) {
        struct rmill_index_window window;

        rmill_index_window_get(opened.directory, i, &window);
        code =
            rmill_index_window_check(opened.directory, i, bytes->data + window.file_offset, NULL);
    }
    for (uint64_t i = 0; code == 0 && i < opened.directory->frame_page_count; i++) {
        struct rmill_index_frame_page page;

        rmill_index_frame_page_get(opened.directory, i, &page);
        code = rmill_index_frame_page_decode(decoder, opened.directory, i,
                                             bytes->data + page.file_offset, frames, NULL);
    }
    for (uint64_t i = 0; code == 0 && i < opened.directory->page_count; i++) {
        struct rmill_index_page page;

        rmill_index_page_get(opened.directory, i, &page);
        code = rmill_index_page_decode(decoder, opened.directory, i, bytes->data + page.file_offset,
                                       NULL);
        while (code == 0 && (code = rmill_index_page_next(decoder, &entry, NULL)) == 1) {
            code = 0;
        }
    }
    rmill_index_directory_destroy(opened.directory);
    return code;
}

static void
no_changed_byte_of_the_index_passes(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    struct sample_member members[8];
    struct sample_options options = {.window_entries = 2, .frame_bytes = 4096};
    struct rmill_index_decoder *decoder;
    struct rmill_buffer bytes = {0};
    struct opened opened;
    uint64_t changed = 0;

    sample_archive_build(members, sample_tiny(members), &options, &bytes);
    assert_int_equal(archive_open(&bytes, &opened), 0);
    assert_int_equal(rmill_index_decoder_create(&decoder), 0);
    assert_int_equal(index_verify(&bytes, decoder), 0);
    for (uint32_t w = 0; w <= opened.directory->window_count; w++) {
        struct rmill_index_window window = {.file_offset = opened.location.file_offset,
                                            .frame_bytes = opened.location.frame_bytes};

        if (w < opened.directory->window_count) {
            rmill_index_window_get(opened.directory, w, &window);
        }
        for (uint64_t i = 0; i < window.frame_bytes; i++) {
            uint8_t *at = bytes.data + window.file_offset + i;
            uint8_t flip = (uint8_t)(1 + rmill_prng_below(&prng, 255));

            *at ^= flip;
            if (index_verify(&bytes, decoder) >= 0) {
                fail_msg("byte %u of window %u changed by 0x%02x: nobody noticed", (unsigned)i, w,
                         flip);
            }
            *at ^= flip;
            changed++;
        }
    }
    assert_true(changed > 1000);
    rmill_index_decoder_destroy(decoder);
    rmill_index_directory_destroy(opened.directory);
    rmill_buffer_deinit(&bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_entries_come_back_in_order_and_by_path),
        cmocka_unit_test(no_changed_byte_of_the_index_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
