/* workloads/files/list.c — the command `ringmill list`: what an archive holds, from its index
 * alone.
 *
 * Reads no data frame. One page of the index is decoded at a time, so memory does not grow with the
 * archive, and a path given is found by one search and one page. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"
#include "cli/escape.h"
#include "cli/job.h"
#include "cli/json.h"
#include "engine/ringmill.h"
#include "workloads/files/archive.h"

struct list_job {
    const struct rmill_command_line *line;
    bool detailed, json, raw;
    struct rmill_error error;
    uint32_t missing_count;
};

static char
type_letter(const struct rmill_entry *entry)
{
    switch (entry->type) {
    case RMILL_ENTRY_DIRECTORY:
        return 'd';
    case RMILL_ENTRY_SYMLINK:
        return 'l';
    case RMILL_ENTRY_HARDLINK:
        return 'h';
    default:
        return '-';
    }
}

static const char *
type_name(const struct rmill_entry *entry)
{
    switch (entry->type) {
    case RMILL_ENTRY_DIRECTORY:
        return "directory";
    case RMILL_ENTRY_SYMLINK:
        return "symlink";
    case RMILL_ENTRY_HARDLINK:
        return "hardlink";
    default:
        return "file";
    }
}

/* "rwxr-sr-t" as ls writes it. */
static void
mode_text(uint32_t mode, char text[10])
{
    for (uint32_t i = 0; i < 9; i++) {
        text[i] = (mode >> (8 - i) & 1) != 0 ? "rwxrwxrwx"[i] : '-';
    }
    if ((mode & 04000) != 0) {
        text[2] = text[2] == 'x' ? 's' : 'S';
    }
    if ((mode & 02000) != 0) {
        text[5] = text[5] == 'x' ? 's' : 'S';
    }
    if ((mode & 01000) != 0) {
        text[8] = text[8] == 'x' ? 't' : 'T';
    }
    text[9] = '\0';
}

/* Nearly all names need no escape: those go out in one piece. */
static void
name_print(const char *name, uint32_t bytes, bool raw)
{
    uint32_t plain = 0;

    while (plain < bytes && name[plain] >= ' ' && name[plain] < 0x7F && name[plain] != '\\') {
        plain++;
    }
    if (plain == bytes) {
        (void)fwrite(name, 1, bytes, stdout);
    } else {
        rmill_escape_print(stdout, name, bytes, raw);
    }
}

static void
owner_print(const char *name, uint32_t bytes, uint32_t id)
{
    if (bytes > 0) {
        name_print(name, bytes, false);
    } else {
        (void)printf("%" PRIu32, id);
    }
}

static void
details_print(const struct rmill_entry *entry)
{
    char mode[10], date[32] = "?";
    time_t seconds = (time_t)entry->mtime_s;
    struct tm when;

    mode_text(entry->mode, mode);
    if (localtime_r(&seconds, &when) != NULL) {
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &when);
    }
    (void)printf("%c%s ", type_letter(entry), mode);
    owner_print(entry->uname, entry->uname_bytes, entry->uid);
    (void)putchar('/');
    owner_print(entry->gname, entry->gname_bytes, entry->gid);
    (void)printf(" %12" PRIu64 " %s ", entry->size, date);
}

static int
text_print(const struct list_job *job, const struct rmill_entry *entry)
{
    if (job->detailed) {
        details_print(entry);
    }
    name_print(entry->path, entry->path_bytes, job->raw);
    if (job->raw) {
        (void)putchar('\0');
        return ferror(stdout) ? -EIO : 0;
    }
    if (entry->type == RMILL_ENTRY_DIRECTORY) {
        (void)putchar('/');
    }
    if (job->detailed && entry->link_bytes > 0) {
        (void)fputs(entry->type == RMILL_ENTRY_SYMLINK ? " -> " : " link to ", stdout);
        name_print(entry->link, entry->link_bytes, false);
    }
    if (job->detailed && entry->flags != 0) {
        (void)fputs(" (changed while it was packed)", stdout);
    }
    (void)putchar('\n');
    return ferror(stdout) ? -EIO : 0;
}

static void
digest_text(const struct rmill_entry *entry, char text[2 * RMILL_ENTRY_DIGEST_BYTES_MAX + 1])
{
    int bytes = rmill_entry_digest_bytes(entry->hash_type);

    text[0] = '\0';
    for (int i = 0; i < bytes; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", entry->digest[i]);
    }
}

