/* Goal: the digest of a file is the stated tree over 2 MiB leaves, whatever order the leaves
 * came in. Method: borders of a leaf; the root rebuilt by hand from one-shot hashes of
 * base/hash.h. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "workloads/files/digest.h"

#define LEAF RMILL_DIGEST_LEAF_BYTES

static void
leaf_counts_at_the_borders(void **state)
{
    assert_int_equal(rmill_digest_leaf_count(0), 0);
    assert_int_equal(rmill_digest_leaf_count(1), 1);
    assert_int_equal(rmill_digest_leaf_count(LEAF), 1);
    assert_int_equal(rmill_digest_leaf_count(LEAF + 1), 2);
    assert_int_equal(rmill_digest_leaf_bytes(LEAF + 1, 0), LEAF);
    assert_int_equal(rmill_digest_leaf_bytes(LEAF + 1, 1), 1);
    assert_int_equal(rmill_digest_leaf_bytes(LEAF, 0), LEAF);
}

static void
root_is_the_hash_of_leaves_and_size(void **state)
{
    size_t size = 2 * LEAF + 5;
    uint8_t *content = malloc(size);
    uint8_t joined[3 * 16 + 8];
    struct rmill_hash128 leaves[4];

    assert_non_null(content);
    for (size_t i = 0; i < size; i++) {
        content[i] = (uint8_t)(i * 31 >> 3);
    }
    for (uint64_t i = 3; i-- > 0;) { /* Backwards: leaves do not depend on each other. */
        leaves[i] = rmill_digest_leaf(content + i * LEAF, rmill_digest_leaf_bytes(size, i));
        memcpy(joined + 16 * i, leaves[i].bytes, 16);
    }
    rmill_store_le64(joined + 48, size);
    struct rmill_hash128 expected = rmill_hash128(joined, sizeof(joined));
    struct rmill_hash128 root = rmill_digest_root(leaves, size);

    assert_memory_equal(root.bytes, expected.bytes, 16);
    free(content);
}

static void
small_files_take_one_call(void **state)
{
    struct rmill_hash128 leaves[2] = {rmill_digest_leaf("grain", 5)};
    struct rmill_hash128 root = rmill_digest_root(leaves, 5);
    struct rmill_hash128 small = rmill_digest_small("grain", 5);
    struct rmill_hash128 empty = rmill_digest_small(NULL, 0);
    struct rmill_hash128 size_only = rmill_hash128("\0\0\0\0\0\0\0\0", 8);
    struct rmill_entry entry = {0};

    assert_memory_equal(root.bytes, small.bytes, 16);
    assert_memory_equal(empty.bytes, size_only.bytes, 16);
    rmill_digest_set(&entry, &small);
    assert_int_equal(entry.hash_type, RMILL_ENTRY_HASH_XXH3_128);
    assert_memory_equal(entry.digest, small.bytes, 16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_counts_at_the_borders),
        cmocka_unit_test(root_is_the_hash_of_leaves_and_size),
        cmocka_unit_test(small_files_take_one_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
