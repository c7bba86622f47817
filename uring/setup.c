#include "uring/setup.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

/* What every kernel we run on reports: no completion is dropped, arguments are stable once
 * submitted, waits take a time-out (5.11), a success can be silent (5.17). */
#define FEATURES_REQUIRED                                                                          \
    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP)

/* One attempt with one set of flags. Answers the descriptor or -errno. */
static int
attempt(const struct rmill_setup *setup, uint32_t flags, struct io_uring_params *params)
{
    memset(params, 0, sizeof(*params));
    params->flags = flags | setup->required | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params->cq_entries = setup->cq_entries;
    params->sq_thread_idle = 2;                       /* ms; only SQPOLL reads it. */
    return io_uring_setup(setup->sq_entries, params); /* liburing answers -errno. */
}

/* Take the flags off one rung at a time until the kernel agrees. An old kernel says EINVAL to
 * what it does not know; the same to combinations it does not want. */
static int
climb_down(const struct rmill_setup *setup, struct io_uring_params *params)
{
    const uint32_t defer = IORING_SETUP_DEFER_TASKRUN, array = IORING_SETUP_NO_SQARRAY;
    const uint32_t rungs[] = {
        ~0u,                                           /* 6.6 */
        ~array,                                        /* 6.1 */
        ~defer,                                        /* DEFER refused, the rest there. */
        ~(defer | array),                              /* 6.0 */
        ~(defer | array | IORING_SETUP_SINGLE_ISSUER), /* 5.19 */
        IORING_SETUP_SUBMIT_ALL,                       /* 5.18 */
        0,
    };
    uint32_t tried = UINT32_MAX;
    int fd = -EINVAL;

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(rungs); i++) {
        uint32_t flags = setup->wanted & rungs[i];

        /* DEFER wants SINGLE_ISSUER, and we want no DEFER that does not tell when it has
         * something. */
        if (!(flags & IORING_SETUP_SINGLE_ISSUER) || !(flags & IORING_SETUP_TASKRUN_FLAG)) {
            flags &= ~defer;
        }
        if (flags & defer) {
            flags &= ~IORING_SETUP_COOP_TASKRUN; /* The other way of the two. */
        }
        if (!(flags & (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN))) {
            flags &= ~IORING_SETUP_TASKRUN_FLAG;
        }
        if (flags == tried) {
            continue;
        }
        tried = flags;
        fd = attempt(setup, flags, params);
        if (fd != -EINVAL) {
            break;
        }
    }
    return fd;
}

static void
fill_queues(struct io_uring *ring, const struct io_uring_params *params, struct rmill_setup *setup)
{
    char *base = ring->sq.ring_ptr;
    struct io_uring_sq *sq = &ring->sq;
    struct io_uring_cq *cq = &ring->cq;

    sq->khead = (unsigned *)(void *)(base + params->sq_off.head);
    sq->ktail = (unsigned *)(void *)(base + params->sq_off.tail);
    sq->kring_mask = (unsigned *)(void *)(base + params->sq_off.ring_mask);
    sq->kring_entries = (unsigned *)(void *)(base + params->sq_off.ring_entries);
    sq->kflags = (unsigned *)(void *)(base + params->sq_off.flags);
    sq->kdropped = (unsigned *)(void *)(base + params->sq_off.dropped);
    sq->ring_mask = *sq->kring_mask;
    sq->ring_entries = *sq->kring_entries;
    if (params->flags & IORING_SETUP_NO_SQARRAY) {
        sq->array = &setup->dummy;
    } else {
        sq->array = (unsigned *)(void *)(base + params->sq_off.array);
        for (unsigned i = 0; i < sq->ring_entries; i++) {
            sq->array[i] = i; /* Entry i is always at index i: written once, never again. */
        }
    }
    cq->khead = (unsigned *)(void *)(base + params->cq_off.head);
    cq->ktail = (unsigned *)(void *)(base + params->cq_off.tail);
    cq->kring_mask = (unsigned *)(void *)(base + params->cq_off.ring_mask);
    cq->kring_entries = (unsigned *)(void *)(base + params->cq_off.ring_entries);
    cq->kflags = (unsigned *)(void *)(base + params->cq_off.flags);
    cq->koverflow = (unsigned *)(void *)(base + params->cq_off.overflow);
    cq->cqes = (struct io_uring_cqe *)(void *)(base + params->cq_off.cqes);
    cq->ring_mask = *cq->kring_mask;
    cq->ring_entries = *cq->kring_entries;
}

