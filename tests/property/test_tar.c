/* Goal: tar programs read what we write, and we read what they write. Method: seeded random
 * entries in one tar given to `tar -t` and compared name by name; a small tree packed by `tar`
 * in three formats and by `bsdtar`, and parsed. A program that is not installed: skipped by
 * name. */
#include "tests/common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "workloads/files/buffer.h"
#include "workloads/files/tar.h"

static int
has_program(const char *name)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

/* All output of a shell command. */
static void
command_read(const char *command, struct rmill_buffer *out)
{
    FILE *pipe = popen(command, "r");
    uint8_t block[4096];
    size_t got;

    assert_non_null(pipe);
    while ((got = fread(block, 1, sizeof(block), pipe)) > 0) {
        assert_int_equal(rmill_buffer_append(out, block, got), 0);
    }
    if (pclose(pipe) != 0) {
        fail_msg("failed: %s", command);
    }
}

static void
file_write(const char *path, const struct rmill_buffer *bytes)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->bytes, file), bytes->bytes);
    assert_int_equal(fclose(file), 0);
}

/* Printable names, as `tar -t --quoting-style=literal` gives back bytes but a newline ends a
 * line. */
static uint32_t
name_random(struct rmill_prng *prng, char *name)
{
    static const char alphabet[] = "abc d=%/\xc3\xff";
    uint32_t bytes = 1 + (uint32_t)rmill_prng_below(prng, rmill_prng_chance(prng, 1, 2) ? 20 : 400);

    for (uint32_t i = 0; i < bytes; i++) {
        name[i] = alphabet[rmill_prng_below(prng, sizeof(alphabet) - 1)];
        if (name[i] == '/' && (i == 0 || i + 1 == bytes || name[i - 1] == '/')) {
            name[i] = 'x';
        }
    }
    return bytes;
}

static void
gnu_tar_lists_any_entries(void **state)
{
    struct rmill_prng prng = rmill_prng_seeded(seed_get());
    struct rmill_buffer tar = {0}, names = {0}, listed = {0};
    char directory[256], path[300], command[600];
    static uint8_t header[8192];

    if (!has_program("tar")) {
        SKIP_BECAUSE("tar is not installed");
    }
    for (uint64_t i = 0; i < scale_get(1000); i++) {
        char name[512], link[512];
        struct rmill_entry entry = {.path = name,
                                    .path_bytes = name_random(&prng, name),
                                    .type = (uint8_t)(1 + rmill_prng_below(&prng, 4)),
                                    .mode = (uint32_t)rmill_prng_below(&prng, 010000),
                                    .uid = (uint32_t)rmill_prng_next(&prng),
                                    .gid = (uint32_t)rmill_prng_below(&prng, 1000),
                                    .mtime_s = (int64_t)rmill_prng_below(&prng, 1ull << 34) - 1000,
                                    .mtime_ns = (uint32_t)rmill_prng_below(&prng, 1000000000)};

        if (entry.type == RMILL_ENTRY_SYMLINK || entry.type == RMILL_ENTRY_HARDLINK) {
            entry.link = link;
            entry.link_bytes = name_random(&prng, link);
        }
        uint32_t bytes = rmill_tar_header_bytes(&entry);

        assert_true(bytes <= sizeof(header));
        assert_int_equal(rmill_tar_header_write(&entry, header), bytes);
        assert_int_equal(rmill_buffer_append(&tar, header, bytes), 0);
        assert_int_equal(rmill_buffer_append(&names, name, entry.path_bytes), 0);
        assert_int_equal(rmill_buffer_append(&names, "/\n" + (entry.type != RMILL_ENTRY_DIRECTORY),
                                             entry.type == RMILL_ENTRY_DIRECTORY ? 2 : 1),
                         0);
    }
    memset(header, 0, RMILL_TAR_END_BYTES);
    assert_int_equal(rmill_buffer_append(&tar, header, RMILL_TAR_END_BYTES), 0);
    directory_create(directory);
    (void)snprintf(path, sizeof(path), "%s/random.tar", directory);
    file_write(path, &tar);
    (void)snprintf(command, sizeof(command),
                   "LC_ALL=C tar -P --quoting-style=literal --warning=no-unknown-keyword -tf %s",
                   path);
    command_read(command, &listed);
    directory_remove(directory);
    assert_int_equal(listed.bytes, names.bytes);
    assert_memory_equal(listed.data, names.data, names.bytes);
    rmill_buffer_deinit(&tar);
    rmill_buffer_deinit(&names);
    rmill_buffer_deinit(&listed);
}

