/* base/assert.h — checks of our own reasoning, on in release.
 *
 * RMILL_ASSERT is for O(1) conditions that only a bug of ours can break; it stays in every build.
 * RMILL_DEBUG_ASSERT is for scans, and vanishes unless CONFIG=debug|asan|tsan. Input from outside
 * (files, network, kernel results) is never asserted: it is answered with -errno.
 *
 * A failed assertion panics: one line on standard error, then whatever the thread's panic hook has
 * to say (a core prints its last trace records), then abort(). */
#ifndef RMILL_BASE_ASSERT_H
#define RMILL_BASE_ASSERT_H

#include "base/macros.h"

/* What a thread of ours leaves for a panic. The first member of struct rmill_core. */
struct rmill_thread {
    void (*panic_report)(struct rmill_thread *thread, int fd); /* May be NULL. Must not allocate. */
};

/* The only mutable global of the library: the core this thread is, or NULL for a foreign thread. */
extern _Thread_local struct rmill_thread *rmill_thread_self;

/* Print where and why, the thread's report, and abort. Thread: any. Never returns. */
_Noreturn void rmill_panic(const char *file, int line, const char *function, const char *reason);

#define RMILL_PANIC(reason) rmill_panic(__FILE__, __LINE__, __func__, (reason))

#define RMILL_ASSERT(condition) \
    (RMILL_LIKELY(condition) ? (void)0 \
                             : rmill_panic(__FILE__, __LINE__, __func__, "assert: " #condition))

#ifdef RMILL_DEBUG
#define RMILL_DEBUG_ASSERT(condition) RMILL_ASSERT(condition)
#else
#define RMILL_DEBUG_ASSERT(condition) ((void)sizeof(!(condition)))
#endif

#endif
