/* numa/memory.h — one anonymous mapping near a node, on the largest pages to be had.
 *
 *     [guard page] base ......................... base + bytes [guard page]
 *                  2 MiB aligned, MADV_DONTFORK
 *
 * Explicit 2 MiB pages first, then transparent huge pages, then 4 KiB ones; what was got is
 * reported, never an error. The node is a preference: when it is full the kernel takes the pages
 * from another one. At most 1 GiB each, the most that one registered io_uring buffer can be.
 *
 * Beyond the memory limit of a control group the kernel kills instead of refusing: whoever maps
 * much looks at rmill_cgroup_read first. */
#ifndef RMILL_NUMA_MEMORY_H
#define RMILL_NUMA_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define RMILL_MEMORY_BYTES_MAX  RMILL_GIB(1)
#define RMILL_MEMORY_HUGE_BYTES RMILL_MIB(2)
#define RMILL_NODE_ANY          (-1)

enum rmill_page_kind {
    RMILL_PAGES_SMALL,         /* What the machine calls a page, 4 KiB on x86-64. */
    RMILL_PAGES_TRANSPARENT,   /* 2 MiB where the kernel finds them (MADV_HUGEPAGE), else small. */
    RMILL_PAGES_EXPLICIT_HUGE, /* 2 MiB from the pool of vm.nr_hugepages; reserved at map time. */
};

/* Zeroed means: node 0, small pages, touched when first used, no guards; `bytes` must be set. */
struct rmill_memory_options {
    uint64_t bytes;        /* 1 ... RMILL_MEMORY_BYTES_MAX; rounded up to whole pages. */
    int node;              /* The node to prefer, or RMILL_NODE_ANY. */
    bool huge_explicit;    /* Try vm.nr_hugepages' pages (for 2 MiB and more). */
    bool huge_transparent; /* Try transparent huge pages (for 2 MiB and more). */
    bool prefault; /* Touch every page now: 4-6 ms per 64 MiB, and far more on a cold host. */
    bool guard;    /* An inaccessible page on either side, when the neighbourhood is free. */
};

/* Owner: who mapped it. Read-only after rmill_memory_map. */
struct rmill_memory {
    void *base;     /* NULL when not mapped. */
    uint64_t bytes; /* Whole pages, so possibly more than asked. */
    enum rmill_page_kind kind;
    int node;      /* The node asked for, or RMILL_NODE_ANY. */
    int bind_code; /* 0 bound as asked, else -errno of mbind(2): the kernel then places by use. */
    uint64_t away_bytes; /* After a prefault: bytes found on another node than asked. Else 0. */
    bool guard_below;
    bool guard_above;
};

/* Map. `memory` is the caller's, `options` borrowed for the call. The memory reads as zeros.
 * Thread: any.
 * 0; -EINVAL (0 bytes or more than RMILL_MEMORY_BYTES_MAX); -ENOMEM and other errnos of mmap(2) and
 * madvise(2), with the knob in `error` (may be NULL). On failure `memory` is zeroed and nothing
 * mapped. */
int rmill_memory_map(struct rmill_memory *memory, const struct rmill_memory_options *options,
                     struct rmill_error *error);

/* Unmap and zero `memory`. A zeroed one is accepted. Thread: any; nobody uses it any more. */
void rmill_memory_unmap(struct rmill_memory *memory);

/* Where the pages are now: how many bytes are resident, and how many of them on another node than
 * asked (0 when any node was asked). Cost: a system call per 512 pages of 4 KiB; for reports only.
 * 0; -errno of move_pages(2) (-ENOSYS, -EPERM in some containers); outputs untouched then. */
int rmill_memory_placement(const struct rmill_memory *memory, uint64_t *resident_bytes,
                           uint64_t *away_bytes);

/* "explicit 2 MiB pages", "transparent huge pages", "4 KiB pages". Static. */
const char *rmill_page_kind_name(enum rmill_page_kind kind);

#endif
