/* Which system calls netd-host and what it starts may make. */
#ifndef CAISSON_NATIVE_NETD_FILTERS_H
#define CAISSON_NATIVE_NETD_FILTERS_H

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "include/system-calls.h"

/* What neither this process nor any that it starts has a use for. They need to enter namespaces and to mount, so that not more can
 * be held back from all of them: netd, netd-ports and slirp4netns have filters of their own on top. */
static inline int filter_all(void)
{
    static const uint32_t fatal[] = {
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_pidfd_getfd,
        SYS_open_by_handle_at,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_kexec_file_load,
        SYS_reboot,
        SYS_swapon,
        SYS_swapoff,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_adjtimex,
        SYS_clock_adjtime,
        SYS_sethostname,
        SYS_setdomainname,
        SYS_iopl,
        SYS_ioperm,
        SYS_acct,
        SYS_quotactl,
        SYS_syslog,
        SYS_mount_setattr,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fsmount,
        SYS_fspick,
        SYS_open_tree,
        SYS_move_mount,
        SYS_mknod,
        SYS_mknodat,
        SYS_vhangup,
    };
    static struct filter filter;
    filter_begin(&filter);
    filter_answer_all(&filter, fatal, sizeof(fatal) / sizeof(fatal[0]), SECCOMP_RET_KILL_PROCESS);
    return filter_install(&filter, SECCOMP_RET_ALLOW);
}

/* What Node needs for sockets, threads and memory, and to read its program. It may start one (it is itself started under this),
 * but no process to run that in. */
static inline int filter_netd(void)
{
    static const uint32_t needed[] = {
        /* bytes and descriptors */
        SYS_read,
        SYS_write,
        SYS_readv,
        SYS_writev,
        SYS_pread64,
        SYS_pwrite64,
        SYS_preadv,
        SYS_close,
        SYS_lseek,
        SYS_fcntl,
        SYS_dup,
        SYS_dup2,
        SYS_dup3,
        SYS_pipe2,
        SYS_eventfd2,
        SYS_close_range,
        /* waiting */
        SYS_epoll_create1,
        SYS_epoll_ctl,
        SYS_epoll_wait,
        SYS_epoll_pwait,
        SYS_epoll_pwait2,
        SYS_poll,
        SYS_ppoll,
        SYS_select,
        SYS_pselect6,
        SYS_inotify_init1,
        SYS_inotify_add_watch,
        SYS_inotify_rm_watch,
        /* its program, and the host's resolv.conf; where it may write, it has no rights */
        SYS_open,
        SYS_openat,
        SYS_stat,
        SYS_fstat,
        SYS_lstat,
        SYS_newfstatat,
        SYS_statx,
        SYS_statfs,
        SYS_fstatfs,
        SYS_access,
        SYS_faccessat,
        SYS_faccessat2,
        SYS_readlink,
        SYS_readlinkat,
        SYS_getcwd,
        SYS_getdents64,
        SYS_umask,
        /* sockets */
        SYS_bind,
        SYS_listen,
        SYS_accept,
        SYS_accept4,
        SYS_connect,
        SYS_getsockname,
        SYS_getpeername,
        SYS_getsockopt,
        SYS_setsockopt,
        SYS_shutdown,
        SYS_sendto,
        SYS_recvfrom,
        SYS_sendmsg,
        SYS_recvmsg,
        SYS_sendmmsg,
        SYS_recvmmsg,
        SYS_socketpair,
        /* threads, memory and time; JIT compilers make memory executable */
        SYS_futex,
        SYS_set_robust_list,
        SYS_get_robust_list,
        SYS_rseq,
        SYS_set_tid_address,
        SYS_arch_prctl,
        SYS_exit,
        SYS_exit_group,
        SYS_gettid,
        SYS_getpid,
        SYS_getppid,
        SYS_tgkill,
        SYS_sched_yield,
        SYS_sched_getaffinity,
        SYS_sched_getparam,
        SYS_sched_getscheduler,
        SYS_membarrier,
        SYS_rt_sigaction,
        SYS_rt_sigprocmask,
        SYS_rt_sigreturn,
        SYS_sigaltstack,
        SYS_restart_syscall,
        SYS_brk,
        SYS_mmap,
        SYS_munmap,
        SYS_mremap,
        SYS_mprotect,
        SYS_madvise,
        SYS_mincore,
        SYS_pkey_alloc,
        SYS_pkey_free,
        SYS_pkey_mprotect,
        SYS_nanosleep,
        SYS_clock_nanosleep,
        SYS_clock_gettime,
        SYS_clock_getres,
        SYS_gettimeofday,
        SYS_time,
        SYS_getrandom,
        SYS_getcpu,
        /* what it asks of itself and its host */
        SYS_getuid,
        SYS_geteuid,
        SYS_getgid,
        SYS_getegid,
        SYS_getresuid,
        SYS_getresgid,
        SYS_capget,
        SYS_uname,
        SYS_sysinfo,
        SYS_getrusage,
        SYS_getrlimit,
        SYS_prlimit64,
        SYS_times,
        /* its start */
        SYS_execve,
    };
    static const struct needed_with needed_with[] = {
        { SYS_socket, 0, ~0u, AF_INET }, { SYS_socket, 0, ~0u, AF_INET6 },   { SYS_socket, 0, ~0u, AF_UNIX },
        { SYS_ioctl, 1, ~0u, FIONBIO },  { SYS_ioctl, 1, ~0u, FIONREAD },    { SYS_ioctl, 1, ~0u, FIOCLEX },
        { SYS_ioctl, 1, ~0u, TCGETS },   { SYS_prctl, 0, ~0u, PR_SET_NAME }, { SYS_prctl, 0, ~0u, PR_SET_VMA },
    };
    static const uint32_t fatal[] = {
        SYS_mount,  SYS_umount2, SYS_pivot_root, SYS_chroot,    SYS_setns,  SYS_unshare, SYS_fork,           SYS_vfork,
        SYS_setuid, SYS_setgid,  SYS_setresuid,  SYS_setresgid, SYS_capset, SYS_seccomp, SYS_io_uring_enter,
    };
    static struct filter filter;
    filter_begin(&filter);
    filter_answer_all(&filter, needed, sizeof(needed) / sizeof(needed[0]), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof(needed_with) / sizeof(needed_with[0]); i++)
        filter_allow_with(&filter, needed_with[i]);
    filter_allow_threads(&filter);
    filter_answer_all(&filter, fatal, sizeof(fatal) / sizeof(fatal[0]), SECCOMP_RET_KILL_PROCESS);
    return filter_install(&filter, SECCOMP_RET_ERRNO | EPERM);
}

#endif
