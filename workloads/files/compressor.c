/* workloads/files/compressor.c — see compressor.h. */
#include "workloads/files/compressor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/assert.h"

struct rmill_compressor {
    ZSTD_CCtx *context;
    ZSTD_inBuffer in; /* `size` grows step by step. */
    ZSTD_outBuffer out;
    uint64_t raw_bytes;
};

struct rmill_compressor *
rmill_compressor_create(int level)
{
    struct rmill_compressor *compressor = calloc(1, sizeof(*compressor));

    if (compressor == NULL) {
        return NULL;
    }
    compressor->context = ZSTD_createCCtx();
    if (compressor->context == NULL ||
        ZSTD_isError(ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_compressionLevel, level))) {
        rmill_compressor_destroy(compressor);
        return NULL;
    }
    return compressor;
}

void
rmill_compressor_destroy(struct rmill_compressor *compressor)
{
    if (compressor != NULL) {
        ZSTD_freeCCtx(compressor->context);
        free(compressor);
    }
}

uint64_t
rmill_compressor_bound(uint64_t raw_bytes)
{
    return ZSTD_compressBound(raw_bytes);
}

void
rmill_compressor_begin(struct rmill_compressor *compressor, const void *raw, uint64_t raw_bytes,
                       void *out, uint64_t out_bytes)
{
    RMILL_ASSERT(out_bytes >= rmill_compressor_bound(raw_bytes));
    (void)ZSTD_CCtx_reset(compressor->context, ZSTD_reset_session_only);
    (void)ZSTD_CCtx_setPledgedSrcSize(compressor->context, raw_bytes);
    compressor->in = (ZSTD_inBuffer){.src = raw};
    compressor->out = (ZSTD_outBuffer){.dst = out, .size = out_bytes};
    compressor->raw_bytes = raw_bytes;
}

int
rmill_compressor_step(struct rmill_compressor *compressor, uint64_t *out_bytes)
{
    ZSTD_inBuffer *in = &compressor->in;
    uint64_t rest = compressor->raw_bytes - in->size;
    bool ends = rest <= RMILL_COMPRESSOR_STEP_BYTES;
    size_t left;

    in->size += ends ? rest : RMILL_COMPRESSOR_STEP_BYTES;
    do {
        left = ZSTD_compressStream2(compressor->context, &compressor->out, in,
                                    ends ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) {
            return -ENOMEM; /* All else was ruled out: sizes, parameters, room. */
        }
    } while (ends ? left != 0 : in->pos < in->size);
    *out_bytes = compressor->out.pos;
    return ends ? 0 : 1;
}
