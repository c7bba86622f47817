/* workloads/files/problem.h — one input that is not, or not exactly, in the archive, and why. */
#ifndef RMILL_FILES_PROBLEM_H
#define RMILL_FILES_PROBLEM_H

#include <stdint.h>

enum rmill_problem_kind {
    RMILL_PROBLEM_LEFT_OUT, /* `error` says why. */
    RMILL_PROBLEM_SPECIAL,  /* Left out: a socket, fifo or device. */
    RMILL_PROBLEM_PARTIAL,  /* A directory that could not be read to its end. */
    RMILL_PROBLEM_CHANGED,  /* In the archive, but not as it was: `flags` of entry.h. */
};

/* The path is the stored name, lent for the call. */
struct rmill_problem {
    enum rmill_problem_kind kind;
    const char *path;
    uint32_t path_bytes;
    uint32_t flags; /* RMILL_ENTRY_SHRANK ... */
    int error;      /* -errno, or 0. */
};

/* Told of each problem, on the core the job was started on. Must not park. */
typedef void rmill_problem_told(void *context, const struct rmill_problem *problem);

#endif
