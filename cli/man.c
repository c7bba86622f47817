/* cli/man.c — man pages in troff, made from the tables; see help.h. */
#include <stdio.h>
#include <string.h>

#include "cli/help.h"
#include "cli/options.h"
#include "cli/registry.h"

/* Text with what troff would take for its own made harmless: backslashes, hyphens that must stay
 * ASCII, and a dot or quote at the beginning of a line. An empty line is a new paragraph. */
static void
troff_print(const char *text)
{
    bool line_begins = true;

    for (; *text != '\0'; text++) {
        if (line_begins && *text == '\n') {
            printf(".PP\n");
            continue;
        }
        if (line_begins && (*text == '.' || *text == '\'')) {
            printf("\\&");
        }
        if (*text == '\\') {
            printf("\\e");
        } else if (*text == '-') {
            printf("\\-");
        } else {
            putchar(*text);
        }
        line_begins = *text == '\n';
    }
}

static void
line_print(const char *text)
{
    troff_print(text);
    putchar('\n');
}

static void
options_print(const struct rmill_option_spec *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        printf(".TP\n\\fB");
        if (option->letter != 0) {
            printf("\\-%c\\fR, \\fB", option->letter);
        }
        printf("\\-\\-");
        troff_print(option->name);
        printf("\\fR");
        if (option->type != RMILL_OPTION_FLAG) {
            printf(" \\fI");
            troff_print(option->value);
            printf("\\fR");
        }
        putchar('\n');
        line_print(option->help);
    }
}

/* Lines that must stay lines: forms of usage, examples. */
static void
verbatim_print(const char *text, const char *prefix)
{
    printf(".nf\n");
    while (*text != '\0') {
        size_t bytes = strcspn(text, "\n");
        char line[512];

        snprintf(line, sizeof(line), "%s%.*s", prefix, (int)bytes, text);
        line_print(line);
        text += bytes + (text[bytes] == '\n');
    }
    printf(".fi\n");
}

static void
exit_status_print(void)
{
    printf(".SH EXIT STATUS\n"
           ".TP\n0\nDone.\n"
           ".TP\n1\nFailed, or a verification found damage.\n"
           ".TP\n2\nThe command line is wrong; nothing was tried.\n"
           ".TP\n3\nFinished, but some inputs were left out; each was named.\n"
           ".TP\n77\nThis host cannot; the message names the knob that changes it.\n");
}

static void
program_man(void)
{
    printf(
        ".TH RINGMILL 1 \"\" \"ringmill %s\"\n.SH NAME\n"
        "ringmill \\- work spread over cores that share nothing, on io_uring\n"
        ".SH SYNOPSIS\n\\fBringmill\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...\n"
        ".SH COMMANDS\n",
        RMILL_VERSION);
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        if (!rmill_registry[i]->hidden) {
            printf(".TP\n\\fBringmill\\-%s\\fR(1)\n", rmill_registry[i]->name);
            line_print(rmill_registry[i]->summary);
        }
    }
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    options_print(rmill_options_common);
    exit_status_print();
}

void
rmill_help_man(const struct rmill_command *command)
{
    char prefix[64];

    if (command == NULL) {
        program_man();
        return;
    }
    printf(".TH RINGMILL-%s 1 \"\" \"ringmill %s\"\n.SH NAME\nringmill\\-%s \\- ", command->name,
           RMILL_VERSION, command->name);
    line_print(command->summary);
    printf(".SH SYNOPSIS\n");
    snprintf(prefix, sizeof(prefix), "ringmill %s ", command->name);
    verbatim_print(command->usage, prefix);
    if (command->details != NULL) {
        printf(".SH DESCRIPTION\n");
        line_print(command->details);
    }
    printf(".SH OPTIONS\n");
    options_print(command->options);
    options_print(rmill_options_common);
    exit_status_print();
    if (command->examples != NULL) {
        printf(".SH EXAMPLES\n");
        verbatim_print(command->examples, "");
    }
    printf(".SH SEE ALSO\n\\fBringmill\\fR(1)\n");
}
