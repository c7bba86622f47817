/* tests/fuzz/fuzz_seekable.c — any bytes as a file: its seek table is refused or adds up to the
 * file. */
#include <stdint.h>

#include "base/assert.h"
#include "workloads/files/seekable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rmill_seekable_location location;
    struct rmill_seekable_table table;
    struct rmill_error error;
    uint64_t compressed = 0, raw = 0;

    if (bytes < RMILL_SEEKABLE_FOOTER_BYTES ||
        rmill_seekable_footer_parse(data + bytes - RMILL_SEEKABLE_FOOTER_BYTES, bytes, &location,
                                    &error) < 0 ||
        rmill_seekable_parse(data + location.file_offset, &location, &table, &error) < 0) {
        return 0;
    }
    for (uint32_t i = 0; i < table.entry_count; i++) {
        struct rmill_seekable_entry entry = rmill_seekable_get(&table, i);

        compressed += entry.compressed_bytes;
        raw += entry.raw_bytes;
    }
    RMILL_ASSERT(raw == table.raw_bytes);
    RMILL_ASSERT(compressed + location.frame_bytes == bytes);
    return 0;
}
