#include "workloads/files/reader_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cli/escape.h"

void
rmill_findings_add(struct rmill_findings *findings, enum rmill_finding_kind kind,
                   const struct rmill_entry *entry, const char *format, ...)
{
    char what[512];
    char *path = entry != NULL ? rmill_escape_copy(entry->path, entry->path_bytes) : NULL;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    size_t bytes = (path != NULL ? strlen(path) : 0) + strlen(what) + 3;
    struct rmill_finding *finding = malloc(sizeof(*finding) + bytes);

    if (finding == NULL) { /* A lost line must not turn damage into success. */
        RMILL_PANIC("out of memory while reporting what is wrong with an archive");
    }
    (void)snprintf(finding->text, bytes, "%s%s%s", path != NULL ? path : "",
                   path != NULL ? ": " : "", what);
    free(path);
    finding->kind = kind;
    finding->next = NULL;
    if (findings->last != NULL) {
        findings->last->next = finding;
    } else {
        findings->first = finding;
    }
    findings->last = finding;
}

void
rmill_reader_tell(struct reader *reader, struct rmill_findings *findings)
{
    while (findings->first != NULL) {
        struct rmill_finding *finding = findings->first;

        findings->first = finding->next;
        reader->report->count[finding->kind]++;
        if (reader->sink->told != NULL) {
            reader->sink->told(reader->sink->context, finding);
        }
        free(finding);
    }
    findings->last = NULL;
}

void
rmill_findings_drop(struct rmill_findings *findings)
{
    while (findings->first != NULL) {
        struct rmill_finding *finding = findings->first;

        findings->first = finding->next;
        free(finding);
    }
    findings->last = NULL;
}
