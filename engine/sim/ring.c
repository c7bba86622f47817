/* engine/sim/ring.c — uring/ring.h in the simulator: operations that take a seeded time.
 *
 *     submit ─▶ queued ──enter──▶ in flight ──event at its time──▶ done ──enter──▶ callback
 *
 * An operation's effect and its completion are two moments: what is executed may be seen by
 * others before it is reaped. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/sim/execute.h"
#include "engine/sim/internal.h"

#define ENTRIES_DEFAULT  256u
#define ENTRIES_MAX      32768u
#define IN_FLIGHT_FACTOR 4u
#define FILES_DEFAULT    64u
#define REGIONS_MAX      16384u
#define ENTER_NS_MIN     200u
#define ENTER_NS_SPREAD  800u
#define WAKE_NS_SPREAD   20000u
#define EARLY_NS_MAX     200000u
#define SYNC_FACTOR      10u
#define SLOT_NONE        UINT32_MAX
#define SLOT_QUEUED      (UINT32_MAX - 1)

struct slot {
    struct rmill_operation *operation; /* NULL: free. */
    uint32_t generation;
    uint32_t next_free;
    bool executed;
    struct rmill_sim_description *file; /* Held while in flight. */
};

struct list {
    struct rmill_operation *first, *last;
};

struct rmill_ring {
    struct rmill_ring *next; /* All rings of the run. */
    uint64_t number;
    struct rmill_seam_thread *owner;
    struct slot *slots;
    uint32_t slot_count, free_first;
    uint32_t in_flight_max, in_flight, outstanding;
    struct list queued, cancels, done;
    uint64_t *wakes; /* Numbers of the rings that get a wake at the next enter. */
    uint32_t wake_count, wake_capacity;
    bool woken, sleeping, entered;
    struct rmill_sim_description **files;
    uint32_t file_count;
    struct iovec *regions;
    uint32_t region_count;
    struct rmill_ring_features features;
    struct rmill_ring_statistics statistics;
};

const struct rmill_ring *
rmill_sim_ring_next(const struct rmill_ring *ring)
{
    return ring->next;
}

static struct rmill_ring *
ring_of(const struct rmill_sim *sim, uint64_t number)
{
    struct rmill_ring *ring = sim->rings;

    while (ring != NULL && ring->number != number) {
        ring = ring->next;
    }
    return ring;
}

static void
list_append(struct list *list, struct rmill_operation *operation)
{
    operation->next = NULL;
    if (list->first == NULL) {
        list->first = operation;
    } else {
        list->last->next = operation;
    }
    list->last = operation;
}

static struct rmill_operation *
list_take(struct list *list)
{
    struct rmill_operation *operation = list->first;

    if (operation != NULL) {
        list->first = operation->next;
    }
    return operation;
}

static bool
list_remove(struct list *list, const struct rmill_operation *operation)
{
    struct list kept = {0};
    bool found = false;

    for (struct rmill_operation *at = list_take(list); at != NULL; at = list_take(list)) {
        if (at == operation) {
            found = true;
        } else {
            list_append(&kept, at);
        }
    }
    *list = kept;
    return found;
}

/* --- execution -------------------------------------------------------------------------------- */

static void
slot_done(struct rmill_sim *sim, struct rmill_ring *ring, struct slot *slot, int32_t result)
{
    slot->executed = true;
    slot->operation->result = result;
    if (slot->file != NULL) {
        rmill_sim_description_release(sim, slot->file);
        slot->file = NULL;
    }
    list_append(&ring->done, slot->operation);
    rmill_sim_record(sim, RMILL_SIM_RECORD_EXECUTE, slot->operation->opcode,
                     (uint64_t)(int64_t)result);
    if (ring->sleeping) {
        rmill_sim_thread_wake(sim, ring->owner, rmill_sim_clock(sim));
    }
}

/* What becomes of the target: a kernel can stop what only waits, but not always what already
 * runs. */
static int32_t
cancel(struct rmill_sim *sim, struct rmill_ring *ring, const struct rmill_operation *operation)
{
    /* `slot` and `slot_generation` name the target: see resolve_cancel. */
    uint32_t index = (uint32_t)(operation->length >> 32);
    struct slot *slot = &ring->slots[index];

    if (slot->operation == NULL || slot->generation != (uint32_t)operation->length ||
        slot->executed) {
        return -ENOENT;
    }
    bool waits =
        slot->operation->opcode == RMILL_OP_TIMEOUT || slot->operation->opcode == RMILL_OP_POLL;

    if (!waits && (rmill_sim_fault(sim, RMILL_SIM_CANCEL_LATE) || rmill_sim_up_to(sim, 1) == 0)) {
        return -EALREADY;
    }
    slot_done(sim, ring, slot, -ECANCELED);
    return 0;
}

