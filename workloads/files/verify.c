/* workloads/files/verify.c — the command `ringmill verify`: is every byte of an archive what it
 * was?
 *
 * Every frame, header and file is proved by reader.c; this file says what was found. */
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
#include "workloads/files/archive.h"
#include "workloads/files/reader.h"

struct verify_job {
    struct rmill_job job;
    const char *path;
    const char *shown;
    bool json;
    uint64_t archive_bytes, raw_bytes, entry_count;
    uint32_t depth;
    struct rmill_reader_report report;
    struct rmill_error error;
};

static void
finding_told(void *context, const struct rmill_finding *finding)
{
    struct verify_job *verify = context;

    if (verify->json) {
        struct rmill_json json;

        rmill_json_begin(&json);
        rmill_json_string(&json, "type", "damage");
        rmill_json_string(&json, "text", finding->text);
        (void)rmill_json_print(&json);
    } else {
        (void)rmill_command_fail(verify->job.line, "%s", finding->text);
    }
}

static int
verify_main(void *argument)
{
    struct verify_job *verify = argument;
    struct rmill_archive archive;
    struct rmill_reader_sink sink = {.context = verify, .told = finding_told};
    struct rmill_reader_options options = {.depth = verify->depth,
                                           .frame_hashes = true,
                                           .done_bytes = &verify->job.progress.done_bytes,
                                           .done_items = &verify->job.progress.done_items};
    int code = rmill_archive_open(verify->path, &archive, &verify->error);

    if (code < 0) {
        return code;
    }
    verify->archive_bytes = archive.file_bytes;
    verify->raw_bytes = archive.directory->raw_bytes;
    verify->entry_count = archive.directory->entry_count;
    atomic_store_explicit(&verify->job.progress.total_bytes, verify->raw_bytes,
                          memory_order_relaxed);
    atomic_store_explicit(&verify->job.progress.total_items, verify->entry_count,
                          memory_order_relaxed);
    code = rmill_archive_table_check(&archive, &verify->error);
    if (code == 0) {
        code = rmill_reader_run(&archive, &sink, &options, &verify->report, &verify->error);
    }
    rmill_archive_close(&archive);
    return code;
}

static int
outcome(struct verify_job *verify)
{
    const struct rmill_command_line *line = verify->job.line;
    uint64_t damaged = verify->report.count[RMILL_FINDING_DAMAGE];
    char bytes[32];

    if (verify->job.result == -ECANCELED) {
        return rmill_command_fail(line, "%s: stopped before the end; nothing is known of the rest",
                                  verify->shown);
    }
    if (verify->job.result < 0) {
        return rmill_command_fail(line, "%s: %s", verify->shown, verify->error.advice);
    }
    if (damaged > 0) {
        return rmill_command_fail(line,
                                  "%s: DAMAGED in %llu place%s; all else is intact, and unpack "
                                  "restores it",
                                  verify->shown, (unsigned long long)damaged,
                                  damaged == 1 ? "" : "s");
    }
    struct rmill_summary summary = {.verb = "verified",
                                    .items = verify->entry_count,
                                    .input_bytes = verify->raw_bytes,
                                    .latency_name = "unit",
                                    .latency_ns_p50 = verify->report.flow.process.p50_ns,
                                    .latency_ns_p99 = verify->report.flow.process.p99_ns,
                                    .latency_ns_max = verify->report.flow.process.max_ns};

    rmill_job_summarize(&verify->job, &summary);
    rmill_command_detail(line, "at most %s in flight",
                         rmill_units_bytes(bytes, (double)verify->report.bytes_in_flight_max));
    return rmill_summary_print(line, &summary) < 0 ? RMILL_EXIT_FAILED : RMILL_EXIT_DONE;
}

static int
run(struct rmill_command_line *line)
{
    struct verify_job verify = {
        .job = {.line = line,
                .verb = "verify",
                .main_fiber = verify_main,
                .options.arena_bytes = RMILL_READER_ARENA_BYTES},
        .path = line->arguments[0],
        .json = rmill_line_has(line, "json"),
        .depth = (uint32_t)rmill_line_number(line, "depth", 0),
    };
    char *shown = rmill_escape_copy(verify.path, strlen(verify.path));

    verify.shown = shown != NULL ? shown : "?";
    verify.job.argument = &verify;
    int code = rmill_job_run(&verify.job);

    if (code == 0) {
        code = outcome(&verify);
    }
    free(shown);
    return code;
}

static const struct rmill_option_spec options_verify[] = {
    {.name = "depth",
     .type = RMILL_OPTION_UNSIGNED,
     .value = "N",
     .min = 1,
     .max = 1024,
     .help = "units in flight in all (default 4 a core); bounds the memory"},
    {.name = NULL},
};

const struct rmill_command rmill_command_verify = {
    .name = "verify",
    .summary = "check every frame, header and file of an archive",
    .usage = "ARCHIVE",
    .details =
        "Reads and decompresses everything in parallel and proves it: hashes of the frames "
        "as stored and as decompressed, tar headers against the index, digests of the files, "
        "seek table. Names the first bad bytes of every damaged file and goes on. XXH3 finds "
        "damage, not forgery. Exit status 0: intact; 1: damaged.",
    .examples = "ringmill verify home.tar.zst\n"
                "ringmill verify --json home.tar.zst",
    .options = options_verify,
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = RMILL_COMPLETE_FILE,
    .run = run,
};
