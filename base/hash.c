#include "base/hash.h"

#include <string.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h> /* Renames XXH3_* to what picks AVX2 or AVX-512 at run time. */
#endif

#include "base/assert.h"

_Static_assert(sizeof(XXH128_canonical_t) == RMILL_HASH128_BYTES, "canonical form is 16 bytes");

static struct rmill_hash128
canonical_of(XXH128_hash_t hash)
{
    struct rmill_hash128 result;
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(result.bytes, canonical.digest, sizeof(result.bytes));
    return result;
}

uint64_t
rmill_hash64(const void *data, size_t bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, bytes, seed);
}

uint64_t
rmill_hash64_key(uint64_t key)
{
    return XXH3_64bits(&key, sizeof(key));
}

struct rmill_hash128
rmill_hash128(const void *data, size_t bytes)
{
    return canonical_of(XXH3_128bits(data, bytes));
}

uint32_t
rmill_hash_xxh64_low32(const void *data, size_t bytes)
{
    return (uint32_t)XXH64(data, bytes, 0);
}

struct rmill_hash_stream *
rmill_hash_stream_create(void)
{
    XXH3_state_t *state = XXH3_createState();

    if (state != NULL) {
        (void)XXH3_128bits_reset(state);
    }
    return (struct rmill_hash_stream *)state;
}

void
rmill_hash_stream_destroy(struct rmill_hash_stream *stream)
{
    if (stream != NULL) {
        (void)XXH3_freeState((XXH3_state_t *)stream);
    }
}

void
rmill_hash_stream_reset(struct rmill_hash_stream *stream)
{
    XXH_errorcode code = XXH3_128bits_reset((XXH3_state_t *)stream);

    RMILL_ASSERT(code == XXH_OK);
}

void
rmill_hash_stream_update(struct rmill_hash_stream *stream, const void *data, size_t bytes)
{
    XXH_errorcode code = XXH3_128bits_update((XXH3_state_t *)stream, data, bytes);

    RMILL_ASSERT(code == XXH_OK);
}

struct rmill_hash128
rmill_hash_stream_digest(const struct rmill_hash_stream *stream)
{
    return canonical_of(XXH3_128bits_digest((const XXH3_state_t *)stream));
}
