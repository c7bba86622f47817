/* Goal: the flight recorder keeps exactly the last events, in order, and writes them as text
 * wherever a panic may happen. Method: event i carries i in every field, so that a misplaced or
 * torn event shows; the text goes through a pipe and is compared to the byte. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "perf/record/trace.h"

#define EVENT_COUNT 8

static void
add_number(struct rmill_trace *trace, uint64_t number)
{
    rmill_trace_add(trace, 1000 + number, RMILL_TRACE_TASK, (uint32_t)number, number * 3, ~number);
}

static void
assert_number(const struct rmill_trace_event *event, uint64_t number)
{
    assert_int_equal(event->time_ns, 1000 + number);
    assert_int_equal(event->kind, RMILL_TRACE_TASK);
    assert_int_equal(event->detail, number);
    assert_int_equal(event->a, number * 3);
    assert_int_equal(event->b, ~number);
}

static void
the_last_events_come_oldest_first(void **state)
{
    struct rmill_trace_event memory[EVENT_COUNT];
    struct rmill_trace trace;

    memset(memory, 0xA5, sizeof(memory)); /* It need not be initialised. */
    rmill_trace_init(&trace, memory, EVENT_COUNT);
    /* Before, at and after the ring is full; asked for none, some, all and more than all. */
    for (uint64_t added = 0; added <= 3 * EVENT_COUNT; added++) {
        for (uint32_t asked = 0; asked <= EVENT_COUNT + 2; asked++) {
            struct rmill_trace_event out[EVENT_COUNT + 2];
            uint64_t held = rmill_min_u64(rmill_min_u64(added, EVENT_COUNT), asked);

            assert_int_equal(rmill_trace_last(&trace, out, asked), held);
            for (uint64_t i = 0; i < held; i++) {
                assert_number(&out[i], added - held + i);
            }
        }
        add_number(&trace, added);
    }
}

static void
a_ring_of_one_holds_the_latest(void **state)
{
    struct rmill_trace_event memory, out;
    struct rmill_trace trace;

    rmill_trace_init(&trace, &memory, 1);
    add_number(&trace, 1);
    add_number(&trace, 2);
    assert_int_equal(rmill_trace_last(&trace, &out, 1), 1);
    assert_number(&out, 2);
}

/* Write the last `count` events through a pipe into `text`, which holds `bytes`. */
static void
text_of(const struct rmill_trace *trace, uint32_t count, char *text, size_t bytes)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(rmill_trace_write_text(trace, ends[1], count), 0);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], text, bytes - 1);

    assert_true(got >= 0);
    text[got] = '\0';
    (void)close(ends[0]);
}

static void
the_text_has_a_line_for_each_event(void **state)
{
    struct rmill_trace_event memory[4];
    struct rmill_trace trace;
    char text[1024];

    rmill_trace_init(&trace, memory, 4);
    rmill_trace_add(&trace, 0, RMILL_TRACE_TURN, 0, 0, 0);
    rmill_trace_add(&trace, 1234567890, RMILL_TRACE_OP_SUBMIT, 42, 0xDEADBEEF, 10);
    rmill_trace_add(&trace, UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX);
    text_of(&trace, 100, text, sizeof(text));
    assert_string_equal(text, "0 turn 0 0x0 0x0\n"
                              "1234567890 op_submit 42 0xdeadbeef 0xa\n"
                              "18446744073709551615 unknown 4294967295 0xffffffffffffffff "
                              "0xffffffffffffffff\n");
    rmill_trace_add(&trace, 7, RMILL_TRACE_STOP, 1, 2, 3);
    rmill_trace_add(&trace, 8, RMILL_TRACE_SIM, 1, 2, 3);
    text_of(&trace, 2, text, sizeof(text));
    assert_string_equal(text, "7 stop 1 0x2 0x3\n8 sim 1 0x2 0x3\n");
}

static void
nothing_recorded_writes_nothing(void **state)
{
    struct rmill_trace_event memory[2];
    struct rmill_trace trace = {0};
    char text[64];

    text_of(NULL, 10, text, sizeof(text));
    assert_string_equal(text, "");
    text_of(&trace, 10, text, sizeof(text));
    assert_string_equal(text, "");
    rmill_trace_init(&trace, memory, 2);
    text_of(&trace, 10, text, sizeof(text));
    assert_string_equal(text, "");
    rmill_trace_add(&trace, 1, RMILL_TRACE_PARK, 0, 0, 0);
    text_of(&trace, 0, text, sizeof(text));
    assert_string_equal(text, "");
}

static void
a_failed_write_is_answered(void **state)
{
    static struct rmill_trace_event memory[4096];
    struct rmill_trace trace;
    int ends[2];

    rmill_trace_init(&trace, memory, RMILL_ARRAY_COUNT(memory));
    for (uint64_t i = 0; i < RMILL_ARRAY_COUNT(memory); i++) {
        add_number(&trace, i);
    }
    assert_int_equal(rmill_trace_write_text(&trace, -1, 1), -EBADF);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0); /* 64 KiB at most: it fills up. */
    assert_int_equal(rmill_trace_write_text(&trace, ends[1], RMILL_ARRAY_COUNT(memory)), -EAGAIN);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void
every_kind_has_its_own_name(void **state)
{
    for (uint32_t kind = 0; kind < RMILL_TRACE_KIND_COUNT; kind++) {
        assert_string_not_equal(rmill_trace_kind_name(kind), "unknown");
        for (uint32_t other = 0; other < kind; other++) {
            assert_string_not_equal(rmill_trace_kind_name(kind), rmill_trace_kind_name(other));
        }
    }
    assert_string_equal(rmill_trace_kind_name(RMILL_TRACE_FLOW_COMMIT), "flow_commit");
    assert_string_equal(rmill_trace_kind_name(RMILL_TRACE_KIND_COUNT), "unknown");
    assert_string_equal(rmill_trace_kind_name(UINT32_MAX), "unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_events_come_oldest_first),
        cmocka_unit_test(a_ring_of_one_holds_the_latest),
        cmocka_unit_test(the_text_has_a_line_for_each_event),
        cmocka_unit_test(nothing_recorded_writes_nothing),
        cmocka_unit_test(a_failed_write_is_answered),
        cmocka_unit_test(every_kind_has_its_own_name),
    };

    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
