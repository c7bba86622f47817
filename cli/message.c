/* cli/message.c — what a command says on standard error; see command.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"

#define MESSAGE_BYTES 4096

/* One line in one write, so that lines of two threads do not mix; standard error is the last place
 * to complain, so a failure to write there goes unsaid. */
static void RMILL_PRINTF(2, 0)
    say(const struct rmill_command_line *line, const char *format, va_list arguments)
{
    char text[MESSAGE_BYTES];
    int prefix_bytes = snprintf(text, sizeof(text) - 1, "ringmill %s: ", line->command->name);
    size_t room = sizeof(text) - 1 - (size_t)prefix_bytes;
    int message_bytes = vsnprintf(text + prefix_bytes, room, format, arguments);
    size_t bytes = strlen(text);

    if (message_bytes > 0 && (size_t)message_bytes >= room) {
        memcpy(text + bytes - 3, "...", 3);
    }
    text[bytes++] = '\n';
    rmill_progress_hide();
    if (write(STDERR_FILENO, text, bytes) < 0) {
        return;
    }
}

int
rmill_command_fail(const struct rmill_command_line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(line, format, arguments);
    va_end(arguments);
    return RMILL_EXIT_FAILED;
}

int
rmill_command_misuse(const struct rmill_command_line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    say(line, format, arguments);
    va_end(arguments);
    return RMILL_EXIT_USAGE;
}

void
rmill_command_note(const struct rmill_command_line *line, const char *format, ...)
{
    va_list arguments;

    if (rmill_line_has(line, "quiet")) {
        return;
    }
    va_start(arguments, format);
    say(line, format, arguments);
    va_end(arguments);
}

void
rmill_command_detail(const struct rmill_command_line *line, const char *format, ...)
{
    va_list arguments;

    if (!rmill_line_has(line, "verbose")) {
        return;
    }
    va_start(arguments, format);
    say(line, format, arguments);
    va_end(arguments);
}

int
rmill_command_fail_error(const struct rmill_command_line *line, const struct rmill_error *error,
                         bool unsupported)
{
    rmill_command_fail(line, "%s", error->advice);
    if (unsupported || error->code == -ENOSYS || error->code == -EOPNOTSUPP) {
        return RMILL_EXIT_UNSUPPORTED;
    }
    return RMILL_EXIT_FAILED;
}
