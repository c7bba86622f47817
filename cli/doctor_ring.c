/* cli/doctor_ring.c — doctor's look at the kernel and its io_uring. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include "cli/doctor.h"
#include "numa/files.h"
#include "uring/abi.h"
#include "uring/ring.h"
#include "uring/selftest.h"

#define NEWER_KERNEL                                                                               \
    "boot a newer kernel (Debian 12: apt install -t bookworm-backports linux-image-amd64)"

static bool
examine_kernel(struct rmill_doctor_report *report, const char *root)
{
    char release[128];
    unsigned major = 0, minor = 0;

    if (rmill_files_text(root, release, sizeof(release), "/proc/sys/kernel/osrelease") < 0 ||
        sscanf(release, "%u.%u", &major, &minor) != 2) {
        (void)rmill_doctor_add(report, "kernel", RMILL_DOCTOR_BETTER, "version unknown");
        return true;
    }
    if (major < 6 || (major == 6 && minor < 1)) {
        rmill_doctor_advise(rmill_doctor_add(report, "kernel", RMILL_DOCTOR_MISSING,
                                             "Linux %s; ringmill is made for 6.1 and later",
                                             release),
                            "nothing is promised below 6.1", NEWER_KERNEL);
        return false;
    }
    (void)rmill_doctor_add(report, "kernel", RMILL_DOCTOR_OK, "Linux %s", release);
    return true;
}

/* The sysctl of 6.6 and later. True when it lets an ordinary user in. */
static bool
examine_sysctl(struct rmill_doctor_report *report, const char *root)
{
    uint64_t disabled = 0;

    if (rmill_files_u64(root, &disabled, "/proc/sys/kernel/io_uring_disabled") < 0) {
        return true; /* Older kernels have no such switch. */
    }
    if (disabled == 0) {
        (void)rmill_doctor_add(report, "io_uring_disabled", RMILL_DOCTOR_OK,
                               "kernel.io_uring_disabled=0: allowed to everybody");
        return true;
    }
    rmill_doctor_advise(
        rmill_doctor_add(
            report, "io_uring_disabled", disabled == 1 ? RMILL_DOCTOR_BETTER : RMILL_DOCTOR_MISSING,
            "kernel.io_uring_disabled=%llu: %s", (unsigned long long)disabled,
            disabled == 1 ? "only root and the group kernel.io_uring_group may" : "nobody may"),
        disabled == 1 ? "other users cannot run ringmill" : "ringmill cannot run",
        "sysctl kernel.io_uring_disabled=0");
    return disabled == 1;
}

struct wanted {
    const char *name;
    bool there;
    const char *since;
    const char *use;  /* What it is used for. */
    const char *cost; /* Of doing without. */
};

static void
examine_wanted(struct rmill_doctor_report *report, const struct wanted *wanted)
{
    if (wanted->there) {
        (void)rmill_doctor_add(report, wanted->name, RMILL_DOCTOR_OK, "%s", wanted->use);
        return;
    }
    rmill_doctor_advise(rmill_doctor_add(report, wanted->name, RMILL_DOCTOR_MISSING,
                                         "%s: not here; Linux %s has it", wanted->use,
                                         wanted->since),
                        wanted->cost, NEWER_KERNEL);
}

static void
examine_features(struct rmill_doctor_report *report, const struct rmill_selftest *found)
{
    const struct rmill_ring_features *features = &found->features;
    const struct wanted wanted[] = {
        {"single_issuer", features->single_issuer, "6.0", "one thread per ring, told to the kernel",
         "locks in the kernel that a core of its own does not need"},
        {"defer_taskrun", features->defer_taskrun, "6.1",
         "completions are posted when asked for, not by interrupting the core",
         "up to a quarter more CPU per operation in small batches"},
        {"no_sqarray", features->no_sqarray, "6.6", "submission without an index array",
         "one more cache line per batch"},
        {"registered_ring", features->ring_fd_registered, "5.18",
         "the ring's descriptor is looked up once", "some 10 ns per system call"},
        {"registered_files", features->files_registered, "5.19", "descriptors are looked up once",
         "some 20 ns per read or write"},
        {"workers_bounded", features->workers_bounded, "5.15",
         "the kernel's helper threads are few", "helper threads without bound on slow devices"},
        {"workers_pinned", features->workers_pinned, "5.14",
         "the kernel's helper threads stay off other cores", "helper threads beside pinned cores"},
        {"no_iowait", features->no_iowait, "6.15", "an idle core is shown as idle",
         "nothing but looks: top shows idle cores as waiting for I/O"},
        {"op_ftruncate", features->opcode[RMILL_OP_FTRUNCATE], "6.9", "truncating through the ring",
         "a helper thread does it"},
    };

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(wanted); i++) {
        examine_wanted(report, &wanted[i]);
    }
    if (found->message_wake) {
        (void)rmill_doctor_add(report, "message_wake", RMILL_DOCTOR_OK,
                               "a core wakes another by MSG_RING: seen, in %llu us",
                               (unsigned long long)(found->message_wake_ns / RMILL_NS_PER_US));
    } else {
        rmill_doctor_advise(rmill_doctor_add(report, "message_wake", RMILL_DOCTOR_MISSING,
                                             "a MSG_RING sent by another thread did not arrive"),
                            "wakes go through an event descriptor: about 1 us more each",
                            NEWER_KERNEL);
    }
    if (found->event_wake) {
        (void)rmill_doctor_add(report, "event_wake", RMILL_DOCTOR_OK,
                               "a thread without a ring wakes a core: seen, in %llu us",
                               (unsigned long long)(found->event_wake_ns / RMILL_NS_PER_US));
    } else {
        rmill_doctor_advise(rmill_doctor_add(report, "event_wake", RMILL_DOCTOR_MISSING,
                                             "a write to the event descriptor woke nobody"),
                            "ringmill cannot work reliably", NEWER_KERNEL);
    }
}

