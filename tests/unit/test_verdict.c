/* Goal: every errno of every operation is decided by name, and the decisions that protect data
 * stay as they are. Method: a table of cases by name; then the whole plane of opcodes and errnos
 * is walked for what must hold everywhere. */
#include "tests/common.h"

#include <errno.h>

#include "base/error.h"
#include "base/macros.h"
#include "uring/verdict.h"

#define ERRNO_MAX 133

static void
the_important_cases_are_decided(void **state)
{
    (void)state;
    const struct {
        enum rmill_opcode opcode;
        int code;
        enum rmill_verdict verdict;
    } cases[] = {
        {RMILL_OP_READ, EINTR, RMILL_VERDICT_RETRY},
        {RMILL_OP_READ, EAGAIN, RMILL_VERDICT_RETRY},
        {RMILL_OP_READ, EIO, RMILL_VERDICT_ANSWER},
        {RMILL_OP_READ, EINVAL, RMILL_VERDICT_ANSWER},
        {RMILL_OP_READ, EISDIR, RMILL_VERDICT_ANSWER},
        {RMILL_OP_READ, ENOMEM, RMILL_VERDICT_SCARCE},
        {RMILL_OP_READ, EBADF, RMILL_VERDICT_BUG},
        {RMILL_OP_READ, EFAULT, RMILL_VERDICT_BUG},
        {RMILL_OP_READV, EINTR, RMILL_VERDICT_RETRY},
        {RMILL_OP_WRITE, ENOSPC, RMILL_VERDICT_ANSWER},
        {RMILL_OP_WRITE, EDQUOT, RMILL_VERDICT_ANSWER},
        {RMILL_OP_WRITE, EFBIG, RMILL_VERDICT_ANSWER},
        {RMILL_OP_WRITE, EPIPE, RMILL_VERDICT_ANSWER},
        {RMILL_OP_WRITE, EINTR, RMILL_VERDICT_RETRY},
        {RMILL_OP_WRITEV, EAGAIN, RMILL_VERDICT_RETRY},
        {RMILL_OP_FSYNC, EIO,
         RMILL_VERDICT_ANSWER}, /* Never again: the kernel has dropped the pages. */
        {RMILL_OP_FSYNC, ENOSPC, RMILL_VERDICT_ANSWER},
        {RMILL_OP_FSYNC, EINTR, RMILL_VERDICT_RETRY},
        {RMILL_OP_OPEN, ENOENT, RMILL_VERDICT_ANSWER},
        {RMILL_OP_OPEN, EMFILE, RMILL_VERDICT_SCARCE},
        {RMILL_OP_OPEN, ENFILE, RMILL_VERDICT_SCARCE},
        {RMILL_OP_OPEN, EAGAIN, RMILL_VERDICT_RETRY},
        {RMILL_OP_OPEN, EACCES, RMILL_VERDICT_ANSWER},
        {RMILL_OP_OPEN, EXDEV, RMILL_VERDICT_ANSWER},
        {RMILL_OP_CLOSE, EINTR, RMILL_VERDICT_ANSWER}, /* It is closed. */
        {RMILL_OP_CLOSE, EBADF, RMILL_VERDICT_BUG},
        {RMILL_OP_CLOSE, EIO, RMILL_VERDICT_ANSWER},
        {RMILL_OP_STATX, ENOENT, RMILL_VERDICT_ANSWER},
        {RMILL_OP_STATX, EINVAL, RMILL_VERDICT_BUG},
        {RMILL_OP_FALLOCATE, EOPNOTSUPP, RMILL_VERDICT_ANSWER},
        {RMILL_OP_FALLOCATE, ENOSPC, RMILL_VERDICT_ANSWER},
        {RMILL_OP_FTRUNCATE, EOPNOTSUPP, RMILL_VERDICT_ANSWER},
        {RMILL_OP_RENAME, EXDEV, RMILL_VERDICT_ANSWER},
        {RMILL_OP_RENAME, EINTR, RMILL_VERDICT_ANSWER}, /* It may have happened. */
        {RMILL_OP_UNLINK, ENOTEMPTY, RMILL_VERDICT_ANSWER},
        {RMILL_OP_MKDIR, EEXIST, RMILL_VERDICT_ANSWER},
        {RMILL_OP_LINK, EMLINK, RMILL_VERDICT_ANSWER},
        {RMILL_OP_SYMLINK, ENAMETOOLONG, RMILL_VERDICT_ANSWER},
        {RMILL_OP_POLL, ECANCELED, RMILL_VERDICT_ANSWER},
        {RMILL_OP_TIMEOUT, ETIME, RMILL_VERDICT_ANSWER},
        {RMILL_OP_TIMEOUT, EINVAL, RMILL_VERDICT_BUG},
        {RMILL_OP_CANCEL, ENOENT, RMILL_VERDICT_ANSWER},
        {RMILL_OP_CANCEL, EALREADY, RMILL_VERDICT_ANSWER},
        {RMILL_OP_NOP, EFAULT, RMILL_VERDICT_BUG},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        enum rmill_verdict verdict = rmill_verdict_of(cases[i].opcode, -cases[i].code);

        if (verdict != cases[i].verdict || !rmill_verdict_listed(cases[i].opcode, -cases[i].code)) {
            print_message("%s of %s\n", rmill_errno_name(cases[i].code),
                          rmill_opcode_name(cases[i].opcode));
        }
        assert_int_equal(verdict, cases[i].verdict);
        assert_true(rmill_verdict_listed(cases[i].opcode, -cases[i].code));
    }
}

