/* workloads/files/digest.h — the digest of a regular file: a tree of one level over leaves of 2
 * MiB.
 *
 *     content   | 2 MiB | 2 MiB | rest |         (an empty file has no leaf)
 *                   |       |      |   XXH3-128 of each
 *     root = XXH3-128( leaf 0 || leaf 1 || leaf 2 || size as u64 little-endian )
 *
 * Leaves depend on nothing but the content, so any core can take any of them. Finds damage; no
 * proof against forgery. A leaf in pieces: rmill_hash_stream_* of base/hash.h. Pure; Thread:
 * any. */
#ifndef RMILL_FILES_DIGEST_H
#define RMILL_FILES_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "workloads/files/entry.h"

#define RMILL_DIGEST_LEAF_BYTES ((uint64_t)2 << 20)

/* Leaves of a file of `size` bytes; 0 for an empty file. */
static inline uint64_t
rmill_digest_leaf_count(uint64_t size)
{
    return size / RMILL_DIGEST_LEAF_BYTES + (size % RMILL_DIGEST_LEAF_BYTES != 0);
}

/* Logical bytes in leaf `index` of a file of `size` bytes; index < leaf count. */
static inline uint64_t
rmill_digest_leaf_bytes(uint64_t size, uint64_t index)
{
    uint64_t rest = size - index * RMILL_DIGEST_LEAF_BYTES;

    return rest < RMILL_DIGEST_LEAF_BYTES ? rest : RMILL_DIGEST_LEAF_BYTES;
}

/* The leaf over these bytes: at most RMILL_DIGEST_LEAF_BYTES of them, at least one. */
struct rmill_hash128 rmill_digest_leaf(const void *content, size_t bytes);

/* The root over rmill_digest_leaf_count(size) leaves. The array has room for *one more* element
 * than there are leaves, which is overwritten (the size is put behind them, so that nothing is
 * allocated). */
struct rmill_hash128 rmill_digest_root(struct rmill_hash128 *leaves, uint64_t size);

/* The root of a file of at most one leaf, in one call. */
struct rmill_hash128 rmill_digest_small(const void *content, size_t bytes);

/* Put a root into an entry: hash type and digest. */
void rmill_digest_set(struct rmill_entry *entry, const struct rmill_hash128 *root);

#endif
