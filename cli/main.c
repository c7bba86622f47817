/* cli/main.c — the program: find the command, parse its options, run it, flush its output. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/escape.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/registry.h"
#include "cli/streams.h"

/* Output that could not be written is a failure, however well the command itself went. */
static int
output_finish(int code)
{
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code != RMILL_EXIT_FAILED) {
        fprintf(stderr, "ringmill: cannot write to standard output%s%s\n", errno == 0 ? "" : ": ",
                errno == 0 ? "" : rmill_errno_text(errno));
        return RMILL_EXIT_FAILED;
    }
    return code;
}

static int
command_unknown(const char *name)
{
    const char *nearest = rmill_registry_nearest(name);
    const char *kind = name[0] == '-' ? "option" : "command";
    char shown[128];

    rmill_escape(shown, sizeof(shown), name, strlen(name));
    if (nearest != NULL) {
        fprintf(stderr, "ringmill: unknown %s '%s'; did you mean '%s'?\n", kind, shown, nearest);
    } else {
        fprintf(stderr, "ringmill: unknown %s '%s'; see ringmill --help\n", kind, shown);
    }
    return RMILL_EXIT_USAGE;
}

static int
command_run(const struct rmill_command *command, int word_count, char *const *words)
{
    struct rmill_command_line line;
    struct rmill_error error = {0};
    int code = rmill_options_parse(&line, command, word_count, words, &error);

    if (code != 0) {
        code = code == -EINVAL ? rmill_command_misuse(&line, "%s", error.advice)
                               : rmill_command_fail(&line, "%s", error.advice);
    } else if (rmill_line_has(&line, "help")) {
        rmill_help_command(command);
    } else if (rmill_line_has(&line, "version")) {
        printf("ringmill " RMILL_VERSION "\n");
    } else {
        code = command->run(&line);
    }
    rmill_options_deinit(&line);
    return code;
}

int
main(int argc, char **argv)
{
    const struct rmill_command *command;

    if (rmill_streams_hold() < 0) {
        return RMILL_EXIT_FAILED; /* Whatever is said would go astray. */
    }
    /* A closed pipe is an error of write(), reported like any other. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fprintf(stderr, "ringmill: no command given; see ringmill --help\n");
        return RMILL_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        rmill_help_program();
        return output_finish(RMILL_EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ringmill " RMILL_VERSION "\n");
        return output_finish(RMILL_EXIT_DONE);
    }
    command = rmill_registry_find(argv[1]);
    if (command == NULL) {
        return command_unknown(argv[1]);
    }
    return output_finish(command_run(command, argc - 2, argv + 2));
}
