/* cli/summary.c — see summary.h. */
#include "cli/summary.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cli/json.h"
#include "cli/units.h"

/* VmHWM and not ru_maxrss: the latter survives execve, so it may tell of the shell before. */
uint64_t
rmill_summary_peak_memory_bytes(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    unsigned long long peak_kib = 0;
    char line[256];

    if (status == NULL) {
        return 0;
    }
    while (peak_kib == 0 && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            peak_kib = strtoull(line + 6, NULL, 10);
        }
    }
    fclose(status);
    return RMILL_KIB(peak_kib);
}

static uint64_t
cpu_ns(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * RMILL_NS_PER_S +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * RMILL_NS_PER_US;
}

static double
per_second(const struct rmill_summary *summary)
{
    uint64_t count = summary->input_bytes != 0 ? summary->input_bytes : summary->items;

    return summary->wall_ns == 0 ? 0 : (double)count * 1e9 / (double)summary->wall_ns;
}

static void
work_print(const struct rmill_summary *summary)
{
    char a[32], b[32];

    printf("%s %s items", summary->verb, rmill_units_count(a, summary->items));
    if (summary->input_bytes != 0) {
        printf(", %s", rmill_units_bytes(a, (double)summary->input_bytes));
        if (summary->output_bytes != 0) {
            printf(" to %s (%.1f%%)", rmill_units_bytes(b, (double)summary->output_bytes),
                   100.0 * (double)summary->output_bytes / (double)summary->input_bytes);
        }
    }
    printf(" in %s", rmill_units_duration(a, (double)summary->wall_ns / 1e9));
    if (summary->input_bytes != 0) {
        printf(": %s/s", rmill_units_bytes(a, per_second(summary)));
    } else {
        printf(": %s/s", rmill_units_count(a, (uint64_t)per_second(summary)));
    }
    if (summary->left_out_items != 0) {
        printf("; %s left out", rmill_units_count(a, summary->left_out_items));
    }
    putchar('\n');
}

static void
cost_print(const struct rmill_summary *summary)
{
    char a[32], b[32], c[32];

    printf("CPU %s", rmill_units_duration(a, (double)cpu_ns() / 1e9));
    for (uint32_t i = 0; i < summary->core_count; i++) {
        printf("%s%.0f%%", i == 0 ? ", " : " ", 100.0 * summary->core_busy[i]);
    }
    printf("%s; peak memory %s",
           summary->core_count == 0   ? ""
           : summary->core_count == 1 ? " of the core"
                                      : " of each core",
           rmill_units_bytes(a, (double)rmill_summary_peak_memory_bytes()));
    if (summary->latency_name != NULL && summary->latency_ns_max != 0) {
        printf("; %s p50 %s, p99 %s, max %s", summary->latency_name,
               rmill_units_duration(a, (double)summary->latency_ns_p50 / 1e9),
               rmill_units_duration(b, (double)summary->latency_ns_p99 / 1e9),
               rmill_units_duration(c, (double)summary->latency_ns_max / 1e9));
    }
    putchar('\n');
}

static int
json_print(const struct rmill_command_line *line, const struct rmill_summary *summary)
{
    struct rmill_json json, latency;
    json_t *busy = json_array();

    rmill_json_begin(&json);
    rmill_json_string(&json, "type", "summary");
    rmill_json_string(&json, "command", line->command->name);
    rmill_json_unsigned(&json, "items", summary->items);
    rmill_json_unsigned(&json, "left_out_items", summary->left_out_items);
    rmill_json_unsigned(&json, "input_bytes", summary->input_bytes);
    rmill_json_unsigned(&json, "output_bytes", summary->output_bytes);
    rmill_json_unsigned(&json, "wall_ns", summary->wall_ns);
    rmill_json_real(&json, "per_second", per_second(summary));
    rmill_json_unsigned(&json, "cpu_ns", cpu_ns());
    for (uint32_t i = 0; busy != NULL && i < summary->core_count; i++) {
        if (json_array_append_new(busy, json_real(summary->core_busy[i])) != 0) {
            json_decref(busy);
            busy = NULL;
        }
    }
    rmill_json_value(&json, "core_busy", busy);
    rmill_json_unsigned(&json, "peak_memory_bytes", rmill_summary_peak_memory_bytes());
    if (summary->latency_name != NULL) {
        rmill_json_begin(&latency);
        rmill_json_string(&latency, "of", summary->latency_name);
        rmill_json_unsigned(&latency, "p50", summary->latency_ns_p50);
        rmill_json_unsigned(&latency, "p99", summary->latency_ns_p99);
        rmill_json_unsigned(&latency, "max", summary->latency_ns_max);
        rmill_json_value(&json, "latency_ns", rmill_json_take(&latency));
    }
    return rmill_json_print(&json);
}

int
rmill_summary_print(const struct rmill_command_line *line, const struct rmill_summary *summary)
{
    if (rmill_line_has(line, "json")) {
        return json_print(line, summary);
    }
    if (!rmill_line_has(line, "quiet")) {
        errno = 0;
        work_print(summary);
        cost_print(summary);
        if (ferror(stdout)) {
            return errno != 0 ? -errno : -EIO;
        }
    }
    return 0;
}
