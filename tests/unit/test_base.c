/* Goal: the base layer does to the bit what its headers say: advice, byte order, alignment, the
 * seeded generator, the log hook and the hashes. Method: known answers. The hashes are those of
 * xxhsum 0.8.1 (-H1, -H2, -H3), the generator's those of the SplitMix64 reference; streaming is
 * compared with one-shot hashing over random splits. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/prng.h"

/* --- errors ---------------------------------------------------------------------------------- */

static void
setting_an_error_returns_its_code(void **state)
{
    struct rmill_error error = {0};

    assert_int_equal(rmill_error_set(&error, -ENOMEM, "mmap of %d bytes", 4096), -ENOMEM);
    assert_int_equal(error.code, -ENOMEM);
    assert_string_equal(error.advice, "mmap of 4096 bytes");
    assert_int_equal(rmill_error_set(NULL, -EPERM, "%s", "nobody reads this"), -EPERM);
}

static void
a_prefix_goes_before_the_advice(void **state)
{
    struct rmill_error error = {0};

    (void)rmill_error_set(&error, -ENOSPC, "write failed");
    rmill_error_prefix(&error, "core %d", 3);
    assert_string_equal(error.advice, "core 3: write failed");
    assert_int_equal(error.code, -ENOSPC);
    rmill_error_prefix(NULL, "core %d", 3);
}

static void
advice_too_long_is_cut_at_the_end(void **state)
{
    char text[2 * RMILL_ERROR_ADVICE_BYTES];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    /* Every length around the limit, with room for nothing, part of and all of ": old". */
    for (size_t length = RMILL_ERROR_ADVICE_BYTES - 10; length < sizeof(text) - 1; length++) {
        struct rmill_error error = {0};
        char expected[3 * RMILL_ERROR_ADVICE_BYTES];

        (void)rmill_error_set(&error, -EIO, "old");
        rmill_error_prefix(&error, "%.*s", (int)length, text);
        (void)snprintf(expected, sizeof(expected), "%.*s: old", (int)length, text);
        expected[RMILL_ERROR_ADVICE_BYTES - 1] = '\0';
        assert_string_equal(error.advice, expected);
        (void)rmill_error_set(&error, -EIO, "%s", text);
        assert_int_equal(strlen(error.advice), RMILL_ERROR_ADVICE_BYTES - 1);
        rmill_error_prefix(&error, "p");
        assert_int_equal(strlen(error.advice), RMILL_ERROR_ADVICE_BYTES - 1);
        assert_memory_equal(error.advice, "p: xxx", 6);
    }
}

static void
errno_is_named_with_either_sign(void **state)
{
    assert_string_equal(rmill_errno_name(-ENOSPC), "ENOSPC");
    assert_string_equal(rmill_errno_name(ENOSPC), "ENOSPC");
    assert_string_equal(rmill_errno_name(-100000), "E?");
    assert_string_equal(rmill_errno_text(-ENOSPC), "No space left on device");
    assert_string_equal(rmill_errno_text(100000), "unknown error");
}

/* --- bytes, macros, clock -------------------------------------------------------------------- */

static void
integers_are_little_endian_at_any_alignment(void **state)
{
    for (size_t offset = 0; offset < 8; offset++) {
        uint8_t bytes[16] = {0};
        uint8_t *at = bytes + offset;

        rmill_store_le64(at, 0x0807060504030201ull);
        for (size_t i = 0; i < 8; i++) {
            assert_int_equal(at[i], i + 1);
        }
        assert_int_equal(rmill_load_le64(at), 0x0807060504030201ull);
        assert_int_equal(rmill_load_le32(at + 1), 0x05040302u);
        assert_int_equal(rmill_load_le16(at + 3), 0x0504u);
        rmill_store_le32(at, 0xFFEEDDCCu);
        rmill_store_le16(at + 1, 0xBBAAu);
        assert_int_equal(rmill_load_le32(at), 0xFFBBAACCu);
        assert_int_equal(at[4], 5);
    }
}

static void
aligning_rounds_up_to_the_next_multiple(void **state)
{
    assert_int_equal(rmill_align_up(0, 4096), 0);
    assert_int_equal(rmill_align_up(1, 4096), 4096);
    assert_int_equal(rmill_align_up(4096, 4096), 4096);
    assert_int_equal(rmill_align_up(4097, 4096), 8192);
    assert_int_equal(rmill_align_up(77, 1), 77);
    assert_int_equal(rmill_align_up(RMILL_GIB(5) + 1, RMILL_MIB(2)), RMILL_GIB(5) + RMILL_MIB(2));
    assert_false(rmill_is_power_of_two(0));
    assert_true(rmill_is_power_of_two(1));
    assert_true(rmill_is_power_of_two(1ull << 63));
    assert_false(rmill_is_power_of_two(UINT64_MAX));
    assert_int_equal(rmill_min_u64(1, UINT64_MAX), 1);
    assert_int_equal(rmill_max_u64(1, UINT64_MAX), UINT64_MAX);
}

