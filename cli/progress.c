/* cli/progress.c — see progress.h. */
#include "cli/progress.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "cli/units.h"

#define DRAW_INTERVAL_NS (100 * RMILL_NS_PER_MS)
#define RATE_INTERVAL_NS (500 * RMILL_NS_PER_MS)
#define STALL_NS         (10 * RMILL_NS_PER_S)
#define LINE_BYTES       256
#define COLUMNS_DEFAULT  80

/* Whether a line is on the terminal now. Written by the drawer and by whoever hides it: an exchange
 * decides who erases, so the erasing happens once. Relaxed: it orders nothing but itself. */
static atomic_bool line_shown;

static void
terminal_write(const char *text, size_t bytes)
{
    if (write(STDERR_FILENO, text, bytes) < 0) {
        return; /* A terminal that is gone needs no progress line. */
    }
}

void
rmill_progress_hide(void)
{
    static const char erase[] = "\r\033[K";

    if (atomic_exchange_explicit(&line_shown, false, memory_order_relaxed)) {
        terminal_write(erase, sizeof(erase) - 1);
    }
}

void
rmill_progress_start(struct rmill_progress *progress, const char *verb, bool enabled)
{
    uint64_t now_ns = rmill_clock_ns();

    *progress = (struct rmill_progress){
        .verb = verb,
        .enabled = enabled && isatty(STDERR_FILENO),
        .started_ns = now_ns,
        .moved_ns = now_ns,
        .sampled_ns = now_ns,
    };
}

void
rmill_progress_end(struct rmill_progress *progress)
{
    if (progress->enabled) {
        rmill_progress_hide();
        progress->enabled = false;
    }
}

/* The rate follows the job within a few seconds and does not flicker. */
static void
rate_sample(struct rmill_progress *progress, uint64_t count, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - progress->sampled_ns;
    double rate;

    if (passed_ns < RATE_INTERVAL_NS || count < progress->sampled_count) {
        return;
    }
    rate = (double)(count - progress->sampled_count) * 1e9 / (double)passed_ns;
    progress->rate = progress->sampled_count == 0 ? rate : 0.8 * progress->rate + 0.2 * rate;
    progress->sampled_ns = now_ns;
    progress->sampled_count = count;
}

static RMILL_PRINTF(3, 4) void append(char *line, size_t *line_bytes, const char *format, ...)
{
    va_list arguments;
    int bytes;

    va_start(arguments, format);
    bytes = vsnprintf(line + *line_bytes, LINE_BYTES - *line_bytes, format, arguments);
    va_end(arguments);
    if (bytes > 0) {
        *line_bytes = rmill_min_u64(*line_bytes + (size_t)bytes, LINE_BYTES - 1);
    }
}

/* What is being measured: bytes when there are any, else items. */
struct measure {
    uint64_t done_bytes, total_bytes, done_items, total_items;
};

static void
line_format(const struct rmill_progress *progress, const struct measure *measure, uint64_t now_ns,
            char line[LINE_BYTES])
{
    bool in_bytes = measure->done_bytes > 0 || measure->total_bytes > 0;
    uint64_t done = in_bytes ? measure->done_bytes : measure->done_items;
    uint64_t total = in_bytes ? measure->total_bytes : measure->total_items;
    size_t bytes = 0;
    char a[32], b[32];

    append(line, &bytes, "%s", progress->verb);
    if (in_bytes) {
        append(line, &bytes, "  %s", rmill_units_bytes(a, (double)measure->done_bytes));
        if (measure->total_bytes > 0) {
            append(line, &bytes, " of %s", rmill_units_bytes(b, (double)measure->total_bytes));
        }
    }
    if (total > 0) {
        append(line, &bytes, "  %u%%",
               (unsigned)(100.0 * (double)rmill_min_u64(done, total) / (double)total));
    }
    append(line, &bytes, "  %s", rmill_units_count(a, measure->done_items));
    if (measure->total_items > 0) {
        append(line, &bytes, " of %s", rmill_units_count(b, measure->total_items));
    }
    append(line, &bytes, " items");
    if (now_ns - progress->moved_ns >= STALL_NS) {
        append(line, &bytes, "  no progress for %s",
               rmill_units_duration(a, (double)(now_ns - progress->moved_ns) / 1e9));
    } else if (progress->rate > 0) {
        if (in_bytes) {
            append(line, &bytes, "  %s/s", rmill_units_bytes(a, progress->rate));
        } else {
            append(line, &bytes, "  %s/s", rmill_units_count(a, (uint64_t)progress->rate));
        }
        if (total > done) {
            append(line, &bytes, "  ETA %s",
                   rmill_units_duration(a, (double)(total - done) / progress->rate));
        }
    }
}

static void
line_draw(char line[LINE_BYTES])
{
    char text[LINE_BYTES + 8];
    struct winsize size;
    size_t columns = COLUMNS_DEFAULT;
    int bytes;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1) {
        columns = size.ws_col;
    }
    if (strlen(line) >= columns) {
        line[columns - 1] = '\0'; /* A line that wraps could not be erased. */
    }
    bytes = snprintf(text, sizeof(text), "\r%s\033[K", line);
    atomic_store_explicit(&line_shown, true, memory_order_relaxed);
    terminal_write(text, (size_t)bytes);
}

void
rmill_progress_update(struct rmill_progress *progress, uint64_t done_bytes, uint64_t total_bytes,
                      uint64_t done_items, uint64_t total_items)
{
    struct measure measure = {done_bytes, total_bytes, done_items, total_items};
    char line[LINE_BYTES] = "";
    uint64_t now_ns;

    if (!progress->enabled) {
        return;
    }
    now_ns = rmill_clock_ns();
    if (done_bytes != progress->moved_bytes || done_items != progress->moved_items) {
        progress->moved_bytes = done_bytes;
        progress->moved_items = done_items;
        progress->moved_ns = now_ns;
    }
    if (now_ns - progress->drawn_ns < DRAW_INTERVAL_NS) {
        return;
    }
    progress->drawn_ns = now_ns;
    rate_sample(progress, done_bytes > 0 ? done_bytes : done_items, now_ns);
    line_format(progress, &measure, now_ns, line);
    line_draw(line);
}
