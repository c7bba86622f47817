/* cli/topo_svg.h — the machine drawn: boxes for packages, nodes, caches, cores and threads. */
#ifndef RMILL_CLI_TOPO_SVG_H
#define RMILL_CLI_TOPO_SVG_H

#include <stdio.h>

#include "numa/topology.h"

/* "48 KiB", "1.5 MiB", "4.0 GiB" (powers of 1024) into `to`; returns it. Thread: any. */
char *rmill_topo_size(char to[32], uint64_t bytes);

/* Write an SVG document of `topology` with the CPUs of `choice` marked. Errors of writing stay in
 * the stream. Thread: any. 0; -ENOMEM, nothing written then. */
int rmill_topo_svg_print(FILE *stream, const struct rmill_topology *topology,
                         const struct rmill_core_choice *choice);

#endif
