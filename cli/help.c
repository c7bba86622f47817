/* cli/help.c — help as text, and the command `help`; see help.h. The man pages are in man.c, the
 * completion in completion.c. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/escape.h"
#include "cli/options.h"
#include "cli/registry.h"

#define HELP_COLUMN  26
#define HELP_COLUMNS 96

static void
usage_print(const struct rmill_command *command)
{
    const char *form = command->usage;

    for (bool first = true; form != NULL; first = false) {
        size_t bytes = strcspn(form, "\n");

        printf("%s ringmill %s%s%.*s\n", first ? "Usage:" : "      ", command->name,
               bytes > 0 ? " " : "", (int)bytes, form);
        form = form[bytes] == '\0' ? NULL : form + bytes + 1;
    }
}

/* Print `text` with its long lines broken between words. Every line but the first, which the caller
 * has begun, is indented to `column`. Line breaks of the text's own stay. */
static void
wrapped_print(const char *text, int column)
{
    int at = column;

    while (*text != '\0') {
        size_t blanks = strspn(text, " ");
        int word = (int)(blanks + strcspn(text + blanks, " \n"));

        if (at > column && at + word > HELP_COLUMNS) {
            text += blanks;
            word -= (int)blanks;
            printf("\n%*s", column, "");
            at = column;
        }
        printf("%.*s", word, text);
        at += word;
        text += word;
        if (*text == '\n') {
            text++;
            putchar('\n');
            at = column;
            if (*text != '\n' && *text != '\0') {
                printf("%*s", column, "");
            }
        }
    }
    putchar('\n');
}

static void
option_print(const struct rmill_option_spec *option)
{
    char left[128];
    int bytes;

    if (option->letter != 0) {
        bytes = snprintf(left, sizeof(left), "  -%c, --%s", option->letter, option->name);
    } else {
        bytes = snprintf(left, sizeof(left), "      --%s", option->name);
    }
    if (option->type != RMILL_OPTION_FLAG) {
        snprintf(left + bytes, sizeof(left) - (size_t)bytes, " %s", option->value);
    }
    if (strlen(left) >= HELP_COLUMN) {
        printf("%s\n%*s", left, HELP_COLUMN, "");
    } else {
        printf("%-*s", HELP_COLUMN, left);
    }
    wrapped_print(option->help, HELP_COLUMN);
}

static void
examples_print(const char *examples)
{
    printf("\nExamples:\n");
    while (*examples != '\0') {
        size_t bytes = strcspn(examples, "\n");

        printf("  %.*s\n", (int)bytes, examples);
        examples += bytes + (examples[bytes] == '\n');
    }
}

void
rmill_help_command(const struct rmill_command *command)
{
    usage_print(command);
    printf("\n%s: %s.\n", command->name, command->summary);
    if (command->details != NULL) {
        putchar('\n');
        wrapped_print(command->details, 0);
    }
    if (command->options != NULL && command->options[0].name != NULL) {
        printf("\nOptions:\n");
        for (const struct rmill_option_spec *o = command->options; o->name != NULL; o++) {
            option_print(o);
        }
    }
    printf("\nOptions of every command:\n");
    for (const struct rmill_option_spec *o = rmill_options_common; o->name != NULL; o++) {
        option_print(o);
    }
    if (command->examples != NULL) {
        examples_print(command->examples);
    }
}

void
rmill_help_program(void)
{
    printf("Usage: ringmill COMMAND [OPTION]... [ARGUMENT]...\n\n"
           "ringmill " RMILL_VERSION ": work spread over cores that share nothing, on io_uring.\n\n"
           "Commands:\n");
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        if (!rmill_registry[i]->hidden) {
            printf("  %-10s %s\n", rmill_registry[i]->name, rmill_registry[i]->summary);
        }
    }
    printf(
        "\n'ringmill help COMMAND' or 'ringmill COMMAND --help' says more.\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage, 3 finished but some inputs were left out,\n"
        "77 this host cannot.\n");
}

/* --- the command
 * -------------------------------------------------------------------------------------- */

static int
run(struct rmill_command_line *line)
{
    const struct rmill_command *command = NULL;

    if (line->argument_count > 0) {
        char shown[128];

        command = rmill_registry_find(line->arguments[0]);
        if (command == NULL) {
            const char *nearest = rmill_registry_nearest(line->arguments[0]);

            rmill_escape(shown, sizeof(shown), line->arguments[0], strlen(line->arguments[0]));
            return nearest == NULL
                       ? rmill_command_misuse(line, "no command '%s'; see ringmill help", shown)
                       : rmill_command_misuse(line, "no command '%s'; did you mean '%s'?", shown,
                                              nearest);
        }
    }
    if (rmill_line_has(line, "completion")) {
        rmill_help_completion_bash();
    } else if (rmill_line_has(line, "man")) {
        rmill_help_man(command);
    } else if (rmill_line_has(line, "list")) {
        for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
            if (!rmill_registry[i]->hidden) {
                printf("%s\n", rmill_registry[i]->name);
            }
        }
    } else if (command != NULL) {
        rmill_help_command(command);
    } else {
        rmill_help_program();
    }
    return RMILL_EXIT_DONE;
}

static const char *const shells[] = {"bash", NULL};

static const struct rmill_option_spec options[] = {
    {.name = "list", .help = "print the names of the commands, one a line"},
    {.name = "man", .help = "print the man page of COMMAND, or of ringmill"},
    {.name = "completion",
     .type = RMILL_OPTION_CHOICE,
     .value = "SHELL",
     .choices = shells,
     .help = "print the completion script for SHELL (bash)"},
    {.name = NULL},
};

const struct rmill_command rmill_command_help = {
    .name = "help",
    .summary = "show help, man pages and shell completion",
    .usage = "[COMMAND]\n--man [COMMAND]\n--completion bash",
    .examples = "ringmill help help\n"
                "# completion in the running shell:\n"
                "eval \"$(ringmill help --completion bash)\"",
    .options = options,
    .arguments_max = 1,
    .run = run,
};
