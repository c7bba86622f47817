/* workloads/files/buffer.h — a growing run of bytes, for what is encoded before its size is known.
 *
 * Starts from zeros ({0}); owned by whoever declared it; one owner at a time. Growth doubles. */
#ifndef RMILL_FILES_BUFFER_H
#define RMILL_FILES_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct rmill_buffer {
    uint8_t *data;
    size_t bytes;    /* Used. */
    size_t capacity; /* I1: bytes <= capacity. */
};

/* Make room for `more` bytes behind the used ones. Returns 0 or -ENOMEM (nothing changed). */
int rmill_buffer_reserve(struct rmill_buffer *buffer, size_t more) RMILL_MUST_CHECK;

/* Append a copy. Returns 0 or -ENOMEM (nothing changed). */
int rmill_buffer_append(struct rmill_buffer *buffer, const void *data,
                        size_t bytes) RMILL_MUST_CHECK;

/* Free the memory and return to zeros. */
void rmill_buffer_deinit(struct rmill_buffer *buffer);

#endif
