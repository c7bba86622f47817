/* cli/doctor_path.c — doctor's look at the filesystem and device below a path. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/units.h"
#include "numa/files.h"

#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000U
#endif

#define MOUNTS_BYTES  (1 << 20)
#define ALIGNMENT_MAX 4096u
#define FREE_PERCENT  5

/* What is known of the place. */
struct place {
    const char *path;
    unsigned major, minor;
    char filesystem[64];
    char source[256]; /* The device as mounted: "/dev/nvme0n1p2". */
    char device[64];  /* The whole disk as /sys/block names it, or "". */
};

/* Find the mount with this device in root/proc/self/mountinfo:
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static void
mount_find(const char *root, struct place *place)
{
    char *text = malloc(MOUNTS_BYTES), *rest = NULL;
    char wanted[32];

    if (text == NULL || rmill_files_text(root, text, MOUNTS_BYTES, "/proc/self/mountinfo") < 0) {
        free(text);
        return;
    }
    (void)snprintf(wanted, sizeof(wanted), " %u:%u ", place->major, place->minor);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *tail = strstr(line, " - ");
        const char *device = strstr(line, wanted);

        if (tail != NULL && device != NULL && device < tail) {
            (void)sscanf(tail, " - %63s %255s", place->filesystem, place->source);
            break;
        }
    }
    free(text);
}

/* The name of the whole disk, from root/sys/dev/block/MAJOR:MINOR/uevent. A partition lies in
 * its disk's folder. */
static void
device_find(const char *root, struct place *place)
{
    char text[1024], partition[16], up[4] = "";

    if (rmill_files_text(root, partition, sizeof(partition), "/sys/dev/block/%u:%u/partition",
                         place->major, place->minor) >= 0) {
        (void)snprintf(up, sizeof(up), "/..");
    }
    if (rmill_files_text(root, text, sizeof(text), "/sys/dev/block/%u:%u%s/uevent", place->major,
                         place->minor, up) < 0) {
        return;
    }
    const char *name = strstr(text, "DEVNAME=");

    if (name != NULL) {
        (void)sscanf(name, "DEVNAME=%63[^\n]", place->device);
    }
}

static void
examine_filesystem(struct rmill_doctor_report *report, const char *root, const struct place *place)
{
    const char *name = strrchr(place->source, '/');
    char options[4096];

    if (place->filesystem[0] == '\0') {
        (void)rmill_doctor_add(report, "filesystem", RMILL_DOCTOR_BETTER,
                               "of %s: not found among the mounts", place->path);
        return;
    }
    name = name != NULL ? name + 1 : place->source;
    if (strcmp(place->filesystem, "ext4") == 0 &&
        rmill_files_text(root, options, sizeof(options), "/proc/fs/ext4/%s/options", name) >= 0 &&
        strstr(options, "data=") == NULL) {
        rmill_doctor_advise(rmill_doctor_add(report, "filesystem", RMILL_DOCTOR_BETTER,
                                             "ext4 without a journal on %s", place->source),
                            "creating files within minutes of deleting many takes 0.2-0.9 ms of "
                            "CPU each, ten times "
                            "the usual; a power failure may damage it",
                            "unmount it, then: tune2fs -O has_journal %s", place->source);
        return;
    }
    (void)rmill_doctor_add(report, "filesystem", RMILL_DOCTOR_OK, "%s on %s", place->filesystem,
                           place->source);
}

static void
examine_space(struct rmill_doctor_report *report, const struct place *place)
{
    struct statvfs space;
    char available[32], total[32];

    if (statvfs(place->path, &space) != 0 || space.f_blocks == 0) {
        return;
    }
    double unit = (double)space.f_frsize;

    (void)rmill_units_bytes(available, (double)space.f_bavail * unit);
    (void)rmill_units_bytes(total, (double)space.f_blocks * unit);
    if (space.f_bavail >= space.f_blocks / 100 * FREE_PERCENT) {
        (void)rmill_doctor_add(report, "free_space", RMILL_DOCTOR_OK, "%s of %s", available, total);
        return;
    }
    rmill_doctor_advise(
        rmill_doctor_add(report, "free_space", RMILL_DOCTOR_BETTER, "%s of %s", available, total),
        "a full disk soon, and scattered files until then", "du -xh '%s' | sort -h | tail",
        place->path);
}

/* The smallest alignment of address and offset that a direct read takes, by trying; 0 when none
 * does. `fd` is open with O_DIRECT; where it may be written it is given a block first, as some
 * filesystems check nothing beyond the end. */
static unsigned
alignment_try(int fd)
{
    char *memory = aligned_alloc(ALIGNMENT_MAX, 2 * ALIGNMENT_MAX);
    unsigned found = 0;

    if (memory != NULL && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR) {
        memset(memory, 0, ALIGNMENT_MAX);
        (void)!pwrite(fd, memory, ALIGNMENT_MAX, 0);
    }
    for (unsigned step = 512; memory != NULL && step <= ALIGNMENT_MAX && found == 0; step *= 2) {
        found = pread(fd, memory + step, step, 0) >= 0 ? step : 0;
    }
    free(memory);
    return found;
}

/* A descriptor for direct reads at the path: the file itself, or a nameless one in the
 * directory. */