/* Fixed buffers are limited by memory and memlock, so they are tried with as much as a small
 * arena has. */
static void
examine_buffers(struct rmill_doctor_report *report)
{
    struct iovec region = {.iov_len = RMILL_MIB(64)};
    struct rmill_ring *ring;
    struct rmill_error error = {0};

    if (rmill_ring_create(NULL, &ring, &error) < 0) {
        return; /* The first ring was possible, two at once are not: the memlock line says why. */
    }
    region.iov_base =
        mmap(NULL, region.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region.iov_base == MAP_FAILED) {
        rmill_doctor_advise(rmill_doctor_add(report, "registered_buffers", RMILL_DOCTOR_BETTER,
                                             "no 64 MiB of memory to try it with"),
                            "a small arena, if any", "ulimit -v unlimited");
    } else if (rmill_ring_buffers_register(ring, &region, 1, &error) == 0) {
        (void)rmill_doctor_add(report, "registered_buffers", RMILL_DOCTOR_OK,
                               "the arena's pages are pinned once: 64 MiB tried");
    } else {
        rmill_doctor_advise(
            rmill_doctor_add(report, "registered_buffers", RMILL_DOCTOR_BETTER, "64 MiB: %s",
                             error.advice),
            "direct reads pin their pages each time: up to a sixth more CPU",
            "ulimit -l unlimited (as root), or LimitMEMLOCK=infinity of the service");
    }
    if (region.iov_base != MAP_FAILED) {
        (void)munmap(region.iov_base, region.iov_len);
    }
    rmill_ring_destroy(ring);
}

/* The command that mends what rmill_ring_create answered. */
static const char *
remedy(const struct rmill_error *error)
{
    switch (error->code) {
    case -EPERM:
    case -ENOSYS:
        if (strstr(error->advice, "io_uring_disabled") != NULL) {
            return "sysctl kernel.io_uring_disabled=0";
        }
        return strstr(error->advice, "seccomp") != NULL
                   ? "docker run --security-opt seccomp=PROFILE ..., with io_uring_setup, "
                     "io_uring_enter and io_uring_register allowed in PROFILE"
                   : NEWER_KERNEL;
    case -ENOMEM:
        return "ulimit -l unlimited (as root), or LimitMEMLOCK=infinity of the service";
    case -EMFILE:
        return "ulimit -n 65536";
    default:
        return "sysctl fs.file-max=1000000";
    }
}

void
rmill_doctor_examine_ring(struct rmill_doctor_report *report, const char *root)
{
    struct rmill_selftest found = {0};
    struct rmill_error error = {0};

    bool recent = examine_kernel(report, root);

    report->usable = examine_sysctl(report, root) && recent;
    if (root[0] != '\0') {
        return;
    }
    int code = rmill_selftest_run(NULL, &found, &error);

    report->usable = code == 0;
    if (code < 0) {
        rmill_doctor_advise(
            rmill_doctor_add(report, "io_uring", RMILL_DOCTOR_MISSING, "%s", error.advice),
            "ringmill cannot run", "%s", remedy(&error));
        return;
    }
    (void)rmill_doctor_add(report, "io_uring", RMILL_DOCTOR_OK,
                           "works: set-up flags %#x, features %#x", found.features.setup_flags,
                           found.features.feature_flags);
    examine_features(report, &found);
    examine_buffers(report);
}
