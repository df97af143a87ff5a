// libfuse3 as Swift sees it.
//
// The system headers come first and *without* _FILE_OFFSET_BITS, as Swift's Glibc module saw them; libfuse insists on the macro, so
// it is defined only afterwards. (On 64-bit Linux both spellings of off_t are the same type.)
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <linux/stat.h>

/// fuse_session_new(3), which newer versions of libfuse turn into a macro that Swift can't see.
static inline struct fuse_session *cfuse_session_new(struct fuse_args *arguments,
                                                     const struct fuse_lowlevel_ops *operations, void *userdata) {
    return fuse_session_new(arguments, operations, sizeof *operations, userdata);
}

/// Which file system lies topmost at a path, without asking that file system anything: it may be dead, or be ourselves.
/// Returns 0, or -1 and errno.
static inline int cfuse_device_at(const char *path, uint32_t *major, uint32_t *minor) {
    // AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, which the headers show only with _GNU_SOURCE; Swift's Glibc module is built without.
    const unsigned flags = 0x800 | 0x4000;
    struct statx answer;
    if (syscall(SYS_statx, AT_FDCWD, path, flags, 0, &answer) != 0) return -1;
    *major = answer.stx_dev_major;
    *minor = answer.stx_dev_minor;
    return 0;
}

// What else the headers hide without _GNU_SOURCE.

/// `whence` of lseek(2): the next data or hole.
enum { CFUSE_SEEK_DATA = 3, CFUSE_SEEK_HOLE = 4 };

/// O_DIRECT of open(2).
enum { CFUSE_O_DIRECT = __O_DIRECT };

/// syncfs(2).
static inline int cfuse_synchronize_file_system(int descriptor) { return (int)syscall(SYS_syncfs, descriptor); }

/// memfd_create(2) with MFD_CLOEXEC.
static inline int cfuse_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u); }

/// splice(2): SPLICE_F_NONBLOCK or nothing.
static inline ssize_t cfuse_splice(int from, off_t *offset, int to, size_t count, int never_waits) {
    return syscall(SYS_splice, from, offset, to, NULL, count, never_waits ? 2u : 0u);
}

/// vmsplice(2): the pipe refers to memory that must not change any more. Never waits for room.
static inline ssize_t cfuse_lend_memory(int pipe, const void *bytes, size_t count) {
    struct iovec all = {(void *)(uintptr_t)bytes, count};
    return syscall(SYS_vmsplice, pipe, &all, 1, 2u);
}

/// pipe2(2) with O_CLOEXEC, made as large as wished if that is allowed; returns how many bytes it holds, or -1 and errno.
static inline int cfuse_pipe(int ends[2], int size) {
    if (syscall(SYS_pipe2, ends, O_CLOEXEC) != 0) return -1;
    const int set = 1031, get = 1032; // F_SETPIPE_SZ, F_GETPIPE_SZ
    fcntl(ends[0], set, size);
    return fcntl(ends[0], get);
}

// Kernel passthrough (Linux 6.9), which Debian 12's headers don't know.

/// `struct fuse_backing_map`.
struct cfuse_backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};

/// `FUSE_DEV_IOC_BACKING_OPEN`: the number that the kernel gives to an open file, or -1 and errno.
static inline int cfuse_backing_open(int device, struct cfuse_backing_map *file) {
    return ioctl(device, _IOW(229, 1, struct cfuse_backing_map), file);
}

/// `FUSE_DEV_IOC_BACKING_CLOSE`.
static inline int cfuse_backing_close(int device, int32_t number) {
    uint32_t argument = (uint32_t)number;
    return ioctl(device, _IOW(229, 2, uint32_t), &argument);
}

/// `FOPEN_PASSTHROUGH`.
enum { CFUSE_FOPEN_PASSTHROUGH = 1 << 7 };
