/* workloads/files/pack_unit.c — one unit on the core that has it: read, hash, compress.
 *
 * The unit's tar is put together in one buffer. The place of each small member follows from the
 * announced sizes, so several fibers can fill it at once; a member that cannot be read leaves a
 * hole that is closed afterwards. Then one task goes through leaves and frames in steps. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/assert.h"
#include "workloads/files/pack_private.h"

#define READERS_MAX  8u /* Small files of a unit being opened or read at once. */
#define STEP_COST_NS (300 * RMILL_NS_PER_US)

int
rmill_pack_core_init(struct pack_job *job, struct pack_core *core)
{
    uint64_t raw_bytes = rmill_layout_raw_bytes_max(job->options->chunk_bytes);

    core->raw = rmill_core_pool_create(raw_bytes, job->core_units);
    core->out = rmill_core_pool_create(rmill_compressor_bound(raw_bytes) +
                                           RMILL_LAYOUT_FRAMES_MAX * rmill_compressor_bound(0),
                                       job->core_units);
    core->compressor = rmill_compressor_create(job->options->level);
    return core->raw == NULL || core->out == NULL || core->compressor == NULL ? -ENOMEM : 0;
}

void
rmill_pack_core_deinit(struct pack_core *core)
{
    rmill_compressor_destroy(core->compressor);
}

void
rmill_pack_release(struct pack_job *job, struct pack_unit *unit)
{
    struct pack_core *core = &job->cores[rmill_core_index()];

    if (unit->raw != NULL) {
        rmill_core_pool_put(core->raw, unit->raw);
    }
    if (unit->out != NULL) {
        rmill_core_pool_put(core->out, unit->out);
    }
    rmill_index_window_writer_destroy(unit->writer);
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct rmill_member *
member_at(const struct pack_unit *unit, uint32_t i)
{
    struct rmill_window *window = &unit->window->window;

    return &window->members[window->order[unit->layout.first + i]];
}

/* Errors that are this process's and not the file's. */
static bool
is_fatal(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -ECANCELED;
}

/* What happened to the file, from its status after the read. Returns flags, or -errno when it is
 * not the file the walk saw. */
static int
status_compare(const struct rmill_member *member, const struct stat *status, uint64_t bytes_read,
               uint64_t bytes_due)
{
    int flags = 0;

    if (status->st_dev != member->device || status->st_ino != member->inode) {
        if (member->root->resolve == 0) {
            /* Whoever moved a link on the way could send us anywhere. */
            return -ESTALE;
        }
        flags |= RMILL_ENTRY_CHANGED;
    }
    if (bytes_read < bytes_due) {
        flags |= RMILL_ENTRY_SHRANK;
    }
    if ((uint64_t)status->st_size > member->size) {
        flags |= RMILL_ENTRY_GREW;
    }
    if ((uint64_t)status->st_size != member->size || status->st_mtim.tv_sec != member->mtime_s ||
        status->st_mtim.tv_nsec != member->mtime_ns) {
        flags |= RMILL_ENTRY_CHANGED;
    }
    return flags;
}

static int
member_open(const struct rmill_member *member, int flags, struct rmill_file *file)
{
    char access[RMILL_ROOT_PATH_BYTES];
    const struct rmill_root *root = member->root;

    if (rmill_root_access(root, member->path, member->path_bytes, access)) {
        return rmill_open(root->directory, access, flags, 0, root->resolve, file);
    }
    int fd = rmill_root_open(root, member->path, member->path_bytes, flags);

    *file = (struct rmill_file){.fd = fd};
    return fd < 0 ? fd : 0;
}

/* What was a file for the walk may be a fifo by now: an open or a read of it would wait for
 * somebody to write. */
int
rmill_pack_open(const struct rmill_member *member, struct rmill_file *file, struct stat *status)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY;
    int code = member_open(member, flags | O_NONBLOCK, file);

    if (code == -EAGAIN) { /* Somebody has a lease on it, which only regular files have: wait. */
        code = member_open(member, flags, file);
    }
    if (code < 0) {
        return code;
    }
    code = rmill_plain_stat(file->fd, "", status);
    if (code >= 0 && !S_ISREG(status->st_mode)) {
        code = -ESTALE;
    }
    if (code < 0) {
        (void)rmill_close(file);
    }
    return code < 0 ? code : 0;
}

/* Read a small file whole to `content`. Returns flags or -errno. */
static int
content_read(const struct rmill_member *member, uint8_t *content)
{
    struct rmill_file file;
    struct stat status;
    int code = rmill_pack_open(member, &file, &status);

    if (code < 0) {
        return code;
    }
    int64_t bytes = rmill_read(file, content, member->size, 0);

    code = bytes < 0 ? (int)bytes : rmill_plain_stat(file.fd, "", &status);
    if (code >= 0) {
        code = status_compare(member, &status, (uint64_t)bytes, member->size);
    }
    (void)rmill_close(&file); /* Only read: nothing can be lost. */
    if (code >= 0 && (uint64_t)bytes < member->size) {
        memset(content + bytes, 0, member->size - (uint64_t)bytes);
    }
    return code;
}

