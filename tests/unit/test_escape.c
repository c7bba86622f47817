/* Goal: any bytes become one safe line that names exactly those bytes, and nothing is written
 * beyond the buffer.
 * Method: cases by table; seeded random bytes for the inverse and for truncation at every size. */
#include "tests/common.h"

#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "base/prng.h"
#include "cli/escape.h"
#include "cli/units.h"

static void
assert_escaped(const char *from, size_t from_bytes, const char *expected)
{
    char text[256];

    assert_int_equal(rmill_escape(text, sizeof(text), from, from_bytes), strlen(expected));
    assert_string_equal(text, expected);
}

static void
printable_text_stays(void **state)
{
    assert_escaped("plain name.txt", 14, "plain name.txt");
    assert_escaped("", 0, "");
    assert_escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xb5", 15,
                   "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\xb5");
}

static void
control_characters_become_hexadecimal(void **state)
{
    assert_escaped("a\nb\tc\x1b[0m", 9, "a\\x0ab\\x09c\\x1b[0m");
    assert_escaped("\x7f", 1, "\\x7f");
    assert_escaped("\0", 1, "\\x00");
    assert_escaped("\xc2\x9b", 2, "\\xc2\\x9b"); /* C1: a one-character CSI. */
    assert_escaped("\xe2\x80\xae"
                   "gpj",
                   6, "\\xe2\\x80\\xaegpj");              /* Right-to-left override. */
    assert_escaped("\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8"); /* Line separator. */
    assert_escaped("back\\slash", 10, "back\\\\slash");
}

static void
invalid_utf8_becomes_hexadecimal_byte_by_byte(void **state)
{
    assert_escaped("\xff", 1, "\\xff");
    assert_escaped("\xc3", 1, "\\xc3");                            /* Cut short. */
    assert_escaped("\xc3(", 2, "\\xc3(");                          /* No continuation. */
    assert_escaped("\xc0\x80", 2, "\\xc0\\x80");                   /* Overlong NUL. */
    assert_escaped("\xe0\x80\x80", 3, "\\xe0\\x80\\x80");          /* Overlong. */
    assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* Surrogate. */
    assert_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* Above U+10FFFF. */
    assert_true(rmill_utf8_valid("\xf4\x8f\xbf\xbf", 4));
    assert_false(rmill_utf8_valid("ok\x80", 3));
}

static uint8_t
hex_value(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static size_t
unescape(uint8_t *to, const char *text)
{
    size_t bytes = 0;

    while (*text != '\0') {
        if (text[0] == '\\' && text[1] == 'x') {
            to[bytes++] = (uint8_t)(hex_value(text[2]) << 4 | hex_value(text[3]));
            text += 4;
        } else {
            text += text[0] == '\\';
            to[bytes++] = (uint8_t)*text++;
        }
    }
    return bytes;
}

static void
escaping_can_be_undone(void **state)
{
    static const char tricky[] = "\\x\xc3\xbc\xe2\x80\xae\xff\n9f";
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint64_t rounds = scale_get(2000), escaped_count = 0;

    for (uint64_t round = 0; round < rounds; round++) {
        char name[64], *text;
        uint8_t back[64];
        size_t bytes = rmill_prng_below(&prng, sizeof(name) + 1);

        for (size_t i = 0; i < bytes; i++) {
            name[i] = rmill_prng_chance(&prng, 1, 2)
                          ? (char)rmill_prng_below(&prng, 256)
                          : tricky[rmill_prng_below(&prng, sizeof(tricky))];
        }
        text = rmill_escape_copy(name, bytes);
        assert_non_null(text);
        for (const char *at = text; *at != '\0'; at++) {
            assert_true((uint8_t)*at >= 0x20 && *at != 0x7f);
        }
        assert_true(rmill_utf8_valid(text, strlen(text)));
        assert_int_equal(unescape(back, text), bytes);
        assert_memory_equal(back, name, bytes);
        escaped_count += strlen(text) != bytes;
        free(text);
    }
    assert_true(escaped_count > rounds / 2);
}

static void
a_small_buffer_cuts_at_a_whole_character(void **state)
{
    static const char name[] = "a\nb\xc3\xbc\\\xff";
    static const char whole[] = "a\\x0ab\xc3\xbc\\\\\\xff";
    char text[32];

    for (size_t room = 1; room <= sizeof(whole); room++) {
        size_t written;

        memset(text, '#', sizeof(text));
        assert_int_equal(rmill_escape(text, room, name, sizeof(name) - 1), strlen(whole));
        written = strlen(text);
        assert_true(written < room);
        assert_memory_equal(text, whole, written);
        assert_true(rmill_utf8_valid(text, written));
        assert_int_equal(text[room], '#');
    }
    assert_string_equal(text, whole);
}

static void
amounts_read_as_people_write_them(void **state)
{
    char text[32];

    assert_string_equal(rmill_units_bytes(text, 0), "0 B");
    assert_string_equal(rmill_units_bytes(text, 999), "999 B");
    assert_string_equal(rmill_units_bytes(text, 1000), "1.00 kB");
    assert_string_equal(rmill_units_bytes(text, 999999), "1.00 MB");
    assert_string_equal(rmill_units_bytes(text, 12.34e9), "12.3 GB");
    assert_string_equal(rmill_units_bytes(text, 1.8446744073709552e19), "18.4 EB");
    assert_string_equal(rmill_units_bytes(text, -5), "0 B");
    assert_string_equal(rmill_units_duration(text, 17e-6), "17 us");
    assert_string_equal(rmill_units_duration(text, 0.99951), "1.00 s");
    assert_string_equal(rmill_units_duration(text, 0.0123), "12.3 ms");
    assert_string_equal(rmill_units_duration(text, 59.96), "1 min 0 s");
    assert_string_equal(rmill_units_duration(text, 3840), "1 h 4 min");
    assert_string_equal(rmill_units_duration(text, 1e300), "277777777777 h 46 min");
    assert_string_equal(rmill_units_count(text, 999), "999");
    assert_string_equal(rmill_units_count(text, UINT64_MAX), "18,446,744,073,709,551,615");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printable_text_stays),
        cmocka_unit_test(control_characters_become_hexadecimal),
        cmocka_unit_test(invalid_utf8_becomes_hexadecimal_byte_by_byte),
        cmocka_unit_test(escaping_can_be_undone),
        cmocka_unit_test(a_small_buffer_cuts_at_a_whole_character),
        cmocka_unit_test(amounts_read_as_people_write_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