/* Map the rings (one mapping for both: FEAT_SINGLE_MMAP is older than anything we need) and the
 * entries. */
static int
map(struct io_uring *ring, const struct io_uring_params *params, struct rmill_setup *setup)
{
    size_t sq_bytes = params->flags & IORING_SETUP_NO_SQARRAY
                          ? 0
                          : params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    size_t ring_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    size_t sqes_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
    int protection = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_POPULATE;
    void *rings = mmap(NULL, ring_bytes, protection, kind, ring->ring_fd, IORING_OFF_SQ_RING);

    if (rings == MAP_FAILED) {
        return -errno;
    }
    void *sqes = mmap(NULL, sqes_bytes, protection, kind, ring->ring_fd, IORING_OFF_SQES);

    if (sqes == MAP_FAILED) {
        int code = -errno;

        (void)munmap(rings, ring_bytes);
        return code;
    }
    /* A child of fork must not share the queues: two writers would break them for both. */
    (void)madvise(rings, ring_bytes, MADV_DONTFORK);
    (void)madvise(sqes, sqes_bytes, MADV_DONTFORK);
    ring->sq.ring_ptr = rings;
    ring->cq.ring_ptr = rings;
    ring->sq.ring_sz = ring_bytes;
    ring->cq.ring_sz = ring_bytes;
    ring->sq.sqes = sqes;
    fill_queues(ring, params, setup);
    return 0;
}

#define RETRIES_MAX 20
#define RETRY_NS    (10 * 1000 * 1000) /* 0.2 s in all. */

static int
too_old(struct rmill_error *error)
{
    struct utsname name;

    return rmill_error_set(error, -ENOSYS,
                           "io_uring of kernel %s is too old: ringmill needs Linux 6.1 or later",
                           uname(&name) == 0 ? name.release : "?");
}

int
rmill_setup_open(struct rmill_setup *setup, struct io_uring *ring, struct rmill_error *error)
{
    struct io_uring_params params;
    int fd = climb_down(setup, &params);

    /* Ring memory counts against the memlock limit: half the size may fit. */
    while (fd == -ENOMEM && setup->sq_entries > RMILL_SETUP_ENTRIES_MIN) {
        setup->sq_entries /= 2;
        setup->cq_entries /= 2;
        fd = climb_down(setup, &params);
    }
    /* The kernel gives the memory of a ring that ended back a moment later, by a worker of its
     * own. */
    for (int tries = 0; fd == -ENOMEM && tries < RETRIES_MAX; tries++) {
        const struct timespec moment = {.tv_nsec = RETRY_NS};

        (void)nanosleep(&moment, NULL);
        fd = climb_down(setup, &params);
    }
    if (fd < 0) {
        return rmill_setup_explain(fd, error);
    }
    if ((params.features & FEATURES_REQUIRED) != FEATURES_REQUIRED) {
        (void)close(fd);
        return too_old(error);
    }
    memset(ring, 0, sizeof(*ring));
    ring->ring_fd = fd;
    ring->enter_ring_fd = fd;
    ring->flags = params.flags;
    ring->features = params.features;
    int code = map(ring, &params, setup);

    if (code < 0) {
        (void)close(fd);
        return rmill_error_set(error, code, "the queues of a new io_uring could not be mapped: %s",
                               rmill_errno_text(code));
    }
    setup->sq_entries = params.sq_entries;
    setup->cq_entries = params.cq_entries;
    setup->flags = params.flags;
    setup->features = params.features;
    return 0;
}

void
rmill_setup_close(struct io_uring *ring)
{
    (void)munmap(ring->sq.sqes, ring->sq.ring_entries * sizeof(struct io_uring_sqe));
    (void)munmap(ring->sq.ring_ptr, ring->sq.ring_sz);
    (void)close(ring->ring_fd);
    memset(ring, 0, sizeof(*ring));
    ring->ring_fd = -1;
}

