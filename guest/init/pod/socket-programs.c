#include "pod/socket-programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits/cgroup.h"

int socket_program_load(enum bpf_attach_type type, const struct bpf_insn *insns, size_t count)
{
    static const char license[] = "Apache-2.0";
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
        .expected_attach_type = type,
        .insns = (uint64_t)(uintptr_t)insns,
        .insn_cnt = (uint32_t)count,
        .license = (uint64_t)(uintptr_t)license,
    };
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
    return fd < 0 ? -errno : fd;
}

int socket_programs_group(void)
{
    int group = open(CGROUP_PARENT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return group < 0 ? -errno : group;
}

int socket_program_attach(int group, int program, enum bpf_attach_type type)
{
    union bpf_attr attributes = {
        .target_fd = (uint32_t)group,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = type,
        .attach_flags = BPF_F_ALLOW_MULTI,
    };
    return syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof(attributes)) < 0 ? -errno : 0;
}

void socket_program_detach(int group, int program, enum bpf_attach_type type)
{
    union bpf_attr attributes = {
        .target_fd = (uint32_t)group,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = type,
    };
    syscall(SYS_bpf, BPF_PROG_DETACH, &attributes, sizeof(attributes));
}
