/* engine/sim/disk.c — inodes, their pages, and what of them is durable. */
#include "engine/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "engine/sim/sim.h"

#define PAGE    RMILL_SIM_PAGE_BYTES
#define SECTOR  512u
#define EPOCH_S 1700000000 /* Virtual time 0 on the files' clock. */
/* One write of so many is followed by the write-back of a page. */
#define WRITE_BACK_RATE 8u
#define TEAR_RATE       8u

struct rmill_sim_inode *
rmill_sim_inode(const struct rmill_sim_disk *disk, uint32_t index)
{
    RMILL_ASSERT(index < disk->inode_count && disk->inodes[index] != NULL);
    return disk->inodes[index];
}

static struct timespec
time_of(uint64_t now_ns)
{
    return (struct timespec){.tv_sec = (time_t)(EPOCH_S + now_ns / RMILL_NS_PER_S),
                             .tv_nsec = (long)(now_ns % RMILL_NS_PER_S)};
}

void
rmill_sim_inode_touch(struct rmill_sim_inode *inode, uint64_t now_ns, bool data)
{
    inode->now.changed = time_of(now_ns);
    if (data) {
        inode->now.modified = inode->now.changed;
    }
}

uint32_t
rmill_sim_inode_new(struct rmill_sim_disk *disk, uint32_t mode, uint32_t parent, uint64_t now_ns)
{
    struct rmill_sim_inode *inode = calloc(1, sizeof(*inode));
    uint32_t index = disk->inode_count;

    if (disk->inode_count == disk->inode_capacity) {
        disk->inode_capacity = disk->inode_capacity * 2 + 16;
        disk->inodes = realloc(disk->inodes, disk->inode_capacity * sizeof(*disk->inodes));
    }
    RMILL_ASSERT(inode != NULL && disk->inodes != NULL);
    disk->inodes[disk->inode_count++] = inode;
    /* Scattered, so that nobody relies on their order; unique because the low bits are the
     * index. */
    inode->number = (rmill_hash64_key(disk->seed ^ index) >> 40 << 24) + index + 2;
    inode->now.mode = mode;
    inode->now.accessed = time_of(now_ns);
    inode->links = S_ISDIR(mode) ? 2 : 1;
    inode->parent = parent;
    rmill_sim_inode_touch(inode, now_ns, true);
    inode->kept = inode->now;
    return index;
}

/* --- pages ------------------------------------------------------------------------------------ */

static void
page_drop(struct rmill_sim_disk *disk, struct rmill_sim_page *page)
{
    if (page->now != NULL) {
        free(page->now);
        page->now = NULL;
        disk->used_pages--;
    }
    page->dirty = page->kept != NULL;
}

static void
pages_reserve(struct rmill_sim_inode *inode, uint64_t count)
{
    if (count > inode->page_count) {
        inode->pages = realloc(inode->pages, count * sizeof(*inode->pages));
        RMILL_ASSERT(inode->pages != NULL);
        memset(&inode->pages[inode->page_count], 0,
               (count - inode->page_count) * sizeof(*inode->pages));
        inode->page_count = count;
    }
}

static bool
page_need(struct rmill_sim_disk *disk, struct rmill_sim_page *page)
{
    if (page->now == NULL) {
        if (disk->capacity_pages != 0 && disk->used_pages >= disk->capacity_pages) {
            return false;
        }
        page->now = calloc(1, PAGE);
        RMILL_ASSERT(page->now != NULL);
        disk->used_pages++;
    }
    page->dirty = true;
    return true;
}

uint64_t
rmill_sim_inode_read(const struct rmill_sim_inode *inode, void *buffer, uint64_t bytes,
                     uint64_t offset)
{
    uint64_t done = 0;

    if (offset >= inode->bytes_now) {
        return 0;
    }
    bytes = rmill_min_u64(bytes, inode->bytes_now - offset);
    while (done < bytes) {
        uint64_t index = (offset + done) / PAGE, at = (offset + done) % PAGE;
        uint64_t part = rmill_min_u64(bytes - done, PAGE - at);

        if (index < inode->page_count && inode->pages[index].now != NULL) {
            memcpy((char *)buffer + done, inode->pages[index].now + at, part);
        } else {
            memset((char *)buffer + done, 0, part);
        }
        done += part;
    }
    return bytes;
}

static void
page_keep(struct rmill_sim_page *page)
{
    if (page->now == NULL) {
        free(page->kept);
        page->kept = NULL;
    } else {
        if (page->kept == NULL) {
            page->kept = malloc(PAGE);
            RMILL_ASSERT(page->kept != NULL);
        }
        memcpy(page->kept, page->now, PAGE);
    }
    page->dirty = false;
}

