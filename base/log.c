#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void
rmill_log_write(const struct rmill_log *log, enum rmill_log_level level, const char *format, ...)
{
    if (log == NULL || log->write == NULL) {
        return;
    }
    char text[RMILL_LOG_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log->write(log->context, level, text);
}
