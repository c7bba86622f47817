/* Goal: an engine that cannot start says why in one sentence, and everything it had begun is given
 * back. Method: each shortage is made for real in a child process: a seccomp filter, limits of
 * descriptors, processes and address space. The child answers what it was told and how many threads
 * and descriptors it has left, before and after. */
#include "tests/common.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/ringmill.h"
#include "tests/fault/forbid.h"

#define NOBODY     65534
#define CORES_TEXT "4"

/* What a child found. */
struct finding {
    int code;
    int threads_left, descriptors_left; /* More than before. */
    bool impossible; /* The situation could not be made here; the advice says why. */
    char advice[RMILL_ERROR_ADVICE_BYTES];
};

static int
entries_of(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;

    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

/* A thread that was joined may be listed for a moment longer: the join is told before it is
 * reaped. */
static int
threads_beyond(int before)
{
    int left = entries_of("/proc/self/task") - before;

    for (int tries = 0; left > 0 && tries < 200; tries++) {
        (void)usleep(10 * 1000);
        left = entries_of("/proc/self/task") - before;
    }
    return left;
}

static int
main_fiber(void *argument)
{
    (void)argument;
    return 1;
}

/* Create, start and destroy an engine; the limits are made by `starve` between create and start. */
static void
try_engine(struct finding *finding, bool (*starve)(struct finding *finding, rlim_t limit),
           rlim_t limit)
{
    struct rmill_engine *engine = NULL;
    struct rmill_error error = {0};
    int threads = entries_of("/proc/self/task"), descriptors = entries_of("/proc/self/fd");

    finding->code =
        rmill_engine_create(&(struct rmill_options){.cores = CORES_TEXT}, &engine, &error);
    if (finding->code == 0 && starve(finding, limit)) {
        finding->code = rmill_engine_start(engine, main_fiber, NULL, &error);
        if (finding->code == 0) { /* Not starved enough: a whole life then. */
            (void)rmill_engine_wait(engine, 20 * RMILL_NS_PER_S, NULL);
        }
    }
    rmill_engine_destroy(engine);
    if (!finding->impossible) {
        memcpy(finding->advice, error.advice, sizeof(error.advice));
        /* Counting needs a descriptor itself. */
        const struct rlimit many = {1024, 1024};
        struct rlimit threads_limit;

        (void)setrlimit(RLIMIT_NOFILE, &many);
        /* LeakSanitizer wants a thread that may look at this one, whoever it has become. */
        if (getrlimit(RLIMIT_NPROC, &threads_limit) == 0) {
            threads_limit.rlim_cur = threads_limit.rlim_max;
            (void)setrlimit(RLIMIT_NPROC, &threads_limit);
        }
        (void)prctl(PR_SET_DUMPABLE, 1);
        finding->threads_left = threads_beyond(threads);
        finding->descriptors_left = entries_of("/proc/self/fd") - descriptors;
    }
}

static void *
nothing(void *argument)
{
    return argument;
}

/* Run one situation in a child and answer what it found; a child that hangs is killed. */
static struct finding
in_child(bool (*starve)(struct finding *finding, rlim_t limit), rlim_t limit)
{
    struct finding finding = {0};
    int ends[2], status = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(60);
        (void)signal(SIGALRM, SIG_DFL);
        pthread_t thread; /* With the first thread a sanitizer starts one of its own. */

        if (pthread_create(&thread, NULL, nothing, NULL) == 0) {
            (void)pthread_join(thread, NULL);
        }
        try_engine(&finding, starve, limit);
        /* exit, not _exit: LeakSanitizer looks on the way out. */
        exit(write(ends[1], &finding, sizeof(finding)) == sizeof(finding) ? 0 : 1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &finding, sizeof(finding)), sizeof(finding));
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return finding;
}

static void
check_given_back(const struct finding *finding)
{
    assert_int_equal(finding->threads_left, 0);
    assert_int_equal(finding->descriptors_left, 0);
    if (finding->code < 0) {
        assert_true(strlen(finding->advice) > 20);
        assert_null(strchr(finding->advice, '\n'));
    }
}

static bool
set_limit(struct finding *finding, int which, rlim_t value)
{
    struct rlimit limit;

    /* Only the soft limit: it is raised again to count what is left. */
    if (getrlimit(which, &limit) == 0) {
        limit.rlim_cur = value;
        if (setrlimit(which, &limit) == 0) {
            return true;
        }
    }
    finding->impossible = true;
    (void)snprintf(finding->advice, sizeof(finding->advice), "no such limit here: %s",
                   strerror(errno));
    return false;
}

/* --- io_uring forbidden ----------------------------------------------------------------------- */

