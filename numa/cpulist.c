#include "numa/cpulist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool
rmill_cpuset_add(struct rmill_cpuset *set, uint32_t cpu)
{
    if (cpu >= RMILL_CPUS_MAX) {
        return false;
    }
    set->words[cpu / 64] |= 1ull << (cpu % 64);
    return true;
}

void
rmill_cpuset_remove(struct rmill_cpuset *set, uint32_t cpu)
{
    if (cpu < RMILL_CPUS_MAX) {
        set->words[cpu / 64] &= ~(1ull << (cpu % 64));
    }
}

bool
rmill_cpuset_has(const struct rmill_cpuset *set, uint32_t cpu)
{
    return cpu < RMILL_CPUS_MAX && (set->words[cpu / 64] >> (cpu % 64) & 1) != 0;
}

uint32_t
rmill_cpuset_count(const struct rmill_cpuset *set)
{
    uint32_t count = 0;

    for (uint32_t word = 0; word < RMILL_CPUSET_WORDS; word++) {
        count += (uint32_t)__builtin_popcountll(set->words[word]);
    }
    return count;
}

bool
rmill_cpuset_equal(const struct rmill_cpuset *a, const struct rmill_cpuset *b)
{
    return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

uint32_t
rmill_cpuset_next(const struct rmill_cpuset *set, uint32_t from)
{
    if (from >= RMILL_CPUS_MAX) {
        return RMILL_CPU_NONE;
    }
    uint32_t word = from / 64;
    uint64_t bits = set->words[word] & (~0ull << (from % 64));

    while (bits == 0) {
        if (++word == RMILL_CPUSET_WORDS) {
            return RMILL_CPU_NONE;
        }
        bits = set->words[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

void
rmill_cpuset_and(struct rmill_cpuset *set, const struct rmill_cpuset *other)
{
    for (uint32_t word = 0; word < RMILL_CPUSET_WORDS; word++) {
        set->words[word] &= other->words[word];
    }
}

void
rmill_cpuset_subtract(struct rmill_cpuset *set, const struct rmill_cpuset *other)
{
    for (uint32_t word = 0; word < RMILL_CPUSET_WORDS; word++) {
        set->words[word] &= ~other->words[word];
    }
}

/* --- reading --- */

/* One item, "N", "N-M" or "N-M:STRIDE". */
struct item {
    uint32_t first;
    uint32_t last;
    uint32_t stride;
};

static const char *
blanks_skip(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
        at++;
    }
    return at;
}

/* A decimal number below RMILL_CPUS_MAX. NULL on success, else what is wrong at `*at`. */
static const char *
number_parse(const char **at, uint32_t *number)
{
    const char *digit = *at;
    uint32_t value = 0;

    if (*digit < '0' || *digit > '9') {
        return *digit == '\0' ? "a CPU number is missing" : "this is no CPU number";
    }
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        value = value * 10 + (uint32_t)(*digit - '0');
        if (value >= RMILL_CPUS_MAX) {
            return "the number is too large (4095 is the highest)";
        }
    }
    *at = digit;
    *number = value;
    return NULL;
}

static const char *
item_parse(const char **at, struct item *item)
{
    const char *start = *at;
    const char *wrong = number_parse(at, &item->first);

    item->last = item->first;
    item->stride = 1;
    if (wrong != NULL || **at != '-') {
        return wrong;
    }
    (*at)++;
    wrong = number_parse(at, &item->last);
    if (wrong != NULL) {
        return wrong;
    }
    if (item->last < item->first) {
        *at = start;
        return "the range runs backwards";
    }
    if (**at != ':') {
        return NULL;
    }
    (*at)++;
    start = *at;
    wrong = number_parse(at, &item->stride);
    if (wrong == NULL && item->stride == 0) {
        *at = start;
        return "a stride of 0 goes nowhere";
    }
    return wrong;
}

static const char *
list_parse(const char **at, struct rmill_cpuset *set)
{
    *at = blanks_skip(*at);
    while (**at != '\0') {
        struct item item = {0};
        const char *wrong = item_parse(at, &item);

        if (wrong != NULL) {
            return wrong;
        }
        for (uint32_t cpu = item.first; cpu <= item.last; cpu += item.stride) {
            (void)rmill_cpuset_add(set, cpu); /* In range: number_parse saw to it. */
        }
        *at = blanks_skip(*at);
        if (**at == '\0') {
            break;
        }
        if (**at != ',') {
            return "a comma is expected";
        }
        *at = blanks_skip(*at + 1);
    }
    return NULL;
}

int
rmill_cpulist_parse(const char *text, struct rmill_cpuset *out, struct rmill_error *error)
{
    struct rmill_cpuset set = {0};
    const char *at = text;
    const char *wrong = list_parse(&at, &set);

    if (wrong != NULL) {
        return rmill_error_set(
            error, -EINVAL, "CPU list \"%.80s\": %s at character %zu (write it like 0-3,8,10-14:2)",
            text, wrong, (size_t)(at - text) + 1);
    }
    *out = set;
    return 0;
}

/* --- writing --- */

/* How far a run of `stride` goes from `first`: the last CPU such that all in between at that stride
 * are in the set and nothing else between them is. */
static uint32_t
run_last(const struct rmill_cpuset *set, uint32_t first, uint32_t stride)
{
    uint32_t last = first;

    while (rmill_cpuset_next(set, last + 1) == last + stride) {
        last += stride;
    }
    return last;
}

int
rmill_cpulist_format(const struct rmill_cpuset *set, char *text, size_t bytes)
{
    size_t used = 0;

    if (bytes == 0) {
        return -ENOSPC;
    }
    text[0] = '\0';
    for (uint32_t cpu = rmill_cpuset_next(set, 0); cpu != RMILL_CPU_NONE;) {
        uint32_t second = rmill_cpuset_next(set, cpu + 1);
        uint32_t stride = second != RMILL_CPU_NONE ? second - cpu : 1;
        uint32_t last = second != RMILL_CPU_NONE ? run_last(set, cpu, stride) : cpu;
        char item[40];

        if (stride > 1 && last < cpu + 2 * stride) {
            last = cpu; /* Two CPUs apart read better as "2,8" than as "2-8:6". */
        }
        if (last == cpu) {
            (void)snprintf(item, sizeof(item), "%u", cpu);
        } else if (stride == 1) {
            (void)snprintf(item, sizeof(item), "%u-%u", cpu, last);
        } else {
            (void)snprintf(item, sizeof(item), "%u-%u:%u", cpu, last, stride);
        }
        int length = snprintf(text + used, bytes - used, "%s%s", used > 0 ? "," : "", item);

        if (length < 0 || (size_t)length >= bytes - used) {
            return -ENOSPC;
        }
        used += (size_t)length;
        cpu = rmill_cpuset_next(set, last + 1);
    }
    return (int)used;
}
