/* Goal: a mapping is what was asked for or a stated lesser thing, and nothing is left behind.
 * Method: map every combination of wishes and look at the memory, the address and /proc; children
 * die where they must; explicit huge pages are made for the test when it runs as root. */
#include "tests/common.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "numa/memory.h"

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

/* How a child ends that writes one byte at `at`: its signal, or 0 when it lives. */
static int
signal_of_write(char *at)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit no_core = {0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL);
        *(volatile char *)at = 1;
        _exit(0);
    }
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
any_wish_gives_usable_zeroed_memory(void **state)
{
    static const uint64_t sizes[] = {1, 4096, 100000, RMILL_MIB(2), RMILL_MIB(5) + 1};

    (void)state;
    for (unsigned wish = 0; wish < 32; wish++) {
        for (size_t i = 0; i < RMILL_ARRAY_COUNT(sizes); i++) {
            struct rmill_memory memory;
            const struct rmill_memory_options options = {
                .bytes = sizes[i],
                .node = (wish & 1) != 0 ? 0 : RMILL_NODE_ANY,
                .huge_explicit = (wish & 2) != 0,
                .huge_transparent = (wish & 4) != 0,
                .prefault = (wish & 8) != 0,
                .guard = (wish & 16) != 0,
            };

            assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
            assert_true(memory.bytes >= sizes[i]);
            if (memory.kind != RMILL_PAGES_EXPLICIT_HUGE) {
                assert_true(memory.bytes < sizes[i] + 4096 * 16);
            }
            assert_int_equal((uintptr_t)memory.base % RMILL_MEMORY_HUGE_BYTES, 0);
            if (!options.huge_explicit || sizes[i] < RMILL_MIB(2)) {
                assert_int_not_equal(memory.kind, RMILL_PAGES_EXPLICIT_HUGE);
            }
            if (!options.huge_transparent || sizes[i] < RMILL_MIB(2)) {
                assert_int_not_equal(memory.kind, RMILL_PAGES_TRANSPARENT);
            }
            char *bytes = memory.base;

            assert_int_equal(bytes[0] | bytes[memory.bytes - 1], 0);
            bytes[0] = bytes[memory.bytes - 1] = 1;
            rmill_memory_unmap(&memory);
            assert_null(memory.base);
            rmill_memory_unmap(&memory); /* Again: nothing happens. */
        }
    }
}

static void
impossible_sizes_are_refused(void **state)
{
    static const uint64_t sizes[] = {0, RMILL_MEMORY_BYTES_MAX + 1, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(sizes); i++) {
        struct rmill_memory memory;
        const struct rmill_memory_options options = {.bytes = sizes[i]};
        struct rmill_error error = {0};

        assert_int_equal(rmill_memory_map(&memory, &options, &error), -EINVAL);
        assert_null(memory.base);
        assert_non_null(strstr(error.advice, "1 GiB"));
    }
}

static void
memory_is_touched_only_when_asked(void **state)
{
    struct rmill_memory memory;
    struct rmill_memory_options options = {.bytes = RMILL_MIB(1), .node = RMILL_NODE_ANY};
    uint64_t resident = 1;
    uint64_t away = 1;

    (void)state;
    assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
    int code = rmill_memory_placement(&memory, &resident, &away);

    if (code == -ENOSYS || code == -EPERM) {
        rmill_memory_unmap(&memory);
        SKIP_BECAUSE("move_pages is not allowed here");
    }
    assert_int_equal(code, 0);
    assert_int_equal(resident, 0);
    ((char *)memory.base)[5000] = 1;
    assert_int_equal(rmill_memory_placement(&memory, &resident, &away), 0);
    assert_int_equal(resident, sysconf(_SC_PAGESIZE));
    rmill_memory_unmap(&memory);

    options.prefault = true;
    assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
    assert_int_equal(rmill_memory_placement(&memory, &resident, &away), 0);
    assert_int_equal(resident, RMILL_MIB(1));
    assert_int_equal(away, 0);
    rmill_memory_unmap(&memory);
}

static void
a_guarded_mapping_ends_at_its_guards(void **state)
{
    struct rmill_memory memory;
    const struct rmill_memory_options options = {.bytes = 8192, .guard = true};

    (void)state;
    assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
    assert_true(memory.guard_below && memory.guard_above);
    assert_int_equal(signal_of_write((char *)memory.base - 1), SIGSEGV);
    assert_int_equal(signal_of_write((char *)memory.base + memory.bytes), SIGSEGV);
    rmill_memory_unmap(&memory);
}

