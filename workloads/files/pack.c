/* workloads/files/pack.c — the command `ringmill pack`: what was asked, what came of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/escape.h"
#include "cli/job.h"
#include "cli/json.h"
#include "cli/summary.h"
#include "cli/units.h"
#include "workloads/files/compressor.h"
#include "workloads/files/entry.h"
#include "workloads/files/index.h"
#include "workloads/files/pack_run.h"

#define LEVEL_DEFAULT 3

struct pack_command {
    struct rmill_job job;
    struct rmill_pack_options options;
    struct rmill_pack_report report;
    struct rmill_error error;
    struct rmill_root_argument *arguments;
    const char **changes;
    bool json;
};

/* ---- problems -------------------------------------------------------------------------------- */

static const char *
changed_words(uint32_t flags)
{
    if (flags & RMILL_ENTRY_UNREADABLE) {
        return "could not be read; zeros stand for what is missing";
    }
    if (flags & RMILL_ENTRY_SHRANK) {
        return "shrank while it was packed; zeros stand for what is missing";
    }
    if (flags & RMILL_ENTRY_GREW) {
        return "grew while it was packed; cut at its first size";
    }
    return "changed while it was packed";
}

static const char *
problem_words(const struct rmill_problem *problem)
{
    switch (problem->kind) {
    case RMILL_PROBLEM_SPECIAL:
        return "left out: neither file, directory nor link";
    case RMILL_PROBLEM_PARTIAL:
        return "cannot read the directory";
    case RMILL_PROBLEM_CHANGED:
        return changed_words(problem->flags);
    case RMILL_PROBLEM_LEFT_OUT:
        break;
    }
    return problem->error == -ESTALE ? "left out: replaced while it was packed" : "left out";
}

static void
problem_json(const struct rmill_problem *problem)
{
    struct rmill_json json;

    rmill_json_begin(&json);
    rmill_json_string(&json, "type",
                      problem->kind == RMILL_PROBLEM_CHANGED ? "changed" : "left_out");
    rmill_json_name(&json, "path", problem->path, problem->path_bytes);
    rmill_json_string(&json, "text", problem_words(problem));
    rmill_json_string(&json, "error",
                      problem->error != 0 ? rmill_errno_name(problem->error) : NULL);
    (void)rmill_json_print(&json);
}

static void
problem_told(void *context, const struct rmill_problem *problem)
{
    struct pack_command *pack = context;

    if (pack->json) {
        problem_json(problem);
        return;
    }
    char *name = rmill_escape_copy(problem->path, problem->path_bytes);
    bool said = problem->error == 0 || problem->error == -ESTALE;

    (void)rmill_command_fail(pack->job.line, "%s: %s%s%s", name != NULL ? name : "?",
                             problem_words(problem), said ? "" : ": ",
                             said ? "" : rmill_errno_text(problem->error));
    free(name);
}

/* ---- running --------------------------------------------------------------------------------- */

static int
pack_main(void *argument)
{
    struct pack_command *pack = argument;

    return rmill_pack_run(&pack->options, &pack->report, &pack->error);
}

static int
summary_print(struct pack_command *pack)
{
    const struct rmill_command_line *line = pack->job.line;
    const struct rmill_pack_report *report = &pack->report;
    char bytes[32];
    struct rmill_summary summary = {.verb = "packed",
                                    .items = report->item_count,
                                    .input_bytes = report->content_bytes,
                                    .output_bytes = report->archive_bytes,
                                    .left_out_items = report->left_out_count,
                                    .latency_name = "chunk",
                                    .latency_ns_p50 = report->flow.process.p50_ns,
                                    .latency_ns_p99 = report->flow.process.p99_ns,
                                    .latency_ns_max = report->flow.process.max_ns};

    rmill_job_summarize(&pack->job, &summary);
    int code = rmill_summary_print(line, &summary);

    if (code == 0 && pack->json) {
        struct rmill_json json;

        rmill_json_begin(&json);
        rmill_json_string(&json, "type", "memory");
        rmill_json_unsigned(&json, "in_flight_units_max", report->in_flight_units);
        rmill_json_unsigned(&json, "in_flight_bytes_max", report->in_flight_bytes);
        rmill_json_unsigned(&json, "raw_bytes", report->raw_bytes);
        code = rmill_json_print(&json);
    } else if (code == 0 && !rmill_line_has(line, "quiet")) {
        printf("in flight at most %u chunks, %s\n", (unsigned)report->in_flight_units,
               rmill_units_bytes(bytes, (double)report->in_flight_bytes));
    }
    return code;
}

