/* cli/doctor.h — what this machine gives, what it holds back, and what changes it.
 *
 * The examination fills a report and says nothing; cli/doctor.c prints it. Everything that
 * stands in /proc and /sys is read below a root prefix, so that a test can make up a machine;
 * what can only be tried (the ring itself, direct I/O) is tried on the machine the program runs
 * on, and only without a prefix. */
#ifndef RMILL_CLI_DOCTOR_H
#define RMILL_CLI_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

enum rmill_doctor_level {
    RMILL_DOCTOR_OK,
    RMILL_DOCTOR_BETTER,  /* Works, but could be better. */
    RMILL_DOCTOR_MISSING, /* Is not there. */
};

#define RMILL_DOCTOR_LINES_MAX 64
#define RMILL_DOCTOR_TEXT_MAX  320

/* One line of the report. `cost` and `command` are empty when the level is OK. */
struct rmill_doctor_line {
    const char *name; /* Static, unique in a report: "memlock". */
    enum rmill_doctor_level level;
    char found[RMILL_DOCTOR_TEXT_MAX];   /* What is there. */
    char cost[RMILL_DOCTOR_TEXT_MAX];    /* What it costs to leave it so. */
    char command[RMILL_DOCTOR_TEXT_MAX]; /* The exact command that changes it. */
};

struct rmill_doctor_report {
    struct rmill_doctor_line lines[RMILL_DOCTOR_LINES_MAX];
    uint32_t count;
    bool usable; /* A ring could be made (or, with a prefix, nothing there forbids one). */
};

/* Add a line. `cost` and `command` may be NULL. Returns it, so that a caller can add words; the
 * report has room for all lines there are (asserted). */
struct rmill_doctor_line *rmill_doctor_add(struct rmill_doctor_report *report, const char *name,
                                           enum rmill_doctor_level level, const char *format, ...)
    RMILL_PRINTF(4, 5);
void rmill_doctor_advise(struct rmill_doctor_line *line, const char *cost, const char *format, ...)
    RMILL_PRINTF(3, 4);

/* The kernel and its io_uring: with no root prefix a ring is made and tried. Sets
 * report->usable. */
void rmill_doctor_examine_ring(struct rmill_doctor_report *report, const char *root);

/* Limits, memory, processors. `root` is "" for this machine. */
void rmill_doctor_examine_machine(struct rmill_doctor_report *report, const char *root);

/* The filesystem and device below `path`. 0, or -errno of looking at it; nothing is left behind
 * there. */
int rmill_doctor_examine_path(struct rmill_doctor_report *report, const char *root,
                              const char *path);

#endif
