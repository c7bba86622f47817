#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct rmill_thread *rmill_thread_self;

_Noreturn RMILL_COLD void
rmill_panic(const char *file, int line, const char *function, const char *reason)
{
    char text[512];
    int length = snprintf(text, sizeof(text), "ringmill: panic: %s (%s:%d in %s)\n", reason, file,
                          line, function);

    if (length > 0) {
        size_t bytes = rmill_min_u64((uint64_t)length, sizeof(text) - 1);
        ssize_t ignored = write(STDERR_FILENO, text, bytes);

        (void)ignored;
    }
    struct rmill_thread *self = rmill_thread_self;

    rmill_thread_self = NULL; /* A panic inside the report must not report again. */
    if (self != NULL && self->panic_report != NULL) {
        self->panic_report(self, STDERR_FILENO);
    }
    abort();
}
