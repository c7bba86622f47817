/* engine/file.c — file operations of fibers through the ring: submit, park, decide by verdict,
 * continue short counts. */
#include "engine/core.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>

#include "perf/record/probes.h"
#include "uring/verdict.h"

/* The kernel moves at most this much in one call; a multiple of every block size. */
#define OPERATION_BYTES_MAX RMILL_GIB(1)
#define TRANSFER_BYTES_MAX  RMILL_GIB(1)

struct fiber_operation {
    struct rmill_operation operation;
    struct rmill_fiber *fiber;
};

static void
operation_complete(struct rmill_operation *operation)
{
    struct fiber_operation *self = RMILL_CONTAINER_OF(operation, struct fiber_operation, operation);
    struct rmill_core *core = self->fiber->core;

    rmill_core_trace(core, RMILL_TRACE_OP_COMPLETE, operation->opcode,
                     (uint64_t)(int64_t)operation->result, 0);
    RMILL_PROBE3(op_complete, core->index, operation->opcode, operation->result);
    rmill_fiber_ready(core, self->fiber);
}

/* Submit and park until the answer is there. Returns the result. */
static int32_t
operation_once(struct rmill_core *core, const struct rmill_operation *operation)
{
    struct fiber_operation self = {.operation = *operation, .fiber = core->running};

    self.operation.complete = operation_complete;
    rmill_core_trace(core, RMILL_TRACE_OP_SUBMIT, operation->opcode, operation->offset,
                     operation->bytes);
    RMILL_PROBE3(op_submit, core->index, operation->opcode, operation->bytes);
    rmill_ring_submit(core->ring, &self.operation);
    rmill_fiber_park(core);
    return self.operation.result;
}

/* Run it, again while the verdict says retry. Returns the result. */
static int32_t
operation_run(struct rmill_core *core, const struct rmill_operation *operation)
{
    int32_t result;
    uint32_t tries = 0;

    do {
        result = operation_once(core, operation);
        if (operation->opcode == RMILL_OP_OPEN && result == -EAGAIN &&
            ++tries == RMILL_OPEN_TRIES_MAX) {
            break;
        }
    } while (rmill_verdict_of((enum rmill_opcode)operation->opcode, result) == RMILL_VERDICT_RETRY);
    return result;
}

static void
file_set(struct rmill_operation *operation, struct rmill_file file)
{
    operation->fd = file.slot != 0 ? (int32_t)(file.slot - 1) : file.fd;
    operation->modifiers = file.slot != 0 ? RMILL_OPERATION_FIXED_FILE : 0;
}

/* Use the registered region when the buffer lies in one: saves pinning the pages per operation. */
static void
buffer_set(struct rmill_core *core, struct rmill_operation *operation, void *buffer, uint64_t bytes)
{
    operation->address = buffer;
    operation->bytes = (uint32_t)bytes;
    operation->buffer_index = 0;
    operation->modifiers &= (uint8_t)~RMILL_OPERATION_FIXED_BUFFER;
    if (core->arena_registered) {
        uint32_t region = rmill_arena_region_of(&core->arena, buffer, bytes);

        if (region != RMILL_ARENA_NO_REGION && region < 16) {
            operation->buffer_index = (uint16_t)region;
            operation->modifiers |= RMILL_OPERATION_FIXED_BUFFER;
        }
    }
}

/* Move `bytes` bytes in as many operations as it takes. The end of the file ends a read; a write of
 * nothing is -EIO. */
static int64_t
transfer(enum rmill_opcode opcode, struct rmill_file file, void *buffer, uint64_t bytes,
         uint64_t offset)
{
    struct rmill_core *core = rmill_core_self();
    struct rmill_operation operation = {.opcode = (uint8_t)opcode};
    uint64_t done = 0;

    if (bytes > TRANSFER_BYTES_MAX) {
        return -EINVAL;
    }
    file_set(&operation, file);
    while (done < bytes) {
        buffer_set(core, &operation, (char *)buffer + done,
                   rmill_min_u64(bytes - done, OPERATION_BYTES_MAX));
        operation.offset = offset == RMILL_STREAM ? RMILL_OFFSET_STREAM : offset + done;
        int32_t result = operation_run(core, &operation);

        if (result < 0) {
            return result;
        }
        if (result == 0) {
            return opcode == RMILL_OP_READ ? (int64_t)done : -EIO;
        }
        RMILL_ASSERT((uint64_t)result <= bytes - done);
        done += (uint64_t)result;
    }
    return (int64_t)done;
}

