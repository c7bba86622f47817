/* cli/units.c — see units.h. */
#include "cli/units.h"

#include <stdio.h>

#include "base/macros.h"

/* Three significant digits: 1.21, 12.1, 121. */
static int
decimals(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

char *
rmill_units_bytes(char to[32], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;

    bytes = bytes > 0 ? bytes : 0;
    while (bytes >= 999.5 && unit + 1 < RMILL_ARRAY_COUNT(units)) {
        bytes /= 1000;
        unit++;
    }
    (void)snprintf(to, 32, "%.*f %s", unit == 0 ? 0 : decimals(bytes), bytes, units[unit]);
    return to;
}

char *
rmill_units_duration(char to[32], double seconds)
{
    uint64_t whole;

    seconds = seconds > 0 ? seconds : 0;
    if (seconds < 0.9995e-3) {
        (void)snprintf(to, 32, "%.0f us", seconds * 1e6);
    } else if (seconds < 0.9995) {
        (void)snprintf(to, 32, "%.*f ms", decimals(seconds * 1e3), seconds * 1e3);
    } else if (seconds < 59.95) {
        (void)snprintf(to, 32, "%.*f s", decimals(seconds), seconds);
    } else {
        whole = seconds < 1e15 ? (uint64_t)(seconds + 0.5) : (uint64_t)1e15;
        if (whole < 3600) {
            (void)snprintf(to, 32, "%u min %u s", (unsigned)(whole / 60), (unsigned)(whole % 60));
        } else {
            (void)snprintf(to, 32, "%llu h %u min", (unsigned long long)(whole / 3600),
                           (unsigned)(whole % 3600 / 60));
        }
    }
    return to;
}

char *
rmill_units_count(char to[32], uint64_t count)
{
    char digits[24];
    int digit_count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    size_t at = 0;

    for (int i = 0; i < digit_count; i++) {
        if (i > 0 && (digit_count - i) % 3 == 0) {
            to[at++] = ',';
        }
        to[at++] = digits[i];
    }
    to[at] = '\0';
    return to;
}
