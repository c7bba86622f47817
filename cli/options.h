/* cli/options.h — from argv and a table to a parsed command line. */
#ifndef RMILL_CLI_OPTIONS_H
#define RMILL_CLI_OPTIONS_H

#include "cli/command.h"

/* The options every command takes; ends with a NULL name. */
extern const struct rmill_option_spec rmill_options_common[];

/* Parse the words after the command's name. Options and arguments may be mixed; "--" ends the
 * options; a lone
 * "-" is an argument. Stops with success at --help or --version, whatever follows.
 * 0, or -EINVAL (the command line is wrong) or -ENOMEM; error->advice then is one line for the
 * user. Call rmill_options_deinit on `line` in every case. Thread: main. */
int rmill_options_parse(struct rmill_command_line *line, const struct rmill_command *command,
                        int word_count, char *const *words, struct rmill_error *error);

/* Accepts a line that was never parsed, if zeroed. */
void rmill_options_deinit(struct rmill_command_line *line);

/* The number in `text`: decimal digits, and with `suffixes` an optional K, M, G or T with or
 * without "B" or "iB". 0, -EINVAL (no number) or -ERANGE (does not fit 64 bits); `value` is written
 * on success only. */
int rmill_options_number(const char *text, bool suffixes, uint64_t *value);

/* The candidate nearest to `word` by edits, or NULL when none is near. `next` gives the candidates
 * one after the other and NULL at the end. */
const char *rmill_options_nearest(const char *word, const char *(*next)(void *context),
                                  void *context);

#endif
