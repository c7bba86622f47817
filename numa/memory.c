#include "numa/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/macros.h"
#include "numa/poison.h"

#define PLACEMENT_BATCH 512
#define NODE_BITS       1024 /* As many as any kernel is built for (CONFIG_NODES_SHIFT <= 10). */

static uint64_t
page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* With "[never]" MADV_HUGEPAGE succeeds and does nothing, so only this file tells. */
static bool
transparent_huge_is_on(void)
{
    char text[64] = {0};
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, text, sizeof(text) - 1);

    (void)close(fd);
    return length > 0 && strstr(text, "[never]") == NULL;
}

/* Bytes from the pool of explicit huge pages, or NULL. */
static void *
huge_map(uint64_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

    return base != MAP_FAILED ? base : NULL;
}

/* The pool of huge pages promises pages to the whole machine; a cpuset or a hugetlb cgroup can
 * still refuse them at the first touch, by SIGBUS. Populating one page turns the common case of
 * that (none allowed) into an error here. After mbind, so that this page is on the right node, too.
 */
static int
huge_probe(const struct rmill_memory *memory)
{
    int code = madvise(memory->base, RMILL_MEMORY_HUGE_BYTES, MADV_POPULATE_WRITE);

    return code != 0 && errno != EINTR && errno != EINVAL ? -errno : 0;
}