static bool
forbid(struct finding *finding, rlim_t code)
{
    int result = forbid_uring((int)code);

    finding->impossible = result < 0;
    if (result < 0) {
        (void)snprintf(finding->advice, sizeof(finding->advice), "no seccomp filter here");
    }
    return result == 0;
}

static void
forbidden_io_uring_is_said_in_one_sentence(void **state)
{
    const int codes[] = {EPERM, ENOSYS};

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(codes); i++) {
        struct finding finding = in_child(forbid, (rlim_t)codes[i]);

        if (finding.impossible) {
            SKIP_BECAUSE(finding.advice);
        }
        assert_int_equal(finding.code, -codes[i]);
        assert_non_null(strstr(finding.advice, "io_uring"));
        assert_non_null(strstr(finding.advice, "seccomp"));
        check_given_back(&finding);
    }
}

/* --- descriptors: from none to enough --------------------------------------------------------- */

static bool
limit_files(struct finding *finding, rlim_t count)
{
    return set_limit(finding, RLIMIT_NOFILE, count);
}

/* With each more descriptor another core gets its ring: first none, then some (a later core fails),
 * at last all. */
static void
every_shortage_of_descriptors_is_survived(void **state)
{
    int failed = 0, worked = 0;

    (void)state;
    for (rlim_t count = 3; count < 40 && worked < 2; count++) {
        struct finding finding = in_child(limit_files, count);

        assert_false(finding.impossible);
        check_given_back(&finding);
        if (finding.code == 0) {
            worked++;
            continue;
        }
        failed++;
        assert_int_equal(worked, 0); /* More never is too few. */
        assert_true(finding.code == -EMFILE || finding.code == -ENFILE);
        assert_non_null(strstr(finding.advice, "ulimit -n"));
    }
    assert_true(failed >= 4); /* At least one for every core's ring. */
    assert_int_equal(worked, 2);
}

/* --- threads ---------------------------------------------------------------------------------- */

static bool
limit_threads(struct finding *finding, rlim_t more)
{
    /* Root is not counted. A user nobody else is, so that only this process's threads count. */
    uid_t user = (uid_t)(NOBODY - 1000 - getpid() % 10000);

    if (getuid() != 0 || setgid(NOBODY) != 0 || setuid(user) != 0) {
        finding->impossible = true;
        (void)snprintf(finding->advice, sizeof(finding->advice),
                       "not root: cannot become a user of its own");
        return false;
    }
    return set_limit(finding, RLIMIT_NPROC, 1 + more);
}

static void
each_thread_that_cannot_be_started_is_survived(void **state)
{
    (void)state;
    for (rlim_t more = 0; more < 4; more++) { /* With 3 only the last core's thread fails. */
        struct finding finding = in_child(limit_threads, more);

        if (finding.impossible) {
            SKIP_BECAUSE(finding.advice);
        }
        if (finding.code == 0) {
            SKIP_BECAUSE("this kernel does not count this user's threads");
        }
        check_given_back(&finding);
        /* A core that came up may fail first, for lack of memlock; then that is what is said. */
        if (finding.code != -ENOMEM) {
            assert_int_equal(finding.code, -EAGAIN);
            assert_non_null(strstr(finding.advice, "ulimit -u"));
        }
    }
}

/* --- address space ---------------------------------------------------------------------------- */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static uint64_t
address_space_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    (void)fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool
limit_memory(struct finding *finding, rlim_t more)
{
    return set_limit(finding, RLIMIT_AS, (rlim_t)address_space_bytes() + more);
}

/* From nothing more than there is to as much as four cores want, in steps smaller than what a core
 * takes: every place where memory is asked for is the one that fails, in some step. */
static void
every_shortage_of_memory_is_survived(void **state)
{
    int failed = 0, worked = 0;

    (void)state;
    for (rlim_t more = 0; more < RMILL_GIB(2) && worked < 2;
         more += more < RMILL_MIB(64) ? RMILL_MIB(3) : RMILL_MIB(24)) {
        struct finding finding = in_child(limit_memory, more);

        assert_false(finding.impossible);
        check_given_back(&finding);
        if (finding.code == 0) {
            worked++;
        } else {
            failed++;
            assert_true(finding.code == -ENOMEM || finding.code == -EAGAIN);
        }
    }
    assert_true(failed >= 10);
    assert_int_equal(worked, 2);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forbidden_io_uring_is_said_in_one_sentence),
        cmocka_unit_test(every_shortage_of_descriptors_is_survived),
        cmocka_unit_test(each_thread_that_cannot_be_started_is_survived),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(every_shortage_of_memory_is_survived),
#endif
    };

    return cmocka_run_group_tests_name("engine start", tests, NULL, NULL);
}
