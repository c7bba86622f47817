/* Goal: a switch keeps what the ABI says a call keeps, on a stack that is aligned and can be used
 * to its depth. Method: contexts with their own stacks, driven from the test's thread. */
#include "tests/common.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "engine/context.h"

#if defined(RMILL_CONTEXT_ASAN) || defined(RMILL_CONTEXT_TSAN)
#define STACK_BYTES RMILL_KIB(256)
#define MANY        300u /* What the sanitizers keep of each context is large. */
#else
#define STACK_BYTES RMILL_KIB(64)
#define MANY        4000u
#endif

static struct rmill_context main_context;

struct run {
    struct rmill_context context;
    char *stack;
    void (*body)(struct run *run);
    uint64_t result;
    uint64_t turns;
    bool over;
};

static void
entry(void *argument)
{
    struct run *run = argument;

    rmill_context_arrived(&run->context, &main_context);
    run->body(run);
    run->over = true;
    rmill_context_switch_last(&run->context, &main_context);
}

static void
open_run(struct run *run, void (*body)(struct run *run))
{
    memset(run, 0, sizeof(*run));
    run->body = body;
    run->stack = aligned_alloc(4096, STACK_BYTES);
    assert_non_null(run->stack);
    rmill_context_init(&run->context, run->stack, STACK_BYTES, entry, run);
}

static void
close_run(struct run *run)
{
    rmill_context_deinit(&run->context);
    free(run->stack);
}

static void
back(struct run *run)
{
    run->turns++;
    rmill_context_switch(&run->context, &main_context);
}

static void
enter(struct run *run)
{
    rmill_context_switch(&main_context, &run->context);
}

static int
set_up(void **state)
{
    (void)state;
    rmill_context_init_thread(&main_context);
    return 0;
}

static void
count_to_ten(struct run *run)
{
    while (run->turns < 10) {
        back(run);
    }
}

static void
context_runs_from_its_start_to_its_end_in_turns(void **state)
{
    struct run run;
    uint64_t entered = 0;

    (void)state;
    open_run(&run, count_to_ten);
    while (!run.over) {
        assert_int_equal(run.turns, entered);
        enter(&run);
        entered++;
    }
    assert_int_equal(entered, 11);
    close_run(&run);
}

#if defined(__x86_64__)
/* Set every callee-saved register to a pattern, switch away and back, and compare: written in
 * assembly, because a compiler may keep what it likes in memory. rbp is saved by hand: it may be
 * the frame pointer. Returns a bit for each lost register. */
static uint64_t
switch_with_full_registers(struct rmill_context *from, struct rmill_context *to, uint64_t seed)
{
    uint64_t lost;
    struct frame {
        struct rmill_context *from, *to;
        uint64_t seed;
    } frame = {from, to, seed};

    __asm__ volatile("pushq %%rbp\n"
                     "movq %%rsp, %%rbp\n"
                     "andq $-16, %%rsp\n"
                     "pushq %%rbp\n" /* The way back, wherever rbp itself goes. */
                     "pushq %%rax\n"
                     "movq 16(%%rax), %%rbx\n"
                     "leaq 1(%%rbx), %%r12\n"
                     "leaq 2(%%rbx), %%r13\n"
                     "leaq 3(%%rbx), %%r14\n"
                     "leaq 4(%%rbx), %%r15\n"
                     "leaq 5(%%rbx), %%rbp\n"
                     "movq 0(%%rax), %%rdi\n"
                     "movq 8(%%rax), %%rsi\n"
                     "callq rmill_context_switch\n"
                     "popq %%rcx\n"
                     "movq 16(%%rcx), %%rdx\n"
                     "xorl %%eax, %%eax\n"
                     "cmpq %%rdx, %%rbx\n"
                     "je 1f\n"
                     "orq $1, %%rax\n"
                     "1: incq %%rdx\n"
                     "cmpq %%rdx, %%r12\n"
                     "je 2f\n"
                     "orq $2, %%rax\n"
                     "2: incq %%rdx\n"
                     "cmpq %%rdx, %%r13\n"
                     "je 3f\n"
                     "orq $4, %%rax\n"
                     "3: incq %%rdx\n"
                     "cmpq %%rdx, %%r14\n"
                     "je 4f\n"
                     "orq $8, %%rax\n"
                     "4: incq %%rdx\n"
                     "cmpq %%rdx, %%r15\n"
                     "je 5f\n"
                     "orq $16, %%rax\n"
                     "5: incq %%rdx\n"
                     "cmpq %%rdx, %%rbp\n"
                     "je 6f\n"
                     "orq $32, %%rax\n"
                     "6: popq %%rbp\n"
                     "movq %%rbp, %%rsp\n"
                     "popq %%rbp\n"
                     : "=a"(lost)
                     : "a"(&frame)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc",
                       "memory");
    return lost;
}

static void
registers_body(struct run *run)
{
    for (uint64_t i = 0; i < 100; i++) {
        run->result |= switch_with_full_registers(&run->context, &main_context,
                                                  0x5555000000000000ull + i * 977);
    }
}

static void
switch_keeps_the_callee_saved_registers(void **state)
{
    struct run run;
    uint64_t lost = 0;

    (void)state;
    open_run(&run, registers_body);
    for (uint64_t i = 0; !run.over; i++) {
        lost |= switch_with_full_registers(&main_context, &run.context,
                                           0xAAAA000000000000ull + i * 991);
    }
    assert_int_equal(lost, 0);
    assert_int_equal(run.result, 0);
    close_run(&run);
}
#endif

