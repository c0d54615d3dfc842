/* Four small programs on the containers' cgroup (BPF_PROG_TYPE_CGROUP_SOCK_ADDR): where a socket of the Pod's network
 * namespace is about to talk to 127.0.0.11:53, the port is exchanged; where the peer is shown, it is changed back.
 * Packet filters could do it too, but their modules take longer to load than a container to start. */
#include "pod/dns-redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "pod/socket-programs.h"

#define NAME_SERVER 0x7f00000b /* 127.0.0.11 */
#define PROGRAMS 4

static const struct {
    enum bpf_attach_type type;
    uint16_t from, to;
} places[PROGRAMS] = {
    { BPF_CGROUP_INET4_CONNECT, DNS_PORT, DNS_LISTEN_PORT },
    { BPF_CGROUP_UDP4_SENDMSG, DNS_PORT, DNS_LISTEN_PORT },
    { BPF_CGROUP_UDP4_RECVMSG, DNS_LISTEN_PORT, DNS_PORT },
    { BPF_CGROUP_INET4_GETPEERNAME, DNS_LISTEN_PORT, DNS_PORT },
};

static int programs[PROGRAMS] = { -1, -1, -1, -1 };
static int group = -1; /* where they are attached */

#define ADDRESS offsetof(struct bpf_sock_addr, user_ip4)
#define PORT offsetof(struct bpf_sock_addr, user_port)

static int load(enum bpf_attach_type type, uint16_t from, uint16_t to, uint64_t cookie)
{
    const int32_t address = (int32_t)htonl(NAME_SERVER), old = htons(from), new = htons(to);
    const struct bpf_insn insns[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1 },
        { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6, .off = ADDRESS },
        { .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = BPF_REG_1, .off = 9, .imm = address },
        { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6, .off = PORT },
        { .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = BPF_REG_1, .off = 7, .imm = old },
        { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_netns_cookie },
        { .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_2, .imm = (int32_t)(uint32_t)cookie },
        { .imm = (int32_t)(uint32_t)(cookie >> 32) },
        { .code = BPF_JMP | BPF_JNE | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_2, .off = 2 },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = new },
        { .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1, .off = PORT },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
        { .code = BPF_JMP | BPF_EXIT },
    };
    return socket_program_load(type, insns, sizeof(insns) / sizeof(insns[0]));
}

int dns_redirect_prepare(int socket)
{
    uint64_t cookie;
    socklen_t size = sizeof(cookie);
    if (getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
        return -errno;
    dns_redirect_stop();
    for (int i = 0; i < PROGRAMS; i++) {
        drop_fd(&programs[i]);
        programs[i] = load(places[i].type, places[i].from, places[i].to, cookie);
        if (programs[i] < 0)
            return programs[i];
    }
    return 0;
}

int dns_redirect_start(void)
{
    group = socket_programs_group();
    for (int i = 0; i < PROGRAMS && group >= 0; i++) {
        int result = socket_program_attach(group, programs[i], places[i].type);
        if (result < 0)
            return result;
    }
    return group < 0 ? group : 0;
}

void dns_redirect_stop(void)
{
    for (int i = 0; i < PROGRAMS && group >= 0; i++)
        socket_program_detach(group, programs[i], places[i].type);
    drop_fd(&group);
}
