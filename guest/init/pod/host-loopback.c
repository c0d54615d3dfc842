/* Where a socket of the Pod's network namespace is about to talk to 127.0.0.1, a program looks whether a socket of the Pod
 * is there; if not, the address is exchanged for that by which the host is reached. So there is no moment in which a process
 * that has just begun to listen is not found. Where the peer is shown, the address is changed back. */
#include "pod/host-loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "pod/socket-programs.h"

#define PROGRAMS 4

static const struct {
    enum bpf_attach_type type;
    bool outward; /* to the host; else what is shown of it */
} places[PROGRAMS] = {
    { BPF_CGROUP_INET4_CONNECT, true },
    { BPF_CGROUP_UDP4_SENDMSG, true },
    { BPF_CGROUP_UDP4_RECVMSG, false },
    { BPF_CGROUP_INET4_GETPEERNAME, false },
};

static int programs[PROGRAMS] = { -1, -1, -1, -1 };
static int group = -1; /* where they are attached */

#define ADDRESS offsetof(struct bpf_sock_addr, user_ip4)
#define PORT offsetof(struct bpf_sock_addr, user_port)
#define PROTOCOL offsetof(struct bpf_sock_addr, protocol)
/* struct bpf_sock_tuple.ipv4 on the stack: both addresses, both ports */
#define TUPLE_BYTES 12

/* clang-format off */
#define MOVE(to, from) { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) }
#define SET(to, value) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define LOAD(to, offset) { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = BPF_REG_6, .off = (offset) }
#define CALL(helper) { .code = BPF_JMP | BPF_CALL, .imm = (helper) }
#define PUT(size, offset, value) { .code = BPF_ST | BPF_MEM | (size), .dst_reg = BPF_REG_10, .off = (offset), .imm = (value) }
#define UNLESS(reg, value, over) { .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = (reg), .off = (over), .imm = (value) }
#define WHEN(reg, value, over) { .code = BPF_JMP32 | BPF_JEQ | BPF_K, .dst_reg = (reg), .off = (over), .imm = (value) }
#define RETURN_1 SET(BPF_REG_0, 1), { .code = BPF_JMP | BPF_EXIT }
/* Context to r6, address to r1; goes on if this is `address`, in the namespace of `cookie`. 8 instructions. */
#define IF_OURS(address, cookie, over) \
    MOVE(BPF_REG_6, BPF_REG_1), \
    LOAD(BPF_REG_1, ADDRESS), \
    UNLESS(BPF_REG_1, (address), (over) + 5), \
    MOVE(BPF_REG_1, BPF_REG_6), \
    CALL(BPF_FUNC_get_netns_cookie), \
    { .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = BPF_REG_2, .imm = (int32_t)(uint32_t)(cookie) }, \
    { .imm = (int32_t)(uint32_t)((cookie) >> 32) }, \
    { .code = BPF_JMP | BPF_JNE | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_2, .off = (over) }
/* clang-format on */

static int load_inward(enum bpf_attach_type type, int32_t loopback, int32_t host, uint64_t cookie)
{
    const struct bpf_insn insns[] = {
        IF_OURS(host, cookie, 2),
        SET(BPF_REG_1, loopback),
        { .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1, .off = ADDRESS },
        RETURN_1,
    };
    return socket_program_load(type, insns, sizeof(insns) / sizeof(insns[0]));
}

static int load_outward(enum bpf_attach_type type, int32_t loopback, int32_t host, uint64_t cookie)
{
    const struct bpf_insn insns[] = {
        IF_OURS(loopback, cookie, 23),
        LOAD(BPF_REG_7, PORT),
        LOAD(BPF_REG_8, PROTOCOL),
        PUT(BPF_W, -12, loopback),
        PUT(BPF_W, -8, loopback),
        PUT(BPF_H, -4, 0),
        { .code = BPF_STX | BPF_MEM | BPF_H, .dst_reg = BPF_REG_10, .src_reg = BPF_REG_7, .off = -2 },
        MOVE(BPF_REG_1, BPF_REG_6),
        MOVE(BPF_REG_2, BPF_REG_10),
        { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -TUPLE_BYTES },
        SET(BPF_REG_3, TUPLE_BYTES),
        SET(BPF_REG_4, BPF_F_CURRENT_NETNS),
        SET(BPF_REG_5, 0),
        WHEN(BPF_REG_8, IPPROTO_TCP, 3), /* to the look-up for TCP */
        UNLESS(BPF_REG_8, IPPROTO_UDP, 9),
        CALL(BPF_FUNC_sk_lookup_udp),
        { .code = BPF_JMP | BPF_JA, .off = 1 },
        CALL(BPF_FUNC_sk_lookup_tcp),
        { .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 3 }, /* nobody is there */
        MOVE(BPF_REG_1, BPF_REG_0),
        CALL(BPF_FUNC_sk_release),
        { .code = BPF_JMP | BPF_JA, .off = 2 },
        SET(BPF_REG_1, host),
        { .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1, .off = ADDRESS },
        RETURN_1,
    };
    return socket_program_load(type, insns, sizeof(insns) / sizeof(insns[0]));
}

int host_loopback_start(const char *address, int socket)
{
    struct in_addr host;
    uint64_t cookie;
    socklen_t size = sizeof(cookie);
    if (inet_pton(AF_INET, address, &host) != 1)
        return -EINVAL;
    if (getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
        return -errno;
    host_loopback_stop();
    group = socket_programs_group();
    int result = group < 0 ? group : 0;
    for (int i = 0; i < PROGRAMS && result == 0; i++) {
        int (*load)(enum bpf_attach_type, int32_t, int32_t, uint64_t) = places[i].outward ? load_outward : load_inward;
        programs[i] = load(places[i].type, (int32_t)htonl(INADDR_LOOPBACK), (int32_t)host.s_addr, cookie);
        result = programs[i] < 0 ? programs[i] : socket_program_attach(group, programs[i], places[i].type);
    }
    if (result < 0)
        host_loopback_stop();
    return result;
}

void host_loopback_stop(void)
{
    for (int i = 0; i < PROGRAMS; i++) {
        if (group >= 0 && programs[i] >= 0)
            socket_program_detach(group, programs[i], places[i].type);
        drop_fd(&programs[i]);
    }
    drop_fd(&group);
}