/* Ordinary pages, aligned to 2 MiB so that transparent huge pages can fill all of it. */
static void *
aligned_map(uint64_t bytes)
{
    uint64_t reserve = bytes + RMILL_MEMORY_HUGE_BYTES;
    char *start = mmap(NULL, reserve, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (start == MAP_FAILED) {
        return NULL;
    }
    char *base = (char *)(uintptr_t)rmill_align_up((uintptr_t)start, RMILL_MEMORY_HUGE_BYTES);
    uint64_t before = (uint64_t)(base - start);
    uint64_t after = reserve - before - bytes;

    if (before > 0) {
        (void)munmap(start, before);
    }
    if (after > 0) {
        (void)munmap(base + bytes, after);
    }
    return base;
}

/* MPOL_PREFERRED and not MPOL_BIND: a full node must make us slower, not kill us. */
static int
node_prefer(void *base, uint64_t bytes, int node)
{
    unsigned long mask[NODE_BITS / (8 * sizeof(unsigned long))] = {0};
    const unsigned long word_bits = 8 * sizeof(unsigned long);

    if (node < 0) {
        return 0;
    }
    if (node >= NODE_BITS) {
        return -EINVAL;
    }
    mask[(unsigned long)node / word_bits] = 1ul << ((unsigned long)node % word_bits);
    return mbind(base, bytes, MPOL_PREFERRED, mask, NODE_BITS, 0) == 0 ? 0 : -errno;
}

static bool
guard_map(char *at, uint64_t bytes)
{
    void *got = mmap(at, bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    return got == at;
}

/* Map with the largest pages allowed. NULL with errno set when nothing can be had at all. */
static void *
any_map(struct rmill_memory *memory, const struct rmill_memory_options *options)
{
    bool big = options->bytes >= RMILL_MEMORY_HUGE_BYTES;

    if (big && options->huge_explicit) {
        memory->bytes = rmill_align_up(options->bytes, RMILL_MEMORY_HUGE_BYTES);
        memory->kind = RMILL_PAGES_EXPLICIT_HUGE;
        memory->base = huge_map(memory->bytes);
        if (memory->base != NULL) {
            return memory->base;
        }
    }
    memory->bytes = rmill_align_up(options->bytes, page_bytes());
    memory->kind = RMILL_PAGES_SMALL;
    memory->base = aligned_map(memory->bytes);
    if (memory->base == NULL) {
        return NULL;
    }
    if (big && options->huge_transparent && transparent_huge_is_on() &&
        madvise(memory->base, memory->bytes, MADV_HUGEPAGE) == 0) {
        memory->kind = RMILL_PAGES_TRANSPARENT;
    } else {
        (void)madvise(memory->base, memory->bytes,
                      MADV_NOHUGEPAGE); /* EINVAL: has no such pages. */
    }
    return memory->base;
}

static int
prefault(struct rmill_memory *memory, struct rmill_error *error)
{
    uint64_t resident;

    while (madvise(memory->base, memory->bytes, MADV_POPULATE_WRITE) != 0) {
        int code = -errno;

        if (code == -EINTR || code == -EAGAIN) {
            continue;
        }
        return rmill_error_set(
            error, code,
            "cannot prefault %llu MiB: %s; ask for less memory or raise the memory "
            "limit of the cgroup",
            (unsigned long long)(memory->bytes >> 20), rmill_errno_text(code));
    }
    (void)rmill_memory_placement(memory, &resident, &memory->away_bytes);
    return 0;
}

static int
map_once(struct rmill_memory *memory, const struct rmill_memory_options *options,
         struct rmill_error *error)
{
    *memory = (struct rmill_memory){.node = options->node};
    if (any_map(memory, options) == NULL) {
        int code = -errno;

        *memory = (struct rmill_memory){0};
        return rmill_error_set(error, code,
                               "cannot map %llu MiB: %s; see ulimit -v and vm.overcommit_memory",
                               (unsigned long long)(options->bytes >> 20), rmill_errno_text(code));
    }
    memory->bind_code = node_prefer(memory->base, memory->bytes, memory->node);
    /* A child of fork has no business here, and copy-on-write would move pages under the kernel. */
    (void)madvise(memory->base, memory->bytes, MADV_DONTFORK);
    if (options->guard) {
        memory->guard_below = guard_map((char *)memory->base - page_bytes(), page_bytes());
        memory->guard_above = guard_map((char *)memory->base + memory->bytes, page_bytes());
    }
    int code = 0;

    if (options->prefault) {
        code = prefault(memory, error);
    } else if (memory->kind == RMILL_PAGES_EXPLICIT_HUGE) {
        code = huge_probe(memory); /* Silent: the caller tries smaller pages then. */
    }
    if (code != 0) {
        rmill_memory_unmap(memory);
    }
    return code;
}

int
rmill_memory_map(struct rmill_memory *memory, const struct rmill_memory_options *options,
                 struct rmill_error *error)
{
    *memory = (struct rmill_memory){0};
    if (options->bytes == 0 || options->bytes > RMILL_MEMORY_BYTES_MAX) {
        return rmill_error_set(error, -EINVAL, "a mapping has 1 byte to 1 GiB, not %llu bytes",
                               (unsigned long long)options->bytes);
    }
    /* The promised huge pages may turn out untouchable; then ordinary ones are tried. */
    int code = map_once(memory, options, options->huge_explicit ? NULL : error);

    if (code != 0 && options->huge_explicit) {
        struct rmill_memory_options lesser = *options;

        lesser.huge_explicit = false;
        code = map_once(memory, &lesser, error);
    }
    return code;
}

void
rmill_memory_unmap(struct rmill_memory *memory)
{
    if (memory->base != NULL) {
        RMILL_UNPOISON(memory->base, memory->bytes); /* The addresses will be somebody else's. */
        int code = munmap(memory->base, memory->bytes);

        RMILL_ASSERT(code == 0);
        if (memory->guard_below) {
            (void)munmap((char *)memory->base - page_bytes(), page_bytes());
        }
        if (memory->guard_above) {
            (void)munmap((char *)memory->base + memory->bytes, page_bytes());
        }
    }
    *memory = (struct rmill_memory){0};
}

int
rmill_memory_placement(const struct rmill_memory *memory, uint64_t *resident_bytes,
                       uint64_t *away_bytes)
{
    const uint64_t page = page_bytes();
    uint64_t resident = 0;
    uint64_t away = 0;

    for (uint64_t offset = 0; offset < memory->bytes;) {
        void *pages[PLACEMENT_BATCH];
        int status[PLACEMENT_BATCH];
        unsigned long count = 0;

        for (; count < PLACEMENT_BATCH && offset < memory->bytes; offset += page) {
            pages[count++] = (char *)memory->base + offset;
        }
        if (move_pages(0, count, pages, NULL, status, 0) < 0) {
            return -errno;
        }
        for (unsigned long i = 0; i < count; i++) {
            if (status[i] >= 0) {
                resident += page;
                away += memory->node >= 0 && status[i] != memory->node ? page : 0;
            }
        }
    }
    *resident_bytes = resident;
    *away_bytes = away;
    return 0;
}

const char *
rmill_page_kind_name(enum rmill_page_kind kind)
{
    switch (kind) {
    case RMILL_PAGES_EXPLICIT_HUGE:
        return "explicit 2 MiB pages";
    case RMILL_PAGES_TRANSPARENT:
        return "transparent huge pages";
    case RMILL_PAGES_SMALL:
        break;
    }
    return "4 KiB pages";
}