static int
outcome(struct pack_command *pack)
{
    const struct rmill_command_line *line = pack->job.line;

    if (pack->job.result == -ECANCELED) {
        return rmill_command_fail(line, "stopped; %s is as it was before", pack->options.output);
    }
    if (pack->job.result == -EINVAL) {
        return rmill_command_misuse(line, "%s", pack->error.advice);
    }
    if (pack->job.result < 0) {
        return rmill_command_fail(line, "%s", pack->error.advice);
    }
    if (pack->report.slash_removed) {
        rmill_command_note(line, "names are stored without their leading /");
    }
    if (pack->report.leftover_count > 0) {
        rmill_command_note(line, "removed %u unfinished file%s of an earlier run",
                           (unsigned)pack->report.leftover_count,
                           pack->report.leftover_count == 1 ? "" : "s");
    }
    if (summary_print(pack) < 0) {
        return RMILL_EXIT_FAILED;
    }
    return pack->report.left_out_count + pack->report.changed_count > 0 ? RMILL_EXIT_INCOMPLETE
                                                                        : RMILL_EXIT_DONE;
}

/* Each PATH with the -C before it, in the order of the command line. */
static int
arguments_collect(struct pack_command *pack)
{
    const struct rmill_command_line *line = pack->job.line;
    uint32_t changes = 0, count = 0;

    pack->arguments = calloc(line->item_count + 1, sizeof(pack->arguments[0]));
    pack->changes = calloc(line->item_count + 1, sizeof(pack->changes[0]));
    if (pack->arguments == NULL || pack->changes == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < line->item_count; i++) {
        const struct rmill_line_item *item = &line->items[i];

        if (item->option != NULL && item->option->letter == 'C') {
            pack->changes[changes++] = item->text;
        } else if (item->option == NULL) {
            pack->arguments[count++] = (struct rmill_root_argument){
                .path = item->text, .changes = pack->changes, .change_count = changes};
        }
    }
    pack->options.arguments = pack->arguments;
    pack->options.argument_count = count;
    return 0;
}

static int
pack_start(struct pack_command *pack)
{
    const struct rmill_command_line *line = pack->job.line;

    if (pack->options.output == NULL || pack->options.output[0] == 0) {
        return rmill_command_misuse(line, "say where to with -o OUT.tar.zst");
    }
    if (!rmill_is_power_of_two(pack->options.chunk_bytes)) {
        return rmill_command_misuse(line, "--chunk-size is a power of two");
    }
    if (arguments_collect(pack) < 0) {
        return rmill_command_fail(line, "out of memory");
    }
    pack->job.argument = pack;
    pack->job.options.arena_bytes = rmill_pack_arena_bytes(&pack->options);
    pack->options.context = pack;
    pack->options.done_bytes = &pack->job.progress.done_bytes;
    pack->options.done_items = &pack->job.progress.done_items;
    pack->options.total_bytes = &pack->job.progress.total_bytes;
    pack->options.total_items = &pack->job.progress.total_items;
    int code = rmill_job_run(&pack->job);

    return code == 0 ? outcome(pack) : code;
}

static const char *const order_choices[] = {
    [RMILL_PATHNAME_GROUPED] = "grouped", [RMILL_PATHNAME_WALK] = "path", NULL};