static void
floating_point_body(struct run *run)
{
    double a = 1.5, b = 2.25, c = -3.125, d = 1e300, sum = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        a = 1.0 + 1.0 / (a + 0.5);
        b = b * 1.0001 - 0.0001;
        c += a * b;
        d /= 1.5;
        sum += a + b + c + d;
        if (run->stack != NULL) {
            back(run);
        }
    }
    memcpy(&run->result, &sum, sizeof(sum));
}

static void
switch_keeps_floating_point_values(void **state)
{
    struct run runs[3], alone = {0};

    (void)state;
    floating_point_body(&alone); /* The same sum without any switch. */
    for (uint32_t i = 0; i < 3; i++) {
        open_run(&runs[i], floating_point_body);
    }
    while (!runs[0].over) {
        for (uint32_t i = 0; i < 3; i++) {
            enter(&runs[i]);
        }
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(runs[i].over);
        assert_int_equal(runs[i].result, alone.result);
        close_run(&runs[i]);
    }
}

/* The compiler takes the ABI's word for the stack's alignment when it moves a vector to it; a stack
 * off by 8 faults here. */
static __attribute__((noinline)) uint64_t
aligned_moves(volatile uint64_t *seed)
{
    __attribute__((aligned(16))) volatile uint64_t words[8];
    uint64_t misaligned = (uintptr_t)words % 16;

#if defined(__x86_64__)
    __asm__ volatile("movaps %%xmm0, (%0)\n movaps (%0), %%xmm0\n" ::"r"(words) : "memory", "xmm0");
#endif
    for (uint32_t i = 0; i < 8; i++) {
        words[i] = *seed + i;
    }
    return misaligned + words[7] - words[0] - 7;
}

static void
alignment_body(struct run *run)
{
    volatile uint64_t seed = 3;
    char text[64];

#if defined(__x86_64__) && !defined(RMILL_CONTEXT_ASAN) && !defined(RMILL_CONTEXT_TSAN)
    run->result =
        (uintptr_t)__builtin_frame_address(0) % 16; /* rbp after the push: 16-aligned by the ABI */
#endif
    run->result += aligned_moves(&seed);
    /* Variadic floating point saves vector registers with movaps. */
    (void)snprintf(text, sizeof(text), "%.3f %.3Lf", 1.5, (long double)2.5);
    run->result += strcmp(text, "1.500 2.500") != 0;
}

static void
stack_is_aligned_at_entry_whatever_its_size(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 64; cut += 8) {
        struct run run;

        open_run(&run, alignment_body);
        rmill_context_deinit(&run.context);
        rmill_context_init(&run.context, run.stack, STACK_BYTES - cut, entry, &run);
        enter(&run);
        assert_true(run.over);
        assert_int_equal(run.result, 0);
        close_run(&run);
    }
}

static uint64_t
recurse(struct run *run, uint64_t depth)
{
    volatile unsigned char block[256];

    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = (unsigned char)depth;
    }
    if (depth % 16 == 0) {
        back(run); /* At every depth the frames above survive the other contexts' work. */
    }
    uint64_t below = depth == 0 ? 0 : recurse(run, depth - 1);

    for (size_t i = 0; i < sizeof(block); i++) {
        run->result += block[i] != (unsigned char)depth;
    }
    return below + depth;
}

static void
deep_body(struct run *run)
{
    uint64_t depth = 128; /* About 40 KiB of 64. */

    run->result += recurse(run, depth) != depth * (depth + 1) / 2;
}

static void
deep_stacks_do_not_disturb_each_other(void **state)
{
    struct run runs[8];
    bool any = true;

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        open_run(&runs[i], deep_body);
    }
    while (any) {
        any = false;
        for (uint32_t i = 0; i < 8; i++) {
            if (!runs[i].over) {
                enter(&runs[i]);
                any = true;
            }
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(runs[i].result, 0);
        close_run(&runs[i]);
    }
}

static void
thousands_of_contexts_live_at_once(void **state)
{
    struct run *runs = calloc(MANY, sizeof(*runs));

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        open_run(&runs[i], count_to_ten);
    }
    for (uint32_t turn = 0; turn <= 10; turn++) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t which = (i * 1237u) % MANY; /* Not in the order of their addresses. */

            enter(&runs[which]);
            assert_int_equal(runs[which].turns, turn < 10 ? turn + 1 : 10);
        }
    }
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(runs[i].over);
        close_run(&runs[i]);
    }
    free(runs);
}

static void
one_stack_serves_many_contexts_one_after_another(void **state)
{
    struct run run;

    (void)state;
    open_run(&run, count_to_ten);
    for (uint32_t i = 0; i < MANY; i++) {
        run.over = false;
        run.turns = 0;
        rmill_context_init(&run.context, run.stack, STACK_BYTES, entry, &run);
        while (!run.over) {
            enter(&run);
        }
        rmill_context_deinit(&run.context);
    }
    close_run(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_runs_from_its_start_to_its_end_in_turns),
#if defined(__x86_64__)
        cmocka_unit_test(switch_keeps_the_callee_saved_registers),
#endif
        cmocka_unit_test(switch_keeps_floating_point_values),
        cmocka_unit_test(stack_is_aligned_at_entry_whatever_its_size),
        cmocka_unit_test(deep_stacks_do_not_disturb_each_other),
        cmocka_unit_test(thousands_of_contexts_live_at_once),
        cmocka_unit_test(one_stack_serves_many_contexts_one_after_another),
    };

    return cmocka_run_group_tests_name("context", tests, set_up, NULL);
}
