/* Goal: names sort as a walk meets them, unsafe ones are refused, printed ones cannot drive a
 * terminal. Method: tables, and all pairs of an ordered list compared both ways. */
#include "tests/common.h"

#include <errno.h>
#include <string.h>

#include "workloads/files/pathname.h"

static int
sign(int value)
{
    return (value > 0) - (value < 0);
}

static void
names_sort_in_walk_order(void **state)
{
    static const char *const ordered[] = {".",     "-",    "a",   "a/-", "a/b",  "a/b/c",
                                          "a/b-c", "a/bc", "a b", "a-",  "a.b",  "a.b/c",
                                          "ab",    "ab/c", "b",   "b/a", "\x7f", "\xc3\xa4"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(ordered); i++) {
        for (size_t k = 0; k < RMILL_ARRAY_COUNT(ordered); k++) {
            int order = rmill_pathname_compare(ordered[i], strlen(ordered[i]), ordered[k],
                                               strlen(ordered[k]));

            if (sign(order) != (i > k) - (i < k)) {
                fail_msg("%s and %s: %d", ordered[i], ordered[k], order);
            }
        }
    }
}

static void
grouped_order_goes_by_extension_then_name_then_path(void **state)
{
    static const char *const ordered[] = {".profile", "b/Makefile", "a/Makefile2", "end.",
                                          "b/x.c",    "a/y.c",      "b/y.c",       "x.h",
                                          ".a.txt",   "a.tar.txt"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(ordered); i++) {
        for (size_t k = 0; k < RMILL_ARRAY_COUNT(ordered); k++) {
            int order = rmill_pathname_compare_grouped(ordered[i], strlen(ordered[i]), ordered[k],
                                                       strlen(ordered[k]));

            if (sign(order) != (i > k) - (i < k)) {
                fail_msg("%s and %s: %d", ordered[i], ordered[k], order);
            }
        }
    }
}

static struct rmill_entry
entry_of(uint8_t type, const char *path)
{
    return (struct rmill_entry){.type = type, .path = path, .path_bytes = (uint32_t)strlen(path)};
}

static void
directories_come_first_and_hard_links_last(void **state)
{
    struct rmill_entry directory = entry_of(RMILL_ENTRY_DIRECTORY, "z.z");
    struct rmill_entry file = entry_of(RMILL_ENTRY_FILE, "m.m");
    struct rmill_entry link = entry_of(RMILL_ENTRY_HARDLINK, "a");

    assert_true(rmill_pathname_order_compare(&directory, &file, RMILL_PATHNAME_GROUPED) < 0);
    assert_true(rmill_pathname_order_compare(&file, &link, RMILL_PATHNAME_GROUPED) < 0);
    assert_true(rmill_pathname_order_compare(&link, &directory, RMILL_PATHNAME_GROUPED) > 0);
    assert_true(rmill_pathname_order_compare(&link, &file, RMILL_PATHNAME_WALK) < 0);
}

static void
unsafe_names_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *name;
        size_t bytes;
        const char *reason; /* NULL: accepted. */
    } rows[] = {
        {"a", 1, NULL},
        {".", 1, NULL},
        {"a/b", 3, NULL},
        {"...", 3, NULL},
        {".a/..b", 6, NULL},
        {"\xff\n", 2, NULL},
        {"", 0, "empty"},
        {"/a", 2, "absolute"},
        {"a/", 2, "empty component"},
        {"a//b", 4, "empty component"},
        {"..", 2, "\"..\""},
        {"a/..", 4, "\"..\""},
        {"../a", 4, "\"..\""},
        {"./a", 3, "\".\""},
        {"a/.", 3, "\".\""},
        {"a\0b", 3, "NUL"},
    };
    static char longest[RMILL_ENTRY_PATH_BYTES_MAX + 1];
    struct rmill_error error;

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rows); i++) {
        int code = rmill_pathname_check(rows[i].name, rows[i].bytes, &error);

        assert_int_equal(code, rows[i].reason == NULL ? 0 : -EINVAL);
        assert_true(code == 0 || strstr(error.advice, rows[i].reason) != NULL);
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(rmill_pathname_check(longest, sizeof(longest) - 1, &error), 0);
    assert_int_equal(rmill_pathname_check(longest, sizeof(longest), &error), -EINVAL);
}

static void
utf8_is_told_from_other_bytes(void **state)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc3", "\xe0\x80\x80",
                                      "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\xe2\x82"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(good); i++) {
        assert_true(rmill_pathname_is_utf8(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(bad); i++) {
        assert_false(rmill_pathname_is_utf8(bad[i], strlen(bad[i])));
    }
}

static void
printed_names_are_escaped_and_cut_to_fit(void **state)
{
    char out[64];

    assert_string_equal(rmill_pathname_escape(out, sizeof(out), "a\n\x1b\\\xff\xc3\xa4", 7),
                        "a\\012\\033\\134\\377\xc3\xa4");
    assert_string_equal(rmill_pathname_escape(out, sizeof(out), "\xc2\x9b", 2), "\\302\\233");
    assert_string_equal(rmill_pathname_escape(out, 6, "abcde", 5), "abcde");
    assert_string_equal(rmill_pathname_escape(out, 6, "abcdef", 6), "ab...");
    assert_string_equal(rmill_pathname_escape(out, 3, "abcdef", 6), "..");
    assert_string_equal(rmill_pathname_escape(out, 1, "abcdef", 6), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_sort_in_walk_order),
        cmocka_unit_test(grouped_order_goes_by_extension_then_name_then_path),
        cmocka_unit_test(directories_come_first_and_hard_links_last),
        cmocka_unit_test(unsafe_names_are_refused_with_the_reason),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(printed_names_are_escaped_and_cut_to_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
