/* base/log.h — the hook through which the library speaks; it never prints by itself.
 *
 * The embedder gives a function; without one, nothing is said. Messages are whole sentences without
 * a newline, at most RMILL_LOG_BYTES long, rare (set-up, degradation, broken promises), never per
 * item. */
#ifndef RMILL_BASE_LOG_H
#define RMILL_BASE_LOG_H

#include "base/macros.h"

#define RMILL_LOG_BYTES 512

enum rmill_log_level {
    RMILL_LOG_ERROR,   /* Something asked for was not done. */
    RMILL_LOG_WARNING, /* Done, but worse than it could be; the text names the knob. */
    RMILL_LOG_NOTICE,  /* Worth knowing once. */
    RMILL_LOG_DEBUG,   /* For the one who hunts a bug. */
};

/* `write` may be called from any core at once and must not call back into the engine. */
struct rmill_log {
    void (*write)(void *context, enum rmill_log_level level, const char *text);
    void *context;
};

/* Format and hand over; does nothing when `log` is NULL or has no function. Thread: any. */
void rmill_log_write(const struct rmill_log *log, enum rmill_log_level level, const char *format,
                     ...) RMILL_PRINTF(3, 4) RMILL_COLD;

#endif
