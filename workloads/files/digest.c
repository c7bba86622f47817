#include "workloads/files/digest.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

struct rmill_hash128
rmill_digest_leaf(const void *content, size_t bytes)
{
    RMILL_ASSERT(bytes > 0 && bytes <= RMILL_DIGEST_LEAF_BYTES);
    return rmill_hash128(content, bytes);
}

struct rmill_hash128
rmill_digest_root(struct rmill_hash128 *leaves, uint64_t size)
{
    uint64_t count = rmill_digest_leaf_count(size);

    rmill_store_le64(&leaves[count], size);
    return rmill_hash128(leaves, count * sizeof(*leaves) + sizeof(size));
}

struct rmill_hash128
rmill_digest_small(const void *content, size_t bytes)
{
    struct rmill_hash128 leaves[2];

    if (bytes > 0) {
        leaves[0] = rmill_digest_leaf(content, bytes);
    }
    return rmill_digest_root(leaves, bytes);
}

void
rmill_digest_set(struct rmill_entry *entry, const struct rmill_hash128 *root)
{
    memset(entry->digest, 0, sizeof(entry->digest));
    memcpy(entry->digest, root->bytes, sizeof(root->bytes));
    entry->hash_type = RMILL_ENTRY_HASH_XXH3_128;
}
