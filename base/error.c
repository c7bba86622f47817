#include "base/error.h"

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
    if (used >= 0 && (size_t)used < sizeof(error->advice)) {
        (void)snprintf(error->advice + used, sizeof(error->advice) - (size_t)used, ": %s", old);
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
    const char *text = strerrordesc_np(abs(code));

    return text != NULL ? text : "unknown error";
}
