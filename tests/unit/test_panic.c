/* Goal: a broken assertion says where and why, lets the thread report, and aborts; nothing else
 * does.
 * Method: each case runs in a child process whose standard error is a pipe; the parent reads the
 * text and the way the child ended. */
#include "tests/common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "perf/record/trace.h"

struct core {
    struct rmill_thread thread;
    struct rmill_trace trace;
    struct rmill_trace_event events[4];
};

static char text[4096]; /* What the last child wrote. */

/* Run `body` in a child; fill `text`; return its wait status. */
static int
child_run(void (*body)(void))
{
    int ends[2];
    int status = 0;
    size_t used = 0;
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)alarm(20); /* A panic that never ends fails the test instead of hanging it. */
        (void)close(ends[0]);
        (void)dup2(ends[1], STDERR_FILENO);
        body();
        _exit(0);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], text + used, sizeof(text) - 1 - used)) != 0) {
        assert_true(got > 0 || errno == EINTR);
        used += got > 0 ? (size_t)got : 0;
    }
    text[used] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
assert_aborted(int status)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
assert_holds(void)
{
    RMILL_ASSERT(1 + 1 == 2);
}

enum { breaks_line = __LINE__ + 5 };

static void
assert_breaks(void)
{
    RMILL_ASSERT(1 + 1 == 3);
}

static void
a_true_assertion_does_nothing(void **state)
{
    int status = child_run(assert_holds);

    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(text, "");
}

static void
a_broken_assertion_aborts_and_says_where(void **state)
{
    assert_aborted(child_run(assert_breaks));
    assert_non_null(strstr(text, "ringmill: panic: assert: 1 + 1 == 3 ("));
    char where[256];

    (void)snprintf(where, sizeof(where), "(%s:%d in assert_breaks)\n", __FILE__, breaks_line);
    assert_non_null(strstr(text, where));
}

static void
report_trace(struct rmill_thread *thread, int fd)
{
    struct core *core = RMILL_CONTAINER_OF(thread, struct core, thread);

    (void)rmill_trace_write_text(&core->trace, fd, 2);
}

static void
panic_with_a_trace(void)
{
    static struct core core = {.thread.panic_report = report_trace};

    rmill_trace_init(&core.trace, core.events, 4);
    for (uint32_t i = 0; i < 6; i++) {
        rmill_trace_add(&core.trace, 100 + i, RMILL_TRACE_TURN, i, 0, 0);
    }
    rmill_thread_self = &core.thread;
    RMILL_PANIC("broken ground");
}

static void
a_panic_ends_with_the_threads_report(void **state)
{
    assert_aborted(child_run(panic_with_a_trace));
    assert_non_null(strstr(text, "panic: broken ground ("));
    assert_non_null(strstr(text, "\n104 turn 4 0x0 0x0\n105 turn 5 0x0 0x0\n"));
    assert_null(strstr(text, "103 turn"));
}

static void
report_panics(struct rmill_thread *thread, int fd)
{
    RMILL_PANIC("in the report");
}

static void
panic_twice(void)
{
    static struct rmill_thread thread = {.panic_report = report_panics};

    rmill_thread_self = &thread;
    RMILL_PANIC("first");
}

static void
a_panic_in_the_report_does_not_report_again(void **state)
{
    assert_aborted(child_run(panic_twice));
    const char *second = strstr(text, "in the report");

    assert_non_null(strstr(text, "panic: first"));
    assert_non_null(second);
    assert_null(strstr(second + 1, "in the report"));
}

static void
panic_without_report(void)
{
    static struct rmill_thread thread;

    rmill_thread_self = &thread;
    RMILL_PANIC("nothing to add");
}

static void
a_thread_without_a_report_still_aborts(void **state)
{
    assert_aborted(child_run(panic_without_report));
    assert_non_null(strstr(text, "nothing to add"));
}

static void
trace_of_three_events(void)
{
    struct rmill_trace_event memory[3];
    struct rmill_trace trace;

    rmill_trace_init(&trace, memory, 3);
}

static void
a_trace_ring_of_no_power_of_two_is_refused(void **state)
{
    assert_aborted(child_run(trace_of_three_events));
    assert_non_null(strstr(text, "rmill_is_power_of_two(event_count)"));
}

static int evaluated;

static int
evaluate(void)
{
    evaluated++;
    return 1;
}

static void
debug_assertions_are_evaluated_in_debug_builds_only(void **state)
{
    RMILL_DEBUG_ASSERT(evaluate());
#ifdef RMILL_DEBUG
    assert_int_equal(evaluated, 1);
#else
    assert_int_equal(evaluated, 0);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_assertion_does_nothing),
        cmocka_unit_test(a_broken_assertion_aborts_and_says_where),
        cmocka_unit_test(a_panic_ends_with_the_threads_report),
        cmocka_unit_test(a_panic_in_the_report_does_not_report_again),
        cmocka_unit_test(a_thread_without_a_report_still_aborts),
        cmocka_unit_test(a_trace_ring_of_no_power_of_two_is_refused),
        cmocka_unit_test(debug_assertions_are_evaluated_in_debug_builds_only),
    };

    return cmocka_run_group_tests_name("panic", tests, NULL, NULL);
}
