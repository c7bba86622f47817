/* Goal: JSON lines say what was put in, whatever the bytes of a name, and report a full disk; the
 * progress line appears on a terminal only, and leaves it clean.
 * Method: standard output goes to a file and is parsed back with jansson; standard error goes to a
 * pseudo terminal or a pipe and is read back byte for byte. */
#include "tests/common.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/summary.h"

static const struct rmill_command command = {.name = "try", .usage = ""};

/* Point stream `fd` at `target`; returns a copy of what it was. */
static int
redirect(int fd, int target)
{
    int saved = dup(fd);

    assert_true(saved >= 0);
    fflush(stdout);
    assert_int_equal(dup2(target, fd), fd);
    return saved;
}

static void
restore(int fd, int saved)
{
    fflush(stdout);
    clearerr(stdout);
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
}

static struct rmill_json
example(void)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_string(&json, "type", "entry \"quoted\"\n");
    rmill_json_name(&json, "path", "gr\xc3\xbc\xc3\x9f", 6);
    rmill_json_name(&json, "link", "a\xff/b", 4);
    rmill_json_unsigned(&json, "bytes", UINT64_MAX);
    rmill_json_signed(&json, "mtime_ns", -1);
    rmill_json_real(&json, "share", 0.1);
    rmill_json_bool(&json, "done", true);
    rmill_json_string(&json, "nothing", NULL);
    return json;
}

static void
json_lines_say_what_was_put_in(void **state)
{
    FILE *file = tmpfile();
    struct rmill_json json = example();
    int saved, code;
    char text[512];
    json_t *read_back;

    assert_non_null(file);
    saved = redirect(STDOUT_FILENO, fileno(file));
    code = rmill_json_print(&json);
    restore(STDOUT_FILENO, saved);
    assert_int_equal(code, 0);
    rewind(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text,
                        "{\"type\":\"entry \\\"quoted\\\"\\n\",\"path\":\"gr\xc3\xbc\xc3\x9f\","
                        "\"link_hex\":\"61ff2f62\",\"bytes\":9223372036854775807,"
                        "\"mtime_ns\":-1,\"share\":0.1,\"done\":true,\"nothing\":null}\n");
    read_back = json_loads(text, 0, NULL);
    assert_non_null(read_back);
    json_decref(read_back);
    fclose(file);
}

static void
the_first_failure_of_a_json_object_stays(void **state)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_string(&json, "text", "\xff");
    rmill_json_bool(&json, "later", true);
    assert_int_equal(rmill_json_print(&json), -EINVAL);
    rmill_json_begin(&json);
    rmill_json_value(&json, "missing", NULL);
    assert_null(rmill_json_take(&json));
    assert_int_equal(json.code, -ENOMEM);
}

static void
a_full_disk_is_reported_by_print(void **state)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int saved, code = 0;

    if (full < 0) {
        SKIP_BECAUSE("no /dev/full");
    }
    saved = redirect(STDOUT_FILENO, full);
    /* Until the buffer of standard output is full; 64 KiB is more than any. */
    for (int i = 0; i < 1000 && code == 0; i++) {
        struct rmill_json json = example();

        code = rmill_json_print(&json);
    }
    restore(STDOUT_FILENO, saved);
    close(full);
    assert_int_equal(code, -ENOSPC);
}

static void
a_summary_is_text_or_one_json_object(void **state)
{
    static const double busy[] = {0.5, 0.25};
    static const struct rmill_summary summary = {
        .verb = "packed",
        .items = 1234,
        .input_bytes = 2000000,
        .output_bytes = 500000,
        .wall_ns = 1000000000,
        .core_busy = busy,
        .core_count = 2,
        .latency_name = "chunk",
        .latency_ns_p50 = 1000,
        .latency_ns_p99 = 2000,
        .latency_ns_max = 3000,
    };
    struct rmill_command_line line = {.command = &command};
    FILE *file = tmpfile();
    int saved, code;
    char text[512];

    assert_non_null(file);
    saved = redirect(STDOUT_FILENO, fileno(file));
    code = rmill_summary_print(&line, &summary);
    restore(STDOUT_FILENO, saved);
    assert_int_equal(code, 0);
    rewind(file);
    assert_non_null(fgets(text, sizeof(text), file));
    assert_string_equal(text,
                        "packed 1,234 items, 2.00 MB to 500 kB (25.0%) in 1.00 s: 2.00 MB/s\n");
    assert_non_null(fgets(text, sizeof(text), file));
    assert_non_null(strstr(text, ", 50% 25% of each core; peak memory "));
    assert_non_null(strstr(text, "; chunk p50 1 us, p99 2 us, max 3 us\n"));
    assert_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_true(rmill_summary_peak_memory_bytes() > 100000);
}

static void
progress_is_drawn_on_a_terminal_and_cleared(void **state)
{
    struct rmill_progress progress;
    int controller, terminal, saved;
    char text[512];
    ssize_t bytes;

    if (openpty(&controller, &terminal, NULL, NULL, NULL) != 0) {
        SKIP_BECAUSE("no pseudo terminals");
    }
    saved = redirect(STDERR_FILENO, terminal);
    rmill_progress_start(&progress, "pack", true);
    rmill_progress_update(&progress, 500000, 1000000, 7, 14);
    rmill_progress_update(&progress, 600000, 1000000, 8, 14); /* Too soon to be drawn. */
    rmill_progress_end(&progress);
    rmill_progress_end(&progress);
    restore(STDERR_FILENO, saved);
    bytes = read(controller, text, sizeof(text) - 1);
    assert_true(bytes > 0);
    text[bytes] = '\0';
    assert_string_equal(text, "\rpack  500 kB of 1.00 MB  50%  7 of 14 items\033[K\r\033[K");
    close(terminal);
    close(controller);
}

static void
progress_is_silent_when_it_is_no_terminal(void **state)
{
    struct rmill_progress progress;
    int ends[2], saved;
    char byte;

    assert_int_equal(pipe(ends), 0);
    saved = redirect(STDERR_FILENO, ends[1]);
    rmill_progress_start(&progress, "pack", true);
    rmill_progress_update(&progress, 1, 2, 3, 4);
    rmill_progress_hide();
    rmill_progress_end(&progress);
    restore(STDERR_FILENO, saved);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines_say_what_was_put_in),
        cmocka_unit_test(the_first_failure_of_a_json_object_stays),
        cmocka_unit_test(a_full_disk_is_reported_by_print),
        cmocka_unit_test(a_summary_is_text_or_one_json_object),
        cmocka_unit_test(progress_is_drawn_on_a_terminal_and_cleared),
        cmocka_unit_test(progress_is_silent_when_it_is_no_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
