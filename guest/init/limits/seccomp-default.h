/* The system calls a container may make by default, to the same effect as Docker 20.10's default profile on x86:
 * everything but what reaches beyond the container or has a record of holes; more for more capabilities. */
#ifndef CAISSON_SECCOMP_DEFAULT_H
#define CAISSON_SECCOMP_DEFAULT_H

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>

/* Groups of names, not a column of them. */
/* clang-format off */
static const char *const always_allowed[] = {
    /* processes and signals */
    "fork", "vfork", "execve", "execveat", "exit", "exit_group", "wait4", "waitid", "waitpid", "kill", "tkill",
    "tgkill", "pidfd_open", "pidfd_send_signal", "process_mrelease", "pause", "alarm", "getitimer", "setitimer",
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4",
    "sigprocmask", "sigreturn", "restart_syscall", "ptrace", "prctl", "arch_prctl", "modify_ldt", "set_tid_address",
    "set_thread_area", "get_thread_area", "set_robust_list", "get_robust_list", "rseq", "membarrier", "futex",
    "futex_time64", "futex_waitv", "getpid", "getppid", "gettid", "getpgid", "getpgrp", "getsid", "setpgid", "setsid",
    "umask", "uname", "sysinfo", "times", "getrusage", "getcpu", "capget", "capset", "seccomp",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    /* who */
    "getuid", "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid", "getegid32", "getresuid",
    "getresuid32", "getresgid", "getresgid32", "getgroups", "getgroups32", "setuid", "setuid32", "setgid", "setgid32",
    "setreuid", "setreuid32", "setregid", "setregid32", "setresuid", "setresuid32", "setresgid", "setresgid32",
    "setfsuid", "setfsuid32", "setfsgid", "setfsgid32", "setgroups", "setgroups32",
    /* scheduling and limits */
    "getpriority", "setpriority", "getrlimit", "ugetrlimit", "setrlimit", "prlimit64", "ioprio_get", "ioprio_set",
    "sched_getaffinity", "sched_setaffinity", "sched_getattr", "sched_setattr", "sched_getparam", "sched_setparam",
    "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "sched_rr_get_interval", "sched_rr_get_interval_time64", "sched_yield",
    /* memory */
    "brk", "mmap", "mmap2", "munmap", "mremap", "mprotect", "madvise", "mincore", "msync", "mlock", "mlock2",
    "mlockall", "munlock", "munlockall", "remap_file_pages", "memfd_create", "memfd_secret",
    /* files by descriptor */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek",
    "_llseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64", "flock", "ioctl", "fsync",
    "fdatasync", "sync", "syncfs", "sync_file_range", "ftruncate", "ftruncate64", "fallocate", "fadvise64",
    "fadvise64_64", "readahead", "sendfile", "sendfile64", "splice", "tee", "vmsplice", "copy_file_range", "pipe",
    "pipe2", "select", "_newselect", "pselect6", "pselect6_time64", "poll", "ppoll", "ppoll_time64", "epoll_create",
    "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_wait", "epoll_wait_old", "epoll_pwait", "epoll_pwait2",
    "eventfd", "eventfd2", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fanotify_mark",
    /* files by name */
    "open", "openat", "openat2", "creat", "access", "faccessat", "faccessat2", "stat", "stat64", "lstat", "lstat64",
    "fstat", "fstat64", "fstatat64", "newfstatat", "statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "getdents",
    "getdents64", "getcwd", "chdir", "fchdir", "chmod", "fchmod", "fchmodat", "chown", "chown32", "fchown", "fchown32",
    "lchown", "lchown32", "fchownat", "mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "link", "linkat", "symlink",
    "symlinkat", "readlink", "readlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "truncate",
    "truncate64", "utime", "utimes", "futimesat", "utimensat", "utimensat_time64", "getxattr", "lgetxattr",
    "fgetxattr", "setxattr", "lsetxattr", "fsetxattr", "listxattr", "llistxattr", "flistxattr", "removexattr",
    "lremovexattr", "fremovexattr",
    /* asynchronous I/O */
    "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents", "io_pgetevents_time64",
    "io_uring_setup", "io_uring_enter", "io_uring_register",
    /* sockets */
    "socket", "socketpair", "socketcall", "bind", "listen", "accept", "accept4", "connect", "shutdown", "getsockname",
    "getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg",
    "recvmmsg", "recvmmsg_time64",
    /* System V and POSIX queues, semaphores and memory */
    "ipc", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64",
    "shmat", "shmctl", "shmdt", "shmget", "mq_open", "mq_unlink", "mq_notify", "mq_getsetattr", "mq_timedreceive",
    "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64",
    /* time; setting it takes the capability anyway */
    "time", "gettimeofday", "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64",
    "clock_nanosleep", "clock_nanosleep_time64", "nanosleep", "adjtimex", "clock_adjtime", "clock_adjtime64",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64", "timer_settime",
    "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime",
    "timerfd_settime64", "getrandom",
    NULL,
};
/* clang-format on */

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct {
    int capability;
    const char *const *names;
} allowed_by_capability[] = {
    { CAP_DAC_READ_SEARCH, NAMES("open_by_handle_at") },
    { CAP_SYS_ADMIN,
      NAMES("bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie",
            "mount", "mount_setattr", "move_mount", "name_to_handle_at", "open_tree", "perf_event_open", "quotactl",
            "quotactl_fd", "setdomainname", "sethostname", "setns", "syslog", "umount", "umount2", "unshare") },
    { CAP_SYS_BOOT, NAMES("reboot") },
    { CAP_SYS_CHROOT, NAMES("chroot") },
    { CAP_SYS_MODULE, NAMES("delete_module", "finit_module", "init_module") },
    { CAP_SYS_PACCT, NAMES("acct") },
    { CAP_SYS_PTRACE, NAMES("kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev") },
    { CAP_SYS_RAWIO, NAMES("ioperm", "iopl") },
    { CAP_SYS_TIME, NAMES("clock_settime", "clock_settime64", "settimeofday", "stime") },
    { CAP_SYS_TTY_CONFIG, NAMES("vhangup") },
    { CAP_SYS_NICE, NAMES("get_mempolicy", "mbind", "set_mempolicy") },
    { CAP_SYSLOG, NAMES("syslog") },
};

/* Linux, Linux 32-bit, each also with its address randomisation off (UNAME26), and the question "which now?". */
static const uint64_t personalities[] = { 0x0, 0x0008, 0x20000, 0x20008, 0xffffffff };

#endif
