/* cli/registry.c — see registry.h. A new workload is a folder and a line in COMMANDS. */
#include "cli/registry.h"

#include <string.h>

#include "cli/options.h"

/* clang-format off */
#define COMMANDS(X) \
    X(doctor) \
    X(list) \
    X(pack) \
    X(topo) \
    X(unpack) \
    X(verify) \
    X(help)
/* clang-format on */

#define DECLARE(command) extern const struct rmill_command rmill_command_##command;
COMMANDS(DECLARE)

#define LIST(command) &rmill_command_##command,
const struct rmill_command *const rmill_registry[] = {COMMANDS(LIST) NULL};

const struct rmill_command *
rmill_registry_find(const char *name)
{
    for (uint32_t i = 0; rmill_registry[i] != NULL; i++) {
        if (strcmp(rmill_registry[i]->name, name) == 0) {
            return rmill_registry[i];
        }
    }
    return NULL;
}

static const char *
next_command(void *context)
{
    const struct rmill_command *const **cursor = context;

    while (**cursor != NULL && (**cursor)->hidden) {
        (*cursor)++;
    }
    return **cursor == NULL ? NULL : (*(*cursor)++)->name;
}

const char *
rmill_registry_nearest(const char *name)
{
    const struct rmill_command *const *cursor = rmill_registry;

    return rmill_options_nearest(name, next_command, &cursor);
}
