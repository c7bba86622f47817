/* base/prng.h — a small seeded generator: the same seed gives the same numbers everywhere.
 *
 * SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
 * For tests, simulation and jitter; never for secrets. One owner at a time. */
#ifndef RMILL_BASE_PRNG_H
#define RMILL_BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct rmill_prng {
    uint64_t state;
};

static inline struct rmill_prng
rmill_prng_seeded(uint64_t seed)
{
    return (struct rmill_prng){.state = seed};
}

static inline uint64_t
rmill_prng_next(struct rmill_prng *prng)
{
    uint64_t z = (prng->state += 0x9E3779B97F4A7C15ull);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

/* Uniform in [0, bound); bound > 0. The bias is below bound / 2^64. */
static inline uint64_t
rmill_prng_below(struct rmill_prng *prng, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)rmill_prng_next(prng) * bound) >> 64);
}

/* True `numerator` times out of `denominator` on average. */
static inline bool
rmill_prng_chance(struct rmill_prng *prng, uint64_t numerator, uint64_t denominator)
{
    return rmill_prng_below(prng, denominator) < numerator;
}

#endif
