#include "engine/context.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#ifdef RMILL_CONTEXT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef RMILL_CONTEXT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)

/* rmill_context_jump(save *rdi, load rsi): six callee-saved registers on the old stack, then pop
 * and jump. The unwinder sees an ordinary frame at every instruction; a fiber's outermost frame has
 * no return address (cfi_undefined). */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl rmill_context_jump\n"
        ".hidden rmill_context_jump\n"
        ".type rmill_context_jump, @function\n"
        "rmill_context_jump:\n"
        ".cfi_startproc\n"
        "    pushq %rbp\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    pushq %rbx\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    pushq %r12\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    pushq %r13\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    pushq %r14\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    pushq %r15\n"
        ".cfi_adjust_cfa_offset 8\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %r14\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %r13\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %r12\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %rbx\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %rbp\n"
        ".cfi_adjust_cfa_offset -8\n"
        "    popq %rcx\n"
        ".cfi_adjust_cfa_offset -8\n"
        ".cfi_register %rip, %rcx\n"
        "    jmpq *%rcx\n"
        ".cfi_endproc\n"
        ".size rmill_context_jump, .-rmill_context_jump\n"
        ".p2align 4\n"
        ".globl rmill_context_start\n"
        ".hidden rmill_context_start\n"
        ".type rmill_context_start, @function\n"
        "rmill_context_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined %rip\n"
        "    xorl %ebp, %ebp\n"
        "    movq %r12, %rdi\n"
        "    callq *%r13\n"
        "    ud2\n"
        ".cfi_endproc\n"
        ".size rmill_context_start, .-rmill_context_start\n");

#define SAVED_WORDS 7 /* r15 r14 r13 r12 rbx rbp and the address to jump to */

static void *
stack_prepare(uintptr_t top, void (*entry)(void *), void *argument)
{
    extern void rmill_context_start(void);
    uintptr_t *words = (uintptr_t *)(top & ~(uintptr_t)15) - SAVED_WORDS - 2;

    memset(words, 0, (SAVED_WORDS + 2) * sizeof(*words));
    words[2] = (uintptr_t)entry;    /* r13 */
    words[3] = (uintptr_t)argument; /* r12 */
    words[6] = (uintptr_t)rmill_context_start;
    return words; /* After seven pops rsp is a multiple of 16, as the ABI wants it before a call. */
}

#elif defined(__aarch64__)

/* x19-x30 and d8-d15 are callee-saved; x30 is the address to go on at. */
__asm__(".text\n"
        ".p2align 4\n"
        ".globl rmill_context_jump\n"
        ".hidden rmill_context_jump\n"
        ".type rmill_context_jump, %function\n"
        "rmill_context_jump:\n"
        ".cfi_startproc\n"
        "    sub sp, sp, #160\n"
        ".cfi_adjust_cfa_offset 160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        ".cfi_adjust_cfa_offset -160\n"
        "    mov x9, x30\n"
        "    br x9\n"
        ".cfi_endproc\n"
        ".size rmill_context_jump, .-rmill_context_jump\n"
        ".p2align 4\n"
        ".globl rmill_context_start\n"
        ".hidden rmill_context_start\n"
        ".type rmill_context_start, %function\n"
        "rmill_context_start:\n"
        ".cfi_startproc\n"
        ".cfi_undefined x30\n"
        "    mov x29, #0\n"
        "    mov x0, x19\n"
        "    blr x20\n"
        "    brk #0\n"
        ".cfi_endproc\n"
        ".size rmill_context_start, .-rmill_context_start\n");

static void *
stack_prepare(uintptr_t top, void (*entry)(void *), void *argument)
{
    extern void rmill_context_start(void);
    uintptr_t *words = (uintptr_t *)(top & ~(uintptr_t)15) - 20;

    memset(words, 0, 160);
    words[0] = (uintptr_t)argument;             /* x19 */
    words[1] = (uintptr_t)entry;                /* x20 */
    words[11] = (uintptr_t)rmill_context_start; /* x30 */
    return words;
}