bool
rmill_setup_workers_bound(struct io_uring *ring, uint32_t workers_max)
{
    unsigned limits[2] = {workers_max,
                          workers_max}; /* Bounded (files) and unbounded (sockets) work. */

    return io_uring_register_iowq_max_workers(ring, limits) == 0;
}

/* More CPUs than any kernel of today is built for; sched_getaffinity refuses a set smaller than
 * its own. */
#define CPUS_MAX 8192

bool
rmill_setup_workers_pin(struct io_uring *ring, const uint32_t *cpus, uint32_t cpu_count)
{
    size_t bytes = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    bool known = set != NULL;

    if (known) {
        CPU_ZERO_S(bytes, set);
        if (cpus == NULL || cpu_count == 0) {
            known = sched_getaffinity(0, bytes, set) == 0;
        }
        for (uint32_t i = 0; cpus != NULL && i < cpu_count; i++) {
            known = known && cpus[i] < CPUS_MAX;
            if (known) {
                CPU_SET_S(cpus[i], bytes, set);
            }
        }
    }
    bool pinned = known && io_uring_register_iowq_aff(ring, bytes, set) == 0;

    CPU_FREE(set);
    return pinned;
}

/* The first number in a small file, or -1. */
static long
number_of(const char *path)
{
    FILE *file = fopen(path, "re");
    long value = -1;

    if (file != NULL) {
        if (fscanf(file, "%ld", &value) != 1) {
            value = -1;
        }
        (void)fclose(file);
    }
    return value;
}

/* True when this thread runs under a seccomp filter. */
static bool
filtered(void)
{
    FILE *file = fopen("/proc/thread-self/status", "re");
    char line[256];
    int mode = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Seccomp: %d", &mode) == 1) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return mode == 2;
}

static int
explain_forbidden(int code, struct rmill_error *error)
{
    long disabled = number_of("/proc/sys/kernel/io_uring_disabled");

    if (code == -EPERM && disabled > 0) {
        return rmill_error_set(
            error, code,
            "io_uring is switched off by the sysctl kernel.io_uring_disabled=%ld; "
            "'sysctl kernel.io_uring_disabled=0' allows it",
            disabled);
    }
    if (filtered()) {
        return rmill_error_set(
            error, code,
            "io_uring is forbidden by a seccomp filter (%s), as containers often "
            "have; allow io_uring_setup, io_uring_enter and io_uring_register in "
            "the profile",
            rmill_errno_name(code));
    }
    if (code == -ENOSYS) {
        return rmill_error_set(
            error, code,
            "this kernel has no io_uring (CONFIG_IO_URING): ringmill needs Linux "
            "6.1 or later with it");
    }
    return rmill_error_set(error, code,
                           "io_uring is forbidden here (%s from io_uring_setup): a security module "
                           "or the container's policy must allow it",
                           rmill_errno_name(code));
}

int
rmill_setup_explain(int code, struct rmill_error *error)
{
    struct rlimit limit = {0};

    switch (code) {
    case -EPERM:
    case -EACCES:
    case -ENOSYS:
        return explain_forbidden(code == -EACCES ? -EPERM : code, error);
    case -ENOMEM:
        (void)getrlimit(RLIMIT_MEMLOCK, &limit);
        return rmill_error_set(error, code,
                               "no memory for an io_uring: the memlock limit is %llu KiB and other "
                               "rings of this user count against it; raise it ('ulimit -l', "
                               "LimitMEMLOCK= of the service) or free memory",
                               (unsigned long long)limit.rlim_cur / 1024);
    case -EMFILE:
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        return rmill_error_set(error, code,
                               "no descriptor left for an io_uring: the limit is %llu open files; "
                               "raise it ('ulimit -n')",
                               (unsigned long long)limit.rlim_cur);
    case -ENFILE:
        return rmill_error_set(error, code,
                               "the whole system has no descriptor left for an io_uring; raise the "
                               "sysctl fs.file-max");
    default:
        return rmill_error_set(error, code, "io_uring_setup failed: %s (%s)",
                               rmill_errno_text(code), rmill_errno_name(code));
    }
}
