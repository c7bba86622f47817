/* Goal: where io_uring is forbidden or starved, one clear sentence says so and names the knob,
 * and what can go on with less goes on. Method: each situation is made for real in a child
 * process, which writes what it was told into a pipe. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fault/forbid.h"
#include "uring/ring.h"

#define NOBODY 65534

/* What a child found. */
struct finding {
    int code;
    int second_code; /* Of a second step, where there is one. */
    uint32_t completed;
    bool files_registered;
    bool impossible; /* The situation could not be made here; the advice says why. */
    char advice[RMILL_ERROR_ADVICE_BYTES];
};

/* Run `situation` in a child and answer what it found. */
static struct finding
in_child(void (*situation)(struct finding *finding))
{
    struct finding finding = {0};
    int ends[2], status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        situation(&finding);
        _exit(write(ends[1], &finding, sizeof(finding)) == sizeof(finding) ? 0 : 1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &finding, sizeof(finding)), sizeof(finding));
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    if (finding.advice[0] != '\0') {
        print_message("told: %s\n", finding.advice);
    }
    return finding;
}

static void
count_completion(struct rmill_operation *operation)
{
    *(uint32_t *)operation->address += operation->result == 0;
}

/* Make a ring and send ten NOPs through it. */
static struct rmill_ring *
try_ring(struct finding *finding)
{
    struct rmill_error error = {0};
    struct rmill_ring *ring = NULL;
    struct rmill_operation nops[10];

    finding->code = rmill_ring_create(NULL, &ring, &error);
    memcpy(finding->advice, error.advice, sizeof(error.advice));
    if (finding->code < 0) {
        return NULL;
    }
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(nops); i++) {
        nops[i] = (struct rmill_operation){
            .opcode = RMILL_OP_NOP, .complete = count_completion, .address = &finding->completed};
        rmill_ring_submit(ring, &nops[i]);
    }
    while (rmill_ring_in_flight(ring) > 0) {
        (void)rmill_ring_enter(ring, UINT64_MAX);
    }
    finding->files_registered = rmill_ring_features(ring)->files_registered;
    return ring;
}

static void
give_up(struct finding *finding, const char *what)
{
    finding->impossible = true;
    (void)snprintf(finding->advice, sizeof(finding->advice), "%s: %s", what, strerror(errno));
}

static void
filter_with_eperm(struct finding *finding)
{
    if (forbid_uring(EPERM) < 0) {
        give_up(finding, "no seccomp filter");
        return;
    }
    rmill_ring_destroy(try_ring(finding));
}

static void
filter_with_enosys(struct finding *finding)
{
    if (forbid_uring(ENOSYS) < 0) {
        give_up(finding, "no seccomp filter");
        return;
    }
    rmill_ring_destroy(try_ring(finding));
}

static void
a_seccomp_filter_is_named(void **state)
{
    (void)state;
    struct finding finding = in_child(filter_with_eperm);

    if (finding.impossible) {
        SKIP_BECAUSE(finding.advice);
    }
    assert_int_equal(finding.code, -EPERM);
    assert_non_null(strstr(finding.advice, "seccomp"));
    finding = in_child(filter_with_enosys);
    assert_int_equal(finding.code, -ENOSYS);
    assert_non_null(strstr(finding.advice, "seccomp"));
    assert_null(strchr(finding.advice, '\n'));
}

/* An ordinary user with this limit; root's rings are not counted. */
static bool
become_ordinary(struct finding *finding, rlim_t memlock_bytes)
{
    const struct rlimit limit = {memlock_bytes, memlock_bytes};

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        give_up(finding, "no memlock limit");
        return false;
    }
    if (getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        give_up(finding, "cannot become an ordinary user");
        return false;
    }
    return true;
}

static void
no_memlock_at_all(struct finding *finding)
{
    if (become_ordinary(finding, 0)) {
        rmill_ring_destroy(try_ring(finding));
    }
}

