/* cli/command.h — the contract between the program and a command.
 *
 * Workloads may include this.
 *
 * A command is one constant `struct rmill_command`. Its table of options is the only place where an
 * option is described: parsing, `--help`, the man page and the shell completion are all made from
 * it. To add a command, define the struct in its folder, named rmill_command_NAME, and add one line
 * to cli/registry.c.
 *
 *     static const struct rmill_option_spec options[] = {
 *         {.name = "output", .letter = 'o', .type = RMILL_OPTION_STRING, .value = "FILE",
 *          .help = "write the archive to FILE", .completes = RMILL_COMPLETE_FILE},
 *         {.name = "chunk-size", .type = RMILL_OPTION_BYTES, .value = "BYTES",
 *          .min = RMILL_KIB(64), .max = RMILL_GIB(1),
 *          .help = "cut files at BYTES (default 2M)"},
 *         {.name = NULL},
 *     };
 *
 *     static int
 *     run(struct rmill_command_line *line)
 *     {
 *         uint64_t chunk_bytes = rmill_line_number(line, "chunk-size", RMILL_MIB(2));
 *         ...
 *         return rmill_command_fail(line, "cannot read %s: %s", name, rmill_errno_text(code));
 *     }
 *
 * Every command also takes --help, --version, --json, --cores SPEC, -q/--quiet and -v/--verbose;
 * they are read with the same functions, and a command's own table may not repeat their names. */
#ifndef RMILL_CLI_COMMAND_H
#define RMILL_CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/macros.h"

/* What the program returns to the shell. */
enum rmill_exit {
    RMILL_EXIT_DONE = 0,         /* All that was asked for was done. */
    RMILL_EXIT_FAILED = 1,       /* It was not, or a verification found damage. */
    RMILL_EXIT_USAGE = 2,        /* The command line makes no sense; nothing was tried. */
    RMILL_EXIT_INCOMPLETE = 3,   /* Finished, but some inputs were left out; each was named. */
    RMILL_EXIT_UNSUPPORTED = 77, /* This host cannot; the message names the knob. */
};

enum rmill_option_type {
    RMILL_OPTION_FLAG,     /* Takes no value. */
    RMILL_OPTION_STRING,   /* Any bytes, also none. */
    RMILL_OPTION_UNSIGNED, /* Decimal digits within [min, max]. */
    RMILL_OPTION_BYTES,    /* The same with an optional suffix K, M, G or T (powers of 1024). */
    RMILL_OPTION_CHOICE,   /* One word of `choices`. */
};

/* What a shell offers for the value of an option, or for an argument. */
enum rmill_complete {
    RMILL_COMPLETE_NONE,
    RMILL_COMPLETE_FILE,
    RMILL_COMPLETE_DIRECTORY,
};

/* One option. A table of them ends with an entry whose name is NULL. Everything is static and
 * constant. */
struct rmill_option_spec {
    const char *name; /* Long name without dashes. Never NULL but at the end of the table. */
    char letter;      /* Short name, or 0. */
    enum rmill_option_type type;
    const char *value;          /* How help calls the value: "FILE". NULL for flags. */
    const char *help;           /* One clause, no full stop; says the default when there is one. */
    uint64_t min, max;          /* Both allowed. max 0: no upper limit. */
    const char *const *choices; /* NULL-terminated, for RMILL_OPTION_CHOICE. */
    bool repeats;               /* May be given more than once; otherwise the last one counts. */
    bool digits; /* -7 means this option with the value 7. For one UNSIGNED option at most. */
    enum rmill_complete completes;
};

/* One word of the command line after parsing, in the order given. An argument has option NULL. For
 * options whose place matters (tar's -C), walk the items; otherwise ask by name. */
struct rmill_line_item {
    const struct rmill_option_spec *option; /* NULL: an argument. */
    const char *text;                       /* The value or argument as written; NULL for flags. */
    uint64_t number; /* UNSIGNED and BYTES: the value. CHOICE: its index. FLAG: 1. */
};

/* A parsed command line. Owned by the program; the command may read everything until it returns.
 * The strings are those of argv. */
struct rmill_command_line {
    const struct rmill_command *command;
    struct rmill_line_item *items; /* Options and arguments, in the order given. */
    uint32_t item_count;
    uint32_t item_capacity;
    const char **arguments; /* The arguments alone, in the order given. */
    uint32_t argument_count;
};

struct rmill_command {
    const char *name;
    const char *summary; /* One clause for the list of commands, no full stop. */
    const char
        *usage; /* What follows "ringmill NAME ", one line per form: "PATH... -o OUT.tar.zst". */
    const char *details;  /* Paragraphs for help and man page, split by empty lines; may be NULL. */
    const char *examples; /* Lines "command" or "# comment"; may be NULL. */
    const struct rmill_option_spec *options; /* May be NULL: only the common ones. */
    uint32_t arguments_min, arguments_max;   /* UINT32_MAX: any number. */
    enum rmill_complete completes;           /* What the arguments are. */
    bool hidden; /* Left out of the list, the man pages and the completion. */
    int (*run)(
        struct rmill_command_line *line); /* Returns an enum rmill_exit. Runs on the main thread. */
};

/* True when the option was given. `name` must be in the command's table or a common one: it is
 * asserted. */
bool rmill_line_has(const struct rmill_command_line *line, const char *name);

/* The last value given, else `fallback`. For STRING and CHOICE. */
const char *rmill_line_string(const struct rmill_command_line *line, const char *name,
                              const char *fallback);

/* The last value given, else `fallback`. For UNSIGNED and BYTES; the index for CHOICE; 1 for a
 * FLAG. */
uint64_t rmill_line_number(const struct rmill_command_line *line, const char *name,
                           uint64_t fallback);

/* The three ways of speaking on standard error, each one line "ringmill NAME: text". The text comes
 * without a newline; names in it must have gone through cli/escape.h. They do not disturb a
 * progress line. Thread: any. `fail` always speaks and returns RMILL_EXIT_FAILED; `note` is silent
 * under --quiet; `detail` speaks only under --verbose. */
int rmill_command_fail(const struct rmill_command_line *line, const char *format, ...)
    RMILL_PRINTF(2, 3);
void rmill_command_note(const struct rmill_command_line *line, const char *format, ...)
    RMILL_PRINTF(2, 3);
void rmill_command_detail(const struct rmill_command_line *line, const char *format, ...)
    RMILL_PRINTF(2, 3);

/* Like `fail`, for a command line that parses but makes no sense; returns RMILL_EXIT_USAGE. */
int rmill_command_misuse(const struct rmill_command_line *line, const char *format, ...)
    RMILL_PRINTF(2, 3);

/* Say error->advice; returns RMILL_EXIT_UNSUPPORTED when the host cannot (the code is -ENOSYS,
 * -EOPNOTSUPP, or `unsupported` is true), else RMILL_EXIT_FAILED. */
int rmill_command_fail_error(const struct rmill_command_line *line, const struct rmill_error *error,
                             bool unsupported);

#endif