static void
member_read(struct pack_unit *unit, struct rmill_member *member)
{
    uint8_t *content = unit->raw + member->raw_offset + member->header_bytes;
    int code = member->size > 0 ? content_read(member, content) : 0;

    if (code >= 0) {
        member->flags = (uint8_t)code;
    } else if (is_fatal(code)) {
        unit->error = unit->error == 0 ? code : unit->error;
    } else if (member->names > 1) { /* Links may point at it: it has to be there. */
        memset(content, 0, member->size);
        member->flags = RMILL_ENTRY_UNREADABLE;
        member->error = code;
    } else {
        member->dropped = true;
        member->error = code;
    }
    member->digest = rmill_digest_small(content, member->size);
}

/* Take members until none is left. Several fibers of one core do this at once. */
static void
members_read(struct pack_unit *unit)
{
    while (unit->next < unit->layout.count && unit->error == 0) {
        struct rmill_member *member = member_at(unit, unit->next++);

        if (member->type == RMILL_ENTRY_FILE) {
            member_read(unit, member);
        }
    }
}

static void
reader(void *argument)
{
    struct pack_unit *unit = argument;

    members_read(unit);
    rmill_latch_done(&unit->readers);
}

/* Headers and padding of all small members, each member's place in member->raw_offset. Returns the
 * bytes. */
static uint64_t
members_place(struct pack_unit *unit, uint32_t *file_count)
{
    uint64_t at = 0;

    *file_count = 0;
    for (uint32_t i = 0; i < unit->layout.count; i++) {
        struct rmill_member *member = member_at(unit, i);
        struct rmill_entry entry;

        rmill_member_entry(member, &entry);
        member->raw_offset = at;
        uint32_t header_bytes = rmill_tar_header_write(&entry, unit->raw + at);

        RMILL_ASSERT(header_bytes == member->header_bytes);
        at += header_bytes + member->size;
        memset(unit->raw + at, 0, rmill_tar_padding(member->size));
        at += rmill_tar_padding(member->size);
        *file_count += member->size > 0;
    }
    return at;
}

/* Close the holes of what was dropped. Returns the bytes that are left. */
static uint64_t
members_close_up(struct pack_unit *unit)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < unit->layout.count; i++) {
        struct rmill_member *member = member_at(unit, i);
        uint64_t bytes = member->header_bytes + member->size + rmill_tar_padding(member->size);

        if (member->dropped) {
            continue;
        }
        if (at != member->raw_offset) {
            memmove(unit->raw + at, unit->raw + member->raw_offset, bytes);
            member->raw_offset = at;
        }
        at += bytes;
    }
    return at;
}

static int
small_read(struct pack_unit *unit)
{
    uint32_t file_count;

    members_place(unit, &file_count);
    for (uint32_t i = 1; i < READERS_MAX && i < file_count; i++) {
        rmill_latch_add(&unit->readers, 1);
        if (rmill_spawn(reader, unit) < 0) {
            rmill_latch_done(&unit->readers);
            break;
        }
    }
    members_read(unit);
    rmill_latch_wait(&unit->readers);
    if (unit->error < 0) {
        return unit->error;
    }
    unit->raw_bytes = members_close_up(unit);
    return 0;
}

static int
large_read(struct pack_unit *unit)
{
    const struct rmill_member *member = unit->large->member;
    const struct rmill_layout_unit *layout = &unit->layout;
    struct rmill_entry entry;
    struct stat status;
    uint64_t at = 0;

    if (layout->header) {
        rmill_member_entry(member, &entry);
        at = rmill_tar_header_write(&entry, unit->raw);
        RMILL_ASSERT(at == member->header_bytes);
    }
    int64_t bytes = unit->large->file.fd < 0 ? unit->large->file.fd
                                             : rmill_read(unit->large->file, unit->raw + at,
                                                          layout->bytes, layout->offset);

    if (bytes < 0 && is_fatal((int)bytes)) {
        return (int)bytes;
    }
    if (bytes < 0) {
        unit->flags = RMILL_ENTRY_UNREADABLE;
        unit->error = (int)bytes;
        bytes = 0;
    } else {
        int code = rmill_plain_stat(unit->large->file.fd, "", &status);

        if (code >= 0) {
            code = status_compare(member, &status, (uint64_t)bytes, layout->bytes);
        }
        if (code < 0) {
            return code;
        }
        unit->flags = (uint32_t)code;
    }
    memset(unit->raw + at + bytes, 0, layout->bytes - (uint64_t)bytes);
    at += layout->bytes;
    if (layout->padding) {
        memset(unit->raw + at, 0, rmill_tar_padding(member->size));
        at += rmill_tar_padding(member->size);
    }
    unit->raw_bytes = at;
    return 0;
}

/* ---- hashing and compressing ----------------------------------------------------------------- */

