#include "base/system-calls.h"

#include <asm/ioctls.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/system-calls.h"

static const uint32_t needed[] = {
    /* bytes */
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_pwrite64,
    SYS_pwritev2,
    SYS_lseek,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_syncfs,
    SYS_copy_file_range,
    /* names and attributes */
    SYS_openat,
    SYS_openat2,
    SYS_close,
    SYS_fcntl,
    SYS_flock,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_getdents64,
    SYS_readlink,
    SYS_readlinkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_mkdirat,
    SYS_linkat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_chmod,
    SYS_fchmodat,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_getxattr,
    SYS_listxattr,
    SYS_removexattr,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    /* as whom a file is made */
    SYS_umask,
    SYS_setfsuid,
    SYS_setfsgid,
    /* the daemon's connections */
    SYS_accept4,
    SYS_recvmsg,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_sendto,
    SYS_shutdown,
    /* threads, memory and time, as the C library has them */
    SYS_futex,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_gettid,
    SYS_getpid,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_clock_gettime,
    SYS_getrandom,
};

static const struct needed_with needed_with[] = {
    { SYS_ioctl, 1, ~0u, FIONREAD },
    { SYS_ioctl, 1, ~0u, SIOCOUTQ },
    { SYS_mmap, 2, PROT_EXEC, 0 },
    { SYS_mprotect, 2, PROT_EXEC, 0 },
    /* a umask of its own */
    { SYS_unshare, 0, ~0u, CLONE_FS },
};

/* Nothing here calls these, not even in error. */
static const uint32_t fatal[] = {
    SYS_execve,
    SYS_execveat,
    SYS_fork,
    SYS_vfork,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_open_by_handle_at,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_setns,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_kill,
    SYS_tkill,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_keyctl,
    SYS_add_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_kexec_load,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_capset,
    SYS_seccomp,
};

int filter_system_calls(void)
{
    static struct filter filter;
    filter_begin(&filter);
    filter_answer_all(&filter, needed, sizeof(needed) / sizeof(needed[0]), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof(needed_with) / sizeof(needed_with[0]); i++)
        filter_allow_with(&filter, needed_with[i]);
    /* the signal that ends a wait, for threads of ours */
    filter_allow_with(&filter, (struct needed_with){ SYS_tgkill, 0, ~0u, (uint32_t)getpid() });
    filter_allow_threads(&filter);
    filter_answer_all(&filter, fatal, sizeof(fatal) / sizeof(fatal[0]), SECCOMP_RET_KILL_PROCESS);
    return filter_install(&filter, SECCOMP_RET_ERRNO | EPERM);
}
