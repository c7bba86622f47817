#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
rmill_error_set(struct rmill_error *error, int code, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;

        error->code = code;
        va_start(arguments, format);
        (void)vsnprintf(error->advice, sizeof(error->advice), format, arguments);
        va_end(arguments);
    }
    return code;
}

/* As much of `text` after the advice as there is room for. */
static void
append(struct rmill_error *error, const char *text)
{
    size_t used = strlen(error->advice);
    size_t bytes = rmill_min_u64(strlen(text), sizeof(error->advice) - 1 - used);

    memcpy(error->advice + used, text, bytes);
    error->advice[used + bytes] = '\0';
}

void
rmill_error_prefix(struct rmill_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    char old[RMILL_ERROR_ADVICE_BYTES];
    va_list arguments;

    memcpy(old, error->advice, sizeof(old));
    va_start(arguments, format);
    int used = vsnprintf(error->advice, sizeof(error->advice), format, arguments);
    va_end(arguments);
    if (used >= 0) {
        append(error, ": ");
        append(error, old);
    }
}

const char *
rmill_errno_name(int code)
{
    const char *name = strerrorname_np(abs(code));

    return name != NULL ? name : "E?";
}

const char *
rmill_errno_text(int code)
{
    if (abs(code) == EMFILE) { /* Met wherever files are opened: the knob is always the same. */
        return "Too many open files; raise the limit ('ulimit -n')";
    }
    const char *text = strerrordesc_np(abs(code));

    return text != NULL ? text : "unknown error";
}
