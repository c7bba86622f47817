/* workloads/files/tar_layout.h — where the fields of a ustar header are; for tar_write.c and
 * tar_read.c. */
#ifndef RMILL_FILES_TAR_LAYOUT_H
#define RMILL_FILES_TAR_LAYOUT_H

#define TAR_NAME     0
#define TAR_MODE     100
#define TAR_UID      108
#define TAR_GID      116
#define TAR_SIZE     124
#define TAR_MTIME    136
#define TAR_CHECKSUM 148
#define TAR_TYPE     156
#define TAR_LINK     157
#define TAR_MAGIC    257
#define TAR_UNAME    265
#define TAR_GNAME    297
#define TAR_DEVMAJOR 329
#define TAR_DEVMINOR 337
#define TAR_PREFIX   345

#define TAR_NAME_BYTES   100u /* Of name and linkname; no NUL needed when full. */
#define TAR_PREFIX_BYTES 155u /* The same. */
#define TAR_OWNER_BYTES  32u  /* Of uname and gname, with their NUL. */
#define TAR_OCTAL7_MAX   07777777u
#define TAR_OCTAL11_MAX  077777777777ull

/* Constant, so that it compresses away; the name Python's tarfile gives its pax headers too. */
#define TAR_PAX_NAME "././@PaxHeader"

#endif