static int
open_direct(const char *path, mode_t mode)
{
    int fd = S_ISDIR(mode)   ? open(path, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600)
             : S_ISREG(mode) ? open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK)
                             : -1;

    return fd < 0 ? (S_ISDIR(mode) || S_ISREG(mode) ? -errno : -EMEDIUMTYPE) : fd;
}

static void
examine_direct(struct rmill_doctor_report *report, const struct place *place, mode_t mode)
{
    int fd = open_direct(place->path, mode);

    if (fd == -EINVAL || fd == -EOPNOTSUPP) {
        rmill_doctor_advise(
            rmill_doctor_add(report, "direct_io", RMILL_DOCTOR_MISSING, "%s has no O_DIRECT",
                             place->filesystem),
            "large files go through the page cache: about ten times the CPU per MiB",
            "keep large files on ext4 or xfs");
        return;
    }
    if (fd < 0) {
        (void)rmill_doctor_add(report, "direct_io", RMILL_DOCTOR_OK, "not tried: %s",
                               fd == -EMEDIUMTYPE ? "neither a file nor a directory"
                                                  : strerror(-fd));
        return;
    }
    struct statx status = {0};
    bool told = statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
                (status.stx_mask & STATX_DIOALIGN);
    unsigned memory = told ? status.stx_dio_mem_align : alignment_try(fd);
    unsigned offset = told ? status.stx_dio_offset_align : memory;

    (void)close(fd);
    if (offset == 0) {
        rmill_doctor_advise(
            rmill_doctor_add(report, "direct_io", RMILL_DOCTOR_MISSING,
                             "%s takes O_DIRECT but no direct read", place->filesystem),
            "large files go through the page cache: about ten times the CPU per MiB",
            "keep large files on ext4 or xfs");
        return;
    }
    (void)rmill_doctor_add(report, "direct_io", RMILL_DOCTOR_OK,
                           "O_DIRECT with memory at %u and offsets at %u bytes (%s)", memory,
                           offset, told ? "by statx" : "by trying");
}

static void
examine_polling(struct rmill_doctor_report *report, const char *root, const struct place *place)
{
    uint64_t polls = 0;

    (void)rmill_files_u64(root, &polls, "/sys/block/%s/queue/io_poll", place->device);
    if (polls != 0) {
        (void)rmill_doctor_add(report, "polled_queues", RMILL_DOCTOR_OK, "%s has some",
                               place->device);
        return;
    }
    bool nvme = strncmp(place->device, "nvme", 4) == 0;
    bool virtual = strncmp(place->device, "vd", 2) == 0;

    if (!nvme && !virtual) {
        (void)rmill_doctor_add(report, "polled_queues", RMILL_DOCTOR_OK,
                               "%s has none, as its kind has not", place->device);
        return;
    }
    rmill_doctor_advise(rmill_doctor_add(report, "polled_queues", RMILL_DOCTOR_BETTER,
                                         "%s has none", place->device),
                        "completions by interrupt; only polled benchmarks need them",
                        nvme
                            ? "echo 'options nvme poll_queues=2' > /etc/modprobe.d/nvme.conf, then "
                              "update-initramfs -u and reboot"
                            : "boot with virtio_blk.poll_queues=2");
}

static void
examine_queue(struct rmill_doctor_report *report, const char *root, const struct place *place)
{
    char schedulers[256];
    uint64_t rotational = 0;

    (void)rmill_files_u64(root, &rotational, "/sys/block/%s/queue/rotational", place->device);
    (void)rmill_doctor_add(report, "device", RMILL_DOCTOR_OK, "%s, %s", place->device,
                           rotational != 0 ? "says it rotates" : "does not rotate");
    examine_polling(report, root, place);
    if (rmill_files_text(root, schedulers, sizeof(schedulers), "/sys/block/%s/queue/scheduler",
                         place->device) < 0) {
        return;
    }
    if (rotational != 0 || strstr(schedulers, "[none]") != NULL ||
        strchr(schedulers, '[') == NULL) {
        (void)rmill_doctor_add(report, "scheduler", RMILL_DOCTOR_OK, "%s", schedulers);
        return;
    }
    rmill_doctor_advise(
        rmill_doctor_add(report, "scheduler", RMILL_DOCTOR_BETTER, "%s", schedulers),
        "a lock and a sort per request that a drive without arms does not need",
        "echo none > /sys/block/%s/queue/scheduler", place->device);
}

int
rmill_doctor_examine_path(struct rmill_doctor_report *report, const char *root, const char *path)
{
    struct place place = {.path = path};
    struct stat status;

    if (stat(path, &status) != 0) {
        return -errno;
    }
    dev_t device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;

    place.major = major(device);
    place.minor = minor(device);
    if (!S_ISBLK(status.st_mode)) {
        mount_find(root, &place);
        examine_filesystem(report, root, &place);
        examine_space(report, &place);
        examine_direct(report, &place, status.st_mode);
    }
    device_find(root, &place);
    if (place.device[0] == '\0') {
        (void)rmill_doctor_add(report, "device", RMILL_DOCTOR_OK,
                               "no single block device stands behind it");
        return 0;
    }
    examine_queue(report, root, &place);
    return 0;
}
