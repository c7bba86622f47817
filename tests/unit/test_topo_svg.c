/* Goal: the picture of the machine is a well-formed document that shows every CPU and marks the
 * chosen ones. Method: draw this machine into memory and count; the tags must be balanced and the
 * numbers right. */
#include "tests/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/topo_svg.h"

static uint32_t
occurrences(const char *text, const char *word)
{
    uint32_t count = 0;

    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        count++;
    }
    return count;
}

static void
every_cpu_is_drawn_and_the_chosen_ones_marked(void **state)
{
    static const char *const specs[] = {"", "1", "1000"};
    struct rmill_topology *topology = NULL;
    struct rmill_core_choice choice;

    (void)state;
    assert_int_equal(rmill_topology_read(NULL, &topology, NULL), 0);
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(specs); i++) {
        char *text = NULL;
        size_t bytes = 0;
        FILE *stream = open_memstream(&text, &bytes);
        uint32_t distinct = 0;

        assert_non_null(stream);
        assert_int_equal(rmill_topology_chosen_cores(topology, specs[i], &choice, NULL), 0);
        assert_int_equal(rmill_topo_svg_print(stream, topology, &choice), 0);
        assert_int_equal(fclose(stream), 0);
        assert_int_equal(strncmp(text, "<svg ", 5), 0);
        assert_string_equal(text + bytes - 7, "</svg>\n");
        assert_int_equal(occurrences(text, "<text "), occurrences(text, "</text>"));
        assert_int_equal(occurrences(text, "<text ") + occurrences(text, "<rect ") +
                             occurrences(text, "<svg ") + occurrences(text, "<style>"),
                         occurrences(text, "</") + occurrences(text, "/>"));
        assert_int_equal(occurrences(text, "class=\"cpu"), topology->cpu_count);
        for (uint32_t cpu = 0; cpu < topology->cpu_count; cpu++) {
            bool chosen = false;

            for (uint32_t core = 0; core < choice.count; core++) {
                chosen = chosen || choice.cpus[core] == topology->cpus[cpu].cpu;
            }
            distinct += chosen;
        }
        assert_int_equal(occurrences(text, "class=\"cpu on\""), distinct);
        assert_int_equal(occurrences(text, "class=\"engine\""), distinct);
        free(text);
    }
    rmill_topology_destroy(topology);
}

static void
sizes_are_written_in_powers_of_1024(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},           {1023, "1023 B"},        {32768, "32 KiB"},
        {1310720, "1.2 MiB"}, {RMILL_GIB(4), "4 GiB"}, {UINT64_MAX, "16384 PiB"},
    };

    (void)state;
    for (size_t i = 0; i < RMILL_ARRAY_COUNT(cases); i++) {
        char text[32];

        assert_string_equal(rmill_topo_size(text, cases[i].bytes), cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cpu_is_drawn_and_the_chosen_ones_marked),
        cmocka_unit_test(sizes_are_written_in_powers_of_1024),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
