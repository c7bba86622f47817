/* workloads/files/compressor.h — one zstd frame at a time, in steps short enough for a core.
 *
 * Parameters are fixed: the level, the content size in the header, no zstd checksum, no threads of
 * its own. So the bytes depend on the input, the level and the release of libzstd only.
 *
 * Owner: one core; between begin and the end of the steps one task. Allocates at create and, once,
 * at the first frame. */
#ifndef RMILL_FILES_COMPRESSOR_H
#define RMILL_FILES_COMPRESSOR_H

#include <stdint.h>

#define RMILL_COMPRESSOR_STEP_BYTES ((uint64_t)128 << 10) /* Raw bytes of a step. */
#define RMILL_COMPRESSOR_LEVEL_MAX  19

struct rmill_compressor;

struct rmill_compressor *rmill_compressor_create(int level);        /* NULL out of memory. */
void rmill_compressor_destroy(struct rmill_compressor *compressor); /* Accepts NULL. */

/* Most bytes that a frame of `raw_bytes` takes. */
uint64_t rmill_compressor_bound(uint64_t raw_bytes);

/* Start a frame. Both buffers are lent until the last step; `out` has at least the bound. */
void rmill_compressor_begin(struct rmill_compressor *compressor, const void *raw,
                            uint64_t raw_bytes, void *out, uint64_t out_bytes);

/* One step. Returns 1 when there are more, 0 when the frame is complete with its length in
 * *out_bytes, or -ENOMEM. */
int rmill_compressor_step(struct rmill_compressor *compressor, uint64_t *out_bytes);

#endif
