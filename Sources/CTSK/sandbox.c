#define _GNU_SOURCE
#include "CTSK.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "say here which system calls this machine has"
#endif

// The sanitizers, which only tests are built with, need terabytes of addresses and system calls of their own.
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
// Memory, but none that code could run in. Both architectures are little-endian, so the lower half of an argument comes first.
#define ALLOW_DATA_MEMORY                                                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4), LOAD(args[2]),                       \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),                                \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define REFUSE(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

static int limit(int resource, rlim_t value) {
    struct rlimit limit = {value, value};
    return setrlimit(resource, &limit);
}

/// Allows what works on memory, and on descriptors that are open already. Files are refused instead of killing the process: the C library
/// looks for some (time zones, messages) and does without.
static int filter_calls(void) {
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(read),
        ALLOW(write),
        ALLOW(writev),
        ALLOW(sendto),
        ALLOW(recvfrom),
        ALLOW(sendmsg),
        ALLOW(recvmsg),
        ALLOW_DATA_MEMORY,
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(futex),
        ALLOW(clock_gettime),
        ALLOW(getrandom),
        ALLOW(rt_sigprocmask),
        ALLOW(rt_sigreturn),
        ALLOW(sched_yield),
        ALLOW(gettid),
        ALLOW(getpid),
        ALLOW(tgkill),
        ALLOW(exit),
        ALLOW(exit_group),
        REFUSE(openat),
        REFUSE(newfstatat),
        REFUSE(fstat),
        REFUSE(lseek),
        REFUSE(readlinkat),
        REFUSE(faccessat),
        REFUSE(ioctl),
#if defined(__x86_64__)
        REFUSE(open),
        REFUSE(stat),
        REFUSE(access),
        REFUSE(readlink),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int ctsk_enter_sandbox(uint64_t memory_limit, uint64_t processor_seconds) {
    const unsigned nobody = 65534;
    if (close_range(3, ~0u, 0) != 0) return 1;
    if (geteuid() == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(nobody, nobody, nobody) != 0) return 2;
        if (setresuid(nobody, nobody, nobody) != 0) return 3;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 4;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return 5;
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_FSIZE, 0) != 0 || limit(RLIMIT_NOFILE, 3) != 0) return 6;
    if (limit(RLIMIT_CPU, processor_seconds) != 0) return 7;
    // As another user this may fail to lower a limit that counts processes of all kinds; the filter allows no new ones anyway.
    (void)limit(RLIMIT_NPROC, 0);
#if !IS_SANITIZED
    if (limit(RLIMIT_AS, memory_limit) != 0) return 8;
    if (filter_calls() != 0) return 9;
#endif
    return 0;
}
