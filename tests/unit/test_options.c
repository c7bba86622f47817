/* Goal: every way of writing an option is understood, in order, and every wrong one is answered by
 * a sentence.
 * Method: one command with an option of each kind; lines by table; seeded random words for "never
 * crashes". */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "cli/options.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct rmill_option_spec options[] = {
    {.name = "directory",
     .letter = 'C',
     .type = RMILL_OPTION_STRING,
     .value = "DIR",
     .help = "h",
     .repeats = true},
    {.name = "level",
     .type = RMILL_OPTION_UNSIGNED,
     .value = "N",
     .help = "h",
     .min = 1,
     .max = 19,
     .digits = true},
    {.name = "size",
     .letter = 's',
     .type = RMILL_OPTION_BYTES,
     .value = "BYTES",
     .help = "h",
     .min = 1024},
    {.name = "colour", .type = RMILL_OPTION_CHOICE, .value = "C", .help = "h", .choices = colours},
    {.name = "force", .letter = 'f', .help = "h"},
    {.name = NULL},
};

static const struct rmill_command command = {
    .name = "try",
    .summary = "s",
    .usage = "FILE...",
    .options = options,
    .arguments_max = 3,
};

static const struct rmill_command command_strict = {
    .name = "strict",
    .summary = "s",
    .usage = "FILE FILE\n--other",
    .arguments_min = 2,
    .arguments_max = 2,
};

/* Parse words split at spaces; the caller deinits. */
static int
parse(struct rmill_command_line *line, const struct rmill_command *of, char *text,
      struct rmill_error *error)
{
    static char *words[32];
    int word_count = 0;

    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        words[word_count++] = word;
    }
    return rmill_options_parse(line, of, word_count, words, error);
}

static void
assert_refused(const struct rmill_command *of, const char *text, const char *advice)
{
    struct rmill_command_line line;
    struct rmill_error error = {0};
    char copy[256];

    (void)snprintf(copy, sizeof(copy), "%s", text);
    assert_int_equal(parse(&line, of, copy, &error), -EINVAL);
    assert_string_equal(error.advice, advice);
    rmill_options_deinit(&line);
}

static void
each_way_of_writing_a_value_is_the_same(void **state)
{
    static const char *const ways[] = {
        "--size=64K", "--size 64K", "-s64K",        "-s 64K",
        "-fs64K",     "-fs 65536",  "--size 64KiB", "--size=1G -s 64kB",
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(ways); i++) {
        struct rmill_command_line line;
        char text[64];

        strcpy(text, ways[i]);
        assert_int_equal(parse(&line, &command, text, NULL), 0);
        assert_int_equal(rmill_line_number(&line, "size", 0), 65536);
        assert_int_equal(rmill_line_has(&line, "force"), strchr(ways[i], 'f') != NULL);
        assert_int_equal(line.argument_count, 0);
        rmill_options_deinit(&line);
    }
}

static void
items_keep_the_order_of_the_line(void **state)
{
    char text[] = "-C one a --directory=two b -7 -- -C";
    static const struct {
        const char *option;
        const char *text;
    } expected[] = {
        {"directory", "one"}, {NULL, "a"},    {"directory", "two"},
        {NULL, "b"},          {"level", "7"}, {NULL, "-C"},
    };
    struct rmill_command_line line;

    assert_int_equal(parse(&line, &command, text, NULL), 0);
    assert_int_equal(line.item_count, RMILL_ARRAY_COUNT(expected));
    for (uint32_t i = 0; i < line.item_count; i++) {
        assert_string_equal(line.items[i].text, expected[i].text);
        if (expected[i].option == NULL) {
            assert_null(line.items[i].option);
        } else {
            assert_string_equal(line.items[i].option->name, expected[i].option);
        }
    }
    assert_int_equal(line.argument_count, 3);
    assert_string_equal(line.arguments[2], "-C");
    assert_string_equal(rmill_line_string(&line, "directory", "none"), "two");
    assert_int_equal(rmill_line_number(&line, "level", 3), 7);
    rmill_options_deinit(&line);
}

static void
what_is_not_given_falls_back(void **state)
{
    char text[] = "- --colour green -q";
    struct rmill_command_line line;

    assert_int_equal(parse(&line, &command, text, NULL), 0);
    assert_string_equal(line.arguments[0], "-"); /* A lone dash is an argument. */
    assert_int_equal(rmill_line_number(&line, "level", 3), 3);
    assert_string_equal(rmill_line_string(&line, "cores", "all"), "all");
    assert_int_equal(rmill_line_number(&line, "colour", 0), 1);
    assert_string_equal(rmill_line_string(&line, "colour", "red"), "green");
    assert_true(rmill_line_has(&line, "quiet"));
    assert_false(rmill_line_has(&line, "verbose"));
    rmill_options_deinit(&line);
}

static void
a_value_may_look_like_an_option_or_be_empty(void **state)
{
    char text[] = "-C --force --cores=";
    struct rmill_command_line line;

    assert_int_equal(parse(&line, &command, text, NULL), 0);
    assert_string_equal(rmill_line_string(&line, "directory", ""), "--force");
    assert_string_equal(rmill_line_string(&line, "cores", "all"), "");
    assert_false(rmill_line_has(&line, "force"));
    rmill_options_deinit(&line);
}

