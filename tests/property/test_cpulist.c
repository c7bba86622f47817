/* Goal: format and parse are each other's inverse, and parse survives any text.
 * Method: seeded sets of every density are written and read back; seeded texts from the alphabet of
 * lists are read, and what is accepted must survive the same way. */
#include "tests/common.h"

#include <string.h>

#include "base/prng.h"
#include "numa/cpulist.h"
#include "numa/files.h"

static void
round_trip(const struct rmill_cpuset *set)
{
    static char text[RMILL_FILES_LIST_BYTES];
    struct rmill_cpuset again;
    int length = rmill_cpulist_format(set, text, sizeof(text));

    assert_true(length >= 0);
    assert_int_equal(strlen(text), length);
    assert_int_equal(rmill_cpulist_parse(text, &again, NULL), 0);
    assert_true(rmill_cpuset_equal(set, &again));
}

static void
any_set_survives_a_round_trip(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());

    (void)state;
    for (uint64_t round = 0; round < scale_get(300); round++) {
        struct rmill_cpuset set = {0};
        uint64_t density = rmill_prng_below(&prng, 65);
        uint32_t limit = 1 + (uint32_t)rmill_prng_below(&prng, RMILL_CPUS_MAX);
        uint32_t count = 0;

        for (uint32_t cpu = 0; cpu < limit; cpu++) {
            if (rmill_prng_chance(&prng, density, 64)) {
                count += rmill_cpuset_add(&set, cpu);
            }
        }
        assert_int_equal(rmill_cpuset_count(&set), count);
        round_trip(&set);
    }
}

static void
any_text_is_read_or_refused(void **state)
{
    static const char alphabet[] = "0123456789--,,,:: x";
    struct rmill_prng prng = rmill_prng_seeded(seed_get() ^ 1);
    uint64_t accepted = 0;

    (void)state;
    for (uint64_t round = 0; round < scale_get(20000); round++) {
        struct rmill_cpuset set;
        char text[24];
        size_t length = rmill_prng_below(&prng, 12);

        for (size_t i = 0; i < length; i++) {
            text[i] = alphabet[rmill_prng_below(&prng, sizeof(alphabet) - 1)];
        }
        text[length] = '\0';
        if (rmill_cpulist_parse(text, &set, NULL) == 0) {
            accepted++;
            round_trip(&set);
        }
    }
    assert_true(accepted > 100); /* The alphabet makes enough real lists. */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_set_survives_a_round_trip),
        cmocka_unit_test(any_text_is_read_or_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