static int
json_print(const struct rmill_entry *entry)
{
    struct rmill_json json;
    char digest[2 * RMILL_ENTRY_DIGEST_BYTES_MAX + 1];

    digest_text(entry, digest);
    rmill_json_begin(&json);
    rmill_json_name(&json, "path", entry->path, entry->path_bytes);
    rmill_json_string(&json, "type", type_name(entry));
    rmill_json_unsigned(&json, "size", entry->size);
    rmill_json_unsigned(&json, "mode", entry->mode);
    rmill_json_unsigned(&json, "uid", entry->uid);
    rmill_json_unsigned(&json, "gid", entry->gid);
    rmill_json_name(&json, "user", entry->uname_bytes > 0 ? entry->uname : "", entry->uname_bytes);
    rmill_json_name(&json, "group", entry->gname_bytes > 0 ? entry->gname : "", entry->gname_bytes);
    rmill_json_signed(&json, "mtime", entry->mtime_s);
    rmill_json_unsigned(&json, "mtime_ns", entry->mtime_ns);
    if (entry->link_bytes > 0) {
        rmill_json_name(&json, "link", entry->link, entry->link_bytes);
    }
    if (digest[0] != '\0') {
        rmill_json_string(&json, "xxh3_128_tree", digest);
    }
    if (entry->flags != 0) {
        rmill_json_bool(&json, "changed_while_packed", true);
    }
    return rmill_json_print(&json);
}

static int
entry_print(void *context, const struct rmill_entry *entry)
{
    const struct list_job *job = context;

    return job->json ? json_print(entry) : text_print(job, entry);
}

/* What was typed, as names are stored: without a leading "/" or "./" and without slashes behind. */
static char *
stored_name(const char *asked)
{
    while (asked[0] == '/' || (asked[0] == '.' && asked[1] == '/')) {
        asked++;
    }
    char *name = strdup(asked[0] != '\0' ? asked : ".");

    for (size_t bytes = name != NULL ? strlen(name) : 0; bytes > 1 && name[bytes - 1] == '/';
         bytes--) {
        name[bytes - 1] = '\0';
    }
    return name;
}

static int
asked_visit(struct list_job *job, const struct rmill_archive *archive, const char *asked)
{
    char *path = stored_name(asked);
    int code;

    if (path == NULL) {
        return rmill_error_set(&job->error, -ENOMEM, "no memory for a name");
    }
    code = rmill_archive_visit(archive, path, entry_print, job, &job->error);
    if (code == -ENOENT) {
        char *shown = rmill_escape_copy(asked, strlen(asked));

        job->missing_count++;
        (void)rmill_command_fail(job->line, "%s: no such entry in the archive",
                                 shown != NULL ? shown : "?");
        free(shown);
        code = 0;
    }
    free(path);
    return code;
}

static int
archive_list(struct list_job *job, const struct rmill_archive *archive)
{
    if (job->line->argument_count == 1) {
        return rmill_archive_visit(archive, NULL, entry_print, job, &job->error);
    }
    int code = 0;

    for (uint32_t i = 1; code == 0 && i < job->line->argument_count; i++) {
        code = asked_visit(job, archive, job->line->arguments[i]);
    }
    return code;
}

static int
run(struct rmill_command_line *line)
{
    struct list_job job = {.line = line,
                           .detailed = rmill_line_has(line, "long"),
                           .json = rmill_line_has(line, "json"),
                           .raw = rmill_line_has(line, "null")};
    struct rmill_archive archive;
    const char *path = line->arguments[0];
    char *shown = rmill_escape_copy(path, strlen(path));

    if (job.raw && (job.detailed || job.json)) {
        free(shown);
        return rmill_command_misuse(line, "-0 prints bare names; leave out --long and --json");
    }
    int code = rmill_archive_open(path, &archive, &job.error);

    if (code == 0) {
        code = archive_list(&job, &archive);
        rmill_archive_close(&archive);
    }
    if (code < 0 && job.error.code != 0) {
        (void)rmill_command_fail(line, "%s: %s", shown != NULL ? shown : "?", job.error.advice);
    }
    free(shown);
    return code != 0 || job.missing_count > 0 ? RMILL_EXIT_FAILED : RMILL_EXIT_DONE;
}

static const struct rmill_option_spec options_list[] = {
    {.name = "long",
     .letter = 'l',
     .type = RMILL_OPTION_FLAG,
     .help = "also mode, owner, size and time, as tar -tv does"},
    {.name = "null",
     .letter = '0',
     .type = RMILL_OPTION_FLAG,
     .help = "bare names as they are, each ended by a NUL byte (for xargs -0)"},
    {.name = NULL},
};

const struct rmill_command rmill_command_list = {
    .name = "list",
    .summary = "list what an archive holds, from its index",
    .usage = "ARCHIVE [PATH...] [--long | --json | -0]",
    .details = "Prints the names in path order, those of directories with a slash. With PATH, "
               "that entry and everything below it. Control characters and bytes that are not "
               "UTF-8 are shown as \\xHH. Reads only the index; no data is decompressed.",
    .examples = "ringmill list home.tar.zst\n"
                "ringmill list --long home.tar.zst etc/ssh\n"
                "# sizes of all files, by a JSON tool\n"
                "ringmill list --json home.tar.zst | jq .size",
    .options = options_list,
    .arguments_min = 1,
    .arguments_max = UINT32_MAX,
    .completes = RMILL_COMPLETE_FILE,
    .run = run,
};
