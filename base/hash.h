/* base/hash.h — XXH3, the hash of keys, frames and files.
 *
 * Finds damage and spreads keys; it is no proof against somebody who forges data on purpose.
 * Source: the xxHash specification (Y. Collet), through libxxhash. */
#ifndef RMILL_BASE_HASH_H
#define RMILL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define RMILL_HASH128_BYTES 16

/* 128 bits in XXH3's canonical (big-endian) byte order, so that equal hashes are equal bytes. */
struct rmill_hash128 {
    uint8_t bytes[RMILL_HASH128_BYTES];
};

/* XXH3-64 of `bytes` bytes at `data` with `seed`. Thread: any. */
uint64_t rmill_hash64(const void *data, size_t bytes, uint64_t seed);

/* XXH3-64 of one integer key. Thread: any. */
uint64_t rmill_hash64_key(uint64_t key);

/* XXH3-128 of `bytes` bytes at `data`, seed 0. Thread: any. */
struct rmill_hash128 rmill_hash128(const void *data, size_t bytes);

/* The low 32 bits of XXH64 with seed 0: what the zstd seek table calls a checksum. Thread: any. */
uint32_t rmill_hash_xxh64_low32(const void *data, size_t bytes);

/* XXH3-128 in pieces. `create` returns NULL out of memory; `reset` starts anew; a stream belongs to
 * whoever created it and may be used by one thread at a time. `destroy` accepts NULL. */
struct rmill_hash_stream;
struct rmill_hash_stream *rmill_hash_stream_create(void);
void rmill_hash_stream_destroy(struct rmill_hash_stream *stream);
void rmill_hash_stream_reset(struct rmill_hash_stream *stream);
void rmill_hash_stream_update(struct rmill_hash_stream *stream, const void *data, size_t bytes);
struct rmill_hash128 rmill_hash_stream_digest(const struct rmill_hash_stream *stream);

#endif
