/* perf/record/trace.h — flight recorder: the last events of one core, always on.
 *
 * A ring of 32-byte events on the caller's memory. Adding overwrites the oldest event and never
 * fails, blocks or allocates. Owner: this core. Nobody else may touch the ring while the core runs;
 * after it has stopped (and been joined) any one thread may read. A panic on the core prints the
 * end of its own ring.
 *
 * Invariants: `next` is free-running and 64 bits wide, so it never wraps; event number n lies at
 * n & mask; the ring holds the events [next - min(next, mask + 1), next).
 *
 * Cost: 32 bytes written to one cache line (when the memory is 32-byte aligned) and `next` on
 * another. */
#ifndef RMILL_PERF_RECORD_TRACE_H
#define RMILL_PERF_RECORD_TRACE_H

#include <stdint.h>

/* What happened. `detail`, `a` and `b` of an event mean what the place that adds it says. Numbers
 * are for one build: a trace leaves the process as names. */
enum rmill_trace_kind {
    RMILL_TRACE_TURN,      /* One turn of the core's loop. */
    RMILL_TRACE_PARK,      /* The core goes to sleep. */
    RMILL_TRACE_WAKE_SENT, /* This core woke another. */
    RMILL_TRACE_WAKE_GOT,  /* Another core woke this one. */
    RMILL_TRACE_FIBER_START,
    RMILL_TRACE_FIBER_END,
    RMILL_TRACE_TASK,
    RMILL_TRACE_OP_SUBMIT,   /* An operation was handed to the ring. */
    RMILL_TRACE_OP_COMPLETE, /* Its completion was seen. */
    RMILL_TRACE_MESSAGE,
    RMILL_TRACE_FLOW_PRODUCE, /* A unit passed this step of a flow. */
    RMILL_TRACE_FLOW_PROCESS,
    RMILL_TRACE_FLOW_COMMIT,
    RMILL_TRACE_FLOW_WRITE,
    RMILL_TRACE_FLOW_CLAIM, /* An idle core took a unit that another core owned. */
    RMILL_TRACE_STOP,
    RMILL_TRACE_SIM, /* The simulator decided something. */
    RMILL_TRACE_KIND_COUNT,
};

struct rmill_trace_event {
    uint64_t time_ns; /* The engine's clock: monotonic, or virtual in the simulator. */
    uint32_t kind;    /* enum rmill_trace_kind. */
    uint32_t detail;
    uint64_t a;
    uint64_t b;
};

_Static_assert(sizeof(struct rmill_trace_event) == 32, "two events to a cache line");

struct rmill_trace {
    struct rmill_trace_event *events;
    uint64_t mask; /* Event count - 1. */
    uint64_t next; /* How many events were ever added. */
};

/* Prepare `trace` on `memory`, which holds `event_count` events (a power of two), is aligned to 8
 * bytes (to 32 is better), need not be initialised, belongs to the caller and outlives the trace.
 * Thread: set-up. */
void rmill_trace_init(struct rmill_trace *trace, void *memory, uint32_t event_count);

/* Add an event in place of the oldest. Thread: owner core. */
static inline void
rmill_trace_add(struct rmill_trace *trace, uint64_t time_ns, uint32_t kind, uint32_t detail,
                uint64_t a, uint64_t b)
{
    trace->events[trace->next++ & trace->mask] = (struct rmill_trace_event){
        .time_ns = time_ns, .kind = kind, .detail = detail, .a = a, .b = b};
}

/* Copy the last `count` events (or as many as there are) to `events`, the oldest first; return how
 * many. Thread: owner core, or any one after it has stopped. */
uint32_t rmill_trace_last(const struct rmill_trace *trace, struct rmill_trace_event *events,
                          uint32_t count);

/* Write the last `count` events (or as many as there are) to `fd`, the oldest first, a line each:
 * "time_ns name detail a b", numbers in decimal but a and b in hexadecimal. Allocates nothing,
 * takes no lock, uses write(2) and less than 1 KiB of stack, so it is fit for a panic on a fiber.
 * `trace` may be NULL or zeroed: then there is nothing to write. Thread: as rmill_trace_last.
 * Returns 0, or the -errno of write(2), when part may have been written. */
int rmill_trace_write_text(const struct rmill_trace *trace, int fd, uint32_t count);

/* "op_submit" for RMILL_TRACE_OP_SUBMIT; "unknown" for what is no kind. Static. Thread: any. */
const char *rmill_trace_kind_name(uint32_t kind);

#endif
