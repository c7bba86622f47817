/* cli/help.h — help, man pages and shell completion, all made from the tables of the commands. */
#ifndef RMILL_CLI_HELP_H
#define RMILL_CLI_HELP_H

#include "cli/command.h"

/* Print on standard output; errors stay in the stream for main to find. */
void rmill_help_program(void);
void rmill_help_command(const struct rmill_command *command);

/* The man page of one command, or of the whole program when `command` is NULL. */
void rmill_help_man(const struct rmill_command *command);

/* A completion script for bash. */
void rmill_help_completion_bash(void);

#endif