static void
memlock_for_a_small_ring(struct finding *finding)
{
    if (become_ordinary(finding, RMILL_KIB(40))) {
        rmill_ring_destroy(try_ring(finding));
    }
}

static void
memlock_too_small_for_the_arena(struct finding *finding)
{
    struct rmill_error error = {0};
    struct iovec region = {.iov_len = RMILL_MIB(16)};

    if (!become_ordinary(finding, RMILL_MIB(1))) {
        return;
    }
    struct rmill_ring *ring = try_ring(finding);

    if (ring == NULL) {
        return;
    }
    region.iov_base =
        mmap(NULL, region.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    finding->second_code = rmill_ring_buffers_register(ring, &region, 1, &error);
    memcpy(finding->advice, error.advice, sizeof(error.advice));
    rmill_ring_destroy(ring);
}

static void
without_memlock_the_limit_is_named(void **state)
{
    (void)state;
    struct finding finding = in_child(no_memlock_at_all);

    if (finding.impossible) {
        SKIP_BECAUSE(finding.advice);
    }
    if (finding.code == 0) {
        SKIP_BECAUSE("this kernel does not count rings against the memlock limit");
    }
    assert_int_equal(finding.code, -ENOMEM);
    assert_non_null(strstr(finding.advice, "memlock"));
    assert_non_null(strstr(finding.advice, "0 KiB"));
    assert_non_null(strstr(finding.advice, "ulimit -l"));
}

static void
with_little_memlock_a_smaller_ring_works(void **state)
{
    (void)state;
    struct finding finding = in_child(memlock_for_a_small_ring);

    if (finding.impossible) {
        SKIP_BECAUSE(finding.advice);
    }
    assert_int_equal(finding.code, 0);
    assert_int_equal(finding.completed, 10);
}

static void
an_arena_over_the_limit_stays_unregistered(void **state)
{
    (void)state;
    struct finding finding = in_child(memlock_too_small_for_the_arena);

    if (finding.impossible) {
        SKIP_BECAUSE(finding.advice);
    }
    assert_int_equal(finding.code, 0);
    assert_int_equal(finding.completed, 10); /* The ring itself works. */
    assert_int_equal(finding.second_code, -ENOMEM);
    assert_non_null(strstr(finding.advice, "memlock"));
}

static bool
limit_files(struct finding *finding, rlim_t count)
{
    const struct rlimit limit = {count, count};

    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        give_up(finding, "no descriptor limit");
        return false;
    }
    return true;
}

static void
no_descriptor_left(struct finding *finding)
{
    if (limit_files(finding, 3)) {
        rmill_ring_destroy(try_ring(finding));
    }
}

static void
few_descriptors(struct finding *finding)
{
    if (limit_files(finding, 40)) { /* Fewer than the table of registered files has by default. */
        rmill_ring_destroy(try_ring(finding));
    }
}

static void
without_descriptors_the_limit_is_named(void **state)
{
    (void)state;
    struct finding finding = in_child(no_descriptor_left);

    assert_false(finding.impossible);
    assert_int_equal(finding.code, -EMFILE);
    assert_non_null(strstr(finding.advice, "ulimit -n"));
}

static void
with_few_descriptors_the_ring_has_no_file_table(void **state)
{
    (void)state;
    struct finding finding = in_child(few_descriptors);

    assert_false(finding.impossible);
    assert_int_equal(finding.code, 0);
    assert_int_equal(finding.completed, 10);
    assert_false(finding.files_registered);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seccomp_filter_is_named),
        cmocka_unit_test(without_memlock_the_limit_is_named),
        cmocka_unit_test(with_little_memlock_a_smaller_ring_works),
        cmocka_unit_test(an_arena_over_the_limit_stays_unregistered),
        cmocka_unit_test(without_descriptors_the_limit_is_named),
        cmocka_unit_test(with_few_descriptors_the_ring_has_no_file_table),
    };

    return cmocka_run_group_tests_name("forbidden", tests, NULL, NULL);
}
