#include "uring/ring.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "uring/prepare.h"
#include "uring/probe.h"
#include "uring/setup.h"

#define ENTRIES_DEFAULT   256u
#define ENTRIES_MAX       32768u
#define IN_FLIGHT_FACTOR  4u
#define FILES_DEFAULT     64u
#define WORKERS_DEFAULT   32u
#define CQ_FACTOR         8u /* The completion queue is at least this many times the other. */
#define WAKE_SHARE        8u /* One of so many of its entries is left to wakes. */
#define REGION_BYTES_MAX  RMILL_GIB(1)
#define REGIONS_MAX       16384u
#define SHORTAGE_PAUSE_NS RMILL_NS_PER_MS

/* user_data: 8 bits of kind, then either generation (32) and index (24) of an operation, or a
 * pointer. The generation makes an answer or a cancel that comes too late miss instead of
 * hitting the index's next user. */
#define KIND_SHIFT     56
#define KIND_OPERATION 0ull
#define KIND_WAKE      1ull /* Arrives in the target. */
#define KIND_DOORBELL  2ull /* The read of the event descriptor ended. */
#define KIND_MESSAGE   3ull /* A wake could not be sent; the pointer is its target. */
#define PAYLOAD_MASK   ((1ull << KIND_SHIFT) - 1)
#define INDEX_BITS     24
#define INDEX_MASK     ((1ull << INDEX_BITS) - 1)

/* Values of rmill_operation.slot that are no slot. */
#define SLOT_NONE   UINT32_MAX
#define SLOT_QUEUED (UINT32_MAX - 1)

struct slot {
    struct rmill_operation *operation; /* NULL: free. */
    uint32_t generation;
    uint32_t next_free;
    struct __kernel_timespec time; /* Of a TIMEOUT, until the kernel has read its entry. */
};
_Static_assert(sizeof(struct slot) == 32, "two slots to a cache line");

struct list {
    struct rmill_operation *first, *last;
};

/* Everything is the owner thread's, but `doorbell_fd` and `uring.ring_fd`: set-up, then read by
 * any. */
struct rmill_ring {
    struct io_uring uring;
    struct rmill_setup setup;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t free_first;
    uint32_t in_flight_max, cancels_max;
    uint32_t in_kernel; /* Operations, without cancels. */
    uint32_t cancels_in_kernel;
    uint32_t idle_in_kernel; /* Of in_kernel, polls and time-outs: nobody waits for a device. */
    uint32_t outstanding;    /* Submitted and not completed, wherever they are. */
    struct list pending;     /* Did not fit; not with the kernel. */
    struct list pending_cancels;
    struct list done; /* Answered without the kernel. */
    bool woken;       /* A wake arrived that no sleeping enter has seen yet. */
    bool doorbell_armed;
    bool entered;
    int doorbell_fd;
    uint64_t doorbell_value;
    pthread_t owner;
    struct rmill_ring_features features;
    struct rmill_ring_statistics statistics;
};

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
        operation->next = NULL;
    }
    return operation;
}

/* Take `operation` out of the middle. Linear: only a cancel of something queued does it. */
static bool
list_remove(struct list *list, const struct rmill_operation *operation)
{
    struct rmill_operation *before = NULL;

    for (struct rmill_operation *at = list->first; at != NULL; before = at, at = at->next) {
        if (at != operation) {
            continue;
        }
        if (before == NULL) {
            list->first = at->next;
        } else {
            before->next = at->next;
        }
        if (list->last == at) {
            list->last = before;
        }
        return true;
    }
    return false;
}

static uint64_t
user_data_of(const struct rmill_ring *ring, uint32_t index)
{
    return (uint64_t)ring->slots[index].generation << INDEX_BITS | index;
}

static unsigned
queue_flags(const struct rmill_ring *ring)
{
    return IO_URING_READ_ONCE(*ring->uring.sq.kflags);
}

/* --- to the kernel --------------------------------------------------------------------------- */

static bool
is_polled(const struct rmill_ring *ring)
{
    return (ring->setup.flags & IORING_SETUP_SQPOLL) != 0;
}

