#include "numa/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_BYTES (4u << 20) /* Most that is read of mountinfo: some 30,000 mounts. */
#define UNLIMITED_FROM                                                                             \
    (1ull << 62) /* Version 1 writes "no limit" as the largest number of whole pages. */

/* Where one controller's groups are: the mount point and the path of our own group below it. */
struct hierarchy {
    int version; /* 0: not mounted. */
    char mount[RMILL_FILES_PATH_BYTES];
    char group[RMILL_FILES_PATH_BYTES]; /* "" or "/a/b". */
};

/* What the two tables say. `groups` is /proc/self/cgroup, `mounts` is /proc/self/mountinfo. */
struct tables {
    const char *root;
    char *groups;
    char *mounts;
};

/* --- the two tables --- */

/* Is `word` one of the words in `list` (with `separator` between them)? */
static bool
list_has(const char *list, size_t length, char separator, const char *word)
{
    const size_t word_length = strlen(word);
    const char *end = list + length;

    while (list < end) {
        const char *stop = memchr(list, separator, (size_t)(end - list));
        size_t bytes = (size_t)((stop != NULL ? stop : end) - list);

        if (bytes == word_length && memcmp(list, word, bytes) == 0) {
            return true;
        }
        list += bytes + 1;
    }
    return false;
}

/* Our group's path in the hierarchy of `controller` (version 1), or in version 2 for NULL. Lines
 * are "ID:CONTROLLERS:PATH"; version 2 has ID 0 and no controllers. */
static bool
group_find(const char *groups, const char *controller, char path[RMILL_FILES_PATH_BYTES])
{
    for (const char *line = groups; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        const char *names = memchr(line, ':', (size_t)(end - line));
        const char *group =
            names != NULL ? memchr(names + 1, ':', (size_t)(end - names - 1)) : NULL;

        if (group != NULL && end - group < RMILL_FILES_PATH_BYTES) {
            size_t names_bytes = (size_t)(group - names - 1);
            bool ours = controller != NULL ? list_has(names + 1, names_bytes, ',', controller)
                                           : names_bytes == 0;

            if (ours) {
                size_t bytes = (size_t)(end - group - 1);

                memcpy(path, group + 1, bytes);
                path[bytes] = '\0';
                return true;
            }
        }
        line = *end != '\0' ? end + 1 : end;
    }
    return false;
}

/* Undo mountinfo's escapes ("\040" for a blank). */
static void
escapes_undo(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Is this line of mountinfo the mount of `controller` (version 1), or of version 2 for NULL? A line
 * is "36 35 98:0 /root /mount options... - type source superoptions". */
static bool
mount_matches(const char *line, const char *controller, char mount[RMILL_FILES_PATH_BYTES],
              char root[RMILL_FILES_PATH_BYTES])
{
    const char *dash = strstr(line, " - ");
    char type[32];
    char options[256];

    if (dash == NULL || sscanf(dash, " - %31s %*s %255s", type, options) != 2) {
        return false;
    }
    bool found = controller != NULL ? strcmp(type, "cgroup") == 0 &&
                                          list_has(options, strlen(options), ',', controller)
                                    : strcmp(type, "cgroup2") == 0;

    if (!found || sscanf(line, "%*u %*u %*s %1023s %1023s", root, mount) != 2) {
        return false;
    }
    escapes_undo(mount);
    escapes_undo(root);
    return true;
}

/* The first such line. */
static bool
mount_find(char *mounts, const char *controller, char mount[RMILL_FILES_PATH_BYTES],
           char root[RMILL_FILES_PATH_BYTES])
{
    bool found = false;

    for (char *line = mounts; *line != '\0' && !found;) {
        char *end = strchrnul(line, '\n');
        char kept = *end;

        *end = '\0'; /* sscanf would measure all of the rest otherwise. */
        found = mount_matches(line, controller, mount, root);
        *end = kept;
        line = kept != '\0' ? end + 1 : end;
    }
    return found;
}

/* Our group's path below the mount. In a container the mount may show a group further down as its
 * root (`mount_root`), and the path may lead outside of what is visible (it begins with "/..");
 * then the mount point itself is the nearest that can be seen. */
static void
group_place(struct hierarchy *hierarchy, const char *mount_root, const char *path)
{
    size_t skip = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);

    hierarchy->group[0] = '\0';
    if (strncmp(path, mount_root, skip) != 0 || (path[skip] != '/' && path[skip] != '\0')) {
        return;
    }
    path += skip;
    if (strstr(path, "/..") != NULL || strcmp(path, "/") == 0) {
        return;
    }
    (void)snprintf(hierarchy->group, sizeof(hierarchy->group), "%s", path);
}

