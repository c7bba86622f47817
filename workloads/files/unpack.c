/* workloads/files/unpack.c — the command `ringmill unpack`: what was asked, what came of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/escape.h"
#include "cli/job.h"
#include "cli/json.h"
#include "cli/summary.h"
#include "cli/units.h"
#include "workloads/files/unpack_run.h"

struct unpack_job {
    struct rmill_job job;
    struct rmill_unpack_options options;
    struct rmill_unpack_report report;
    struct rmill_error error;
    bool json;
};

static const char *const finding_names[RMILL_FINDING_KINDS] = {
    [RMILL_FINDING_DAMAGE] = "damage",   [RMILL_FINDING_REFUSED] = "refused",
    [RMILL_FINDING_FAILED] = "failed",   [RMILL_FINDING_LEFT_OUT] = "left_out",
    [RMILL_FINDING_WARNING] = "warning",
};

static void
finding_told(void *context, const struct rmill_finding *finding)
{
    struct unpack_job *unpack = context;

    if (unpack->json) {
        struct rmill_json json;

        rmill_json_begin(&json);
        rmill_json_string(&json, "type", finding_names[finding->kind]);
        rmill_json_string(&json, "text", finding->text);
        (void)rmill_json_print(&json);
    } else {
        (void)rmill_command_fail(unpack->job.line, "%s", finding->text);
    }
}

static int
unpack_main(void *argument)
{
    struct unpack_job *unpack = argument;

    return rmill_unpack_run(&unpack->options, &unpack->report, &unpack->error);
}

static int
outcome(struct unpack_job *unpack)
{
    const struct rmill_command_line *line = unpack->job.line;
    const uint64_t *count = unpack->report.reader.count;
    uint64_t lost = count[RMILL_FINDING_DAMAGE] + count[RMILL_FINDING_REFUSED] +
                    count[RMILL_FINDING_FAILED] - unpack->report.reader.unread_windows +
                    unpack->report.reader.unread_entries;
    char bytes[32];

    if (unpack->job.result == -ECANCELED) {
        return rmill_command_fail(line, "stopped before the end; what is in %s is incomplete",
                                  unpack->options.target_shown);
    }
    if (unpack->job.result < 0) {
        return rmill_command_fail(line, "%s", unpack->error.advice);
    }
    struct rmill_summary summary = {.verb = "unpacked",
                                    .items = unpack->report.entry_count,
                                    .input_bytes = unpack->report.raw_bytes,
                                    .left_out_items = lost + count[RMILL_FINDING_LEFT_OUT],
                                    .latency_name = "unit",
                                    .latency_ns_p50 = unpack->report.reader.flow.process.p50_ns,
                                    .latency_ns_p99 = unpack->report.reader.flow.process.p99_ns,
                                    .latency_ns_max = unpack->report.reader.flow.process.max_ns};

    rmill_job_summarize(&unpack->job, &summary);
    rmill_command_detail(
        line, "at most %s in flight",
        rmill_units_bytes(bytes, (double)unpack->report.reader.bytes_in_flight_max));
    if (rmill_summary_print(line, &summary) < 0) {
        return RMILL_EXIT_FAILED;
    }
    if (lost > 0) {
        return rmill_command_fail(line, "%llu entr%s could not be restored; everything else was",
                                  (unsigned long long)lost, lost == 1 ? "y" : "ies");
    }
    return count[RMILL_FINDING_LEFT_OUT] + count[RMILL_FINDING_WARNING] > 0 ? RMILL_EXIT_INCOMPLETE
                                                                            : RMILL_EXIT_DONE;
}

static int
run(struct rmill_command_line *line)
{
    struct unpack_job unpack = {
        .job = {.line = line,
                .verb = "unpack",
                .main_fiber = unpack_main,
                .options.arena_bytes = RMILL_READER_ARENA_BYTES},
        .options = {.archive = line->arguments[0],
                    .target = rmill_line_string(line, "to", NULL),
                    .depth = (uint32_t)rmill_line_number(line, "depth", 0),
                    .owners = geteuid() == 0,
                    .unsynced = strcmp(rmill_line_string(line, "sync", "end"), "none") == 0,
                    .told = finding_told},
        .json = rmill_line_has(line, "json"),
    };

    if (unpack.options.target == NULL || unpack.options.target[0] == '\0') {
        return rmill_command_misuse(line, "say where to with --to DIR");
    }
    char *archive_shown = rmill_escape_copy(unpack.options.archive, strlen(unpack.options.archive));
    char *target_shown = rmill_escape_copy(unpack.options.target, strlen(unpack.options.target));

    unpack.options.archive_shown = archive_shown != NULL ? archive_shown : "?";
    unpack.options.target_shown = target_shown != NULL ? target_shown : "?";
    unpack.job.argument = &unpack;
    unpack.options.context = &unpack;
    unpack.options.done_bytes = &unpack.job.progress.done_bytes;
    unpack.options.done_items = &unpack.job.progress.done_items;
    unpack.options.total_bytes = &unpack.job.progress.total_bytes;
    unpack.options.total_items = &unpack.job.progress.total_items;
    int code = rmill_job_run(&unpack.job);

    code = code == 0 ? outcome(&unpack) : code;
    free(archive_shown);
    free(target_shown);
    return code;
}

static const char *const sync_choices[] = {"end", "none", NULL};

static const struct rmill_option_spec options_unpack[] = {
    {.name = "to",
     .type = RMILL_OPTION_STRING,
     .value = "DIR",
     .help = "restore into DIR, which is made when it is not there",
     .completes = RMILL_COMPLETE_DIRECTORY},
    {.name = "sync",
     .type = RMILL_OPTION_CHOICE,
     .value = "WHEN",
     .choices = sync_choices,
     .help = "end: success is said when everything is on the disk (default); none: do not wait"},
    {.name = "depth",
     .type = RMILL_OPTION_UNSIGNED,
     .value = "N",
     .min = 1,
     .max = 1024,
     .help = "units in flight in all (default 4 a core); bounds the memory"},
    {.name = NULL},
};

const struct rmill_command rmill_command_unpack = {
    .name = "unpack",
    .summary = "restore an archive into a directory",
    .usage = "ARCHIVE --to DIR",
    .details =
        "Restores files, directories, symlinks and hard links with their modes and times, and, as "
        "root, their owners. Every file is proved before it is written; what is damaged is named "
        "and left out. Nothing is written outside DIR, through symlinks or otherwise, and nothing "
        "that exists is replaced: it is listed and kept.\n\n"
        "Exit status 0: all restored; 1: damage, or the target refused something; 3: some entries "
        "exist already and were kept, or an owner or a mode could not be set.",
    .examples = "ringmill unpack home.tar.zst --to /srv/restored\n"
                "# do not wait for the disk\n"
                "ringmill unpack home.tar.zst --to /tmp/look --sync none",
    .options = options_unpack,
    .arguments_min = 1,
    .arguments_max = 1,
    .completes = RMILL_COMPLETE_FILE,
    .run = run,
};
