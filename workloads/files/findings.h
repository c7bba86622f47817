/* workloads/files/findings.h — what is wrong with an archive or its target, one line of text each.
 *
 * A list belongs to one fiber at a time: a unit collects, home tells. */
#ifndef RMILL_FILES_FINDINGS_H
#define RMILL_FILES_FINDINGS_H

#include "base/macros.h"
#include "workloads/files/entry.h"

enum rmill_finding_kind {
    RMILL_FINDING_DAMAGE,   /* The archive is not what it was. */
    RMILL_FINDING_REFUSED,  /* It asks for something it must not have. */
    RMILL_FINDING_FAILED,   /* The target said no. */
    RMILL_FINDING_LEFT_OUT, /* There is already something of that name. */
    RMILL_FINDING_WARNING,  /* Done, but worth knowing. */
    RMILL_FINDING_KINDS,
};

/* One line of text about one entry, "PATH: what". Owned by the list it is in. */
struct rmill_finding {
    struct rmill_finding *next;
    enum rmill_finding_kind kind;
    char text[];
};

struct rmill_findings {
    struct rmill_finding *first, *last;
};

/* Append a line; the path is escaped. Panics out of memory: a lost line must not turn damage into
 * success. Thread: the list's owner. */
void rmill_findings_add(struct rmill_findings *findings, enum rmill_finding_kind kind,
                        const struct rmill_entry *entry, const char *format, ...)
    RMILL_PRINTF(4, 5);

/* Forget what nobody will be told. */
void rmill_findings_drop(struct rmill_findings *findings);

#endif