uint64_t
rmill_sim_inode_write(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                      const void *buffer, uint64_t bytes, uint64_t offset)
{
    uint64_t done = 0;

    if (bytes == 0) {
        return 0;
    }
    pages_reserve(inode, (offset + bytes + PAGE - 1) / PAGE);
    while (done < bytes) {
        uint64_t at = (offset + done) % PAGE, part = rmill_min_u64(bytes - done, PAGE - at);
        struct rmill_sim_page *page = &inode->pages[(offset + done) / PAGE];

        if (!page_need(disk, page)) {
            break;
        }
        memcpy(page->now + at, (const char *)buffer + done, part);
        done += part;
    }
    if (done > 0) {
        inode->bytes_now = rmill_max_u64(inode->bytes_now, offset + done);
    }
    if (rmill_prng_below(&disk->chance, WRITE_BACK_RATE) == 0) {
        page_keep(&inode->pages[rmill_prng_below(&disk->chance, inode->page_count)]);
    }
    return done;
}

void
rmill_sim_inode_truncate(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode, uint64_t bytes)
{
    for (uint64_t i = (bytes + PAGE - 1) / PAGE; i < inode->page_count; i++) {
        page_drop(disk, &inode->pages[i]);
    }
    if (bytes < inode->bytes_now && bytes % PAGE != 0 && bytes / PAGE < inode->page_count) {
        struct rmill_sim_page *page = &inode->pages[bytes / PAGE];

        if (page->now != NULL) {
            memset(page->now + bytes % PAGE, 0, PAGE - bytes % PAGE);
            page->dirty = true;
        }
    }
    inode->bytes_now = bytes;
}

bool
rmill_sim_inode_allocate(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode,
                         uint64_t offset, uint64_t bytes)
{
    uint64_t last = (offset + bytes + PAGE - 1) / PAGE;

    pages_reserve(inode, last);
    for (uint64_t i = offset / PAGE; i < last; i++) {
        if (!page_need(disk, &inode->pages[i])) {
            return false; /* As on Linux, what was got so far stays. */
        }
    }
    return true;
}

void
rmill_sim_inode_punch(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode, uint64_t offset,
                      uint64_t bytes)
{
    uint64_t end = rmill_min_u64(offset + bytes, inode->page_count * PAGE);

    while (offset < end) {
        uint64_t at = offset % PAGE, part = rmill_min_u64(end - offset, PAGE - at);
        struct rmill_sim_page *page = &inode->pages[offset / PAGE];

        if (part == PAGE) {
            page_drop(disk, page);
        } else if (page->now != NULL) {
            memset(page->now + at, 0, part);
            page->dirty = true;
        }
        offset += part;
    }
}

void
rmill_sim_inode_release(struct rmill_sim_disk *disk, uint32_t index)
{
    struct rmill_sim_inode *inode = rmill_sim_inode(disk, index);

    if (inode->links == 0 && inode->holders == 0 && !inode->released) {
        rmill_sim_inode_truncate(disk, inode, 0);
        inode->released = true;
    }
}

void
rmill_sim_inode_stat(const struct rmill_sim_disk *disk, uint32_t index, struct stat *out)
{
    const struct rmill_sim_inode *inode = rmill_sim_inode(disk, index);
    uint64_t pages = 0;

    for (uint64_t i = 0; i < inode->page_count; i++) {
        pages += inode->pages[i].now != NULL;
    }
    memset(out, 0, sizeof(*out));
    out->st_dev = 0x801;
    out->st_ino = inode->number;
    out->st_mode = inode->now.mode;
    out->st_nlink = inode->links;
    out->st_uid = inode->now.uid;
    out->st_gid = inode->now.gid;
    out->st_size = (off_t)inode->bytes_now;
    out->st_blksize = PAGE;
    out->st_blocks = (blkcnt_t)(pages * (PAGE / SECTOR));
    if (S_ISDIR(inode->now.mode)) {
        out->st_size = PAGE;
        out->st_blocks = PAGE / SECTOR;
    } else if (inode->target != NULL) {
        out->st_size = (off_t)strlen(inode->target);
    }
    out->st_atim = inode->now.accessed;
    out->st_mtim = inode->now.modified;
    out->st_ctim = inode->now.changed;
}

/* --- durability ------------------------------------------------------------------------------- */

