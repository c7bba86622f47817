/* tests/common.h — what every test program shares: a printed, replayable seed, and skips counted by
 * name. */
#ifndef RMILL_TESTS_COMMON_H
#define RMILL_TESTS_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The seed of this run: RMILL_SEED when set, else from the clock. Printed on its first use. */
uint64_t seed_get(void);

/* How often a property test repeats: `usual`, times RMILL_TEST_SCALE (1 when unset; test-full sets
 * more). */
uint64_t scale_get(uint64_t usual);

/* Skip the running test, saying which and why: one line "SKIP name: reason" that the runner
 * counts. */
#define SKIP_BECAUSE(reason)                        \
    do {                                            \
        print_message("SKIP %s: %s\n", __func__, reason); \
        skip();                                     \
    } while (0)

/* A fresh directory below TMPDIR or /tmp; remove it with directory_remove. Path of at most 255
 * bytes. */
void directory_create(char path[256]);
void directory_remove(const char *path);

#endif
