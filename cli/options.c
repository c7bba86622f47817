/* cli/options.c — see options.h. */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/escape.h"

#define NEAREST_WORD_BYTES 64
#define SHOWN_WORD_BYTES   160

const struct rmill_option_spec rmill_options_common[] = {
    {.name = "cores",
     .type = RMILL_OPTION_STRING,
     .value = "SPEC",
     .help = "use the cores SPEC, written as for taskset -c (0-3,8); also RINGMILL_CORES"},
    {.name = "json", .help = "print one JSON object per line instead of text"},
    {.name = "quiet", .letter = 'q', .help = "print only errors; no progress, no notes"},
    {.name = "verbose", .letter = 'v', .help = "say more about what is done"},
    {.name = "help", .letter = 'h', .help = "show this help"},
    {.name = "version", .help = "show the version"},
    {.name = NULL},
};

/* A word of the user's, fit for an error message: short and without control characters. */
struct shown {
    char text[SHOWN_WORD_BYTES];
};

static const char *
show(struct shown *shown, const char *word)
{
    rmill_escape(shown->text, sizeof(shown->text), word, strlen(word));
    return shown->text;
}

static const struct rmill_option_spec *
find_name(const struct rmill_option_spec *table, const char *name, size_t name_bytes)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (strlen(table->name) == name_bytes && memcmp(table->name, name, name_bytes) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct rmill_option_spec *
find_letter(const struct rmill_option_spec *table, char letter)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (table->letter == letter) {
            return table;
        }
    }
    return NULL;
}

static const struct rmill_option_spec *
find_digits(const struct rmill_option_spec *table)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (table->digits) {
            return table;
        }
    }
    return NULL;
}

/* --- numbers
 * ------------------------------------------------------------------------------------------ */

static int
suffix_shift(const char *suffix, unsigned *shift)
{
    static const char letters[] = "KMGT";
    const char *letter;

    *shift = 0;
    if (*suffix == '\0') {
        return 0;
    }
    letter = strchr(letters, *suffix >= 'a' ? *suffix - 'a' + 'A' : *suffix);
    if (letter != NULL) {
        *shift = 10 * (unsigned)(letter - letters + 1);
        suffix++;
        if (strcmp(suffix, "iB") == 0) {
            return 0;
        }
    }
    return *suffix == '\0' || strcmp(suffix, "B") == 0 ? 0 : -EINVAL;
}

int
rmill_options_number(const char *text, bool suffixes, uint64_t *value)
{
    uint64_t number = 0;
    const char *at = text;
    unsigned shift = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number)) {
            return -ERANGE;
        }
    }
    if (at == text || (*at != '\0' && !suffixes) || suffix_shift(at, &shift) != 0) {
        return -EINVAL;
    }
    if (number > UINT64_MAX >> shift) {
        return -ERANGE;
    }
    *value = number << shift;
    return 0;
}

/* --- the nearest word
 * --------------------------------------------------------------------------------- */

/* Levenshtein's distance; words longer than the buffer are far from everything. */
static size_t
edit_distance(const char *a, const char *b)
{
    size_t row[NEAREST_WORD_BYTES + 1];
    size_t a_bytes = strlen(a), b_bytes = strlen(b);

    if (a_bytes > NEAREST_WORD_BYTES || b_bytes > NEAREST_WORD_BYTES) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b_bytes; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t best = rmill_min_u64(row[j], row[j - 1]) + 1;

            best = rmill_min_u64(best, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_bytes];
}

