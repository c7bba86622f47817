/* numa/poison.h — tell AddressSanitizer which bytes of our own memory nobody may touch.
 *
 * Nothing in other builds. Memory of an arena, a pool or a stack is one mapping to the sanitizer,
 * so without these words it could not see a use after put. */
#ifndef RMILL_NUMA_POISON_H
#define RMILL_NUMA_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define RMILL_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RMILL_POISONS 1
#endif
#endif

#ifdef RMILL_POISONS
#include <sanitizer/asan_interface.h>
#define RMILL_POISON(base, bytes)   ASAN_POISON_MEMORY_REGION((base), (bytes))
#define RMILL_UNPOISON(base, bytes) ASAN_UNPOISON_MEMORY_REGION((base), (bytes))
#define RMILL_NO_SANITIZE_ADDRESS   __attribute__((no_sanitize("address")))
#else
#define RMILL_POISON(base, bytes)   ((void)(base), (void)(bytes))
#define RMILL_UNPOISON(base, bytes) ((void)(base), (void)(bytes))
#define RMILL_NO_SANITIZE_ADDRESS
#endif

#endif
