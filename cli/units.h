/* cli/units.h — amounts and times as people read them.
 *
 * Workloads may include this.
 *
 * Each function writes at most 32 bytes with the terminator and returns `to`. Thread: any. */
#ifndef RMILL_CLI_UNITS_H
#define RMILL_CLI_UNITS_H

#include <stdint.h>

/* "1.21 GB", "812 kB", "17 B": powers of 1000, three digits. Negative counts as 0. */
char *rmill_units_bytes(char to[32], double bytes);

/* "17 us", "850 ms", "2.71 s", "3 min 20 s", "1 h 4 min". Negative counts as 0. */
char *rmill_units_duration(char to[32], double seconds);

/* 1234567 as "1,234,567". */
char *rmill_units_count(char to[32], uint64_t count);

#endif
