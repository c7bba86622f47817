/* numa/files.h — small text files of the kernel (sysfs, procfs), read below a root prefix.
 *
 * The prefix is "" on a live machine and a folder in tests. Whatever a file says is bounded and
 * checked here: a file that is longer than the caller expects, holds NUL bytes, or no number where
 * one should be, is an error and never a surprise. */
#ifndef RMILL_NUMA_FILES_H
#define RMILL_NUMA_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "numa/cpulist.h"

#define RMILL_FILES_PATH_BYTES 1024
#define RMILL_FILES_LIST_BYTES 24576 /* The longest CPU list: 4096 numbers of at most 5 bytes. */

/* The file root + path (format ...) into `text` (`bytes` > 0 bytes, NUL-terminated, blanks and
 * newlines at the end removed). Thread: any. The length; -ENAMETOOLONG; -EFBIG when it does not
 * fit; -EINVAL for a NUL byte; -errno of open, read. */
int rmill_files_text(const char *root, char *text, size_t bytes, const char *path, ...)
    RMILL_PRINTF(4, 5);

/* A file that holds one unsigned decimal number. Thread: any.
 * 0; -EINVAL when it is no number or above 2^64 - 1; else as rmill_files_text. `value` is untouched
 * then. */
int rmill_files_u64(const char *root, uint64_t *value, const char *path, ...) RMILL_PRINTF(3, 4);

/* A file that holds a CPU list (a list of nodes has the same form). Thread: any.
 * 0; -EINVAL; else as rmill_files_text. `set` is untouched then. */
int rmill_files_cpulist(const char *root, struct rmill_cpuset *set, const char *path, ...)
    RMILL_PRINTF(3, 4);

/* The number at the start of `text` into `value`. Returns what follows it, or NULL when there is
 * none or it is above 2^64 - 1 (`value` is untouched then). Thread: any. */
const char *rmill_files_number(const char *text, uint64_t *value);

#endif
