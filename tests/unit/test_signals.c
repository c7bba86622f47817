/* Goal: the first signal asks for a stop, the second ends the process, a wake ends the wait, and
 * what was there before comes back.
 * Method: real signals to this process; what kills is sent to a child. Waits are long (a test that
 * hangs is stopped by the runner), so that no result depends on time. */
#include "tests/common.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "cli/signals.h"

#define LONG_NS (60 * RMILL_NS_PER_S)

static void
the_first_signal_asks_for_a_stop(void **state)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(stops); i++) {
        struct rmill_signals signals;

        assert_int_equal(rmill_signals_start(&signals), 0);
        assert_false(rmill_signals_wait(&signals, 0));
        assert_int_equal(kill(getpid(), stops[i]), 0);
        assert_true(rmill_signals_wait(&signals, LONG_NS));
        assert_int_equal(signals.stop_signal, stops[i]);
        assert_true(rmill_signals_wait(&signals, 0)); /* It stays asked for. */
        rmill_signals_stop(&signals);
        rmill_signals_stop(&signals); /* Twice is harmless. */
    }
}

static void *
wake_from_outside(void *context)
{
    rmill_signals_wake(context);
    return NULL;
}

static void
a_wake_from_another_thread_ends_the_wait(void **state)
{
    struct rmill_signals signals;
    pthread_t thread;

    assert_int_equal(rmill_signals_start(&signals), 0);
    assert_int_equal(pthread_create(&thread, NULL, wake_from_outside, &signals), 0);
    assert_false(rmill_signals_wait(&signals, LONG_NS));
    assert_int_equal(pthread_join(thread, NULL), 0);
    rmill_signals_wake(&signals); /* Before the wait counts as well. */
    assert_false(rmill_signals_wait(&signals, LONG_NS));
    rmill_signals_stop(&signals);
}

static void
the_mask_from_before_comes_back(void **state)
{
    struct rmill_signals signals;
    sigset_t before, during, after;

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    assert_int_equal(rmill_signals_start(&signals), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &during), 0);
    rmill_signals_stop(&signals);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    assert_true(sigismember(&during, SIGINT) == 1 && sigismember(&during, SIGTERM) == 1);
    assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
    assert_int_equal(sigismember(&after, SIGHUP), sigismember(&before, SIGHUP));
}

static void
the_second_signal_ends_the_process(void **state)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct rmill_signals signals;

        if (rmill_signals_start(&signals) != 0 || kill(getpid(), SIGINT) != 0 ||
            !rmill_signals_wait(&signals, LONG_NS)) {
            _exit(1);
        }
        kill(getpid(), SIGHUP); /* A terminal that goes sends two: not counted. */
        if (!rmill_signals_wait(&signals, 0)) {
            _exit(2);
        }
        kill(getpid(), SIGINT);
        _exit(3); /* Not reached. */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_signal_asks_for_a_stop),
        cmocka_unit_test(a_wake_from_another_thread_ends_the_wait),
        cmocka_unit_test(the_mask_from_before_comes_back),
        cmocka_unit_test(the_second_signal_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
