/* The writer of an index window once more, without its checks: names that a reader must refuse, in
 * an index whose hashes are right. Everything global is renamed, the rest is the same source. */
#include "workloads/files/index.h"

#include "tests/files_forge.h"

static int
accept_any(const struct rmill_entry *entry, struct rmill_error *error)
{
    (void)entry;
    (void)error;
    return 0;
}

#define rmill_entry_check                 accept_any
#define rmill_index_window_writer_create  files_forge_create
#define rmill_index_window_writer_destroy files_forge_destroy
#define rmill_index_window_begin          files_forge_begin
#define rmill_index_window_frame_add      files_forge_frame_add
#define rmill_index_window_entry_add      files_forge_entry_add
#define rmill_index_window_end            files_forge_end
#define rmill_index_window_parts(writer)  files_forge_parts(writer)

#include "workloads/files/index_window_write.c"
