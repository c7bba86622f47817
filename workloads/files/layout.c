/* workloads/files/layout.c — see layout.h. */
#include "workloads/files/layout.h"

#include "base/assert.h"

/* Content bytes of a full unit of a large file: whole leaves. */
static uint64_t
run_bytes(uint64_t chunk_bytes)
{
    return rmill_max_u64(chunk_bytes, RMILL_DIGEST_LEAF_BYTES);
}

uint64_t
rmill_layout_raw_bytes_max(uint64_t chunk_bytes)
{
    return run_bytes(chunk_bytes) + RMILL_LAYOUT_HEADER_BYTES_MAX + RMILL_TAR_BLOCK_BYTES +
           RMILL_TAR_END_BYTES;
}

void
rmill_layout_begin(struct rmill_layout *layout, struct rmill_window *window, uint64_t chunk_bytes)
{
    *layout = (struct rmill_layout){.window = window, .chunk_bytes = chunk_bytes};
}

static struct rmill_member *
member_at(const struct rmill_layout *layout, uint32_t place)
{
    return &layout->window->members[layout->window->order[place]];
}

static bool
is_large(const struct rmill_member *member)
{
    return member->size > RMILL_DIGEST_LEAF_BYTES;
}

static void
large_take(struct rmill_layout *layout, struct rmill_layout_unit *unit)
{
    struct rmill_member *member = member_at(layout, layout->next);
    uint64_t rest = member->size - layout->offset;

    unit->large = member;
    unit->offset = layout->offset;
    unit->bytes = rmill_min_u64(rest, run_bytes(layout->chunk_bytes));
    unit->header = layout->offset == 0;
    unit->padding = unit->bytes == rest;
    unit->raw_bytes = unit->bytes + (unit->header ? member->header_bytes : 0) +
                      (unit->padding ? rmill_tar_padding(member->size) : 0);
    layout->offset += unit->bytes;
    if (unit->padding) {
        layout->next++;
        layout->offset = 0;
    }
}

static void
small_take(struct rmill_layout *layout, struct rmill_layout_unit *unit)
{
    unit->first = layout->next;
    while (layout->next < layout->window->order_count) {
        const struct rmill_member *member = member_at(layout, layout->next);
        uint64_t bytes = member->header_bytes + member->size + rmill_tar_padding(member->size);

        if (is_large(member) ||
            (unit->count > 0 && unit->raw_bytes + bytes > layout->chunk_bytes)) {
            break;
        }
        unit->raw_bytes += bytes;
        unit->count++;
        layout->next++;
    }
}

bool
rmill_layout_next(struct rmill_layout *layout, struct rmill_layout_unit *unit)
{
    const struct rmill_window *window = layout->window;

    *unit = (struct rmill_layout_unit){0};
    if (layout->next < window->order_count) {
        if (is_large(member_at(layout, layout->next))) {
            large_take(layout, unit);
        } else {
            small_take(layout, unit);
        }
    } else if (!window->last || layout->ended) {
        return false;
    }
    if (window->last && layout->next == window->order_count) {
        layout->ended = true;
        unit->end = true;
        unit->raw_bytes += RMILL_TAR_END_BYTES;
    }
    return true;
}

void
rmill_layout_skip(struct rmill_layout *layout, struct rmill_layout_unit *unit)
{
    RMILL_ASSERT(unit->large != NULL && unit->header);
    if (!unit->padding) {
        layout->next++;
        layout->offset = 0;
    }
    layout->ended = false;
}

uint32_t
rmill_layout_frames(const struct rmill_layout_unit *unit, uint64_t chunk_bytes, uint64_t raw_bytes,
                    uint32_t frames[RMILL_LAYOUT_FRAMES_MAX])
{
    uint32_t count = 0;
    uint64_t content = 0;

    if (raw_bytes == 0) {
        return 0;
    }
    if (unit->large == NULL || unit->bytes <= chunk_bytes) {
        frames[0] = (uint32_t)raw_bytes;
        return 1;
    }
    RMILL_ASSERT(raw_bytes == unit->raw_bytes);
    for (; content < unit->bytes; count++) {
        uint64_t part = rmill_min_u64(unit->bytes - content, chunk_bytes);

        frames[count] = (uint32_t)part;
        content += part;
    }
    if (unit->header) {
        frames[0] += unit->large->header_bytes;
    }
    frames[count - 1] += (uint32_t)((unit->padding ? rmill_tar_padding(unit->large->size) : 0) +
                                    (unit->end ? RMILL_TAR_END_BYTES : 0));
    return count;
}
