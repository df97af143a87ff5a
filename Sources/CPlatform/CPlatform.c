#include "CPlatform.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

int platform_inode_flags(int descriptor, uint32_t *flags) {
    // The kernel writes an int, whatever the request's own type says; the long leaves room for a file system that believes the type.
    long value = 0;
    int status = ioctl(descriptor, FS_IOC_GETFLAGS, &value);
    *flags = (uint32_t)value;
    return status;
}

int platform_punch_hole(int descriptor, int64_t offset, int64_t count) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int platform_zero_range(int descriptor, int64_t offset, int64_t count) {
    return fallocate(descriptor, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, count);
}

int platform_identity(const char *path, uint64_t *device, uint64_t *inode) {
    struct statx status;
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &status) != 0) return -1;
    *device = makedev(status.stx_dev_major, status.stx_dev_minor);
    *inode = status.stx_ino;
    return 0;
}

int platform_is_unlinked(int descriptor) {
    struct statx status;
    if (statx(descriptor, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_NLINK, &status) != 0) return 0;
    return (status.stx_mask & STATX_NLINK) != 0 && status.stx_nlink == 0;
}

int platform_birth_time(int descriptor, int64_t *seconds) {
    struct statx status;
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_BTIME, &status) != 0) return -1;
    *seconds = status.stx_btime.tv_sec;
    return (status.stx_mask & STATX_BTIME) != 0;
}

// Room for one descriptor, aligned for its header.
union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
};

ssize_t platform_send(int socket, const void *bytes, size_t count, int descriptor) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control = {0};
    if (descriptor >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t platform_receive(int socket, void *bytes, size_t count, int waits, int *descriptor) {
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor = -1;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (waits ? 0 : MSG_DONTWAIT));
    if (received < 0) return received;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return received;
}

int platform_begin_service(int kept) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) return -1;

    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return -1;
    // `kept` may have one of the standard numbers, when the daemon was started without them.
    for (int number = 0; number < 3; number++)
        if (number != kept && dup2(null, number) < 0) return -1;
    if (kept > 3 && close_range(3, (unsigned)kept - 1, 0) != 0) return -1;
    if (close_range(kept < 3 ? 3 : (unsigned)kept + 1, ~0U, 0) != 0) return -1;
    return chdir("/");
}

int platform_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, SIGKILL); }

int platform_die_on_hangup(int socket) {
    // SIGIO's default action ends the process, out of a killable wait in the kernel too.
    if (fcntl(socket, F_SETOWN, getpid()) != 0) return -1;
    return platform_watch_hangup(socket, 1);
}

int platform_watch_hangup(int socket, int watches) {
    if (fcntl(socket, F_SETFL, O_RDWR | (watches ? O_ASYNC : 0)) != 0) return -1;
    if (!watches) return 0;
    // It may have been closed before.
    struct pollfd watched = {.fd = socket, .events = POLLRDHUP};
    if (poll(&watched, 1, 0) == 0) return 0;
    errno = ECANCELED;
    return -1;
}

int platform_become(uint32_t user, uint32_t group, const uint32_t *groups, size_t count) {
    // -1 would mean "as it is".
    if (user == UINT32_MAX || group == UINT32_MAX) {
        errno = EINVAL;
        return -1;
    }
    // Groups first: a user who is not root may not change them any more.
    if (setgroups(count, groups) != 0 || setresgid(group, group, group) != 0) return -1;
    if (setresuid(user, user, user) != 0) return -1;
    if (user == 0) return 0;
    // The change of user has dropped them already, unless the daemon runs with securebits that keep them.
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return (int)syscall(SYS_capset, &header, none);
}

const int platform_O_PATH = O_PATH;

int platform_event(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static struct flock byte_at(int64_t offset, short type) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
}

int platform_lock(int descriptor, int64_t offset, int kind) {
    struct flock lock = byte_at(offset, kind < 0 ? F_UNLCK : kind == 0 ? F_RDLCK : F_WRLCK);
    return fcntl(descriptor, F_OFD_SETLK, &lock);
}

int platform_is_locked(int descriptor, int64_t offset) {
    struct flock lock = byte_at(offset, F_WRLCK);
    if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0) return -1;
    return lock.l_type != F_UNLCK;
}

int platform_flock_locks_bytes(int descriptor) {
    struct statfs status;
    if (fstatfs(descriptor, &status) != 0) return -1;
    uint32_t type = (uint32_t)status.f_type;
    return type == NFS_SUPER_MAGIC || type == SMB_SUPER_MAGIC || type == CIFS_SUPER_MAGIC ||
           type == SMB2_SUPER_MAGIC;
}

ssize_t platform_read_cached(int descriptor, void *bytes, size_t count, int64_t offset) {
    struct iovec all = {.iov_base = bytes, .iov_len = count};
    return preadv2(descriptor, &all, 1, offset, RWF_NOWAIT);
}

void *platform_map_failed(void) { return MAP_FAILED; }

void platform_start_storing(int descriptor, int64_t offset, int64_t count) {
    sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
}

int platform_notify(const char *address, const char *text) {
    struct sockaddr_un target = {.sun_family = AF_UNIX};
    size_t length = strlen(address);
    if (length == 0 || length >= sizeof target.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memcpy(target.sun_path, address, length);
    // "@" stands for the zero byte of a name that is in no file system.
    if (address[0] == '@') target.sun_path[0] = 0;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent = sendto(descriptor, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&target, size);
    close(descriptor);
    return sent < 0 ? -1 : 0;
}
