/* cli/escape.c — see escape.h. */
#include "cli/escape.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHARACTER_BYTES 4

static size_t
utf8_decode(const char *text, size_t bytes, uint32_t *character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = (uint8_t)text[0];
    size_t length;

    if (lead < 0x80) {
        *character = lead;
        return 1;
    }
    length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || length > bytes) {
        return 0;
    }
    *character = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (((uint8_t)text[i] & 0xC0) != 0x80) {
            return 0;
        }
        *character = *character << 6 | ((uint8_t)text[i] & 0x3F);
    }
    if (*character < smallest[length] || *character > 0x10FFFF ||
        (*character >= 0xD800 && *character <= 0xDFFF)) {
        return 0;
    }
    return length;
}

size_t
rmill_utf8_length(const char *text, size_t bytes)
{
    uint32_t character;

    return utf8_decode(text, bytes, &character);
}

bool
rmill_utf8_valid(const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        size_t length = rmill_utf8_length(text + at, bytes - at);

        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

/* Characters that move the cursor, break the line or turn the text around. */
static bool
is_unsafe(uint32_t character)
{
    return character < 0x20 || (character >= 0x7F && character <= 0x9F) || character == 0x200E ||
           character == 0x200F || (character >= 0x2028 && character <= 0x202E) ||
           (character >= 0x2066 && character <= 0x2069) || character == 0x61C;
}

/* Escape the first character of `from` into `to`; says how much of each was used. */
static size_t
escape_character(char to[CHARACTER_BYTES * RMILL_ESCAPE_GROWTH], const char *from,
                 size_t from_bytes, size_t *used)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t character = 0;
    size_t length = utf8_decode(from, from_bytes, &character), written = 0;

    *used = length == 0 ? 1 : length;
    if (length == 1 && character == '\\') {
        memcpy(to, "\\\\", 2);
        return 2;
    }
    if (length != 0 && !is_unsafe(character)) {
        memcpy(to, from, length);
        return length;
    }
    for (size_t i = 0; i < *used; i++) {
        to[written++] = '\\';
        to[written++] = 'x';
        to[written++] = digits[(uint8_t)from[i] >> 4];
        to[written++] = digits[(uint8_t)from[i] & 15];
    }
    return written;
}

size_t
rmill_escape(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
    char piece[CHARACTER_BYTES * RMILL_ESCAPE_GROWTH];
    size_t needed = 0, written = 0, used;

    for (size_t at = 0; at < from_bytes; at += used) {
        size_t piece_bytes = escape_character(piece, from + at, from_bytes - at, &used);

        if (needed == written && written + piece_bytes < to_bytes) {
            memcpy(to + written, piece, piece_bytes);
            written += piece_bytes;
        }
        needed += piece_bytes;
    }
    to[written] = '\0';
    return needed;
}

char *
rmill_escape_copy(const char *from, size_t from_bytes)
{
    char *text;

    if (from_bytes > SIZE_MAX / RMILL_ESCAPE_GROWTH - 1) {
        return NULL;
    }
    text = malloc(from_bytes * RMILL_ESCAPE_GROWTH + 1);
    if (text != NULL) {
        rmill_escape(text, from_bytes * RMILL_ESCAPE_GROWTH + 1, from, from_bytes);
    }
    return text;
}

void
rmill_escape_print(FILE *stream, const char *from, size_t from_bytes, bool raw)
{
    char piece[CHARACTER_BYTES * RMILL_ESCAPE_GROWTH];
    size_t used;

    if (raw) {
        fwrite(from, 1, from_bytes, stream);
        return;
    }
    for (size_t at = 0; at < from_bytes; at += used) {
        size_t piece_bytes = escape_character(piece, from + at, from_bytes - at, &used);

        fwrite(piece, 1, piece_bytes, stream);
    }
}