static void
execute_event(struct rmill_sim *sim, const struct rmill_sim_event *event)
{
    struct rmill_ring *ring = ring_of(sim, event->a);
    uint32_t index = (uint32_t)(event->b >> 32);

    if (ring == NULL) {
        return; /* Destroyed: then everything of it had ended. */
    }
    struct slot *slot = &ring->slots[index];

    if (slot->operation == NULL || slot->generation != (uint32_t)event->b || slot->executed) {
        return; /* Cancelled. */
    }
    sim->result.operations++;
    slot_done(sim, ring, slot,
              slot->operation->opcode == RMILL_OP_CANCEL
                  ? cancel(sim, ring, slot->operation)
                  : rmill_sim_execute(sim, slot->operation, slot->file));
}

static bool
is_on_file(uint8_t opcode)
{
    const uint32_t set = 1u << RMILL_OP_READ | 1u << RMILL_OP_WRITE | 1u << RMILL_OP_READV |
                         1u << RMILL_OP_WRITEV | 1u << RMILL_OP_FSYNC | 1u << RMILL_OP_FALLOCATE |
                         1u << RMILL_OP_FTRUNCATE | 1u << RMILL_OP_POLL;

    return set >> opcode & 1;
}

/* As the kernel does, look the file up when the operation is issued: closing it afterwards does
 * no harm. */
static struct rmill_sim_description *
file_of(struct rmill_sim *sim, const struct rmill_ring *ring,
        const struct rmill_operation *operation)
{
    if (!is_on_file(operation->opcode)) {
        RMILL_ASSERT(!(operation->modifiers & RMILL_OPERATION_FIXED_FILE));
        return NULL;
    }
    if (!(operation->modifiers & RMILL_OPERATION_FIXED_FILE)) {
        return rmill_sim_description_hold(sim, operation->fd);
    }
    if ((uint32_t)operation->fd >= ring->file_count || ring->files[operation->fd] == NULL) {
        return NULL;
    }
    return rmill_sim_description_again(ring->files[operation->fd]);
}

static uint64_t
delay_of(struct rmill_sim *sim, const struct rmill_operation *operation)
{
    uint64_t delay_ns =
        sim->delay_ns_min + rmill_sim_up_to(sim, sim->delay_ns_max - sim->delay_ns_min);

    if (operation->opcode == RMILL_OP_TIMEOUT) {
        return operation->offset;
    }
    if (operation->opcode == RMILL_OP_FSYNC) {
        return delay_ns * SYNC_FACTOR;
    }
    /* Some find all they need in memory. */
    return rmill_sim_up_to(sim, 3) == 0 ? sim->delay_ns_min : delay_ns;
}

static bool
buffer_is_registered(const struct rmill_ring *ring, const struct rmill_operation *operation)
{
    if (operation->buffer_index >= ring->region_count) {
        return false;
    }
    const struct iovec *region = &ring->regions[operation->buffer_index];
    uintptr_t low = (uintptr_t)region->iov_base, at = (uintptr_t)operation->address;

    return at >= low && operation->bytes <= region->iov_len &&
           at - low <= region->iov_len - operation->bytes;
}

static void
issue(struct rmill_sim *sim, struct rmill_ring *ring, struct rmill_operation *operation)
{
    uint32_t index = ring->free_first;
    struct slot *slot = &ring->slots[index];

    RMILL_ASSERT(index < ring->slot_count && slot->operation == NULL);
    ring->free_first = slot->next_free;
    slot->operation = operation;
    slot->executed = false;
    slot->file = file_of(sim, ring, operation);
    if (operation->opcode == RMILL_OP_CANCEL) {
        operation->length = (uint64_t)operation->slot << 32 | operation->slot_generation;
    } else {
        ring->in_flight++;
    }
    operation->slot = index;
    operation->slot_generation = slot->generation;
    rmill_sim_record(sim, RMILL_SIM_RECORD_SUBMIT, operation->opcode, operation->offset);
    rmill_sim_event_add(sim, rmill_sim_clock(sim) + delay_of(sim, operation), execute_event,
                        ring->number, (uint64_t)index << 32 | slot->generation);
}