/* One io_uring_enter. `wait_ns` 0 = do not sleep. Answers the entries consumed, or -errno. */
static int
call_kernel(struct rmill_ring *ring, uint32_t submit, uint64_t wait_ns)
{
    struct io_uring *uring = &ring->uring;
    unsigned flags = uring->int_flags != 0 ? IORING_ENTER_REGISTERED_RING : 0;
    unsigned queue = queue_flags(ring);
    struct __kernel_timespec time;
    struct io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8};

    /* A DEFER ring posts completions only to a caller that asks for them; an overflow is flushed
     * likewise. */
    if (wait_ns != 0 || (ring->setup.flags & IORING_SETUP_DEFER_TASKRUN) ||
        (queue & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))) {
        flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    }
    if (wait_ns != 0 && wait_ns != UINT64_MAX) {
        time.tv_sec = (long long)(wait_ns / RMILL_NS_PER_S);
        time.tv_nsec = (long long)(wait_ns % RMILL_NS_PER_S);
        argument.ts = (uint64_t)(uintptr_t)&time;
    }
    if (wait_ns != 0 && ring->features.no_iowait && ring->in_kernel == ring->idle_in_kernel) {
        flags |= IORING_ENTER_NO_IOWAIT;
    }
    if (queue & IORING_SQ_NEED_WAKEUP) {
        flags |= IORING_ENTER_SQ_WAKEUP;
    }
    if (is_polled(ring) && io_uring_sq_space_left(uring) == 0) {
        flags |= IORING_ENTER_SQ_WAIT; /* Until the poller has taken some; it may need this CPU. */
    }
    if (queue & IORING_SQ_CQ_OVERFLOW) {
        ring->statistics.overflows++;
    }
    ring->statistics.enters++;
    ring->statistics.waits += wait_ns != 0;
    if (flags & IORING_ENTER_EXT_ARG) {
        return io_uring_enter2((unsigned)uring->enter_ring_fd, submit, wait_ns != 0, flags,
                               (sigset_t *)(void *)&argument, sizeof(argument));
    }
    return io_uring_enter((unsigned)uring->enter_ring_fd, submit, 0, flags, NULL);
}

/* Entries filled and not yet consumed by the kernel. */
static uint32_t
unsent(const struct rmill_ring *ring)
{
    return io_uring_sq_ready(&ring->uring);
}

/* Show the kernel what is filled and enter when there is a reason to. */
static int
flush(struct rmill_ring *ring, uint64_t wait_ns)
{
    const unsigned reasons = IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN;
    uint32_t submit = unsent(ring);

    io_uring_smp_store_release(ring->uring.sq.ktail, ring->uring.sq.sqe_tail);
    if (is_polled(ring)) {
        /* Tail first, then its "I sleep" flag; the poller does the reverse. Only a full fence
         * orders a store before a load, and either side alone may find the other's news. */
        atomic_thread_fence(memory_order_seq_cst);
        if (wait_ns == 0 && !(queue_flags(ring) & (reasons | IORING_SQ_NEED_WAKEUP)) &&
            io_uring_sq_space_left(&ring->uring) > 0) {
            return (int)submit;
        }
    } else if (wait_ns == 0 && submit == 0 && !(queue_flags(ring) & reasons)) {
        return 0;
    }
    return call_kernel(ring, submit, wait_ns);
}

/* A free entry, flushing once when there is none. NULL only when the kernel takes nothing just
 * now. */
static struct io_uring_sqe *
entry_take(struct rmill_ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    if (sqe == NULL) {
        (void)flush(ring, 0);
        sqe = io_uring_get_sqe(&ring->uring);
    }
    return sqe;
}

/* --- operations ------------------------------------------------------------------------------ */

/* True when one more of this kind may be with the kernel (I2) and there is an entry for it. */
static bool
has_room(const struct rmill_ring *ring, bool cancel)
{
    return io_uring_sq_space_left(&ring->uring) > 0 &&
           (cancel ? ring->cancels_in_kernel < ring->cancels_max
                   : ring->in_kernel < ring->in_flight_max);
}

static bool
is_idle(const struct rmill_operation *operation)
{
    return operation->opcode == RMILL_OP_POLL || operation->opcode == RMILL_OP_TIMEOUT;
}

/* Give it a slot and an entry; has_room said yes. */
static void
issue(struct rmill_ring *ring, struct rmill_operation *operation)
{
    uint32_t index = ring->free_first;
    struct slot *slot = &ring->slots[index];
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    RMILL_ASSERT(index < ring->slot_count && slot->operation == NULL && sqe != NULL);
    ring->free_first = slot->next_free;
    slot->operation = operation;
    rmill_operation_prepare(operation, sqe, &slot->time);
    if (operation->opcode == RMILL_OP_CANCEL) {
        /* Until now slot and generation were the target's, see resolve_cancel. */
        sqe->addr = (uint64_t)operation->slot_generation << INDEX_BITS | operation->slot;
        ring->cancels_in_kernel++;
    } else {
        ring->in_kernel++;
        ring->idle_in_kernel += is_idle(operation);
    }
    sqe->user_data = user_data_of(ring, index);
    operation->slot = index;
    operation->slot_generation = slot->generation;
}

