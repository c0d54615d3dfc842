/* Filters of system calls (seccomp(2)), instruction by instruction. */
#ifndef CAISSON_INCLUDE_SYSTEM_CALLS_H
#define CAISSON_INCLUDE_SYSTEM_CALLS_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { MAX_FILTER = 1024 };

struct filter {
    struct sock_filter code[MAX_FILTER];
    unsigned short length;
};

/* A call that is needed with these bits of an argument only. */
struct needed_with {
    uint32_t number, argument, mask, value;
};

static inline void filter_add(struct filter *filter, struct sock_filter instruction)
{
    if (filter->length < MAX_FILTER)
        filter->code[filter->length] = instruction;
    filter->length++;
}

static inline void filter_load(struct filter *filter, size_t offset)
{
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static inline void filter_end_with(struct filter *filter, uint32_t action)
{
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Goes on with the next instruction if what is loaded is `value`, else past so many. */
static inline void filter_unless_skip(struct filter *filter, uint32_t value, unsigned char skipped)
{
    filter_add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped));
}

/* Only calls of x86-64; with the call's number loaded afterwards. */
static inline void filter_begin(struct filter *filter)
{
    filter_load(filter, offsetof(struct seccomp_data, arch));
    filter_unless_skip(filter, AUDIT_ARCH_X86_64, 1);
    filter_add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    filter_end_with(filter, SECCOMP_RET_KILL_PROCESS);
    filter_load(filter, offsetof(struct seccomp_data, nr));
}

/* With the call's number loaded, before and after. Only the lower half of the argument is looked at: the kernel takes no more. */
static inline void filter_allow_with(struct filter *filter, struct needed_with needed)
{
    filter_unless_skip(filter, needed.number, 5);
    filter_load(filter, offsetof(struct seccomp_data, args) + needed.argument * sizeof(uint64_t));
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, needed.mask));
    filter_unless_skip(filter, needed.value, 1);
    filter_end_with(filter, SECCOMP_RET_ALLOW);
    filter_load(filter, offsetof(struct seccomp_data, nr));
}

static inline void filter_answer(struct filter *filter, uint32_t number, uint32_t action)
{
    filter_unless_skip(filter, number, 1);
    filter_end_with(filter, action);
}

static inline void filter_answer_all(struct filter *filter, const uint32_t *numbers, size_t count, uint32_t action)
{
    for (size_t i = 0; i < count; i++)
        filter_answer(filter, numbers[i], action);
}

/* Threads, but no processes, and in no other namespaces. */
static inline void filter_allow_threads(struct filter *filter)
{
    filter_allow_with(filter, (struct needed_with){
                                  SYS_clone,
                                  0,
                                  CLONE_VM | CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                      CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
                                  CLONE_VM | CLONE_THREAD,
                              });
    /* its flags lie in memory and can't be looked at: the C library takes clone() instead */
    filter_answer(filter, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
}

/* `others`: what becomes of calls that have no answer yet. Holds for this thread, and what it starts; no_new_privs must be set,
 * or CAP_SYS_ADMIN be there. Returns -1 with errno. */
static inline int filter_install(struct filter *filter, uint32_t others)
{
    filter_end_with(filter, others);
    if (filter->length > MAX_FILTER) {
        errno = E2BIG;
        return -1;
    }
    struct sock_fprog program = { .len = filter->length, .filter = filter->code };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

#endif
