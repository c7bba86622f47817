/* engine/context.h — an execution context: a stack, and the switch from one to another.
 *
 * Own assembly on x86-64 and aarch64: the callee-saved registers go to the old stack, the stack
 * pointers are exchanged, and the return is a pop and a jump, because a `ret` whose partner call
 * ran on another stack is mispredicted every time. ucontext elsewhere. The floating-point control
 * words are not switched: nobody here changes them. Tells AddressSanitizer and ThreadSanitizer of
 * every switch; engine/fiber.c tells Valgrind of the stacks. */
#ifndef RMILL_ENGINE_CONTEXT_H
#define RMILL_ENGINE_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#define RMILL_CONTEXT_UCONTEXT 1
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define RMILL_CONTEXT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RMILL_CONTEXT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RMILL_CONTEXT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RMILL_CONTEXT_TSAN 1
#endif
#endif

/* Zeroed = the context of a thread that has not switched away yet. Owner: one core. */
struct rmill_context {
    void *stack_pointer; /* Where it stopped; meaningless while it runs. */
#ifdef RMILL_CONTEXT_UCONTEXT
    ucontext_t machine;
#endif
#ifdef RMILL_CONTEXT_ASAN
    void *fake_stack;
    const void *stack_low;
    size_t stack_bytes;
#endif
#ifdef RMILL_CONTEXT_TSAN
    void *tsan_fiber;
#endif
};

/* Make `context` start `entry(argument)` on the given stack at its first switch. `entry` must never
 * return; it ends by rmill_context_switch_last. The stack is the caller's and must outlive the
 * context. */
void rmill_context_init(struct rmill_context *context, void *stack_low, size_t stack_bytes,
                        void (*entry)(void *argument), void *argument);

/* Describe the running thread's own stack, so that fibers can switch back to it under the
 * sanitizers. */
void rmill_context_init_thread(struct rmill_context *context);

/* Stop `from`, which runs, and go on with `to`. Returns when somebody switches to `from`. Cost:
 * about 2-4 ns (bench-fiber). */
void rmill_context_switch(struct rmill_context *from, struct rmill_context *to);

/* The same for a context that ends here and is never switched to again. */
_Noreturn void rmill_context_switch_last(struct rmill_context *from, struct rmill_context *to);

/* Give back what the sanitizers keep of a context that ended or will never run again. */
void rmill_context_deinit(struct rmill_context *context);

/* The first thing a fresh context does: close the sanitizer's switch that led to it. `self` runs
 * now, `from` was left. */
void rmill_context_arrived(struct rmill_context *self, struct rmill_context *from);

#endif
