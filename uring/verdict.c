#include "uring/verdict.h"
#include "base/macros.h"
enum rmill_verdict
rmill_verdict_of(enum rmill_opcode opcode, int32_t result)
{
    (void)opcode;
    return result >= 0 ? RMILL_VERDICT_DONE : RMILL_VERDICT_ANSWER;
}