static void
answer_later(struct rmill_ring *ring, struct rmill_operation *operation, int32_t result)
{
    operation->result = result;
    operation->slot = SLOT_NONE;
    list_append(&ring->done, operation);
}

/* Find out what to cancel now: by the time the entry is filled the target's memory may be gone.
 * True when it is with the kernel, and then the cancel carries its slot; else both are answered
 * here. */
static bool
resolve_cancel(struct rmill_ring *ring, struct rmill_operation *operation)
{
    struct rmill_operation *target = operation->address;

    RMILL_ASSERT(target != NULL && target != operation);
    if (target->slot == SLOT_QUEUED && list_remove(&ring->pending, target)) {
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
    RMILL_DEBUG_ASSERT(pthread_equal(ring->owner, pthread_self()));
    RMILL_ASSERT(operation->complete != NULL && operation->opcode < RMILL_OP_COUNT);
    bool cancel = operation->opcode == RMILL_OP_CANCEL;
    struct list *list = cancel ? &ring->pending_cancels : &ring->pending;

    ring->outstanding++;
    ring->statistics.submitted++;
    if (RMILL_UNLIKELY(!ring->features.opcode[operation->opcode])) {
        answer_later(ring, operation, -EOPNOTSUPP);
        return;
    }
    if (cancel && !resolve_cancel(ring, operation)) {
        return;
    }
    if (RMILL_LIKELY(list->first == NULL && has_room(ring, cancel))) {
        issue(ring, operation);
        return;
    }
    if (!cancel) {
        operation->slot = SLOT_QUEUED;
    }
    ring->statistics.queued++;
    list_append(list, operation);
}

/* Move what waits into free entries, cancels first: they free slots. */
static void
refill(struct rmill_ring *ring)
{
    while (ring->pending_cancels.first != NULL && has_room(ring, true)) {
        issue(ring, list_take(&ring->pending_cancels));
    }
    while (ring->pending.first != NULL && has_room(ring, false)) {
        issue(ring, list_take(&ring->pending));
    }
}

/* True when only a lack of entries keeps something waiting. */
static bool
waits_for_entry(const struct rmill_ring *ring)
{
    return (ring->pending_cancels.first != NULL && ring->cancels_in_kernel < ring->cancels_max) ||
           (ring->pending.first != NULL && ring->in_kernel < ring->in_flight_max);
}

/* --- from the kernel ------------------------------------------------------------------------- */

static void
complete(struct rmill_ring *ring, struct rmill_operation *operation, int32_t result)
{
    RMILL_ASSERT(ring->outstanding > 0);
    ring->outstanding--;
    ring->statistics.completed++;
    operation->result = result;
    operation->slot = SLOT_NONE;
    operation->complete(
        operation); /* The ring forgets it first: the callback may reuse or free it. */
}

static void
complete_slot(struct rmill_ring *ring, uint64_t user_data, int32_t result)
{
    uint32_t index = (uint32_t)(user_data & INDEX_MASK);

    if (index >= ring->slot_count || ring->slots[index].operation == NULL ||
        user_data_of(ring, index) != user_data) {
        RMILL_PANIC("the kernel answered an operation that is not in flight"); /* I4 */
    }
    struct slot *slot = &ring->slots[index];
    struct rmill_operation *operation = slot->operation;

    slot->operation = NULL;
    slot->generation++;
    slot->next_free = ring->free_first;
    ring->free_first = index;
    if (operation->opcode == RMILL_OP_CANCEL) {
        ring->cancels_in_kernel--;
    } else {
        ring->in_kernel--;
        ring->idle_in_kernel -= is_idle(operation);
    }
    complete(ring, operation, result);
}

/* Write to the target's event descriptor. Blocks never: the counter would have to reach 2^64 -
 * 1. */
static void
ring_doorbell(const struct rmill_ring *target)
{
    const uint64_t one = 1;
    ssize_t written;

    do {
        written = write(target->doorbell_fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
    RMILL_ASSERT(written == sizeof(one));
}

/* One completion entry. Answers how many callbacks it ran. */
static uint32_t
answer(struct rmill_ring *ring, uint64_t user_data, int32_t result)
{
    switch (user_data >> KIND_SHIFT) {
    case KIND_OPERATION:
        complete_slot(ring, user_data, result);
        return 1;
    case KIND_WAKE:
        ring->woken = true;
        break;
    case KIND_DOORBELL:
        ring->doorbell_armed = false; /* Armed anew before the next sleep. */
        ring->woken = true;
        break;
    case KIND_MESSAGE:
        /* Only a failure is reported (CQE_SKIP_SUCCESS). The wake must not be lost. */
        ring_doorbell((const struct rmill_ring *)(uintptr_t)(user_data & PAYLOAD_MASK));
        break;
    default:
        RMILL_PANIC("the kernel answered with a user_data that is not ours");
    }
    return 0;
}

static uint32_t
reap(struct rmill_ring *ring)
{
    struct io_uring_cq *cq = &ring->uring.cq;
    uint32_t head = *cq->khead, tail = io_uring_smp_load_acquire(cq->ktail), ran = 0;
    struct list done = ring->done;

    ring->done = (struct list){0};
    while (head != tail) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
        uint64_t user_data = cqe->user_data;
        int32_t result = cqe->res;

        /* The entry is given back before its callback may submit more: room in the queue is what
         * I2 counts. */
        head++;
        io_uring_smp_store_release(cq->khead, head);
        ran += answer(ring, user_data, result);
    }
    for (struct rmill_operation *at = list_take(&done); at != NULL; at = list_take(&done)) {
        complete(ring, at, at->result);
        ran++;
    }
    return ran;
}

/* Keep a read of the event descriptor with the kernel, so that its answer ends a sleep. A read,
 * not a multishot poll: a write that comes before it is armed is found when it is, none is
 * missed. */
static void
doorbell_arm(struct rmill_ring *ring)
{
    struct io_uring_sqe *sqe = entry_take(ring);

    if (sqe == NULL) {
        return;
    }
    io_uring_prep_read(sqe, ring->doorbell_fd, &ring->doorbell_value, sizeof(ring->doorbell_value),
                       0);
    sqe->user_data = KIND_DOORBELL << KIND_SHIFT;
    ring->doorbell_armed = true;
}

static bool
nothing_to_reap(const struct rmill_ring *ring)
{
    return io_uring_cq_ready(&ring->uring) == 0 && ring->done.first == NULL;
}

/* The system calls of one enter: all that is queued goes in, and the last one may sleep. */
static void
exchange(struct rmill_ring *ring, uint64_t wait_ns)
{
    int sent = 0;

    refill(ring);
    while (waits_for_entry(ring) && sent >= 0) {
        sent = flush(ring, 0);
        if (sent == 0 && io_uring_sq_space_left(&ring->uring) == 0) {
            break;
        }
        refill(ring);
    }
    if (wait_ns != 0 && !ring->doorbell_armed) {
        doorbell_arm(ring);
    }
    do {
        bool sleep = wait_ns != 0 && sent >= 0 && ring->doorbell_armed && !ring->woken &&
                     nothing_to_reap(ring);

        sent = flush(ring, sleep ? wait_ns : 0);
        /* The kernel stops at a faulty entry and does not sleep then; the rest follows at once. The
         * poller of SQPOLL takes them when it comes to it. */
    } while (sent > 0 && unsent(ring) > 0 && nothing_to_reap(ring) && !is_polled(ring));
    if (sent == -EAGAIN || sent == -EBUSY) {
        /* No memory for requests, or completions to be fetched first. What is queued stays
         * queued. */
        (void)call_kernel(ring, 0, wait_ns == 0 ? 0 : rmill_min_u64(wait_ns, SHORTAGE_PAUSE_NS));
    } else if (sent < 0 && sent != -EINTR && sent != -ETIME) {
        RMILL_PANIC("io_uring_enter failed in a way that only a mistake of ours explains");
    }
}

uint32_t
rmill_ring_enter(struct rmill_ring *ring, uint64_t wait_ns)
{
    RMILL_DEBUG_ASSERT(pthread_equal(ring->owner, pthread_self()));
    RMILL_ASSERT(!ring->entered);
    ring->entered = true;
    exchange(ring, wait_ns);
    uint32_t ran = reap(ring);

    if (wait_ns != 0) {
        ring->woken = false;
    }
    ring->entered = false;
    return ran;
}

bool
rmill_ring_ready(const struct rmill_ring *ring)
{
    const unsigned reasons = IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN;

    return !nothing_to_reap(ring) || ring->uring.sq.sqe_tail != *ring->uring.sq.ktail ||
           (!is_polled(ring) && unsent(ring) > 0) || waits_for_entry(ring) ||
           (queue_flags(ring) & reasons) != 0;
}

uint32_t
rmill_ring_in_flight(const struct rmill_ring *ring)
{
    return ring->outstanding;
}

/* --- wakes ----------------------------------------------------------------------------------- */

void
rmill_ring_wake(struct rmill_ring *from, struct rmill_ring *target)
{
    struct io_uring_sqe *sqe = NULL;

    RMILL_DEBUG_ASSERT(pthread_equal(from->owner, pthread_self()));
    RMILL_ASSERT(((uintptr_t)target & ~PAYLOAD_MASK) == 0);
    from->statistics.wakes_sent++;
    if (from->features.message_ring) {
        sqe = entry_take(from);
    }
    if (sqe == NULL) {
        ring_doorbell(target);
        return;
    }
    io_uring_prep_msg_ring(sqe, target->uring.ring_fd, 0, KIND_WAKE << KIND_SHIFT, 0);
    /* Silence on success is asked of the sender's entry. MSG_RING's own skip flag means the
     * target's. */
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = KIND_MESSAGE << KIND_SHIFT | (uintptr_t)target;
}

void
rmill_ring_wake_foreign(struct rmill_ring *target)
{
    ring_doorbell(target);
}

/* --- registered things ----------------------------------------------------------------------- */

int
rmill_ring_file_register(struct rmill_ring *ring, uint32_t index, int fd)
{
    if (!ring->features.files_registered) {
        return -EOPNOTSUPP;
    }
    int code = io_uring_register_files_update(&ring->uring, index, &fd, 1);

    return code < 0 ? code : 0;
}

int
rmill_ring_buffers_register(struct rmill_ring *ring, const struct iovec *regions, uint32_t count,
                            struct rmill_error *error)
{
    if (count == 0 || count > REGIONS_MAX) {
        return rmill_error_set(error, -EINVAL, "%u regions cannot be registered: 1 to %u can",
                               count, REGIONS_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (regions[i].iov_len == 0 || regions[i].iov_len > REGION_BYTES_MAX) {
            return rmill_error_set(
                error, -EINVAL, "region %u of %zu bytes cannot be registered: 1 byte to 1 GiB can",
                i, regions[i].iov_len);
        }
    }
    if (ring->features.buffers_registered) {
        ring->features.buffers_registered = false;
        (void)io_uring_unregister_buffers(&ring->uring);
    }
    int code = io_uring_register_buffers(&ring->uring, regions, count);

    if (code == -ENOMEM) {
        return rmill_error_set(
            error, code,
            "the arena could not be registered with the ring: the memlock limit "
            "is too small; raise it ('ulimit -l', LimitMEMLOCK= of the service)");
    }
    if (code < 0) {
        return rmill_error_set(error, code, "the arena could not be registered with the ring: %s",
                               rmill_errno_text(code));
    }
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

/* --- life ------------------------------------------------------------------------------------ */

static int
options_check(const struct rmill_ring_options *options, struct rmill_error *error)
{
    if (options->entries != 0 &&
        (!rmill_is_power_of_two(options->entries) || options->entries > ENTRIES_MAX)) {
        return rmill_error_set(error, -EINVAL,
                               "a ring of %u entries: a power of two up to %u it is",
                               options->entries, ENTRIES_MAX);
    }
    if (options->worker_cpu_count > 0 && options->worker_cpus == NULL) {
        return rmill_error_set(error, -EINVAL, "worker_cpu_count without worker_cpus");
    }
    return 0;
}

static int
slots_create(struct rmill_ring *ring, uint32_t wanted)
{
    uint32_t cq_entries = ring->setup.cq_entries;
    uint32_t room = cq_entries - cq_entries / WAKE_SHARE;

    ring->cancels_max = ring->setup.sq_entries;
    ring->in_flight_max = (uint32_t)rmill_min_u64(wanted, room - ring->cancels_max);
    ring->slot_count = ring->in_flight_max + ring->cancels_max;
    ring->slots = calloc(ring->slot_count, sizeof(*ring->slots));
    if (ring->slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < ring->slot_count; i++) {
        ring->slots[i].next_free = i + 1;
    }
    return 0;
}

/* Find out, and switch on, what is optional. Nothing here can fail the ring. */
static void
features_find(struct rmill_ring *ring, const struct rmill_ring_options *options)
{
    struct io_uring *uring = &ring->uring;
    struct rmill_ring_features *features = &ring->features;
    uint32_t flags = ring->setup.flags;

    features->setup_flags = flags;
    features->feature_flags = ring->setup.features;
    features->single_issuer = flags & IORING_SETUP_SINGLE_ISSUER;
    features->defer_taskrun = flags & IORING_SETUP_DEFER_TASKRUN;
    features->coop_taskrun = flags & IORING_SETUP_COOP_TASKRUN;
    features->no_sqarray = flags & IORING_SETUP_NO_SQARRAY;
    features->no_iowait = !options->plain && (ring->setup.features & IORING_FEAT_NO_IOWAIT);
    rmill_probe_opcodes(uring, features);
    features->message_ring = !options->event_wakes && rmill_probe_message(uring);
    features->ring_fd_registered = !options->plain && io_uring_register_ring_fd(uring) == 1;
    features->files_registered =
        io_uring_register_files_sparse(uring, options->files_max != 0 ? options->files_max
                                                                      : FILES_DEFAULT) == 0;
    features->workers_bounded = rmill_setup_workers_bound(
        uring, options->workers_max != 0 ? options->workers_max : WORKERS_DEFAULT);
    features->workers_pinned =
        rmill_setup_workers_pin(uring, options->worker_cpus, options->worker_cpu_count);
}

static int
open_all(struct rmill_ring *ring, const struct rmill_ring_options *options,
         struct rmill_error *error)
{
    uint32_t entries = options->entries != 0 ? options->entries : ENTRIES_DEFAULT;
    uint32_t in_flight =
        options->in_flight_max != 0 ? options->in_flight_max : entries * IN_FLIGHT_FACTOR;
    uint64_t room = ((uint64_t)in_flight + entries) * WAKE_SHARE / (WAKE_SHARE - 1) + 1;

    ring->setup = (struct rmill_setup){
        .sq_entries = entries,
        .cq_entries = (uint32_t)rmill_max_u64(entries * CQ_FACTOR, rmill_min_u64(room, 1u << 20)),
        .required = options->submission_polling ? IORING_SETUP_SQPOLL : 0,
        .wanted = options->plain ? 0 : RMILL_SETUP_WANTED_ALL & ~options->setup_refused,
    };
    ring->doorbell_fd = eventfd(0, EFD_CLOEXEC); /* Blocking: the kernel's read of it then waits. */
    if (ring->doorbell_fd < 0) {
        return rmill_setup_explain(-errno, error);
    }
    int code = rmill_setup_open(&ring->setup, &ring->uring, error);

    if (code == 0) {
        code = slots_create(ring, in_flight);
        if (code < 0) {
            rmill_setup_close(&ring->uring);
            (void)rmill_error_set(error, code, "no memory for the ring's table of operations");
        }
    }
    if (code < 0) {
        (void)close(ring->doorbell_fd);
    }
    return code;
}

int
rmill_ring_create(const struct rmill_ring_options *options, struct rmill_ring **ring,
                  struct rmill_error *error)
{
    const struct rmill_ring_options defaults = {0};

    options = options != NULL ? options : &defaults;
    int code = options_check(options, error);

    if (code < 0) {
        return code;
    }
    struct rmill_ring *made = aligned_alloc(RMILL_CACHE_LINE_BYTES,
                                            rmill_align_up(sizeof(*made), RMILL_CACHE_LINE_BYTES));

    if (made == NULL) {
        return rmill_error_set(error, -ENOMEM, "no memory for a ring");
    }
    memset(made, 0, sizeof(*made));
    made->owner = pthread_self();
    code = open_all(made, options, error);
    if (code < 0) {
        free(made);
        return code;
    }
    features_find(made, options);
    *ring = made;
    return 0;
}

void
rmill_ring_destroy(struct rmill_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    RMILL_ASSERT(ring->outstanding == 0 && !ring->entered);
    /* The kernel still holds a read into this struct. Let it end here: closing the ring ends it
     * too, but later. */
    if (ring->doorbell_armed) {
        ring_doorbell(ring);
    }
    while (ring->doorbell_armed || unsent(ring) > 0) {
        (void)flush(ring, ring->doorbell_armed || is_polled(ring) ? SHORTAGE_PAUSE_NS : 0);
        (void)reap(ring);
    }
    if (ring->features.ring_fd_registered) {
        (void)io_uring_unregister_ring_fd(&ring->uring);
    }
    rmill_setup_close(&ring->uring);
    (void)close(ring->doorbell_fd);
    free(ring->slots);
    free(ring);
}
