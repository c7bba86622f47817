/* perf/record/probes.h — static user-space probes (USDT) for perf, bpftrace and SystemTap.
 *
 * A probe is one nop and a note in the ELF file until a tracer arms it. Provider `ringmill`, for
 * example `bpftrace -e 'usdt:./ringmill:ringmill:core_park { @[arg0] = count(); }'`. Present when
 * <sys/sdt.h> (package systemtap-sdt-dev) was there at build time, otherwise nothing; `readelf -n`
 * shows which.
 *
 * Arguments are integers or pointers at hand: no calls and no side effects, for without <sys/sdt.h>
 * they are not evaluated. The probes of the engine, whose names and arguments are kept stable:
 *
 *   core_park     core index, ns it may sleep (UINT64_MAX: any)   the core is about to sleep
 *   core_unpark   core index, ns it slept                          it runs again
 *   op_submit     core index, enum rmill_opcode, bytes             an operation goes to the ring
 *   op_complete   core index, enum rmill_opcode, result            its completion was seen
 *   flow_process  core index, sequence number, ns it took          a unit was processed
 *   flow_commit   core index of the unit, sequence number          a unit was committed
 */
#ifndef RMILL_PERF_RECORD_PROBES_H
#define RMILL_PERF_RECORD_PROBES_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define RMILL_PROBE1(name, a)       DTRACE_PROBE1(ringmill, name, a)
#define RMILL_PROBE2(name, a, b)    DTRACE_PROBE2(ringmill, name, a, b)
#define RMILL_PROBE3(name, a, b, c) DTRACE_PROBE3(ringmill, name, a, b, c)
#else
/* sizeof counts as a use, so that an argument's variable is not reported as unused. */
#define RMILL_PROBE1(name, a)       ((void)sizeof(a))
#define RMILL_PROBE2(name, a, b)    ((void)sizeof(a), (void)sizeof(b))
#define RMILL_PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

#endif