/* Where the task stands. On the stack of the unit's fiber. */
struct pressing {
    struct pack_unit *unit;
    struct rmill_compressor *compressor;
    uint64_t leaf_at; /* Content of the large part already hashed. */
    uint64_t raw_at;
    uint64_t out_room;
    uint32_t frame;
    bool in_frame;
    uint32_t frame_bytes[RMILL_LAYOUT_FRAMES_MAX];
    int error;
};

static void
leaf_hash(struct pressing *pressing)
{
    struct pack_unit *unit = pressing->unit;
    const struct rmill_layout_unit *layout = &unit->layout;
    uint64_t begin = layout->header ? unit->large->member->header_bytes : 0;
    uint64_t bytes = rmill_min_u64(layout->bytes - pressing->leaf_at, RMILL_DIGEST_LEAF_BYTES);
    uint64_t leaf = (layout->offset + pressing->leaf_at) / RMILL_DIGEST_LEAF_BYTES;

    unit->large->leaves[leaf] = rmill_digest_leaf(unit->raw + begin + pressing->leaf_at, bytes);
    pressing->leaf_at += bytes;
}

static void
frame_begin(struct pressing *pressing)
{
    struct pack_unit *unit = pressing->unit;
    struct pack_frame *frame = &unit->frames[pressing->frame];
    const uint8_t *raw = unit->raw + pressing->raw_at;
    uint32_t bytes = pressing->frame_bytes[pressing->frame];

    frame->record.raw_bytes = bytes;
    frame->record.raw_hash = rmill_hash128(raw, bytes);
    frame->record.flags = pressing->frame == 0 ? RMILL_INDEX_FRAME_UNIT : 0;
    frame->checksum = rmill_hash_xxh64_low32(raw, bytes);
    rmill_compressor_begin(pressing->compressor, raw, bytes, unit->out + unit->out_bytes,
                           pressing->out_room - unit->out_bytes);
    pressing->in_frame = true;
}

static void
frame_end(struct pressing *pressing, uint64_t out_bytes)
{
    struct pack_unit *unit = pressing->unit;
    struct pack_frame *frame = &unit->frames[pressing->frame];

    frame->record.compressed_bytes = (uint32_t)out_bytes;
    frame->record.compressed_hash = rmill_hash128(unit->out + unit->out_bytes, out_bytes);
    unit->out_bytes += out_bytes;
    pressing->raw_at += frame->record.raw_bytes;
    pressing->frame++;
    pressing->in_frame = false;
}

/* One step: a leaf, the hashes of a frame, or up to 128 KiB through zstd. */
static enum rmill_progress_kind
press(void *argument)
{
    struct pressing *pressing = argument;
    struct pack_unit *unit = pressing->unit;
    uint64_t out_bytes;

    if (rmill_stopping()) { /* At a high level a unit takes seconds. */
        pressing->error = -ECANCELED;
        return RMILL_TASK_DONE;
    }
    if (unit->large != NULL && pressing->leaf_at < unit->layout.bytes) {
        leaf_hash(pressing);
    } else if (!pressing->in_frame) {
        if (pressing->frame == unit->frame_count) {
            return RMILL_TASK_DONE;
        }
        frame_begin(pressing);
    } else {
        int more = rmill_compressor_step(pressing->compressor, &out_bytes);

        if (more < 0) {
            pressing->error = more;
            return RMILL_TASK_DONE;
        }
        if (more == 0) {
            frame_end(pressing, out_bytes);
            return pressing->frame == unit->frame_count ? RMILL_TASK_DONE : RMILL_TASK_AGAIN;
        }
    }
    return RMILL_TASK_AGAIN;
}

int
rmill_pack_process(struct pack_job *job, struct pack_unit *unit)
{
    struct pack_core *core = &job->cores[rmill_core_index()];
    uint64_t raw_bytes_max = rmill_layout_raw_bytes_max(job->options->chunk_bytes);

    unit->raw = rmill_core_pool_get(core->raw);
    unit->out = rmill_core_pool_get(core->out);
    RMILL_ASSERT(unit->raw != NULL && unit->out != NULL); /* As many as the core has units. */
    int code = unit->large != NULL ? large_read(unit) : small_read(unit);

    if (code < 0) {
        return code;
    }
    if (unit->layout.end) {
        memset(unit->raw + unit->raw_bytes, 0, RMILL_TAR_END_BYTES);
        unit->raw_bytes += RMILL_TAR_END_BYTES;
    }
    RMILL_ASSERT(unit->raw_bytes <= unit->layout.raw_bytes);
    struct pressing pressing = {
        .unit = unit,
        .compressor = core->compressor,
        .out_room = rmill_compressor_bound(raw_bytes_max) +
                    RMILL_LAYOUT_FRAMES_MAX * rmill_compressor_bound(0),
    };

    unit->frame_count = rmill_layout_frames(&unit->layout, job->options->chunk_bytes,
                                            unit->raw_bytes, pressing.frame_bytes);
    if (unit->frame_count > 0) {
        rmill_task_run(press, &pressing, STEP_COST_NS);
    }
    rmill_core_pool_put(core->raw, unit->raw);
    unit->raw = NULL;
    return pressing.error;
}
