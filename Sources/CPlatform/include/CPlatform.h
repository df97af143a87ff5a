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

/// gettid(2).
static inline pid_t platform_thread(void) { return gettid(); }

/// `FS_IOC_GETFLAGS`: what `lsattr` shows. -1 and errno when the file system has no such flags.
int platform_inode_flags(int descriptor, uint32_t *flags);

/// fallocate(2), never changing the size: `FALLOC_FL_PUNCH_HOLE`.
int platform_punch_hole(int descriptor, int64_t offset, int64_t count);

/// fallocate(2), never changing the size: `FALLOC_FL_ZERO_RANGE`.
int platform_zero_range(int descriptor, int64_t offset, int64_t count);

/// Which file a path leads to, as far as the kernel knows without asking a file server (`AT_STATX_DONT_SYNC`): does not hang on a
/// mount whose server is gone or busy, our own included, once the path itself has been walked.
int platform_identity(const char *path, uint64_t *device, uint64_t *inode);

/// Whether an open file has no name any more, as far as the kernel knows without asking a file server.
int platform_is_unlinked(int descriptor);

/// When the inode was made (statx), in seconds since 1970: 1 if the file system knows, 0 if not.
int platform_birth_time(int descriptor, int64_t *seconds);

/// Sends bytes, and a descriptor with them unless it is -1 (`SCM_RIGHTS`). Never blocks, never raises SIGPIPE.
ssize_t platform_send(int socket, const void *bytes, size_t count, int descriptor);

/// Receives bytes, and the descriptor that came with them, or -1. It is not inherited by programs that are started. Never blocks
/// when `waits` is 0.
ssize_t platform_receive(int socket, void *bytes, size_t count, int waits, int *descriptor);

/// Makes a fresh process of a forked one: default signals, none blocked, no descriptor but `kept` (standard ones: /dev/null),
/// `/` as its folder. Requests of a terminal to end are ignored. Its own children need not be waited for.
int platform_begin_service(int kept);

/// Lets the kernel kill this process when its parent's thread ends. Lost when credentials change.
int platform_die_with_parent(void);

/// Lets the kernel kill this process when the other end of a socket is closed; what was asked for is of no use then.
int platform_die_on_hangup(int socket);

/// Switches that on and off again: anything that arrives ends the process too.
int platform_watch_hangup(int socket, int watches);

/// Takes on a user's rights for all that follows. One who is not root keeps no capability. For a process without threads.
int platform_become(uint32_t user, uint32_t group, const uint32_t *groups, size_t count);

/// `O_PATH` of open(2).
extern const int platform_O_PATH;

/// eventfd(2): a descriptor that is readable from the first 8-byte number other than 0 on that is written to it.
int platform_event(void);

/// `F_OFD_SETLK` on one byte: an advisory lock of the open file itself, that no other close of the same file gives up. -1 unlocks,
/// 0 locks for sharing, 1 for oneself.
int platform_lock(int descriptor, int64_t offset, int kind);

/// `F_OFD_GETLK` on one byte: 1 when another open file has any lock there, 0 when none has.
int platform_is_locked(int descriptor, int64_t offset);

/// Whether flock(2) is no lock of its own here but one on every byte of the file, as on NFS and SMB.
int platform_flock_locks_bytes(int descriptor);

/// preadv2(2) with RWF_NOWAIT: the bytes that are in memory, from `offset` on. Fewer, or -1, when one would have to wait for the others, at the
/// end of the file, and where the file system can't tell.
ssize_t platform_read_cached(int descriptor, void *bytes, size_t count, int64_t offset);

/// `MAP_FAILED` of mmap(2).
void *platform_map_failed(void);

/// sync_file_range(2) with SYNC_FILE_RANGE_WRITE.
void platform_start_storing(int descriptor, int64_t offset, int64_t count);

/// Sends a text to a service manager's socket, a path or `@` with an abstract name (sd_notify(3)).
int platform_notify(const char *address, const char *text);
