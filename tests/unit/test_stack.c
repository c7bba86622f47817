/* Goal: stacks are apart, guarded, reused last-in first-out, and cost what was used of them.
 * Method: write to their ends and just below; a child must die there; count what became resident.
 */
#include "tests/common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numa/stack.h"

static struct rmill_stacks
stacks_of(uint64_t bytes, uint32_t count)
{
    struct rmill_stacks stacks;
    struct rmill_error error = {0};

    if (rmill_stacks_init(&stacks, bytes, count, &error) != 0) {
        fail_msg("%s", error.advice);
    }
    return stacks;
}

static char *
stack_get(struct rmill_stacks *stacks)
{
    void *base = NULL;
    uint64_t bytes = 0;

    assert_int_equal(rmill_stacks_get(stacks, &base, &bytes), 0);
    assert_int_equal(bytes, stacks->stack_bytes);
    return base;
}

static void
the_last_stack_put_is_got_first(void **state)
{
    struct rmill_stacks stacks = stacks_of(16384, 3);
    char *a = stack_get(&stacks);
    char *b = stack_get(&stacks);

    (void)state;
    memset(a, 1, 16384);
    memset(b, 2, 16384);
    assert_int_equal(a[16383], 1);
    rmill_stacks_put(&stacks, a);
    rmill_stacks_put(&stacks, b);
    assert_ptr_equal(stack_get(&stacks), b);
    assert_ptr_equal(stack_get(&stacks), a);
    assert_int_equal(stacks.in_use_max, 2);
    rmill_stacks_deinit(&stacks);
    rmill_stacks_deinit(&stacks); /* A zeroed one is accepted. */
}

static void
no_stack_left_is_eagain_and_changes_nothing(void **state)
{
    struct rmill_stacks stacks = stacks_of(1, 2); /* Rounded up to a page. */
    void *base = &stacks;
    uint64_t bytes = 7;
    char *a = stack_get(&stacks);

    (void)state;
    (void)stack_get(&stacks);
    assert_int_equal(rmill_stacks_get(&stacks, &base, &bytes), -EAGAIN);
    assert_ptr_equal(base, &stacks);
    assert_int_equal(bytes, 7);
    rmill_stacks_put(&stacks, a);
    assert_ptr_equal(stack_get(&stacks), a);
    rmill_stacks_deinit(&stacks);
}

static void
impossible_stacks_are_refused(void **state)
{
    struct rmill_stacks stacks;
    struct rmill_error error = {0};

    (void)state;
    assert_int_equal(rmill_stacks_init(&stacks, 0, 1, &error), -EINVAL);
    assert_int_equal(rmill_stacks_init(&stacks, 4096, 0, &error), -EINVAL);
    assert_int_equal(rmill_stacks_init(&stacks, RMILL_STACK_BYTES_MAX + 1, 1, &error), -EINVAL);
    assert_int_equal(rmill_stacks_init(&stacks, 4096, RMILL_STACK_COUNT_MAX + 1, NULL), -EINVAL);
    assert_null(stacks.base);
}

/* How a child ends that does `what` with a pool of two opened stacks, the second one still in use.
 */
static int
signal_of(void (*what)(struct rmill_stacks *stacks, char *base))
{
    struct rmill_stacks stacks = stacks_of(16384, 4);

    assert_int_equal(madvise(stacks.base, stacks.slot_bytes * stacks.count, MADV_DOFORK), 0);
    (void)stack_get(&stacks);
    char *base = stack_get(&stacks);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit no_core = {0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)close(STDERR_FILENO); /* The panic says so in vain. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        what(&stacks, base);
        _exit(0);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    rmill_stacks_deinit(&stacks);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
write_inside(struct rmill_stacks *stacks, char *base)
{
    (void)stacks;
    *(volatile char *)base = 1;
    *(volatile char *)(base + 16383) = 1;
}

static void
write_below(struct rmill_stacks *stacks, char *base)
{
    (void)stacks;
    *(volatile char *)(base - 1) = 1;
}

static void
write_above(struct rmill_stacks *stacks, char *base)
{
    (void)stacks;
    *(volatile char *)(base + 16384) = 1; /* The guard of the next stack. */
}

static void
put_twice(struct rmill_stacks *stacks, char *base)
{
    rmill_stacks_put(stacks, base);
    rmill_stacks_put(stacks, base);
}

static void
put_inside(struct rmill_stacks *stacks, char *base)
{
    rmill_stacks_put(stacks, base + 4096);
}

static void
put_never_opened(struct rmill_stacks *stacks, char *base)
{
    rmill_stacks_put(stacks, base + stacks->slot_bytes);
}

static void
leaving_the_stack_ends_at_the_guard(void **state)
{
    (void)state;
    assert_int_equal(signal_of(write_inside), 0);
    assert_int_equal(signal_of(write_below), SIGSEGV);
    assert_int_equal(signal_of(write_above), SIGSEGV);
}

static void
a_false_put_panics(void **state)
{
    (void)state;
    assert_int_equal(signal_of(put_twice), SIGABRT);
    assert_int_equal(signal_of(put_inside), SIGABRT);
    assert_int_equal(signal_of(put_never_opened), SIGABRT);
}

static void
a_stack_tells_how_deep_it_was_used(void **state)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t bytes = page * 600; /* More than one call of mincore looks at. */
    struct rmill_stacks stacks = stacks_of(bytes, 1000);
    char *base = stack_get(&stacks);
    uint64_t touched = 1;

    (void)state;
    assert_int_equal(rmill_stacks_touched(&stacks, base, &touched), 0);
    assert_int_equal(touched, 0);
    base[bytes - 1] = 1;
    assert_int_equal(rmill_stacks_touched(&stacks, base, &touched), 0);
    assert_int_equal(touched, page);
    base[bytes - 3 * page] = 1; /* Deeper, with a hole above it. */
    assert_int_equal(rmill_stacks_touched(&stacks, base, &touched), 0);
    assert_int_equal(touched, 3 * page);
    base[0] = 1;
    assert_int_equal(rmill_stacks_touched(&stacks, base, &touched), 0);
    assert_int_equal(touched, bytes);
    rmill_stacks_deinit(&stacks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_stack_put_is_got_first),
        cmocka_unit_test(no_stack_left_is_eagain_and_changes_nothing),
        cmocka_unit_test(impossible_stacks_are_refused),
        cmocka_unit_test(leaving_the_stack_ends_at_the_guard),
        cmocka_unit_test(a_false_put_panics),
        cmocka_unit_test(a_stack_tells_how_deep_it_was_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