#endif

#ifndef RMILL_CONTEXT_UCONTEXT
void rmill_context_jump(void **save, void *load);
#endif

#ifdef RMILL_CONTEXT_UCONTEXT
static void
ucontext_start(uint32_t entry_high, uint32_t entry_low, uint32_t argument_high,
               uint32_t argument_low)
{
    uintptr_t entry = (uintptr_t)(((uint64_t)entry_high << 32) | entry_low);
    uintptr_t argument = (uintptr_t)(((uint64_t)argument_high << 32) | argument_low);

    ((void (*)(void *))entry)((void *)argument);
}
#endif

void
rmill_context_init(struct rmill_context *context, void *stack_low, size_t stack_bytes,
                   void (*entry)(void *argument), void *argument)
{
    RMILL_ASSERT(stack_bytes >= 4096);
#ifdef RMILL_CONTEXT_UCONTEXT
    uint64_t entry_word = (uintptr_t)entry, argument_word = (uintptr_t)argument;

    RMILL_ASSERT(getcontext(&context->machine) == 0);
    context->machine.uc_stack.ss_sp = stack_low;
    context->machine.uc_stack.ss_size = stack_bytes;
    context->machine.uc_link = NULL;
    makecontext(&context->machine, (void (*)(void))ucontext_start, 4, (uint32_t)(entry_word >> 32),
                (uint32_t)entry_word, (uint32_t)(argument_word >> 32), (uint32_t)argument_word);
#else
    context->stack_pointer = stack_prepare((uintptr_t)stack_low + stack_bytes, entry, argument);
#endif
#ifdef RMILL_CONTEXT_ASAN
    context->fake_stack = NULL;
    context->stack_low = stack_low;
    context->stack_bytes = stack_bytes;
#endif
#ifdef RMILL_CONTEXT_TSAN
    if (context->tsan_fiber == NULL) {
        context->tsan_fiber = __tsan_create_fiber(0);
    }
#endif
}

void
rmill_context_init_thread(struct rmill_context *context)
{
    memset(context, 0, sizeof(*context));
#ifdef RMILL_CONTEXT_ASAN
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &low, &bytes);
        (void)pthread_attr_destroy(&attributes);
    }
    context->stack_low = low;
    context->stack_bytes = bytes;
#endif
#ifdef RMILL_CONTEXT_TSAN
    context->tsan_fiber = __tsan_get_current_fiber();
#endif
}

void
rmill_context_arrived(struct rmill_context *self, struct rmill_context *from)
{
    (void)self;
    (void)from;
#ifdef RMILL_CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#endif
}

void
rmill_context_switch(struct rmill_context *from, struct rmill_context *to)
{
#ifdef RMILL_CONTEXT_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack_low, to->stack_bytes);
#endif
#ifdef RMILL_CONTEXT_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
#ifdef RMILL_CONTEXT_UCONTEXT
    RMILL_ASSERT(swapcontext(&from->machine, &to->machine) == 0);
#else
    rmill_context_jump(&from->stack_pointer, to->stack_pointer);
#endif
#ifdef RMILL_CONTEXT_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

_Noreturn void
rmill_context_switch_last(struct rmill_context *from, struct rmill_context *to)
{
#ifdef RMILL_CONTEXT_ASAN
    __sanitizer_start_switch_fiber(NULL, to->stack_low, to->stack_bytes);
#endif
#ifdef RMILL_CONTEXT_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
#ifdef RMILL_CONTEXT_UCONTEXT
    (void)from;
    (void)setcontext(&to->machine);
#else
    rmill_context_jump(&from->stack_pointer, to->stack_pointer);
#endif
    RMILL_PANIC("an ended context was switched to");
}

void
rmill_context_deinit(struct rmill_context *context)
{
    (void)context;
#ifdef RMILL_CONTEXT_TSAN
    if (context->tsan_fiber != NULL) {
        __tsan_destroy_fiber(context->tsan_fiber);
        context->tsan_fiber = NULL;
    }
#endif
}