void
rmill_sim_disk_change(struct rmill_sim_disk *disk, const struct rmill_sim_change *change)
{
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity * 2 + 64;
        disk->changes = realloc(disk->changes, disk->change_capacity * sizeof(*disk->changes));
        RMILL_ASSERT(disk->changes != NULL);
    }
    struct rmill_sim_change *copy = &disk->changes[disk->change_count++];

    *copy = *change;
    copy->from_name = change->from != RMILL_SIM_NONE ? strdup(change->from_name) : NULL;
    copy->to_name = change->to != RMILL_SIM_NONE ? strdup(change->to_name) : NULL;
}

static void
change_free(struct rmill_sim_change *change)
{
    free(change->from_name);
    free(change->to_name);
}

static void
change_apply(struct rmill_sim_disk *disk, const struct rmill_sim_change *change)
{
    if (change->from != RMILL_SIM_NONE) {
        rmill_sim_entry_drop(&rmill_sim_inode(disk, change->from)->entries_kept, change->from_name);
    }
    if (change->to != RMILL_SIM_NONE) {
        rmill_sim_entry_put(&rmill_sim_inode(disk, change->to)->entries_kept, change->to_name,
                            change->inode);
    }
}

/* Apply the chosen changes in their order and forget them; the others stay. */
static void
changes_apply(struct rmill_sim_disk *disk, const bool *chosen)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (chosen[i]) {
            change_apply(disk, &disk->changes[i]);
            change_free(&disk->changes[i]);
        } else {
            disk->changes[left++] = disk->changes[i];
        }
    }
    disk->change_count = left;
}

static bool
is_in(uint32_t directory, const bool *set)
{
    return directory != RMILL_SIM_NONE && set[directory];
}

static bool
change_touches(const struct rmill_sim_change *change, const bool *set)
{
    return is_in(change->from, set) || is_in(change->to, set) || is_in(change->emptied, set);
}

static void
change_mark(const struct rmill_sim_change *change, bool *set)
{
    const uint32_t directories[] = {change->from, change->to, change->emptied};

    for (size_t i = 0; i < RMILL_ARRAY_COUNT(directories); i++) {
        if (directories[i] != RMILL_SIM_NONE) {
            set[directories[i]] = true;
        }
    }
}

/* All changes of one directory. A rename out of or into it takes the other directory's earlier
 * changes with it. */
static void
directory_sync(struct rmill_sim_disk *disk, uint32_t index)
{
    bool *directories = calloc(disk->inode_count, 1), *chosen = calloc(disk->change_count + 1, 1);
    bool all = false;

    RMILL_ASSERT(directories != NULL && chosen != NULL);
    directories[index] = true;
    for (uint32_t i = disk->change_count; i-- > 0;) {
        chosen[i] = all || change_touches(&disk->changes[i], directories);
        if (chosen[i]) {
            change_mark(&disk->changes[i], directories);
            all |= disk->changes[i].barrier;
        }
    }
    changes_apply(disk, chosen);
    free(directories);
    free(chosen);
}

void
rmill_sim_inode_sync(struct rmill_sim_disk *disk, uint32_t index, bool data_only, bool lose)
{
    struct rmill_sim_inode *inode = rmill_sim_inode(disk, index);

    for (uint64_t i = 0; i < inode->page_count; i++) {
        struct rmill_sim_page *page = &inode->pages[i];

        if (page->dirty && lose && rmill_prng_below(&disk->chance, 2) == 0) {
            /* Linux marks a page clean whose write failed: no later fsync writes it. */
            page->dirty = false;
        } else if (page->dirty) {
            page_keep(page);
        }
    }
    if (lose) {
        return;
    }
    inode->bytes_kept = inode->bytes_now;
    if (!data_only) {
        inode->kept = inode->now;
    }
    if (S_ISDIR(inode->now.mode)) {
        directory_sync(disk, index);
    }
}

void
rmill_sim_disk_sync(struct rmill_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL) {
            rmill_sim_inode_sync(disk, i, false, false);
        }
    }
    RMILL_ASSERT(disk->change_count == 0);
}

/* --- power loss ------------------------------------------------------------------------------- */

static void
page_tear(struct rmill_sim_page *page, struct rmill_prng *chance)
{
    uint64_t bytes = SECTOR * (1 + rmill_prng_below(chance, PAGE / SECTOR - 1));

    if (page->kept == NULL) {
        page->kept = calloc(1, PAGE);
        RMILL_ASSERT(page->kept != NULL);
    }
    memcpy(page->kept, page->now, bytes);
    page->dirty = false;
}

static uint64_t
size_survivor(const struct rmill_sim_inode *inode, struct rmill_prng *chance)
{
    uint64_t low = rmill_min_u64(inode->bytes_kept, inode->bytes_now);
    uint64_t high = rmill_max_u64(inode->bytes_kept, inode->bytes_now);

    switch (rmill_prng_below(chance, 3)) {
    case 0:
        return inode->bytes_kept;
    case 1:
        return inode->bytes_now;
    default:
        return low + rmill_prng_below(chance, high - low + 1);
    }
}

