/* uring/abi.h — io_uring constants that liburing 2.3 lacks, each with the kernel that brought
 * it.
 *
 * liburing 2.3 (Debian 12) stops at kernel 6.1; the kernel underneath may be newer. Only
 * constants live here; everything else of liburing's headers is used as it is. A newer liburing
 * has some of them as enumerators: the macros below then have the same values. Source:
 * include/uapi/linux/io_uring.h. */
#ifndef RMILL_URING_ABI_H
#define RMILL_URING_ABI_H

#include <liburing.h>

/* io_uring_setup flags. */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14) /* 6.5 */
#endif
#ifndef IORING_SETUP_REGISTERED_FD_ONLY
#define IORING_SETUP_REGISTERED_FD_ONLY (1U << 15) /* 6.5 */
#endif
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16) /* 6.6 */
#endif
#ifndef IORING_SETUP_HYBRID_IOPOLL
#define IORING_SETUP_HYBRID_IOPOLL (1U << 17) /* 6.13 */
#endif

/* Bits of io_uring_params.features. */
#ifndef IORING_FEAT_REG_REG_RING
#define IORING_FEAT_REG_REG_RING (1U << 13) /* 6.3: register by registered ring. */
#endif
#ifndef IORING_FEAT_RECVSEND_BUNDLE
#define IORING_FEAT_RECVSEND_BUNDLE (1U << 14) /* 6.10 */
#endif
#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15) /* 6.12 */
#endif
#ifndef IORING_FEAT_RW_ATTR
#define IORING_FEAT_RW_ATTR (1U << 16) /* 6.14 */
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17) /* 6.15 */
#endif

/* io_uring_enter flags. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7) /* 6.15 */
#endif

/* Opcodes. */
#ifndef IORING_OP_FTRUNCATE
#define IORING_OP_FTRUNCATE 55 /* 6.9 */
#endif
#ifndef IORING_OP_READV_FIXED
#define IORING_OP_READV_FIXED 60 /* 6.15 */
#endif
#ifndef IORING_OP_WRITEV_FIXED
#define IORING_OP_WRITEV_FIXED 61 /* 6.15 */
#endif

/* io_uring_register opcodes. */
#ifndef IORING_REGISTER_USE_REGISTERED_RING
#define IORING_REGISTER_USE_REGISTERED_RING (1U << 31) /* 6.3 */
#endif
#ifndef IORING_REGISTER_SEND_MSG_RING
#define IORING_REGISTER_SEND_MSG_RING 31 /* 6.13: a wake from a thread without a ring. */
#endif

#endif
