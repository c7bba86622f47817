/* Goal: CPU lists mean what taskset(1) says they mean, and every other text is refused with its
 * place. Method: tables of texts and of what must come out; limits of the set from both sides. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "numa/cpulist.h"

static void
a_list_is_written_in_its_shortest_form(void **state)
{
    static const struct {
        const char *text;
        const char *shortest;
    } cases[] = {
        {"", ""},
        {"0", "0"},
        {"2,", "2"},
        {"0-3,8,10-14:2", "0-3,8-14:2"},
        {" 3 , 1,\n2 ", "1-3"},
        {"5-5", "5"},
        {"0-7:3", "0-6:3"},
        {"1,9", "1,9"},
        {"0-3,2-5", "0-5"},
        {"4095", "4095"},
        {"0-4095", "0-4095"},
        {"0-1:4000000000", NULL},
        {"63,64,65", "63-65"},
    };

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        struct rmill_cpuset set;
        char text[64];

        if (cases[i].shortest == NULL) {
            assert_int_equal(rmill_cpulist_parse(cases[i].text, &set, NULL), -EINVAL);
            continue;
        }
        assert_int_equal(rmill_cpulist_parse(cases[i].text, &set, NULL), 0);
        assert_int_equal(rmill_cpulist_format(&set, text, sizeof(text)), strlen(cases[i].shortest));
        assert_string_equal(text, cases[i].shortest);
    }
}

static void
nonsense_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text;
        const char *place;
    } cases[] = {
        {"x", "character 1 "},    {"0-3,x", "character 5 "},
        {",", "character 1 "},    {"1,,2", "character 3 "},
        {"3-1", "character 1 "},  {"0-", "character 3 "},
        {"0-4:", "character 5 "}, {"0-4:0", "character 5 "},
        {"4096", "too large"},    {"99999999999999999999", "too large"},
        {"-1", "character 1 "},   {"1 2", "comma"},
        {"0:2", "comma"},         {"1;2", "comma"},
        {"0-3:1:1", "comma"},     {"0x3", "comma"},
        {"\xff", "character 1 "},
    };

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        struct rmill_cpuset set = {.words = {42}};
        struct rmill_error error = {0};

        assert_int_equal(rmill_cpulist_parse(cases[i].text, &set, &error), -EINVAL);
        assert_int_equal(error.code, -EINVAL);
        assert_non_null(strstr(error.advice, cases[i].place));
        assert_int_equal(set.words[0], 42); /* Untouched. */
    }
}

static void
a_set_has_what_was_added_and_nothing_else(void **state)
{
    static const uint32_t members[] = {0, 1, 63, 64, 127, 128, 4094, 4095};
    struct rmill_cpuset set = {0};
    uint32_t from = 0;

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(members); i++) {
        assert_true(rmill_cpuset_add(&set, members[i]));
    }
    assert_false(rmill_cpuset_add(&set, RMILL_CPUS_MAX));
    assert_false(rmill_cpuset_has(&set, RMILL_CPUS_MAX));
    assert_false(rmill_cpuset_has(&set, RMILL_CPU_NONE));
    assert_int_equal(rmill_cpuset_count(&set), RMILL_ARRAY_COUNT(members));
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(members); i++) {
        assert_int_equal(rmill_cpuset_next(&set, from), members[i]);
        from = members[i] + 1;
    }
    assert_int_equal(rmill_cpuset_next(&set, from), RMILL_CPU_NONE);
    rmill_cpuset_remove(&set, 63);
    rmill_cpuset_remove(&set, RMILL_CPUS_MAX);
    assert_false(rmill_cpuset_has(&set, 63));
    assert_int_equal(rmill_cpuset_count(&set), RMILL_ARRAY_COUNT(members) - 1);
}

static void
a_text_too_short_for_the_list_is_said_so(void **state)
{
    struct rmill_cpuset set;
    char text[16];

    (void)state;
    assert_int_equal(rmill_cpulist_parse("0-3,8", &set, NULL), 0);
    assert_int_equal(rmill_cpulist_format(&set, text, 5), -ENOSPC);
    assert_int_equal(rmill_cpulist_format(&set, text, 0), -ENOSPC);
    assert_int_equal(rmill_cpulist_format(&set, text, 6), 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_written_in_its_shortest_form),
        cmocka_unit_test(nonsense_is_refused_with_its_place),
        cmocka_unit_test(a_set_has_what_was_added_and_nothing_else),
        cmocka_unit_test(a_text_too_short_for_the_list_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