static bool
has_room(const struct rmill_ring *ring, const struct list *list)
{
    if (list == &ring->cancels) {
        return ring->free_first < ring->slot_count;
    }
    return ring->in_flight < ring->in_flight_max && ring->free_first < ring->slot_count;
}

static void
issue_queued(struct rmill_sim *sim, struct rmill_ring *ring)
{
    while (ring->cancels.first != NULL && has_room(ring, &ring->cancels)) {
        issue(sim, ring, list_take(&ring->cancels));
    }
    while (ring->queued.first != NULL && has_room(ring, &ring->queued)) {
        issue(sim, ring, list_take(&ring->queued));
    }
}

/* --- submit and reap -------------------------------------------------------------------------- */

static void
answer_later(struct rmill_ring *ring, struct rmill_operation *operation, int32_t result)
{
    operation->result = result;
    operation->slot = SLOT_NONE;
    list_append(&ring->done, operation);
}

/* The target's memory may be gone when the cancel is issued, so it is identified now. False:
 * answered here. */
static bool
resolve_cancel(struct rmill_ring *ring, struct rmill_operation *operation)
{
    struct rmill_operation *target = operation->address;

    RMILL_ASSERT(target != NULL && target != operation);
    if (target->slot == SLOT_QUEUED && list_remove(&ring->queued, target)) {
        answer_later(ring, target, -ECANCELED);
        answer_later(ring, operation, 0);
        return false;
    }
    if (target->slot < ring->slot_count && ring->slots[target->slot].operation == target) {
        operation->slot = target->slot;
        operation->slot_generation = target->slot_generation;
        return true;
    }
    answer_later(ring, operation, -ENOENT);
    return false;
}

void
rmill_ring_submit(struct rmill_ring *ring, struct rmill_operation *operation)
{
    RMILL_ASSERT(rmill_sim_self()->running == ring->owner);
    RMILL_ASSERT(operation->complete != NULL && operation->opcode < RMILL_OP_COUNT);
    bool is_cancel = operation->opcode == RMILL_OP_CANCEL;

    ring->outstanding++;
    ring->statistics.submitted++;
    if (!ring->features.opcode[operation->opcode]) {
        answer_later(ring, operation, -EOPNOTSUPP);
        return;
    }
    if (operation->modifiers & RMILL_OPERATION_FIXED_BUFFER) {
        RMILL_ASSERT(operation->opcode == RMILL_OP_READ || operation->opcode == RMILL_OP_WRITE);
        if (!buffer_is_registered(ring, operation)) {
            answer_later(ring, operation, -EFAULT);
            return;
        }
    }
    if (is_cancel && !resolve_cancel(ring, operation)) {
        return;
    }
    if (!is_cancel) {
        operation->slot = SLOT_QUEUED;
    }
    list_append(is_cancel ? &ring->cancels : &ring->queued, operation);
}

static void
slot_free(struct rmill_ring *ring, uint32_t index)
{
    struct slot *slot = &ring->slots[index];

    ring->in_flight -= slot->operation->opcode != RMILL_OP_CANCEL;
    slot->operation = NULL;
    slot->generation++;
    slot->next_free = ring->free_first;
    ring->free_first = index;
}

static uint32_t
reap(struct rmill_sim *sim, struct rmill_ring *ring)
{
    struct list done = ring->done;
    uint32_t ran = 0;

    ring->done = (struct list){0};
    for (struct rmill_operation *at = list_take(&done); at != NULL; at = list_take(&done)) {
        if (at->slot != SLOT_NONE) {
            slot_free(ring, at->slot);
        }
        at->slot = SLOT_NONE;
        at->next = NULL;
        RMILL_ASSERT(ring->outstanding > 0);
        ring->outstanding--;
        ring->statistics.completed++;
        rmill_sim_record(sim, RMILL_SIM_RECORD_COMPLETE, at->opcode, (uint64_t)(int64_t)at->result);
        at->complete(at); /* The ring forgets it first: the callback may reuse or free it. */
        ran++;
    }
    return ran;
}

/* --- wakes ------------------------------------------------------------------------------------ */

static void
wake_event(struct rmill_sim *sim, const struct rmill_sim_event *event)
{
    struct rmill_ring *ring = ring_of(sim, event->a);

    if (ring == NULL) {
        return;
    }
    ring->woken = true;
    if (ring->sleeping) {
        rmill_sim_thread_wake(sim, ring->owner, event->time_ns);
    }
}

