/* BPF programs that see, and may change, the addresses of sockets (BPF_PROG_TYPE_CGROUP_SOCK_ADDR). They run for every
 * container of the VM, so each asks first whose network namespace it is about. */
#ifndef CAISSON_SOCKET_PROGRAMS_H
#define CAISSON_SOCKET_PROGRAMS_H

#include <linux/bpf.h>
#include <stddef.h>

/* Returns a descriptor or -errno. */
int socket_program_load(enum bpf_attach_type type, const struct bpf_insn *insns, size_t count);
/* The containers' cgroup, on which programs are put to work. Returns a descriptor or -errno. */
int socket_programs_group(void);
/* Beside others of its kind. Returns 0 or -errno. */
int socket_program_attach(int group, int program, enum bpf_attach_type type);
void socket_program_detach(int group, int program, enum bpf_attach_type type);

#endif