int64_t
rmill_read(struct rmill_file file, void *buffer, uint64_t bytes, uint64_t offset)
{
    return transfer(RMILL_OP_READ, file, buffer, bytes, offset);
}

int64_t
rmill_write(struct rmill_file file, const void *buffer, uint64_t bytes, uint64_t offset)
{
    void *lent;

    memcpy(&lent, &buffer, sizeof(lent)); /* The kernel only reads it; the operation has one field
                                           * for both. */
    return transfer(RMILL_OP_WRITE, file, lent, bytes, offset);
}

int
rmill_open(int directory, const char *path, int flags, mode_t mode, uint64_t resolve,
           struct rmill_file *file)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
    struct rmill_operation operation = {.opcode = RMILL_OP_OPEN, .fd = directory, .address2 = &how};

    memcpy(&operation.address, &path, sizeof(path));
    int32_t result = operation_run(rmill_core_self(), &operation);

    if (result < 0) {
        return result;
    }
    *file = (struct rmill_file){.fd = result};
    return 0;
}

int
rmill_fsync(struct rmill_file file, bool data_only)
{
    struct rmill_operation operation = {.opcode = RMILL_OP_FSYNC,
                                        .flags = data_only ? RMILL_FSYNC_DATA : 0};

    file_set(&operation, file);
    return operation_run(rmill_core_self(), &operation);
}

int
rmill_fallocate(struct rmill_file file, int mode, uint64_t offset, uint64_t bytes)
{
    struct rmill_operation operation = {
        .opcode = RMILL_OP_FALLOCATE, .flags = (uint32_t)mode, .offset = offset, .length = bytes};

    file_set(&operation, file);
    return operation_run(rmill_core_self(), &operation);
}

/* --- files known to every ring --------------------------------------------------------------- */

#define SLOTS_SHARED 64u /* As many as the rings' tables hold by default. */

struct slot_request {
    uint32_t slot;
    int fd;
};

/* Only core 0 hands out slots, so no two files get one. */
static int64_t
slot_take(void *argument)
{
    struct rmill_engine *engine = rmill_core_self()->engine;

    (void)argument;
    if (engine->file_slots == UINT64_MAX) {
        return -ENFILE;
    }
    uint32_t slot = (uint32_t)__builtin_ctzll(~engine->file_slots);

    engine->file_slots |= 1ull << slot;
    return slot;
}

static int64_t
slot_give_back(void *argument)
{
    const struct slot_request *request = argument;

    rmill_core_self()->engine->file_slots &= ~(1ull << request->slot);
    return 0;
}

static int64_t
slot_register(void *argument)
{
    const struct slot_request *request = argument;

    return rmill_ring_file_register(rmill_core_self()->ring, request->slot, request->fd);
}

/* Set the slot to request->fd on every core; the first failure. */
static int64_t
slot_register_everywhere(struct slot_request *request)
{
    int64_t first = 0;

    for (uint32_t core = 0; core < rmill_core_count(); core++) {
        int64_t code = rmill_call(core, slot_register, request);

        first = first == 0 ? code : first;
    }
    return first;
}

int
rmill_file_share(struct rmill_file *file)
{
    _Static_assert(SLOTS_SHARED == 64, "the map of slots is one word");
    int64_t slot = file->slot == 0 ? rmill_call(0, slot_take, NULL) : -EINVAL;

    if (slot < 0) {
        return (int)slot;
    }
    struct slot_request request = {.slot = (uint32_t)slot, .fd = file->fd};
    int64_t code = slot_register_everywhere(&request);

    if (code < 0) {
        request.fd = -1;
        (void)slot_register_everywhere(&request);
        (void)rmill_call(0, slot_give_back, &request);
        return (int)code;
    }
    file->slot = request.slot + 1;
    return 0;
}

int
rmill_close(struct rmill_file *file)
{
    int fd = file->fd;

    if (file->slot != 0) {
        struct slot_request request = {.slot = file->slot - 1, .fd = -1};

        (void)slot_register_everywhere(&request);
        (void)rmill_call(0, slot_give_back, &request);
    }
    *file = (struct rmill_file){.fd = -1};
    return rmill_plain_close(fd);
}