static void
a_child_of_fork_does_not_get_the_memory(void **state)
{
    static const char secret[] = "what only the parent has";
    struct rmill_memory memory;
    const struct rmill_memory_options options = {.bytes = 4096};
    int status = 0;

    (void)state;
    assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
    memcpy(memory.base, secret, sizeof(secret));
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        static const struct rlimit no_core = {0};

        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGSEGV, SIG_DFL);
        /* A sanitizer may have put something of its own where the memory was. */
        _exit(memcmp(memory.base, secret, sizeof(secret)) == 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) == 0);
    rmill_memory_unmap(&memory);
}

static void
a_node_that_does_not_exist_is_reported_and_served_elsewhere(void **state)
{
    static const int nodes[] = {1000, 1024, 1 << 30};

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(nodes); i++) {
        struct rmill_memory memory;
        const struct rmill_memory_options options = {.bytes = 4096, .node = nodes[i]};

        assert_int_equal(rmill_memory_map(&memory, &options, NULL), 0);
        assert_true(memory.bind_code < 0);
        *(char *)memory.base = 1;
        rmill_memory_unmap(&memory);
    }
}

static void
without_addresses_the_error_names_the_knob(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    SKIP_BECAUSE("a sanitizer's shadow memory is over any address limit already");
#else
    const struct rmill_memory_options options = {.bytes = RMILL_GIB(1)};
    struct rmill_memory memory;
    struct rmill_error error = {0};
    struct rlimit before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    const struct rlimit little = {.rlim_cur = RMILL_MIB(256), .rlim_max = before.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    int code = rmill_memory_map(&memory, &options, &error);

    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(code, -ENOMEM);
    assert_null(memory.base);
    assert_non_null(strstr(error.advice, "ulimit -v"));
#endif
}

static long
pool_size_read(void)
{
    long count = -1;
    FILE *file = fopen(HUGE_POOL, "r");

    if (file != NULL) {
        if (fscanf(file, "%ld", &count) != 1) {
            count = -1;
        }
        (void)fclose(file);
    }
    return count;
}

static bool
pool_size_write(long count)
{
    FILE *file = fopen(HUGE_POOL, "w");

    return file != NULL && fprintf(file, "%ld\n", count) > 0 && fclose(file) == 0;
}

static void
explicit_huge_pages_are_taken_when_there_are_some(void **state)
{
    const struct rmill_memory_options options = {.bytes = RMILL_MIB(3),
                                                 .huge_explicit = true,
                                                 .huge_transparent = true,
                                                 .guard = true,
                                                 .prefault = true};
    long before = pool_size_read();
    struct rmill_memory memory;
    struct rmill_memory more;

    (void)state;
    if (before != 0 || !pool_size_write(2) || pool_size_read() != 2) {
        if (before == 0) {
            (void)pool_size_write(0);
        }
        SKIP_BECAUSE("no huge pages of its own can be had for this test (needs root)");
    }
    int code = rmill_memory_map(&memory, &options, NULL);
    int code_more = rmill_memory_map(&more, &options, NULL); /* The pool is empty now. */
    const struct rmill_memory got = memory;
    const struct rmill_memory got_more = more;

    if (code == 0) {
        ((char *)memory.base)[memory.bytes - 1] = 1;
    }
    rmill_memory_unmap(&memory);
    rmill_memory_unmap(&more);
    assert_true(pool_size_write(before));
    assert_int_equal(code, 0);
    assert_int_equal(got.kind, RMILL_PAGES_EXPLICIT_HUGE);
    assert_int_equal(got.bytes, RMILL_MIB(4));
    assert_int_equal((uintptr_t)got.base % RMILL_MIB(2), 0);
    assert_int_equal(code_more, 0);
    assert_int_not_equal(got_more.kind, RMILL_PAGES_EXPLICIT_HUGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_wish_gives_usable_zeroed_memory),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(memory_is_touched_only_when_asked),
        cmocka_unit_test(a_guarded_mapping_ends_at_its_guards),
        cmocka_unit_test(a_child_of_fork_does_not_get_the_memory),
        cmocka_unit_test(a_node_that_does_not_exist_is_reported_and_served_elsewhere),
        cmocka_unit_test(without_addresses_the_error_names_the_knob),
        cmocka_unit_test(explicit_huge_pages_are_taken_when_there_are_some),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