static void
hierarchy_find(const struct tables *tables, const char *controller, struct hierarchy *hierarchy)
{
    char path[RMILL_FILES_PATH_BYTES];
    char mount_root[RMILL_FILES_PATH_BYTES];
    char text[RMILL_FILES_LIST_BYTES];

    hierarchy->version = 0;
    if (group_find(tables->groups, controller, path) &&
        mount_find(tables->mounts, controller, hierarchy->mount, mount_root)) {
        hierarchy->version = 1;
        group_place(hierarchy, mount_root, path);
        return;
    }
    if (!group_find(tables->groups, NULL, path) ||
        !mount_find(tables->mounts, NULL, hierarchy->mount, mount_root)) {
        return;
    }
    int length = rmill_files_text(tables->root, text, sizeof(text), "%s/cgroup.controllers",
                                  hierarchy->mount);

    if (length >= 0 && list_has(text, (size_t)length, ' ', controller)) {
        hierarchy->version = 2;
        group_place(hierarchy, mount_root, path);
    }
}

/* One step towards the mount. False when there already. */
static bool
group_up(char *group)
{
    char *slash = strrchr(group, '/');

    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

/* --- the limits --- */

/* A memory limit in `name` of this group, or UNLIMITED. */
static uint64_t
memory_file(const struct tables *tables, const struct hierarchy *at, const char *name)
{
    uint64_t bytes;
    int code = rmill_files_u64(tables->root, &bytes, "%s%s/%s", at->mount, at->group, name);

    return code == 0 && bytes < UNLIMITED_FROM ? bytes
                                               : RMILL_CGROUP_UNLIMITED; /* "max" is no number. */
}

static void
memory_take(const struct tables *tables, const struct hierarchy *at, const char *name,
            struct rmill_cgroup *cgroup)
{
    uint64_t bytes = memory_file(tables, at, name);

    if (bytes < cgroup->memory_limit_bytes) {
        cgroup->memory_limit_bytes = bytes;
        (void)snprintf(cgroup->memory_path, sizeof(cgroup->memory_path), "%.500s%.500s/%s",
                       at->mount, at->group, name);
    }
}

static void
memory_read(const struct tables *tables, struct rmill_cgroup *cgroup)
{
    struct hierarchy at;

    cgroup->memory_limit_bytes = RMILL_CGROUP_UNLIMITED;
    hierarchy_find(tables, "memory", &at);
    cgroup->memory_version = at.version;
    if (at.version == 0) {
        return;
    }
    const char *use = at.version == 1 ? "memory.usage_in_bytes" : "memory.current";
    bool own = true;

    do {
        uint64_t before = cgroup->memory_limit_bytes;

        memory_take(tables, &at, at.version == 1 ? "memory.limit_in_bytes" : "memory.max", cgroup);
        if (at.version == 2) {
            memory_take(tables, &at, "memory.high",
                        cgroup); /* Above it every allocation is slowed. */
        }
        if (own || cgroup->memory_limit_bytes < before) {
            (void)rmill_files_u64(tables->root, &cgroup->memory_current_bytes, "%s%s/%s", at.mount,
                                  at.group, use);
        }
        own = false;
    } while (group_up(at.group));
}

/* CPU time of this group in thousandths of a CPU, or UNLIMITED. */
static uint64_t
cpu_file(const struct tables *tables, const struct hierarchy *at)
{
    char text[64];
    uint64_t quota = 0;
    uint64_t period = 0;

    if (at->version == 1) {
        if (rmill_files_u64(tables->root, &quota, "%s%s/cpu.cfs_quota_us", at->mount, at->group) !=
                0 ||
            rmill_files_u64(tables->root, &period, "%s%s/cpu.cfs_period_us", at->mount,
                            at->group) != 0) {
            return RMILL_CGROUP_UNLIMITED; /* A quota of -1 is no unsigned number. */
        }
    } else {
        if (rmill_files_text(tables->root, text, sizeof(text), "%s%s/cpu.max", at->mount,
                             at->group) < 0) {
            return RMILL_CGROUP_UNLIMITED;
        }
        const char *rest = rmill_files_number(text, &quota); /* "max 100000" has none. */

        if (rest == NULL || *rest != ' ' || rmill_files_number(rest + 1, &period) == NULL) {
            return RMILL_CGROUP_UNLIMITED;
        }
    }
    if (period == 0 || quota > UNLIMITED_FROM / 1000) {
        return RMILL_CGROUP_UNLIMITED;
    }
    return quota * 1000 / period;
}

static void
cpu_read(const struct tables *tables, struct rmill_cgroup *cgroup)
{
    struct hierarchy at;

    cgroup->cpu_millis = RMILL_CGROUP_UNLIMITED;
    hierarchy_find(tables, "cpu", &at);
    cgroup->cpu_version = at.version;
    if (at.version == 0) {
        return;
    }
    do {
        uint64_t millis = cpu_file(tables, &at);

        if (millis < cgroup->cpu_millis) {
            cgroup->cpu_millis = millis;
            (void)snprintf(cgroup->cpu_path, sizeof(cgroup->cpu_path), "%.500s%.500s/%s", at.mount,
                           at.group, at.version == 1 ? "cpu.cfs_quota_us" : "cpu.max");
        }
    } while (group_up(at.group));
}

/* The CPUs of the nearest group that says so: those above have cut an effective set already. */
static void
cpuset_read(const struct tables *tables, struct rmill_cgroup *cgroup)
{
    static const char *const names[][2] = {
        {"cpuset.effective_cpus", "cpuset.cpus"},
        {"cpuset.cpus.effective", "cpuset.cpus"},
    };
    struct hierarchy at;

    hierarchy_find(tables, "cpuset", &at);
    cgroup->cpuset_version = at.version;
    if (at.version == 0) {
        return;
    }
    do {
        for (int i = 0; i < 2; i++) {
            const char *name = names[at.version - 1][i];
            struct rmill_cpuset set;

            if (rmill_files_cpulist(tables->root, &set, "%s%s/%s", at.mount, at.group, name) == 0 &&
                rmill_cpuset_count(&set) > 0) {
                cgroup->cpuset = set;
                cgroup->cpuset_known = true;
                (void)snprintf(cgroup->cpuset_path, sizeof(cgroup->cpuset_path), "%.500s%.500s/%s",
                               at.mount, at.group, name);
                return;
            }
        }
    } while (group_up(at.group));
}

int
rmill_cgroup_read(const char *root, struct rmill_cgroup *cgroup)
{
    char *text = calloc(2, TABLE_BYTES); /* Zeroed: a table that cannot be read is empty. */

    *cgroup = (struct rmill_cgroup){
        .memory_limit_bytes = RMILL_CGROUP_UNLIMITED,
        .cpu_millis = RMILL_CGROUP_UNLIMITED,
    };
    if (text == NULL) {
        return -ENOMEM;
    }
    const struct tables tables = {.root = root, .groups = text, .mounts = text + TABLE_BYTES};

    if (rmill_files_text(root, tables.groups, TABLE_BYTES, "/proc/self/cgroup") >= 0 &&
        rmill_files_text(root, tables.mounts, TABLE_BYTES, "/proc/self/mountinfo") >= 0) {
        memory_read(&tables, cgroup);
        cpu_read(&tables, cgroup);
        cpuset_read(&tables, cgroup);
    }
    free(text);
    return 0;
}
