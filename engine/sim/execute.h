/* engine/sim/execute.h — what an operation does when its time has come. */
#ifndef RMILL_ENGINE_SIM_EXECUTE_H
#define RMILL_ENGINE_SIM_EXECUTE_H

#include "engine/sim/files.h"
#include "uring/ring.h"

/* Carry `operation` out (anything but CANCEL), with faults; `file` is what it works on, NULL for
 * an unknown descriptor. Returns its result. */
int32_t rmill_sim_execute(struct rmill_sim *sim, struct rmill_operation *operation,
                          struct rmill_sim_description *file);

/* The next of the run's rings. */
const struct rmill_ring *rmill_sim_ring_next(const struct rmill_ring *ring);

#endif
