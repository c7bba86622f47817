/* cli/escape.h — names of any bytes, made safe to print on a terminal.
 *
 * Workloads may include this.
 *
 * Printable UTF-8 stays as it is. Control characters (C0, DEL, C1), the characters that turn the
 * direction of text, line and paragraph separators and every byte that is not part of valid UTF-8
 * become \xHH; a backslash becomes \\. So the text is one line, cannot move the cursor, and names
 * exactly one sequence of bytes. */
#ifndef RMILL_CLI_ESCAPE_H
#define RMILL_CLI_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The escaped text is at most this many times as long as the name. */
#define RMILL_ESCAPE_GROWTH 4

/* Escape into `to`, always terminated (to_bytes > 0), cut at a whole character when it does not
 * fit. Returns the bytes the whole text needs without the terminator, as snprintf does. Thread:
 * any. */
size_t rmill_escape(char *to, size_t to_bytes, const char *from, size_t from_bytes);

/* The escaped text in memory of its own, for free(); NULL out of memory. Thread: any. */
char *rmill_escape_copy(const char *from, size_t from_bytes);

/* Print the name, escaped unless `raw`. Errors stay in the stream (ferror). Thread: any. */
void rmill_escape_print(FILE *stream, const char *from, size_t from_bytes, bool raw);

/* Length in bytes (1-4) of the valid UTF-8 character at `text`, 0 when there is none. Overlong
 * forms, surrogates and values above U+10FFFF are not valid. `bytes` > 0. */
size_t rmill_utf8_length(const char *text, size_t bytes);

/* True when all of it is valid UTF-8. */
bool rmill_utf8_valid(const char *text, size_t bytes);

#endif