static void
inode_lose(struct rmill_sim_inode *inode, struct rmill_prng *chance)
{
    if (inode->released) { /* If its last name comes back, so does what it had. */
        inode->released = false;
        return;
    }
    for (uint64_t i = 0; i < inode->page_count; i++) {
        struct rmill_sim_page *page = &inode->pages[i];
        uint64_t luck = rmill_prng_below(chance, TEAR_RATE);

        if (page->dirty && luck == 0 && page->now != NULL) {
            page_tear(page, chance);
        } else if (page->dirty && luck % 2 == 1) {
            page_keep(page);
        }
    }
    if (inode->bytes_now != inode->bytes_kept) {
        inode->bytes_kept = size_survivor(inode, chance);
    }
    if (rmill_prng_below(chance, 2) == 0) {
        inode->kept = inode->now;
    }
}

/* What is kept becomes what is seen. */
static void
inode_restart(struct rmill_sim_disk *disk, struct rmill_sim_inode *inode)
{
    uint64_t pages = (inode->bytes_kept + PAGE - 1) / PAGE;

    for (uint64_t i = 0; i < inode->page_count; i++) {
        struct rmill_sim_page *page = &inode->pages[i];

        page_drop(disk, page);
        if (i >= pages) {
            free(page->kept);
            page->kept = NULL;
        } else if (page->kept != NULL) {
            if (i == pages - 1 && inode->bytes_kept % PAGE != 0) {
                memset(page->kept + inode->bytes_kept % PAGE, 0, PAGE - inode->bytes_kept % PAGE);
            }
            page->now = malloc(PAGE);
            RMILL_ASSERT(page->now != NULL);
            memcpy(page->now, page->kept, PAGE);
            disk->used_pages++;
        }
        page->dirty = false;
    }
    inode->bytes_now = inode->bytes_kept;
    inode->now = inode->kept;
    inode->locked = false;
    inode->holders = 0;
}

static void
entries_free(struct rmill_sim_entries *entries)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        free(entries->items[i].name);
    }
    free(entries->items);
    *entries = (struct rmill_sim_entries){0};
}

static void
entries_copy(struct rmill_sim_entries *to, const struct rmill_sim_entries *from)
{
    *to = (struct rmill_sim_entries){0};
    for (uint32_t i = 0; i < from->count; i++) {
        rmill_sim_entry_put(to, from->items[i].name, from->items[i].inode);
    }
}

/* Count names anew and find every directory's parent. */
static void
links_count(struct rmill_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL) {
            disk->inodes[i]->links = i == RMILL_SIM_ROOT ? 2 : 0;
        }
    }
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        struct rmill_sim_inode *inode = disk->inodes[i];

        for (uint32_t k = 0; inode != NULL && k < inode->entries_now.count; k++) {
            struct rmill_sim_inode *child =
                rmill_sim_inode(disk, inode->entries_now.items[k].inode);

            child->links++;
            if (S_ISDIR(child->now.mode)) {
                child->links++;
                child->parent = i;
                inode->links++;
            }
        }
    }
}

void
rmill_sim_disk_power_loss(struct rmill_sim_disk *disk, uint64_t seed)
{
    struct rmill_prng chance = rmill_prng_seeded(seed);
    bool *held = calloc(disk->inode_count, 1), *chosen = calloc(disk->change_count + 1, 1);
    /* Of eight: how far the journal got this time. */
    uint64_t luck = 1 + rmill_prng_below(&chance, 8);
    bool any_held = false;

    RMILL_ASSERT(held != NULL && chosen != NULL);
    for (uint32_t i = 0; i < disk->change_count; i++) {
        chosen[i] = !change_touches(&disk->changes[i], held) &&
                    !(disk->changes[i].barrier && any_held) && rmill_prng_below(&chance, 8) < luck;
        if (!chosen[i]) {
            change_mark(&disk->changes[i], held);
            any_held = true;
        }
    }
    changes_apply(disk, chosen);
    for (uint32_t i = 0; i < disk->change_count; i++) {
        change_free(&disk->changes[i]);
    }
    disk->change_count = 0;
    free(held);
    free(chosen);
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        struct rmill_sim_inode *inode = disk->inodes[i];

        if (inode != NULL) {
            inode_lose(inode, &chance);
            inode_restart(disk, inode);
            entries_free(&inode->entries_now);
            entries_copy(&inode->entries_now, &inode->entries_kept);
        }
    }
    rmill_sim_disk_settle(disk);
    links_count(disk);
}

