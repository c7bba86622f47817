/* cli/completion.c — the completion script for bash, made from the tables; see help.h. */
#include <stdio.h>

#include "cli/help.h"
#include "cli/options.h"
#include "cli/registry.h"

/* What completes a value or an argument, as words of `compgen`. */
static const char *
compgen_action(enum rmill_complete completes)
{
    switch (completes) {
    case RMILL_COMPLETE_FILE:
        return "-f";
    case RMILL_COMPLETE_DIRECTORY:
        return "-d";
    case RMILL_COMPLETE_NONE:
        break;
    }
    return "";
}

static void
names_print(const struct rmill_option_spec *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        printf(" --%s", option->name);
        if (option->letter != 0) {
            printf(" -%c", option->letter);
        }
    }
}

/* One case per option with a value: after it, its values are offered and nothing else. */
static void
values_print(const char *command, const struct rmill_option_spec *option)
{
    for (; option != NULL && option->name != NULL; option++) {
        if (option->type == RMILL_OPTION_FLAG) {
            continue;
        }
        printf("    %s:--%s", command, option->name);
        if (option->letter != 0) {
            printf("|%s:-%c", command, option->letter);
        }
        printf(") ");
        if (option->type == RMILL_OPTION_CHOICE) {
            printf("words='");
            for (uint32_t i = 0; option->choices[i] != NULL; i++) {
                printf("%s%s", i == 0 ? "" : " ", option->choices[i]);
            }
            printf("'; action= ;;\n");
        } else {
            printf("words=; action='%s' ;;\n", compgen_action(option->completes));
        }
    }
}

void
rmill_help_completion_bash(void)
{
    printf("# bash completion for ringmill, made by 'ringmill help --completion bash'\n"
           "_ringmill() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local command=${COMP_WORDS[1]} words='' action='' arguments=''\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"--help --version");
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        if (!rmill_registry[i]->hidden) {
            printf(" %s", rmill_registry[i]->name);
        }
    }
    printf("\" -- \"$current\"))\n        return\n    fi\n"
           "    case $command in\n");
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        printf("    %s) words='", rmill_registry[i]->name);
        names_print(rmill_registry[i]->options);
        names_print(rmill_options_common);
        printf("'; arguments='%s' ;;\n", compgen_action(rmill_registry[i]->completes));
    }
    printf("    *) return ;;\n    esac\n"
           "    case $current in -*) ;; *) action=$arguments; words= ;; esac\n"
           "    case $command:$previous in\n");
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        values_print(rmill_registry[i]->name, rmill_registry[i]->options);
    }
    values_print("*", rmill_options_common);
    printf("    esac\n"
           "    compopt -o filenames 2>/dev/null\n"
           "    local IFS=$'\\n'\n"
           "    COMPREPLY=($(compgen $action -W \"${words// /$'\\n'}\" -- \"$current\"))\n"
           "}\n"
           "complete -F _ringmill ringmill\n");
}