static void
a_member_leads_back_to_its_struct(void **state)
{
    struct outer {
        char before[3];
        int member;
    } outer = {0};

    assert_ptr_equal(RMILL_CONTAINER_OF(&outer.member, struct outer, member), &outer);
}

static void
clocks_never_go_back(void **state)
{
    uint64_t wall = rmill_clock_ns();
    uint64_t cpu = rmill_clock_thread_cpu_ns();

    assert_true(wall > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t wall_now = rmill_clock_ns();
        uint64_t cpu_now = rmill_clock_thread_cpu_ns();

        assert_true(wall_now >= wall && cpu_now >= cpu);
        wall = wall_now;
        cpu = cpu_now;
    }
}

/* --- generator ------------------------------------------------------------------------------- */

static void
a_seed_gives_the_same_numbers_everywhere(void **state)
{
    static const uint64_t expected[] = {6457827717110365317ull, 3203168211198807973ull,
                                        9817491932198370423ull, 4593380528125082431ull,
                                        16408922859458223821ull};
    struct rmill_prng prng = rmill_prng_seeded(1234567);

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(expected); i++) {
        assert_true(rmill_prng_next(&prng) == expected[i]);
    }
    prng = rmill_prng_seeded(0);
    assert_true(rmill_prng_next(&prng) == 0xE220A8397B1DCDAFull);
}

static void
bounded_numbers_stay_below_and_reach_everything(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    uint32_t seen[7] = {0};
    uint32_t chances = 0;

    for (int i = 0; i < 7000; i++) {
        uint64_t number = rmill_prng_below(&prng, 7);

        assert_true(number < 7);
        seen[number]++;
        assert_int_equal(rmill_prng_below(&prng, 1), 0);
        assert_true(rmill_prng_chance(&prng, 3, 3));
        assert_false(rmill_prng_chance(&prng, 0, 3));
        chances += rmill_prng_chance(&prng, 1, 4);
    }
    /* More than ten standard deviations either side (29 of 1000, 36 of 1750): no seed comes here by
     * chance. */
    for (size_t i = 0; i < 7; i++) {
        assert_in_range(seen[i], 700, 1300);
    }
    assert_in_range(chances, 1350, 2150);
}

/* --- log hook -------------------------------------------------------------------------------- */

struct heard {
    int calls;
    enum rmill_log_level level;
    char text[2 * RMILL_LOG_BYTES];
};

static void
hear(void *context, enum rmill_log_level level, const char *text)
{
    struct heard *heard = context;

    heard->calls++;
    heard->level = level;
    (void)snprintf(heard->text, sizeof(heard->text), "%s", text);
}

static void
the_log_hook_gets_level_and_text(void **state)
{
    struct heard heard = {0};
    struct rmill_log log = {.write = hear, .context = &heard};
    struct rmill_log silent = {0};

    rmill_log_write(&log, RMILL_LOG_WARNING, "%d pages of %s", 3, "2 MiB");
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.level, RMILL_LOG_WARNING);
    assert_string_equal(heard.text, "3 pages of 2 MiB");
    rmill_log_write(&log, RMILL_LOG_DEBUG, "%0*d", 2 * RMILL_LOG_BYTES, 0);
    assert_int_equal(heard.calls, 2);
    assert_int_equal(strlen(heard.text), RMILL_LOG_BYTES - 1);
    rmill_log_write(&silent, RMILL_LOG_ERROR, "unheard");
    rmill_log_write(NULL, RMILL_LOG_ERROR, "unheard");
    assert_int_equal(heard.calls, 2);
}

/* --- hashes ---------------------------------------------------------------------------------- */

#define PATTERN_BYTES 2000

/* Byte i is i mod 251: head -c N of it went through xxhsum. */
static void
pattern_fill(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(i % 251);
    }
}