/* --- life ------------------------------------------------------------------------------------- */

static void
inode_free(struct rmill_sim_disk *disk, uint32_t index)
{
    struct rmill_sim_inode *inode = disk->inodes[index];

    for (uint64_t i = 0; i < inode->page_count; i++) {
        disk->used_pages -= inode->pages[i].now != NULL;
        free(inode->pages[i].now);
        free(inode->pages[i].kept);
    }
    free(inode->pages);
    free(inode->target);
    entries_free(&inode->entries_now);
    entries_free(&inode->entries_kept);
    free(inode);
    disk->inodes[index] = NULL;
}

static void
entries_mark(const struct rmill_sim_entries *entries, bool *needed)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        needed[entries->items[i].inode] = true;
    }
}

/* Free what nothing refers to. True when that was something: what only it referred to may be
 * next. */
static bool
settle_once(struct rmill_sim_disk *disk)
{
    bool *needed = calloc(disk->inode_count, 1);
    bool freed = false;

    RMILL_ASSERT(needed != NULL);
    needed[RMILL_SIM_ROOT] = true;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        change_mark(&disk->changes[i], needed);
        needed[disk->changes[i].inode] = true;
    }
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL) {
            entries_mark(&disk->inodes[i]->entries_now, needed);
            entries_mark(&disk->inodes[i]->entries_kept, needed);
            needed[i] |= disk->inodes[i]->holders > 0;
        }
    }
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL && !needed[i]) {
            inode_free(disk, i);
            freed = true;
        }
    }
    free(needed);
    return freed;
}

void
rmill_sim_disk_settle(struct rmill_sim_disk *disk)
{
    while (settle_once(disk)) {
    }
}

struct rmill_sim_disk *
rmill_sim_disk_create(uint64_t seed, uint64_t capacity_bytes)
{
    struct rmill_sim_disk *disk = calloc(1, sizeof(*disk));

    if (disk != NULL) {
        disk->seed = seed;
        disk->chance = rmill_prng_seeded(seed);
        disk->capacity_pages = capacity_bytes / PAGE;
        (void)rmill_sim_inode_new(disk, S_IFDIR | 0755, RMILL_SIM_ROOT, 0);
    }
    return disk;
}

static void
contents_free(struct rmill_sim_disk *disk)
{
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL) {
            inode_free(disk, i);
        }
    }
    for (uint32_t i = 0; i < disk->change_count; i++) {
        change_free(&disk->changes[i]);
    }
    free(disk->inodes);
    free(disk->changes);
}

void
rmill_sim_disk_destroy(struct rmill_sim_disk *disk)
{
    if (disk != NULL) {
        contents_free(disk);
        free(disk);
    }
}

void
rmill_sim_disk_replace(struct rmill_sim_disk *disk, struct rmill_sim_disk *other)
{
    contents_free(disk);
    *disk = *other;
    free(other);
}

static void *
copy_of(const void *from, uint64_t bytes)
{
    void *to = from != NULL ? malloc(bytes) : NULL;

    if (from != NULL) {
        RMILL_ASSERT(to != NULL);
        memcpy(to, from, bytes);
    }
    return to;
}

static struct rmill_sim_inode *
inode_clone(const struct rmill_sim_inode *inode)
{
    struct rmill_sim_inode *clone = copy_of(inode, sizeof(*inode));

    clone->pages = copy_of(inode->pages, inode->page_count * sizeof(*inode->pages));
    for (uint64_t i = 0; i < inode->page_count; i++) {
        clone->pages[i].now = copy_of(inode->pages[i].now, PAGE);
        clone->pages[i].kept = copy_of(inode->pages[i].kept, PAGE);
    }
    clone->target = inode->target != NULL ? strdup(inode->target) : NULL;
    entries_copy(&clone->entries_now, &inode->entries_now);
    entries_copy(&clone->entries_kept, &inode->entries_kept);
    return clone;
}

struct rmill_sim_disk *
rmill_sim_disk_clone(const struct rmill_sim_disk *disk)
{
    struct rmill_sim_disk *clone = copy_of(disk, sizeof(*disk));

    clone->inodes = copy_of(disk->inodes, disk->inode_capacity * sizeof(*disk->inodes));
    for (uint32_t i = 0; i < disk->inode_count; i++) {
        if (disk->inodes[i] != NULL) {
            clone->inodes[i] = inode_clone(disk->inodes[i]);
        }
    }
    clone->changes = NULL;
    clone->change_count = clone->change_capacity = 0;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        rmill_sim_disk_change(clone, &disk->changes[i]);
    }
    return clone;
}