static int
run(struct rmill_command_line *line)
{
    struct pack_command pack = {
        .job = {.line = line, .verb = "pack", .main_fiber = pack_main},
        .options = {.output = rmill_line_string(line, "output", NULL),
                    .level = (int)rmill_line_number(line, "level", LEVEL_DEFAULT),
                    .chunk_bytes = (uint32_t)rmill_line_number(line, "chunk-size",
                                                               RMILL_INDEX_CHUNK_BYTES_DEFAULT),
                    .depth = (uint32_t)rmill_line_number(line, "depth", 0),
                    .user_source = rmill_owner_user_name,
                    .group_source = rmill_owner_group_name,
                    .problem = problem_told},
        .json = rmill_line_has(line, "json"),
    };

    if (rmill_line_has(line, "order")) {
        pack.options.order = (enum rmill_pathname_order)rmill_line_number(line, "order", 0);
    }
    int code = pack_start(&pack);

    free(pack.arguments);
    free(pack.changes);
    return code;
}

static const struct rmill_option_spec options_pack[] = {
    {.name = "output",
     .letter = 'o',
     .type = RMILL_OPTION_STRING,
     .value = "OUT",
     .help = "write the archive to OUT, which is replaced when all is well",
     .completes = RMILL_COMPLETE_FILE},
    {.name = "directory",
     .letter = 'C',
     .type = RMILL_OPTION_STRING,
     .value = "DIR",
     .help =
         "the paths that follow are relative to DIR; a further one is relative to the one before",
     .repeats = true,
     .completes = RMILL_COMPLETE_DIRECTORY},
    {.name = "level",
     .type = RMILL_OPTION_UNSIGNED,
     .value = "N",
     .min = 1,
     .max = RMILL_COMPRESSOR_LEVEL_MAX,
     .digits = true,
     .help = "zstd level, 1 to 19 (default 3)"},
    {.name = "order",
     .type = RMILL_OPTION_CHOICE,
     .value = "ORDER",
     .choices = order_choices,
     .help = "grouped: alike files beside each other, which packs better (default); path: as they "
             "are found"},
    {.name = "chunk-size",
     .type = RMILL_OPTION_BYTES,
     .value = "BYTES",
     .min = RMILL_INDEX_CHUNK_BYTES_MIN,
     .max = RMILL_INDEX_CHUNK_BYTES_MAX,
     .help = "raw bytes of a frame, a power of two from 64K to 64M (default 2M)"},
    {.name = "depth",
     .type = RMILL_OPTION_UNSIGNED,
     .value = "N",
     .min = 1,
     .max = 1024,
     .help = "chunks in flight in all (default 4 a core); bounds the memory"},
    {.name = NULL},
};

const struct rmill_command rmill_command_pack = {
    .name = "pack",
    .summary = "pack files and directories into an archive any tar opens",
    .usage = "PATH... -o OUT.tar.zst",
    .details =
        "Packs regular files, directories, symlinks and hard links with their modes, owners and "
        "times into a POSIX tar in the seekable Zstandard format, with an index beside it: \"tar "
        "--zstd -xf\" and \"zstd -d\" open it. The bytes are the same for any number of cores.\n\n"
        "Names are stored as given, without a leading /; \"..\" is refused; a path given twice, or "
        "below another, is there once. OUT is written under a temporary name, synced and renamed: "
        "whatever goes wrong, an old OUT stays as it was. Hashes in the index find damage, not "
        "forgery.\n\n"
        "Exit status 0: all packed; 3: packed, but what is listed was left out or changed while "
        "it was read; 1: no archive.",
    .examples = "ringmill pack /home -o home.tar.zst\n"
                "# names relative to /srv, best compression\n"
                "ringmill pack -C /srv www mail -o srv.tar.zst -19",
    .options = options_pack,
    .arguments_min = 1,
    .arguments_max = UINT32_MAX,
    .completes = RMILL_COMPLETE_FILE,
    .run = run,
};
