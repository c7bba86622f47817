#include "perf/record/trace.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

static const char *const kind_names[] = {
    [RMILL_TRACE_TURN] = "turn",
    [RMILL_TRACE_PARK] = "park",
    [RMILL_TRACE_WAKE_SENT] = "wake_sent",
    [RMILL_TRACE_WAKE_GOT] = "wake_got",
    [RMILL_TRACE_FIBER_START] = "fiber_start",
    [RMILL_TRACE_FIBER_END] = "fiber_end",
    [RMILL_TRACE_TASK] = "task",
    [RMILL_TRACE_OP_SUBMIT] = "op_submit",
    [RMILL_TRACE_OP_COMPLETE] = "op_complete",
    [RMILL_TRACE_MESSAGE] = "message",
    [RMILL_TRACE_FLOW_PRODUCE] = "flow_produce",
    [RMILL_TRACE_FLOW_PROCESS] = "flow_process",
    [RMILL_TRACE_FLOW_COMMIT] = "flow_commit",
    [RMILL_TRACE_FLOW_WRITE] = "flow_write",
    [RMILL_TRACE_FLOW_CLAIM] = "flow_claim",
    [RMILL_TRACE_STOP] = "stop",
    [RMILL_TRACE_SIM] = "sim",
};

_Static_assert(RMILL_ARRAY_COUNT(kind_names) == RMILL_TRACE_KIND_COUNT, "every kind has a name");

/* The longest line: 20 digits, a name, 10 digits, twice "0x" and 16 digits, four blanks and a
 * newline. */
#define LINE_BYTES 128

const char *
rmill_trace_kind_name(uint32_t kind)
{
    return kind < RMILL_TRACE_KIND_COUNT && kind_names[kind] != NULL ? kind_names[kind] : "unknown";
}

void
rmill_trace_init(struct rmill_trace *trace, void *memory, uint32_t event_count)
{
    RMILL_ASSERT(memory != NULL && (uintptr_t)memory % _Alignof(struct rmill_trace_event) == 0);
    RMILL_ASSERT(rmill_is_power_of_two(event_count));
    *trace = (struct rmill_trace){.events = memory, .mask = event_count - 1};
}

/* How many of the last `count` events there are. */
static uint32_t
count_held(const struct rmill_trace *trace, uint32_t count)
{
    uint64_t held = rmill_min_u64(trace->next, trace->mask + 1);

    return (uint32_t)rmill_min_u64(held, count);
}

uint32_t
rmill_trace_last(const struct rmill_trace *trace, struct rmill_trace_event *events, uint32_t count)
{
    uint32_t held = count_held(trace, count);

    for (uint32_t i = 0; i < held; i++) {
        events[i] = trace->events[(trace->next - held + i) & trace->mask];
    }
    return held;
}

static char *
put_text(char *to, const char *text)
{
    size_t bytes = strlen(text);

    memcpy(to, text, bytes);
    return to + bytes;
}

/* By hand instead of snprintf, which may need more stack than a panicking fiber has left. */
static char *
put_number(char *to, uint64_t value, uint32_t base)
{
    char digits[20];
    uint32_t used = 0;

    do {
        digits[used++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (used > 0) {
        *to++ = digits[--used];
    }
    return to;
}

static size_t
line_of(const struct rmill_trace_event *event, char line[LINE_BYTES])
{
    char *to = put_number(line, event->time_ns, 10);

    *to++ = ' ';
    to = put_text(to, rmill_trace_kind_name(event->kind));
    *to++ = ' ';
    to = put_number(to, event->detail, 10);
    to = put_text(to, " 0x");
    to = put_number(to, event->a, 16);
    to = put_text(to, " 0x");
    to = put_number(to, event->b, 16);
    *to++ = '\n';
    return (size_t)(to - line);
}

static int
write_all(int fd, const char *bytes, size_t left)
{
    while (left > 0) {
        ssize_t written = write(fd, bytes, left);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? -errno : -EIO;
        }
        bytes += written;
        left -= (size_t)written;
    }
    return 0;
}

int
rmill_trace_write_text(const struct rmill_trace *trace, int fd, uint32_t count)
{
    if (trace == NULL || trace->events == NULL) {
        return 0;
    }
    uint32_t held = count_held(trace, count);

    for (uint32_t i = 0; i < held; i++) {
        char line[LINE_BYTES];
        size_t bytes = line_of(&trace->events[(trace->next - held + i) & trace->mask], line);
        int result = write_all(fd, line, bytes);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}
