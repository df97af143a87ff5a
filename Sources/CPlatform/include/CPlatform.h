// System calls that Swift's Glibc module does not show: those that are variadic, macros, or marked unavailable.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <unistd.h>

/// fork(2), which Swift marks unavailable: only for a process that has no other thread.
static inline pid_t platform_fork(void) { return fork(); }

/// pthread_setname_np(3) for the calling thread.
static inline void platform_set_thread_name(const char *name) { pthread_setname_np(pthread_self(), name); }

/// `FS_IOC_GETFLAGS`: what `lsattr` shows. -1 and errno when the file system has no such flags.
int platform_inode_flags(int descriptor, uint32_t *flags);

/// fallocate(2), never changing the size: `FALLOC_FL_PUNCH_HOLE`.
int platform_punch_hole(int descriptor, int64_t offset, int64_t count);

/// fallocate(2), never changing the size: `FALLOC_FL_ZERO_RANGE`.
int platform_zero_range(int descriptor, int64_t offset, int64_t count);

/// Which file a path leads to, as far as the kernel knows without asking a file server (`AT_STATX_DONT_SYNC`): does not hang on a
/// mount whose server is gone or busy, our own included, once the path itself has been walked.
int platform_identity(const char *path, uint64_t *device, uint64_t *inode);