const char *
rmill_options_nearest(const char *word, const char *(*next)(void *context), void *context)
{
    size_t word_bytes = strlen(word);
    /* Two letters changed places count as two edits: that much is allowed from three letters on. */
    size_t best_distance = word_bytes < 3 ? 2 : rmill_max_u64(word_bytes / 3, 2) + 1;
    const char *best = NULL, *candidate;

    while ((candidate = next(context)) != NULL) {
        size_t distance = edit_distance(word, candidate);

        /* The beginning of a name is near to it, however long the rest is. */
        if (word_bytes >= 2 && strncmp(word, candidate, word_bytes) == 0) {
            distance = 0;
        }
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

struct name_cursor {
    const struct rmill_option_spec *tables[2];
    uint32_t table_index;
};

static const char *
next_name(void *context)
{
    struct name_cursor *cursor = context;

    for (; cursor->table_index < 2; cursor->table_index++) {
        const struct rmill_option_spec **spec = &cursor->tables[cursor->table_index];

        if (*spec != NULL && (*spec)->name != NULL) {
            return (*spec)++->name;
        }
    }
    return NULL;
}

/* --- parsing
 * ------------------------------------------------------------------------------------------ */

struct parser {
    struct rmill_command_line *line;
    char *const *words;
    int word_count;
    int word_index;
    struct rmill_error *error;
};

static int
item_append(struct parser *parser, const struct rmill_option_spec *option, const char *text,
            uint64_t number)
{
    struct rmill_command_line *line = parser->line;

    if (line->item_count == line->item_capacity) {
        uint32_t capacity = line->item_capacity == 0 ? 16 : line->item_capacity * 2;
        struct rmill_line_item *items = reallocarray(line->items, capacity, sizeof(*items));

        if (items == NULL) {
            return rmill_error_set(parser->error, -ENOMEM,
                                   "not enough memory for the command line");
        }
        line->items = items;
        line->item_capacity = capacity;
    }
    line->items[line->item_count++] =
        (struct rmill_line_item){.option = option, .text = text, .number = number};
    return 0;
}

static int
number_check(struct parser *parser, const struct rmill_option_spec *option, const char *text,
             uint64_t *number)
{
    bool suffixes = option->type == RMILL_OPTION_BYTES;
    uint64_t max = option->max == 0 ? UINT64_MAX : option->max;
    int code = rmill_options_number(text, suffixes, number);
    struct shown shown;

    if (code == -EINVAL) {
        return rmill_error_set(parser->error, -EINVAL, "--%s: '%s' is not a %s", option->name,
                               show(&shown, text),
                               suffixes ? "number of bytes (64K, 2M, 1G)" : "number");
    }
    if (code != 0 || *number < option->min || *number > max) {
        return option->max == 0
                   ? rmill_error_set(parser->error, -EINVAL,
                                     "--%s: %s is out of range, at least %llu", option->name,
                                     show(&shown, text), (unsigned long long)option->min)
                   : rmill_error_set(parser->error, -EINVAL,
                                     "--%s: %s is out of range %llu to %llu", option->name,
                                     show(&shown, text), (unsigned long long)option->min,
                                     (unsigned long long)max);
    }
    return 0;
}

static int
choice_check(struct parser *parser, const struct rmill_option_spec *option, const char *text,
             uint64_t *number)
{
    char list[256] = "";
    struct shown shown;

    for (uint64_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *number = i;
            return 0;
        }
        if (strlen(list) + strlen(option->choices[i]) + 3 < sizeof(list)) {
            strcat(list, i == 0 ? "" : ", ");
            strcat(list, option->choices[i]);
        }
    }
    return rmill_error_set(parser->error, -EINVAL, "--%s: '%s' is not one of %s", option->name,
                           show(&shown, text), list);
}

static int
value_append(struct parser *parser, const struct rmill_option_spec *option, const char *text)
{
    uint64_t number = 1;
    int code = 0;

    switch (option->type) {
    case RMILL_OPTION_UNSIGNED:
    case RMILL_OPTION_BYTES:
        code = number_check(parser, option, text, &number);
        break;
    case RMILL_OPTION_CHOICE:
        code = choice_check(parser, option, text, &number);
        break;
    case RMILL_OPTION_FLAG:
    case RMILL_OPTION_STRING:
        break;
    }
    return code != 0 ? code : item_append(parser, option, text, number);
}

/* The next word, for an option that needs a value. */
static int
value_next(struct parser *parser, const struct rmill_option_spec *option)
{
    if (parser->word_index == parser->word_count) {
        return rmill_error_set(parser->error, -EINVAL, "--%s needs a value (%s)", option->name,
                               option->value);
    }
    return value_append(parser, option, parser->words[parser->word_index++]);
}

static int
long_unknown(struct parser *parser, const char *name, size_t name_bytes)
{
    char word[NEAREST_WORD_BYTES + 1] = "";
    struct name_cursor cursor = {
        .tables = {parser->line->command->options, rmill_options_common},
    };
    const char *nearest = NULL;
    struct shown shown;

    if (name_bytes < sizeof(word)) {
        memcpy(word, name, name_bytes);
        nearest = rmill_options_nearest(word, next_name, &cursor);
    }
    rmill_escape(shown.text, sizeof(shown.text), name, name_bytes);
    if (nearest != NULL) {
        return rmill_error_set(parser->error, -EINVAL, "unknown option --%s; did you mean --%s?",
                               shown.text, nearest);
    }
    return rmill_error_set(parser->error, -EINVAL, "unknown option --%s; see ringmill help %s",
                           shown.text, parser->line->command->name);
}

static int
long_parse(struct parser *parser, const char *name)
{
    size_t name_bytes = strcspn(name, "=");
    const struct rmill_option_spec *option =
        find_name(parser->line->command->options, name, name_bytes);

    if (option == NULL) {
        option = find_name(rmill_options_common, name, name_bytes);
    }
    if (option == NULL) {
        return long_unknown(parser, name, name_bytes);
    }
    if (option->type == RMILL_OPTION_FLAG) {
        if (name[name_bytes] == '=') {
            return rmill_error_set(parser->error, -EINVAL, "--%s takes no value", option->name);
        }
        return item_append(parser, option, NULL, 1);
    }
    if (name[name_bytes] == '=') {
        return value_append(parser, option, name + name_bytes + 1);
    }
    return value_next(parser, option);
}

/* One word of short options: -qv, -oFILE, -o FILE, or -19 for the option that takes digits. */
static int
short_parse(struct parser *parser, const char *letters)
{
    const struct rmill_option_spec *digits = find_digits(parser->line->command->options);
    struct shown shown;
    int code = 0;

    if (digits != NULL && letters[strspn(letters, "0123456789")] == '\0') {
        return value_append(parser, digits, letters);
    }
    for (; *letters != '\0' && code == 0; letters++) {
        const struct rmill_option_spec *option =
            find_letter(parser->line->command->options, *letters);

        if (option == NULL) {
            option = find_letter(rmill_options_common, *letters);
        }
        if (option == NULL) {
            char letter[2] = {*letters, '\0'};

            return rmill_error_set(parser->error, -EINVAL,
                                   "unknown option -%s; see ringmill help %s", show(&shown, letter),
                                   parser->line->command->name);
        }
        if (option->type != RMILL_OPTION_FLAG) {
            return letters[1] != '\0' ? value_append(parser, option, letters + 1)
                                      : value_next(parser, option);
        }
        code = item_append(parser, option, NULL, 1);
    }
    return code;
}

/* True when the last item asks for help or version: nothing after it matters. */
static bool
ends_parsing(const struct rmill_command_line *line)
{
    const struct rmill_option_spec *option =
        line->item_count == 0 ? NULL : line->items[line->item_count - 1].option;

    return option != NULL &&
           (strcmp(option->name, "help") == 0 || strcmp(option->name, "version") == 0);
}

static int
arguments_collect(struct parser *parser)
{
    struct rmill_command_line *line = parser->line;
    const struct rmill_command *command = line->command;

    line->arguments = calloc(line->item_count + 1, sizeof(*line->arguments));
    if (line->arguments == NULL) {
        return rmill_error_set(parser->error, -ENOMEM, "not enough memory for the command line");
    }
    for (uint32_t i = 0; i < line->item_count; i++) {
        if (line->items[i].option == NULL) {
            line->arguments[line->argument_count++] = line->items[i].text;
        }
    }
    if (ends_parsing(line)) {
        return 0;
    }
    if (line->argument_count < command->arguments_min) {
        return rmill_error_set(parser->error, -EINVAL, "too few arguments; usage: ringmill %s %.*s",
                               command->name, (int)strcspn(command->usage, "\n"), command->usage);
    }
    if (line->argument_count > command->arguments_max) {
        struct shown shown;

        return rmill_error_set(
            parser->error, -EINVAL, "unexpected argument '%s'; see ringmill help %s",
            show(&shown, line->arguments[command->arguments_max]), command->name);
    }
    return 0;
}

int
rmill_options_parse(struct rmill_command_line *line, const struct rmill_command *command,
                    int word_count, char *const *words, struct rmill_error *error)
{
    struct parser parser = {.line = line, .words = words, .word_count = word_count, .error = error};
    bool options_ended = false;
    int code = 0;

    *line = (struct rmill_command_line){.command = command};
    while (parser.word_index < word_count && code == 0) {
        const char *word = words[parser.word_index++];

        if (options_ended || word[0] != '-' || word[1] == '\0') {
            code = item_append(&parser, NULL, word, 0);
        } else if (strcmp(word, "--") == 0) {
            options_ended = true;
        } else {
            code = word[1] == '-' ? long_parse(&parser, word + 2) : short_parse(&parser, word + 1);
            if (code == 0 && ends_parsing(line)) {
                break;
            }
        }
    }
    return code != 0 ? code : arguments_collect(&parser);
}

void
rmill_options_deinit(struct rmill_command_line *line)
{
    free(line->items);
    free(line->arguments);
    *line = (struct rmill_command_line){0};
}

/* --- asking
 * ------------------------------------------------------------------------------------------- */

static const struct rmill_line_item *
item_last(const struct rmill_command_line *line, const char *name)
{
    const struct rmill_option_spec *option = find_name(line->command->options, name, strlen(name));

    if (option == NULL) {
        option = find_name(rmill_options_common, name, strlen(name));
    }
    RMILL_ASSERT(option != NULL); /* The command asks for an option that it does not declare. */
    for (uint32_t i = line->item_count; i > 0; i--) {
        if (line->items[i - 1].option == option) {
            return &line->items[i - 1];
        }
    }
    return NULL;
}

bool
rmill_line_has(const struct rmill_command_line *line, const char *name)
{
    return item_last(line, name) != NULL;
}

const char *
rmill_line_string(const struct rmill_command_line *line, const char *name, const char *fallback)
{
    const struct rmill_line_item *item = item_last(line, name);

    return item == NULL ? fallback : item->text;
}

uint64_t
rmill_line_number(const struct rmill_command_line *line, const char *name, uint64_t fallback)
{
    const struct rmill_line_item *item = item_last(line, name);

    return item == NULL ? fallback : item->number;
}
