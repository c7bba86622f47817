/* tests/unit/test_order.c — hard links and the order inside a window.
 *
 * Goal: the archive's order is the one pathname.h defines, and every link stands behind its target.
 * Method: windows of random names, compared with the definition; chosen cases for links. */
#include "tests/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "workloads/files/order.h"

static struct rmill_member *
member_add(struct rmill_window *window, const char *path, uint8_t type, uint64_t inode,
           uint32_t names)
{
    struct rmill_member *member = rmill_window_add(window);
    char *text = rmill_window_text(window, strlen(path));

    memcpy(text, path, strlen(path));
    *member = (struct rmill_member){.path = text,
                                    .path_bytes = (uint32_t)strlen(path),
                                    .type = type,
                                    .inode = inode,
                                    .names = names,
                                    .size = type == RMILL_ENTRY_FILE ? 5 : 0};
    return member;
}

static int
readable_but_locked(void *context, const struct rmill_member *member)
{
    (void)context;
    return strncmp(member->path, "locked", 6) == 0 ? -EACCES : 0;
}

static void
sorting_agrees_with_the_definition(void **state)
{
    static const uint8_t types[] = {RMILL_ENTRY_FILE, RMILL_ENTRY_DIRECTORY, RMILL_ENTRY_SYMLINK,
                                    RMILL_ENTRY_HARDLINK};
    struct rmill_prng random = rmill_prng_seeded(seed_get());
    struct rmill_window window = {0};
    char path[64];

    for (unsigned i = 0; i < 4000; i++) { /* In path order, as the walk gives them. */
        (void)snprintf(path, sizeof(path), "%05u/%s%llu.%s%llu", i,
                       rmill_prng_below(&random, 8) == 0 ? "." : "",
                       (unsigned long long)rmill_prng_below(&random, 50),
                       rmill_prng_below(&random, 2) == 0 ? "extension" : "",
                       (unsigned long long)rmill_prng_below(&random, 5));
        member_add(&window, path, types[rmill_prng_below(&random, 4)], i, 1);
    }
    for (int order = RMILL_PATHNAME_GROUPED; order <= RMILL_PATHNAME_WALK; order++) {
        assert_int_equal(rmill_order_sort(&window, (enum rmill_pathname_order)order), 0);
        assert_int_equal(window.order_count, window.count);
        for (uint32_t i = 1; i < window.order_count; i++) {
            struct rmill_entry before, behind;

            rmill_member_entry(&window.members[window.order[i - 1]], &before);
            rmill_member_entry(&window.members[window.order[i]], &behind);
            assert_true(rmill_pathname_order_compare(&before, &behind,
                                                     (enum rmill_pathname_order)order) < 0);
        }
        free(window.order);
        window.order = NULL;
    }
    rmill_window_deinit(&window);
}

static void
the_first_readable_name_is_the_file_and_later_ones_are_links(void **state)
{
    struct rmill_links *links = rmill_links_create();
    struct rmill_window first = {0}, second = {0};

    member_add(&first, "a.txt", RMILL_ENTRY_FILE, 7, 3);
    member_add(&first, "locked", RMILL_ENTRY_FILE, 8, 2);
    member_add(&first, "m.bin", RMILL_ENTRY_FILE, 7, 3);
    member_add(&first, "open", RMILL_ENTRY_FILE, 8, 2);
    member_add(&first, "single", RMILL_ENTRY_FILE, 9, 1);
    assert_int_equal(rmill_order_links(links, &first, readable_but_locked, NULL), 0);
    assert_int_equal(first.members[0].type, RMILL_ENTRY_FILE);
    assert_true(first.members[1].dropped);
    assert_int_equal(first.members[1].error, -EACCES);
    assert_int_equal(first.members[2].type, RMILL_ENTRY_HARDLINK);
    assert_string_equal(first.members[2].link, "a.txt");
    assert_int_equal(first.members[2].size, 0);
    assert_int_equal(first.members[3].type, RMILL_ENTRY_FILE);
    assert_int_equal(first.members[4].type, RMILL_ENTRY_FILE);
    assert_int_equal(rmill_order_sort(&first, RMILL_PATHNAME_GROUPED), 0);
    assert_int_equal(first.order_count, 4);
    assert_int_equal(first.order[3], 2); /* The link is last. */

    member_add(&second, "z.txt", RMILL_ENTRY_FILE, 7, 3);
    assert_int_equal(rmill_order_links(links, &second, readable_but_locked, NULL), 0);
    assert_int_equal(second.members[0].type, RMILL_ENTRY_HARDLINK);
    assert_string_equal(second.members[0].link, "a.txt");
    rmill_window_deinit(&first);
    rmill_window_deinit(&second);
    rmill_links_destroy(links);
}

static void
many_inodes_are_remembered_and_forgotten(void **state)
{
    struct rmill_links *links = rmill_links_create();
    char path[32];

    for (int pass = 0; pass < 2; pass++) {
        struct rmill_window window = {0};

        for (unsigned i = 0; i < 20000; i++) {
            (void)snprintf(path, sizeof(path), "%d/%05u", pass, i);
            member_add(&window, path, RMILL_ENTRY_FILE, i, 2);
        }
        assert_int_equal(rmill_order_links(links, &window, readable_but_locked, NULL), 0);
        for (unsigned i = 0; i < 20000; i++) {
            assert_int_equal(window.members[i].type,
                             pass == 0 ? RMILL_ENTRY_FILE : RMILL_ENTRY_HARDLINK);
        }
        rmill_window_deinit(&window);
    }
    rmill_links_destroy(links);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_agrees_with_the_definition),
        cmocka_unit_test(the_first_readable_name_is_the_file_and_later_ones_are_links),
        cmocka_unit_test(many_inodes_are_remembered_and_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
