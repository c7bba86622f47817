/* workloads/files/pathname.h — order, safety and printing of stored names.
 *
 * A stored name is bytes, any but NUL, components separated by single slashes, relative, without
 * "." and ".." components. The one exception is the name "." alone: the directory that
 * everything is relative to. Everything here is pure; Thread: any. */
#ifndef RMILL_FILES_PATHNAME_H
#define RMILL_FILES_PATHNAME_H

#include <stddef.h>

#include "base/error.h"
#include "workloads/files/entry.h"

/* How members are laid out inside a window. On disk: never renumber. */
enum rmill_pathname_order {
    RMILL_PATHNAME_GROUPED = 0, /* Directories, then by extension, hard links last. */
    RMILL_PATHNAME_WALK = 1,    /* All by path. */
};

/* Compare two stored names in walk order: component by component, as if '/' were lower than
 * every byte, a directory before what is in it, "." before everything. Returns <0, 0, >0. */
int rmill_pathname_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* Compare by (bytes after the last dot that does not begin the name, last component, path in
 * walk order). */
int rmill_pathname_compare_grouped(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

/* Where `a` stands beside `b` inside one window. Looks at type and path only. In the grouped
 * order hard links follow every other member of the window, which puts each behind its target. */
int rmill_pathname_order_compare(const struct rmill_entry *a, const struct rmill_entry *b,
                                 enum rmill_pathname_order order);

/* Is this a name to store, or to restore below a directory? Refused: empty, absolute, a ".." or
 * "." or empty component (so a trailing slash too), a NUL byte, more than
 * RMILL_ENTRY_PATH_BYTES_MAX bytes. Returns 0 or -EINVAL with the reason and the escaped name in
 * `error` (may be NULL). */
int rmill_pathname_check(const char *path, size_t bytes, struct rmill_error *error);

/* The last component of a checked name: pointer into `path`; its bytes through `name_bytes`. */
const char *rmill_pathname_last(const char *path, size_t bytes, size_t *name_bytes);

/* True when the bytes are valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF). */
int rmill_pathname_is_utf8(const char *text, size_t bytes);

/* Write a printable form for a terminal or a message: control characters, backslash and bytes
 * that are not UTF-8 as \ooo octal. Always terminates; cuts at `size` (which is at least 1),
 * ending in "..." when there is room for it. Returns `out`. */
const char *rmill_pathname_escape(char *out, size_t size, const char *text, size_t bytes);

#endif
