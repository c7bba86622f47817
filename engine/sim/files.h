/* engine/sim/files.h — descriptors and the calls on them, as a kernel without faults does them.
 *
 * Used by ring.c for operations and by plain.c for plain calls. Everything returns >= 0 or
 * -errno. Descriptors begin at 1,000, so that one of the real world never fits by accident. */
#ifndef RMILL_ENGINE_SIM_FILES_H
#define RMILL_ENGINE_SIM_FILES_H

#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/sim/disk.h"

struct rmill_sim;
struct rmill_sim_files;
struct rmill_sim_description;

struct rmill_sim_files *rmill_sim_files_create(void);
void rmill_sim_files_destroy(struct rmill_sim_files *files, struct rmill_sim_disk *disk);
uint32_t rmill_sim_files_open(const struct rmill_sim_files *files);

/* What `fd` stands for, with a reference more; NULL when nothing. */
struct rmill_sim_description *rmill_sim_description_hold(struct rmill_sim *sim, int fd);
struct rmill_sim_description *
rmill_sim_description_again(struct rmill_sim_description *description);
void rmill_sim_description_release(struct rmill_sim *sim,
                                   struct rmill_sim_description *description);

/* Calls on a description: the one of a descriptor or of a ring's registered file. */
int64_t rmill_sim_description_read(struct rmill_sim *sim, struct rmill_sim_description *description,
                                   void *buffer, uint64_t bytes, uint64_t offset);
int64_t rmill_sim_description_write(struct rmill_sim *sim,
                                    struct rmill_sim_description *description, const void *buffer,
                                    uint64_t bytes, uint64_t offset);
int rmill_sim_description_sync(struct rmill_sim *sim, struct rmill_sim_description *description,
                               bool data_only, bool lose);
int rmill_sim_description_allocate(struct rmill_sim *sim, struct rmill_sim_description *description,
                                   int mode, uint64_t offset, uint64_t bytes);
int rmill_sim_description_truncate(struct rmill_sim *sim, struct rmill_sim_description *description,
                                   uint64_t bytes);

int rmill_sim_open(struct rmill_sim *sim, int directory, const char *path,
                   const struct open_how *how);
int rmill_sim_close(struct rmill_sim *sim, int fd);
int rmill_sim_stat(struct rmill_sim *sim, int directory, const char *path, int flags,
                   struct stat *out);
int rmill_sim_readlink(struct rmill_sim *sim, int directory, const char *path, char *buffer,
                       uint64_t bytes);
int64_t rmill_sim_directory_read(struct rmill_sim *sim, int fd, void *buffer, uint64_t bytes);
int rmill_sim_mkdir(struct rmill_sim *sim, int directory, const char *path, mode_t mode);
int rmill_sim_unlink(struct rmill_sim *sim, int directory, const char *path, bool is_directory);
int rmill_sim_rename(struct rmill_sim *sim, int old_directory, const char *old_path,
                     int new_directory, const char *new_path, unsigned flags);
int rmill_sim_link(struct rmill_sim *sim, int old_directory, const char *old_path,
                   int new_directory, const char *new_path, int flags);
int rmill_sim_symlink(struct rmill_sim *sim, const char *target, int directory, const char *path);
/* The inode a call on attributes means: `path` from `directory`, never followed; "" = the
 * descriptor. */
int rmill_sim_attributes(struct rmill_sim *sim, int directory, const char *path,
                         struct rmill_sim_inode **inode);
int rmill_sim_lock(struct rmill_sim *sim, int fd);

/* faults.c: what a call of this kind (enum rmill_opcode) suffers before it is carried out: 0 or
 * -errno. `plain`: by plain call, which hides EINTR and knows no EAGAIN. */
int rmill_sim_call_fault(struct rmill_sim *sim, unsigned opcode, bool plain);
/* A read or a write of up to `bytes`, with short counts and, after an error, part of a write
 * done. */
int64_t rmill_sim_transfer(struct rmill_sim *sim, struct rmill_sim_description *description,
                           unsigned opcode, void *buffer, uint64_t bytes, uint64_t offset,
                           bool plain);
int rmill_sim_sync(struct rmill_sim *sim, struct rmill_sim_description *description, bool data_only,
                   bool plain);

#endif