/* One input for each code path of XXH3 (0, 1-3, 4-8, 9-16, 17-128, 129-240, more). */
static const struct vector {
    const char *text; /* NULL: the pattern. */
    size_t bytes;
    uint64_t xxh3;
    uint64_t high, low; /* XXH3-128. */
    uint32_t xxh64_low;
} vectors[] = {
    {"", 0, 0x2D06800538D394C2ull, 0x99AA06D3014798D8ull, 0x6001C324468D497Full, 0x51D8E999u},
    {"a", 1, 0xE6C632B61E964E1Full, 0xA96FAF705AF16834ull, 0xE6C632B61E964E1Full, 0xA98C6E5Bu},
    {"abc", 3, 0x78AF5F94892F3950ull, 0x06B05AB6733A6185ull, 0x78AF5F94892F3950ull, 0xAD770999u},
    {"abcdef", 6, 0xDA87BD32D3C47DB6ull, 0x389197A55DB2B2E4ull, 0xDA35A6714D34F8A2ull, 0xC423144Du},
    {"hello world", 11, 0xD447B1EA40E6988Bull, 0xDF8D09E93F874900ull, 0xA99B8775CC15B6C7ull,
     0xB21E6968u},
    {NULL, 100, 0x004E4F921A64BD1Cull, 0xDA95EF16FD9566F3ull, 0x29B20BA5F03EC01Eull, 0x32166597u},
    {NULL, 200, 0xF42A8864FEAF0703ull, 0xCB0395310643BA0Eull, 0xDD97E9AF3609D9F5ull, 0xB99E879Cu},
    {NULL, 2000, 0x8D38FC31DC9D9FABull, 0xAA64D90AD0C28584ull, 0x8D38FC31DC9D9FABull, 0xD6C9CCDEu},
};

static void
hashes_match_the_reference_tool(void **state)
{
    uint8_t pattern[PATTERN_BYTES];

    pattern_fill(pattern, sizeof(pattern));
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        const void *data = v->text != NULL ? (const void *)v->text : pattern;
        struct rmill_hash128 hash = rmill_hash128(data, v->bytes);

        assert_true(rmill_hash64(data, v->bytes, 0) == v->xxh3);
        assert_int_equal(rmill_hash_xxh64_low32(data, v->bytes), v->xxh64_low);
        for (size_t byte = 0; byte < 8; byte++) { /* Canonical: big-endian, high half first. */
            assert_int_equal(hash.bytes[byte], (v->high >> (56 - 8 * byte)) & 0xFF);
            assert_int_equal(hash.bytes[8 + byte], (v->low >> (56 - 8 * byte)) & 0xFF);
        }
    }
}

static void
a_seed_changes_the_hash_and_a_key_hashes_as_its_bytes(void **state)
{
    uint64_t key = 0x0123456789ABCDEFull;

    assert_true(rmill_hash64_key(key) == rmill_hash64(&key, sizeof(key), 0));
    assert_true(rmill_hash64(&key, sizeof(key), 0) != rmill_hash64(&key, sizeof(key), 1));
    assert_true(rmill_hash64_key(key) != rmill_hash64_key(key + 1));
}

static void
hashing_in_pieces_equals_hashing_at_once(void **state)
{
    static uint8_t data[20000];
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    struct rmill_hash_stream *stream = rmill_hash_stream_create();

    assert_non_null(stream);
    pattern_fill(data, sizeof(data));
    for (uint64_t round = 0; round < scale_get(300); round++) {
        size_t total = rmill_prng_below(&prng, sizeof(data) + 1);
        size_t piece_max = 1 + rmill_prng_below(&prng, 1ull << rmill_prng_below(&prng, 14));

        for (size_t done = 0; done < total;) {
            size_t piece = rmill_min_u64(rmill_prng_below(&prng, piece_max + 1), total - done);

            rmill_hash_stream_update(stream, data + done, piece);
            done += piece;
        }
        struct rmill_hash128 pieces = rmill_hash_stream_digest(stream);
        struct rmill_hash128 once = rmill_hash128(data, total);

        assert_memory_equal(pieces.bytes, once.bytes, sizeof(once.bytes));
        rmill_hash_stream_reset(stream);
    }
    rmill_hash_stream_destroy(stream);
    rmill_hash_stream_destroy(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_an_error_returns_its_code),
        cmocka_unit_test(a_prefix_goes_before_the_advice),
        cmocka_unit_test(advice_too_long_is_cut_at_the_end),
        cmocka_unit_test(errno_is_named_with_either_sign),
        cmocka_unit_test(integers_are_little_endian_at_any_alignment),
        cmocka_unit_test(aligning_rounds_up_to_the_next_multiple),
        cmocka_unit_test(a_member_leads_back_to_its_struct),
        cmocka_unit_test(clocks_never_go_back),
        cmocka_unit_test(a_seed_gives_the_same_numbers_everywhere),
        cmocka_unit_test(bounded_numbers_stay_below_and_reach_everything),
        cmocka_unit_test(the_log_hook_gets_level_and_text),
        cmocka_unit_test(hashes_match_the_reference_tool),
        cmocka_unit_test(a_seed_changes_the_hash_and_a_key_hashes_as_its_bytes),
        cmocka_unit_test(hashing_in_pieces_equals_hashing_at_once),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