static void
wake_send(struct rmill_sim *sim, uint64_t number)
{
    if (ring_of(sim, number) == NULL) {
        RMILL_PANIC("a wake goes to a ring that was destroyed");
    }
    rmill_sim_record(sim, RMILL_SIM_RECORD_RING_WAKE, number, 0);
    rmill_sim_event_add(sim, rmill_sim_clock(sim) + rmill_sim_up_to(sim, WAKE_NS_SPREAD),
                        wake_event, number, 0);
}

static void
wakes_send(struct rmill_sim *sim, struct rmill_ring *ring)
{
    for (uint32_t i = 0; i < ring->wake_count; i++) {
        wake_send(sim, ring->wakes[i]);
    }
    ring->wake_count = 0;
}

void
rmill_ring_wake(struct rmill_ring *from, struct rmill_ring *target)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(sim->running == from->owner);
    from->statistics.wakes_sent++;
    if (!from->features.message_ring) {
        wake_send(sim, target->number);
        return;
    }
    if (from->wake_count == from->wake_capacity) {
        from->wake_capacity = from->wake_capacity * 2 + 8;
        from->wakes = realloc(from->wakes, from->wake_capacity * sizeof(*from->wakes));
        RMILL_ASSERT(from->wakes != NULL);
    }
    from->wakes[from->wake_count++] = target->number;
}

void
rmill_ring_wake_foreign(struct rmill_ring *target)
{
    uint64_t number = target->number;

    rmill_sim_pause(rmill_sim_self()); /* A system call is a place where a thread can be held up. */
    wake_send(rmill_sim_self(), number);
}

/* --- enter ------------------------------------------------------------------------------------ */

uint32_t
rmill_ring_enter(struct rmill_ring *ring, uint64_t wait_ns)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(sim->running == ring->owner && !ring->entered);
    ring->entered = true;
    ring->statistics.enters += wait_ns != 0 || rmill_ring_ready(ring);
    ring->statistics.waits += wait_ns != 0;
    wakes_send(sim, ring);
    issue_queued(sim, ring);
    rmill_sim_step_aside(sim, ENTER_NS_MIN + rmill_sim_up_to(sim, ENTER_NS_SPREAD));
    if (wait_ns != 0 && ring->done.first == NULL && !ring->woken) {
        ring->sleeping = true;
        (void)rmill_sim_thread_sleep(
            sim, rmill_sim_fault(sim, RMILL_SIM_EARLY_WAKE)
                     ? rmill_sim_up_to(sim, rmill_min_u64(wait_ns, EARLY_NS_MAX))
                     : wait_ns);
        ring->sleeping = false;
    }
    uint32_t ran = reap(sim, ring);

    if (wait_ns != 0) {
        ring->woken = false;
    }
    ring->entered = false;
    return ran;
}

bool
rmill_ring_ready(const struct rmill_ring *ring)
{
    return ring->done.first != NULL || ring->wake_count > 0 ||
           (ring->cancels.first != NULL && has_room(ring, &ring->cancels)) ||
           (ring->queued.first != NULL && has_room(ring, &ring->queued));
}

uint32_t
rmill_ring_in_flight(const struct rmill_ring *ring)
{
    return ring->outstanding;
}

/* --- registered things ------------------------------------------------------------------------ */

int
rmill_ring_file_register(struct rmill_ring *ring, uint32_t index, int fd)
{
    struct rmill_sim *sim = rmill_sim_self();

    RMILL_ASSERT(sim->running == ring->owner);
    if (!ring->features.files_registered) {
        return -EOPNOTSUPP;
    }
    if (index >= ring->file_count) {
        return -EINVAL;
    }
    struct rmill_sim_description *file = fd >= 0 ? rmill_sim_description_hold(sim, fd) : NULL;

    if (fd >= 0 && file == NULL) {
        return -EBADF;
    }
    if (ring->files[index] != NULL) {
        rmill_sim_description_release(sim, ring->files[index]);
    }
    ring->files[index] = file;
    return 0;
}

int
rmill_ring_buffers_register(struct rmill_ring *ring, const struct iovec *regions, uint32_t count,
                            struct rmill_error *error)
{
    struct rmill_sim *sim = rmill_sim_self();

