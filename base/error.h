/* base/error.h — an errno with advice, for the calls that set things up.
 *
 * Hot calls return -errno and nothing else. A call that prepares something (an engine, a ring, an
 * arena, an archive) also fills a struct rmill_error, so that the user reads which call failed, on
 * what, and which knob mends it. One line, no newline, no full stop needed; never a secret. */
#ifndef RMILL_BASE_ERROR_H
#define RMILL_BASE_ERROR_H

#include "base/macros.h"

#define RMILL_ERROR_ADVICE_BYTES 512

struct rmill_error {
    int code;                              /* -errno, or 0 when nothing failed. */
    char advice[RMILL_ERROR_ADVICE_BYTES]; /* One line: what failed, on what, the remedy. */
};

/* Fill `error` (NULL is allowed: then only the code is returned) and return `code`, so that a
 * caller can write `return rmill_error_set(error, -ENOMEM, "...")`. `code` is negative. Thread:
 * any. */
int rmill_error_set(struct rmill_error *error, int code, const char *format, ...)
    RMILL_PRINTF(3, 4) RMILL_COLD;

/* Put "prefix: " before the advice that is there. Truncates at the end. Thread: any. */
void rmill_error_prefix(struct rmill_error *error, const char *format, ...)
    RMILL_PRINTF(2, 3) RMILL_COLD;

/* "ENOSPC" for -28 or 28; "E?" for what this libc does not know. Static. Thread: any. */
const char *rmill_errno_name(int code);

/* "No space left on device" for -28 or 28. Static. Thread: any. */
const char *rmill_errno_text(int code);

#endif