static void
wrong_lines_are_answered_by_a_sentence(void **state)
{
    assert_refused(&command, "--szie 3", "unknown option --szie; did you mean --size?");
    assert_refused(&command, "--dir x", "unknown option --dir; did you mean --directory?");
    assert_refused(&command, "--jsn", "unknown option --jsn; did you mean --json?");
    assert_refused(&command, "--zzzzzzz=3", "unknown option --zzzzzzz; see ringmill help try");
    assert_refused(&command, "-x", "unknown option -x; see ringmill help try");
    assert_refused(&command, "-7x", "unknown option -7; see ringmill help try");
    assert_refused(&command, "--force=1", "--force takes no value");
    assert_refused(&command, "-C", "--directory needs a value (DIR)");
    assert_refused(&command, "-20", "--level: 20 is out of range 1 to 19");
    assert_refused(&command, "--level=0", "--level: 0 is out of range 1 to 19");
    assert_refused(&command, "--level=3K", "--level: '3K' is not a number");
    assert_refused(&command, "--level=+3", "--level: '+3' is not a number");
    assert_refused(&command, "--level=", "--level: '' is not a number");
    assert_refused(&command, "--level=99999999999999999999",
                   "--level: 99999999999999999999 is out of range 1 to 19");
    assert_refused(&command, "--size=1023", "--size: 1023 is out of range, at least 1024");
    assert_refused(&command, "--size=2X", "--size: '2X' is not a number of bytes (64K, 2M, 1G)");
    assert_refused(&command, "--colour blue", "--colour: 'blue' is not one of red, green");
    assert_refused(&command, "a b c d", "unexpected argument 'd'; see ringmill help try");
    assert_refused(&command_strict, "one", "too few arguments; usage: ringmill strict FILE FILE");
    assert_refused(&command_strict, "-1", "unknown option -1; see ringmill help strict");
}

static void
help_and_version_win_over_what_is_wrong_after_them(void **state)
{
    static const char *const lines[] = {"--help --nonsense", "-h", "--version", "-qh -x"};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(lines); i++) {
        struct rmill_command_line line;
        char text[64];

        strcpy(text, lines[i]);
        assert_int_equal(parse(&line, &command_strict, text, NULL), 0);
        assert_true(rmill_line_has(&line, "help") || rmill_line_has(&line, "version"));
        rmill_options_deinit(&line);
    }
}

static void
numbers_have_exact_limits(void **state)
{
    uint64_t value = 1;

    assert_int_equal(rmill_options_number("18446744073709551615", false, &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(rmill_options_number("18446744073709551616", false, &value), -ERANGE);
    assert_int_equal(rmill_options_number("16777215T", true, &value), 0);
    assert_true(value == 16777215ull << 40);
    assert_int_equal(rmill_options_number("16777216T", true, &value), -ERANGE);
    assert_int_equal(rmill_options_number("0x10", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("K", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("1KK", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("1BiB", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("1iB", true, &value), -EINVAL);
    assert_int_equal(rmill_options_number("-1", true, &value), -EINVAL);
    assert_true(value == 16777215ull << 40); /* Untouched by the failures. */
    assert_int_equal(rmill_options_number("512B", true, &value), 0);
    assert_int_equal(value, 512);
}

static void
random_words_never_break_the_parser(void **state)
{
    static const char *const pieces[] = {"-",     "--",   "=",  "C",     "s",  "level",
                                         "size",  "7",    "\n", "K",     "\\", "\xff",
                                         "force", "help", "q",  "colour"};
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint64_t rounds = scale_get(5000), refused_count = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        char storage[8][32], *words[8];
        int word_count = (int)rmill_prng_below(&prng, 8);
        struct rmill_command_line line;
        struct rmill_error error = {0};
        int code;

        for (int i = 0; i < word_count; i++) {
            words[i] = storage[i];
            storage[i][0] = '\0';
            for (uint64_t n = rmill_prng_below(&prng, 4); n > 0; n--) {
                strcat(storage[i], pieces[rmill_prng_below(&prng, RMILL_ARRAY_COUNT(pieces))]);
            }
        }
        code = rmill_options_parse(&line, &command, word_count, words, &error);
        assert_true(code == 0 || code == -EINVAL);
        assert_int_equal(code, error.code);
        assert_null(strchr(error.advice, '\n'));
        refused_count += code != 0;
        rmill_options_deinit(&line);
    }
    assert_true(refused_count > 0 && refused_count < rounds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_of_writing_a_value_is_the_same),
        cmocka_unit_test(items_keep_the_order_of_the_line),
        cmocka_unit_test(what_is_not_given_falls_back),
        cmocka_unit_test(a_value_may_look_like_an_option_or_be_empty),
        cmocka_unit_test(wrong_lines_are_answered_by_a_sentence),
        cmocka_unit_test(help_and_version_win_over_what_is_wrong_after_them),
        cmocka_unit_test(numbers_have_exact_limits),
        cmocka_unit_test(random_words_never_break_the_parser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