    if (count == 0 || count > REGIONS_MAX) {
        return rmill_error_set(error, -EINVAL, "%u regions cannot be registered", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (regions[i].iov_len == 0 || regions[i].iov_len > RMILL_GIB(1)) {
            return rmill_error_set(error, -EINVAL, "region %u cannot be registered", i);
        }
    }
    free(ring->regions);
    ring->regions = NULL;
    ring->region_count = 0;
    ring->features.buffers_registered = false;
    if (rmill_sim_fault(sim, RMILL_SIM_SETUP)) {
        return rmill_error_set(error, -ENOMEM, "the simulated memlock limit is too small");
    }
    ring->regions = calloc(count, sizeof(*regions));
    RMILL_ASSERT(ring->regions != NULL);
    memcpy(ring->regions, regions, count * sizeof(*regions));
    ring->region_count = count;
    ring->features.buffers_registered = true;
    return 0;
}

const struct rmill_ring_features *
rmill_ring_features(const struct rmill_ring *ring)
{
    return &ring->features;
}

const struct rmill_ring_statistics *
rmill_ring_statistics(const struct rmill_ring *ring)
{
    return &ring->statistics;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Some runs have an older kernel: the same for all rings of a run. */
static bool
kernel_has(const struct rmill_sim *sim, uint64_t feature, uint64_t eighths)
{
    return rmill_hash64_key(sim->options->seed * 31 + feature) % 8 < eighths;
}

bool
rmill_seam_wakes_by_message(void)
{
    return kernel_has(rmill_sim_self(), 0, 7);
}

static void
features_choose(struct rmill_sim *sim, struct rmill_ring *ring,
                const struct rmill_ring_options *options)
{
    struct rmill_ring_features *features = &ring->features;
    bool modern = !options->plain;

    features->message_ring = !options->event_wakes && kernel_has(sim, 0, 7);
    features->files_registered = kernel_has(sim, 1, 7);
    features->single_issuer = features->defer_taskrun = modern;
    features->coop_taskrun = features->no_sqarray = features->ring_fd_registered = modern;
    for (uint32_t i = 0; i < RMILL_OP_COUNT; i++) {
        features->opcode[i] = i != RMILL_OP_FTRUNCATE || kernel_has(sim, 2, 4);
    }
}

static bool
tables_create(struct rmill_ring *ring, const struct rmill_ring_options *options)
{
    uint32_t entries = options->entries != 0 ? options->entries : ENTRIES_DEFAULT;

    ring->in_flight_max =
        options->in_flight_max != 0 ? options->in_flight_max : entries * IN_FLIGHT_FACTOR;
    ring->slot_count = ring->in_flight_max + entries;
    ring->slots = calloc(ring->slot_count, sizeof(*ring->slots));
    ring->file_count = options->files_max != 0 ? options->files_max : FILES_DEFAULT;
    ring->files = calloc(ring->file_count, sizeof(struct rmill_sim_description *));
    if (ring->slots == NULL || ring->files == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < ring->slot_count; i++) {
        ring->slots[i].next_free = i + 1;
    }
    return true;
}

static void
ring_free(struct rmill_ring *ring)
{
    free(ring->slots);
    free(ring->files);
    free(ring->regions);
    free(ring->wakes);
    free(ring);
}

int
rmill_ring_create(const struct rmill_ring_options *options, struct rmill_ring **ring,
                  struct rmill_error *error)
{
    const struct rmill_ring_options defaults = {0};
    struct rmill_sim *sim = rmill_sim_self();

    options = options != NULL ? options : &defaults;
    if (options->entries != 0 &&
        (!rmill_is_power_of_two(options->entries) || options->entries > ENTRIES_MAX)) {
        return rmill_error_set(error, -EINVAL, "a ring of %u entries", options->entries);
    }
    if (rmill_sim_fault(sim, RMILL_SIM_SETUP)) {
        return rmill_error_set(error, -ENOMEM, "the simulated machine has no memory for a ring");
    }
    struct rmill_ring *made = calloc(1, sizeof(*made));

    if (made == NULL || !tables_create(made, options)) {
        if (made != NULL) {
            ring_free(made);
        }
        return rmill_error_set(error, -ENOMEM, "no memory for a ring");
    }
    made->owner = sim->running;
    made->number = sim->ring_next++;
    made->next = sim->rings;
    sim->rings = made;
    features_choose(sim, made, options);
    *ring = made;
    return 0;
}

void
rmill_ring_destroy(struct rmill_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    struct rmill_sim *sim = rmill_sim_self();
    struct rmill_ring **link = &sim->rings;

    RMILL_ASSERT(ring->outstanding == 0 && !ring->entered);
    wakes_send(sim, ring);
    for (uint32_t i = 0; i < ring->file_count; i++) {
        if (ring->files[i] != NULL) {
            rmill_sim_description_release(sim, ring->files[i]);
        }
    }
    while (*link != ring) {
        link = &(*link)->next;
    }
    *link = ring->next;
    ring_free(ring);
}