static void
success_is_done_for_every_opcode(void **state)
{
    (void)state;
    for (int opcode = 0; opcode < RMILL_OP_COUNT; opcode++) {
        assert_int_equal(rmill_verdict_of((enum rmill_opcode)opcode, 0), RMILL_VERDICT_DONE);
        assert_int_equal(rmill_verdict_of((enum rmill_opcode)opcode, INT32_MAX),
                         RMILL_VERDICT_DONE);
        assert_false(rmill_verdict_listed((enum rmill_opcode)opcode, 0));
    }
}

static void
every_opcode_names_what_any_operation_can_meet(void **state)
{
    (void)state;
    const int common[] = {EINTR, EAGAIN, ENOMEM, EINVAL, ECANCELED, EOPNOTSUPP};

    for (int opcode = 0; opcode < RMILL_OP_COUNT; opcode++) {
        for (size_t i = 0; i < RMILL_ARRAY_COUNT(common); i++) {
            assert_true(rmill_verdict_listed((enum rmill_opcode)opcode, -common[i]));
        }
        assert_string_not_equal(rmill_opcode_name((enum rmill_opcode)opcode), "?");
    }
    assert_string_equal(rmill_opcode_name((enum rmill_opcode)RMILL_OP_COUNT), "?");
}

/* A wrong RETRY loops or does something twice; a wrong BUG kills the program for the world's
 * fault. */
static void
only_few_errnos_are_retried_or_panicked_about(void **state)
{
    (void)state;
    for (int opcode = 0; opcode < RMILL_OP_COUNT; opcode++) {
        for (int code = 1; code <= ERRNO_MAX; code++) {
            enum rmill_verdict verdict = rmill_verdict_of((enum rmill_opcode)opcode, -code);

            assert_int_not_equal(verdict, RMILL_VERDICT_DONE);
            if (verdict == RMILL_VERDICT_RETRY) {
                assert_true(code == EINTR || code == EAGAIN);
            }
            if (verdict == RMILL_VERDICT_BUG) {
                assert_true(code == EBADF || code == EFAULT || code == EINVAL);
            }
            if (!rmill_verdict_listed((enum rmill_opcode)opcode, -code)) {
                assert_int_equal(verdict, RMILL_VERDICT_ANSWER);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_important_cases_are_decided),
        cmocka_unit_test(success_is_done_for_every_opcode),
        cmocka_unit_test(every_opcode_names_what_any_operation_can_meet),
        cmocka_unit_test(only_few_errnos_are_retried_or_panicked_about),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