/* What the tree below holds, seen through a tar of it. */
struct seen {
    unsigned files, directories, symlinks, hard_links, skipped;
    unsigned with_ns;
};

static struct seen
tar_parse(const struct rmill_buffer *tar)
{
    struct rmill_tar_parser parser = {0};
    struct seen seen = {0};
    size_t at = 0;

    for (;;) {
        struct rmill_entry entry;
        struct rmill_error error = {0};
        size_t header_bytes;
        int result = rmill_tar_header_parse(&parser, tar->data + at, tar->bytes - at, &entry,
                                            &header_bytes, &error);

        if (result < 0) {
            fail_msg("at %zu: %d %s", at, result, error.advice);
        }
        if (result == RMILL_TAR_END) {
            return seen;
        }
        at += header_bytes + entry.size + rmill_tar_padding(entry.size);
        assert_true(at <= tar->bytes);
        if (result == RMILL_TAR_SKIP) {
            seen.skipped++;
            continue;
        }
        seen.files += entry.type == RMILL_ENTRY_FILE;
        seen.directories += entry.type == RMILL_ENTRY_DIRECTORY;
        seen.symlinks += entry.type == RMILL_ENTRY_SYMLINK;
        seen.hard_links += entry.type == RMILL_ENTRY_HARDLINK;
        seen.with_ns += entry.mtime_ns == 123456789;
        if (entry.path_bytes > 120) {
            assert_int_equal(entry.path_bytes, 4 + 150); /* "t/d/" and the long name */
        }
    }
}

static void
others_are_read(const char *program, const char *options, struct seen expected)
{
    char directory[256], command[1200];
    struct rmill_buffer tar = {0}, none = {0};

    if (!has_program(program)) {
        print_message("SKIP %s %s: not installed\n", program, options);
        return;
    }
    directory_create(directory);
    (void)snprintf(command, sizeof(command),
                   "cd %s && mkdir -p t/d && echo one >t/file && ln t/file t/hard && "
                   "ln -s file t/sym && mkfifo t/fifo && n=$(printf '%%0150d' 1) && "
                   "echo two >t/d/$n && touch -d '2001-02-03 04:05:06.123456789 UTC' t/file t/d/$n",
                   directory);
    command_read(command, &none);
    (void)snprintf(command, sizeof(command), "cd %s && LC_ALL=C %s %s -cf - t", directory, program,
                   options);
    command_read(command, &tar);
    struct seen seen = tar_parse(&tar);

    directory_remove(directory);
    if (memcmp(&seen, &expected, sizeof(seen)) != 0) {
        fail_msg("%s %s: files %u directories %u symlinks %u hard links %u skipped %u ns %u",
                 program, options, seen.files, seen.directories, seen.symlinks, seen.hard_links,
                 seen.skipped, seen.with_ns);
    }
    rmill_buffer_deinit(&tar);
    rmill_buffer_deinit(&none);
}

static void
tars_of_other_programs_are_read(void **state)
{
    struct seen with_ns = {
        .files = 2, .directories = 2, .symlinks = 1, .hard_links = 1, .skipped = 1, .with_ns = 2};
    struct seen seconds = with_ns;

    seconds.with_ns = 0;
    others_are_read("tar", "--sort=name --format=gnu", seconds);
    others_are_read("tar", "--sort=name --format=gnu --numeric-owner --owner=3000000", seconds);
    others_are_read("tar", "--sort=name --format=pax",
                    (struct seen){.files = 2,
                                  .directories = 2,
                                  .symlinks = 1,
                                  .hard_links = 1,
                                  .skipped = 1,
                                  .with_ns = 3});
    struct seen without_long_name = seconds;

    without_long_name.files = 1;
    others_are_read("tar", "--format=ustar --exclude='0*'", without_long_name);
    others_are_read("bsdtar", "--format=gnutar", seconds);
    others_are_read("bsdtar", "--format=pax",
                    (struct seen){.files = 2,
                                  .directories = 2,
                                  .symlinks = 1,
                                  .hard_links = 1,
                                  .skipped = 1,
                                  .with_ns = 3});
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gnu_tar_lists_any_entries),
        cmocka_unit_test(tars_of_other_programs_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
