#include "workloads/files/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
rmill_buffer_reserve(struct rmill_buffer *buffer, size_t more)
{
    if (more <= buffer->capacity - buffer->bytes) {
        return 0;
    }
    if (more > SIZE_MAX / 4 || buffer->bytes > SIZE_MAX / 4) {
        return -ENOMEM;
    }
    size_t capacity =
        rmill_max_u64(rmill_max_u64(2 * buffer->capacity, 4096), buffer->bytes + more);
    uint8_t *data = realloc(buffer->data, capacity);

    if (data == NULL) {
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int
rmill_buffer_append(struct rmill_buffer *buffer, const void *data, size_t bytes)
{
    int code = rmill_buffer_reserve(buffer, bytes);

    if (code == 0 && bytes > 0) {
        memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
    }
    return code;
}

void
rmill_buffer_deinit(struct rmill_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct rmill_buffer){0};
}
