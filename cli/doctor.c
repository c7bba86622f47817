/* cli/doctor.c — the command `doctor`: examine, print. */
#include "cli/doctor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "cli/command.h"
#include "cli/escape.h"
#include "cli/json.h"

static const char *const level_words[] = {
    [RMILL_DOCTOR_OK] = "ok",
    [RMILL_DOCTOR_BETTER] = "could be better",
    [RMILL_DOCTOR_MISSING] = "missing",
};

static const char *const level_colours[] = {
    [RMILL_DOCTOR_OK] = "\033[32m",
    [RMILL_DOCTOR_BETTER] = "\033[33m",
    [RMILL_DOCTOR_MISSING] = "\033[31m",
};

struct rmill_doctor_line *
rmill_doctor_add(struct rmill_doctor_report *report, const char *name,
                 enum rmill_doctor_level level, const char *format, ...)
{
    RMILL_ASSERT(report->count < RMILL_DOCTOR_LINES_MAX);
    struct rmill_doctor_line *line = &report->lines[report->count++];
    va_list arguments;

    memset(line, 0, sizeof(*line));
    line->name = name;
    line->level = level;
    va_start(arguments, format);
    (void)vsnprintf(line->found, sizeof(line->found), format, arguments);
    va_end(arguments);
    return line;
}

void
rmill_doctor_advise(struct rmill_doctor_line *line, const char *cost, const char *format, ...)
{
    va_list arguments;

    (void)snprintf(line->cost, sizeof(line->cost), "%s", cost);
    va_start(arguments, format);
    (void)vsnprintf(line->command, sizeof(line->command), format, arguments);
    va_end(arguments);
}

static void
print_text(const struct rmill_doctor_report *report)
{
    bool colour = isatty(STDOUT_FILENO) == 1;
    uint32_t better = 0, missing = 0;

    for (uint32_t i = 0; i < report->count; i++) {
        const struct rmill_doctor_line *line = &report->lines[i];

        better += line->level == RMILL_DOCTOR_BETTER;
        missing += line->level == RMILL_DOCTOR_MISSING;
        printf("%s%-15s%s  %-18s ", colour ? level_colours[line->level] : "",
               level_words[line->level], colour ? "\033[0m" : "", line->name);
        rmill_escape_print(stdout, line->found, strlen(line->found), false);
        putchar('\n');
        if (line->cost[0] != '\0') {
            printf("%36s costs: %s\n", "", line->cost);
        }
        if (line->command[0] != '\0') {
            printf("%36s change: ", "");
            rmill_escape_print(stdout, line->command, strlen(line->command), false);
            putchar('\n');
        }
    }
    printf("%s: %u ok, %u could be better, %u missing\n",
           report->usable ? "ringmill can run here" : "ringmill cannot run here",
           report->count - better - missing, better, missing);
}

/* A text that may hold a file's name: JSON wants valid UTF-8, so what is none is escaped. */
static void
add_text(struct rmill_json *json, const char *key, const char *text)
{
    char escaped[RMILL_DOCTOR_TEXT_MAX * RMILL_ESCAPE_GROWTH];

    if (rmill_utf8_valid(text, strlen(text))) {
        rmill_json_string(json, key, text);
        return;
    }
    (void)rmill_escape(escaped, sizeof(escaped), text, strlen(text));
    rmill_json_string(json, key, escaped);
}

static int
print_json(const struct rmill_doctor_report *report)
{
    struct rmill_json json;
    json_t *lines = json_array();

    for (uint32_t i = 0; i < report->count; i++) {
        const struct rmill_doctor_line *line = &report->lines[i];
        struct rmill_json one;

        rmill_json_begin(&one);
        rmill_json_string(&one, "name", line->name);
        rmill_json_string(&one, "level", level_words[line->level]);
        add_text(&one, "found", line->found);
        add_text(&one, "cost", line->cost);
        add_text(&one, "command", line->command);
        if (json_array_append_new(lines, rmill_json_take(&one)) != 0) {
            json_decref(lines); /* Also when `lines` or the object could not be had. */
            lines = NULL;
        }
    }
    rmill_json_begin(&json);
    rmill_json_bool(&json, "usable", report->usable);
    rmill_json_value(&json, "lines", lines);
    return rmill_json_print(&json);
}

static int
run(struct rmill_command_line *line)
{
    const char *root = rmill_line_string(line, "root", "");
    struct rmill_doctor_report report = {0};

    rmill_doctor_examine_ring(&report, root);
    rmill_doctor_examine_machine(&report, root);
    if (line->argument_count > 0) {
        int code = rmill_doctor_examine_path(&report, root, line->arguments[0]);

        if (code < 0) {
            char *name = rmill_escape_copy(line->arguments[0], strlen(line->arguments[0]));
            int status = rmill_command_fail(line, "%s: %s", name != NULL ? name : "?",
                                            rmill_errno_text(code));

            free(name);
            return status;
        }
    }
    if (!rmill_line_has(line, "json")) {
        print_text(&report);
    } else {
        int code = print_json(&report);

        if (code < 0) {
            return rmill_command_fail(line, "cannot write the report: %s", rmill_errno_text(code));
        }
    }
    return report.usable ? RMILL_EXIT_DONE : RMILL_EXIT_UNSUPPORTED;
}

static const struct rmill_option_spec options[] = {
    {.name = "root",
     .type = RMILL_OPTION_STRING,
     .value = "DIR",
     .help = "read DIR/proc and DIR/sys instead of this machine's, and try nothing",
     .completes = RMILL_COMPLETE_DIRECTORY},
    {.name = NULL},
};

const struct rmill_command rmill_command_doctor = {
    .name = "doctor",
    .summary = "say what this machine gives, what it holds back and how to change it",
    .usage = "[PATH]",
    .details = "Makes a ring and tries it, then looks at limits, memory and processors; with a "
               "PATH also at "
               "its filesystem and device. Each line is \"ok\", \"could be better\" or "
               "\"missing\", and for the "
               "last two says what it costs and which command changes it. Nothing is changed.\n\n"
               "Exit code 0 when ringmill can run here, 77 when io_uring is not to be had.",
    .examples = "ringmill doctor\nringmill doctor /data --json",
    .options = options,
    .arguments_min = 0,
    .arguments_max = 1,
    .completes = RMILL_COMPLETE_DIRECTORY,
    .run = run,
};
