/* tests/unit/test_layout.c — where units and frames begin and end.
 *
 * Goal: the borders of docs/FORMAT.md, section 4, for any sizes. Method: random windows; every
 * member must be covered once, in order, and no small member or leaf may be cut by a unit. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "workloads/files/layout.h"

#define MIB ((uint64_t)1 << 20)

static void
window_make(struct rmill_window *window, const uint64_t *sizes, uint32_t count)
{
    window->order = malloc((count + 1) * sizeof(window->order[0]));
    for (uint32_t i = 0; i < count; i++) {
        struct rmill_member *member = rmill_window_add(window);

        member->size = sizes[i];
        member->header_bytes = 512;
        window->order[i] = i;
    }
    window->order_count = count;
}

/* Follow the units of a window and check each against the rules. Returns the raw bytes. */
static uint64_t
layout_check(struct rmill_window *window, uint64_t chunk_bytes)
{
    struct rmill_layout layout;
    struct rmill_layout_unit unit;
    uint32_t frames[RMILL_LAYOUT_FRAMES_MAX], next = 0;
    uint64_t offset = 0, raw = 0, ends = 0;

    rmill_layout_begin(&layout, window, chunk_bytes);
    while (rmill_layout_next(&layout, &unit)) {
        uint64_t sum = 0, bytes = unit.end ? RMILL_TAR_END_BYTES : 0;
        uint32_t count = rmill_layout_frames(&unit, chunk_bytes, unit.raw_bytes, frames);

        assert_true(unit.raw_bytes <= rmill_layout_raw_bytes_max(chunk_bytes));
        for (uint32_t i = 0; i < count; i++) {
            sum += frames[i];
        }
        assert_int_equal(sum, unit.raw_bytes);
        if (unit.large != NULL) {
            assert_ptr_equal(unit.large, &window->members[next]);
            assert_int_equal(unit.offset, offset);
            assert_int_equal(offset % RMILL_DIGEST_LEAF_BYTES, 0);
            assert_true(unit.large->size > RMILL_DIGEST_LEAF_BYTES);
            assert_int_equal(unit.header, offset == 0);
            offset += unit.bytes;
            assert_int_equal(unit.padding, offset == unit.large->size);
            assert_int_equal(count, (unit.bytes + chunk_bytes - 1) / chunk_bytes);
            if (unit.padding) {
                next++;
                offset = 0;
            }
        } else {
            assert_true(unit.count == 0 || unit.first == next);
            for (uint32_t i = 0; i < unit.count; i++, next++) {
                uint64_t size = window->members[next].size;

                assert_true(size <= RMILL_DIGEST_LEAF_BYTES);
                bytes += 512 + size + rmill_tar_padding(size);
            }
            assert_int_equal(bytes, unit.raw_bytes);
            assert_true(unit.count <= 1 ||
                        bytes - (unit.end ? RMILL_TAR_END_BYTES : 0) <= chunk_bytes);
            assert_int_equal(count, 1);
        }
        ends += unit.end;
        raw += unit.raw_bytes;
    }
    assert_int_equal(next, window->order_count);
    assert_int_equal(ends, window->last);
    return raw;
}

static void
every_member_is_covered_once_whatever_the_sizes(void **state)
{
    struct rmill_prng random = rmill_prng_seeded(seed_get());
    uint64_t sizes[200];

    for (uint64_t round = 0; round < scale_get(300); round++) {
        struct rmill_window window = {.last = rmill_prng_below(&random, 2) == 0};
        uint64_t expected = window.last ? RMILL_TAR_END_BYTES : 0;
        uint32_t count = (uint32_t)rmill_prng_below(&random, 200);

        for (uint32_t i = 0; i < count; i++) {
            sizes[i] = rmill_prng_below(&random, (uint64_t)1 << rmill_prng_below(&random, 26));
            expected += 512 + sizes[i] + rmill_tar_padding(sizes[i]);
        }
        window_make(&window, sizes, count);
        assert_int_equal(
            layout_check(&window, (uint64_t)(64 << 10) << rmill_prng_below(&random, 11)), expected);
        rmill_window_deinit(&window);
    }
}

static void
two_mebibytes_are_small_and_a_byte_more_is_large(void **state)
{
    const uint64_t sizes[] = {2 * MIB, 2 * MIB + 1};
    struct rmill_window window = {.last = true};
    struct rmill_layout layout;
    struct rmill_layout_unit unit;

    window_make(&window, sizes, 2);
    rmill_layout_begin(&layout, &window, 2 * MIB);
    assert_true(rmill_layout_next(&layout, &unit));
    assert_null(unit.large);
    assert_true(rmill_layout_next(&layout, &unit));
    assert_non_null(unit.large);
    assert_int_equal(unit.bytes, 2 * MIB);
    assert_true(rmill_layout_next(&layout, &unit));
    assert_int_equal(unit.bytes, 1);
    assert_true(unit.padding && unit.end);
    assert_false(rmill_layout_next(&layout, &unit));
    rmill_window_deinit(&window);
}

static void
a_skipped_large_file_leaves_no_trace(void **state)
{
    const uint64_t sizes[] = {10, 9 * MIB, 3 * MIB};
    struct rmill_window window = {.last = true};
    struct rmill_layout layout;
    struct rmill_layout_unit unit;

    window_make(&window, sizes, 3);
    rmill_layout_begin(&layout, &window, 64 * MIB);
    assert_true(rmill_layout_next(&layout, &unit));
    assert_true(rmill_layout_next(&layout, &unit));
    rmill_layout_skip(&layout, &unit);
    assert_true(rmill_layout_next(&layout, &unit));
    assert_int_equal(unit.large->size, 3 * MIB);
    rmill_layout_skip(&layout, &unit); /* It had the end: now that comes alone. */
    assert_true(rmill_layout_next(&layout, &unit));
    assert_int_equal(unit.raw_bytes, RMILL_TAR_END_BYTES);
    assert_true(unit.end);
    assert_false(rmill_layout_next(&layout, &unit));
    rmill_window_deinit(&window);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_is_covered_once_whatever_the_sizes),
        cmocka_unit_test(two_mebibytes_are_small_and_a_byte_more_is_large),
        cmocka_unit_test(a_skipped_large_file_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
