/* cli/registry.h — which commands this program has. */
#ifndef RMILL_CLI_REGISTRY_H
#define RMILL_CLI_REGISTRY_H

#include "cli/command.h"

/* In the order help lists them; ends with NULL. */
extern const struct rmill_command *const rmill_registry[];

/* The command called `name`, or NULL. */
const struct rmill_command *rmill_registry_find(const char *name);

/* The name nearest to `name`, or NULL when none is near. */
const char *rmill_registry_nearest(const char *name);

#endif
