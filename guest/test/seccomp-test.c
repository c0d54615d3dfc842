/* Filters, run in a small interpreter: what each decides about a call. */
#include "limits/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "check.h"
#include "core/cleanup.h"

#define USUAL UINT64_C(0xa80425fb)
#define DENIED (SECCOMP_RET_ERRNO | EPERM)
#define MISSING (SECCOMP_RET_ERRNO | ENOSYS)

/* Enough of classic BPF for what libseccomp writes. */
static uint32_t decide(const struct sock_fprog *program, uint32_t arch, int number, uint64_t argument)
{
    struct seccomp_data data = { .nr = number, .arch = arch, .args = { argument } };
    uint32_t accumulator = 0;
    for (unsigned at = 0; at < program->len; at++) {
        const struct sock_filter *insn = &program->filter[at];
        bool taken;
        switch (insn->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(insn->k + 4 <= sizeof(data));
            memcpy(&accumulator, (const char *)&data + insn->k, 4);
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            accumulator &= insn->k;
            continue;
        case BPF_RET | BPF_K:
            return insn->k;
        case BPF_JMP | BPF_JA:
            at += insn->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            taken = accumulator == insn->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            taken = accumulator > insn->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            taken = accumulator >= insn->k;
            break;
        default:
            fprintf(stderr, "unknown instruction %#x\n", insn->code);
            exit(1);
        }
        at += taken ? insn->jt : insn->jf;
    }
    CHECK(!"ran off the end");
    return 0;
}

static struct sock_fprog filter(uint64_t capabilities, enum seccomp_kind kind, json_t *profile)
{
    struct process_spec spec = { .capabilities = capabilities, .seccomp = kind, .profile = profile };
    struct sock_fprog program;
    struct failure failure;
    if (seccomp_filter_for(&spec, &program, &failure) < 0) {
        fprintf(stderr, "%s\n", failure.message);
        exit(1);
    }
    return program;
}

static void defaults(void)
{
    struct sock_fprog usual = filter(USUAL, SECCOMP_DEFAULT, NULL);
    const uint32_t x64 = AUDIT_ARCH_X86_64, x86 = AUDIT_ARCH_I386;
    CHECK(decide(&usual, x64, SYS_read, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x64, SYS_chroot, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x64, SYS_mount, 0) == DENIED);
    CHECK(decide(&usual, x64, SYS_bpf, 0) == DENIED);
    CHECK(decide(&usual, x64, SYS_keyctl, 0) == DENIED);
    CHECK(decide(&usual, x64, SYS_clone, 17) == SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x64, SYS_clone, CLONE_NEWUSER | 17) == DENIED);
    CHECK(decide(&usual, x64, SYS_clone3, 0) == MISSING);
    CHECK(decide(&usual, x64, SYS_personality, 0x20008) == SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x64, SYS_personality, 0x40000) == DENIED);
    CHECK(decide(&usual, x64, 100000, 0) == MISSING);
    CHECK(decide(&usual, x64, 0x40000000 | SYS_read, 0) != SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x86, 3 /* read */, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&usual, x86, 21 /* mount */, 0) == DENIED);
    CHECK(decide(&usual, AUDIT_ARCH_AARCH64, 0, 0) == DENIED);
    /* A capability no rule asks about shares the program. */
    CHECK(filter(USUAL | CAPABILITY_BIT(CAP_NET_ADMIN), SECCOMP_DEFAULT, NULL).filter == usual.filter);
    struct sock_fprog admin = filter(USUAL | CAPABILITY_BIT(CAP_SYS_ADMIN), SECCOMP_DEFAULT, NULL);
    CHECK(decide(&admin, x64, SYS_mount, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&admin, x64, SYS_clone3, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&admin, x64, SYS_clone, CLONE_NEWUSER) == SECCOMP_RET_ALLOW);
    CHECK(decide(&admin, x64, SYS_reboot, 0) == DENIED);
    struct sock_fprog bare = filter(0, SECCOMP_DEFAULT, NULL);
    CHECK(decide(&bare, x64, SYS_chroot, 0) == DENIED);
    CHECK(filter(0, SECCOMP_UNCONFINED, NULL).filter == NULL);
}

static void profiles(void)
{
    auto_json profile = json_loads(
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
        "{\"names\": [\"mkdir\", \"nonsense\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 28},"
        "{\"names\": [\"personality\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": ["
        "{\"index\": 0, \"value\": 8, \"op\": \"SCMP_CMP_EQ\"}, {\"index\": 0, \"value\": 9, \"op\": \"SCMP_CMP_EQ\"}]},"
        "{\"name\": \"chmod\", \"action\": \"SCMP_ACT_KILL\", \"excludes\": {\"caps\": [\"CAP_CHOWN\"]}},"
        "{\"names\": [\"chown\"], \"action\": \"SCMP_ACT_TRAP\", \"includes\": {\"arches\": [\"arm64\"]}},"
        "{\"names\": [\"rmdir\"], \"action\": \"SCMP_ACT_LOG\", \"includes\": {\"minKernel\": \"2.6\"}}]}",
        0, NULL);
    CHECK(profile != NULL);
    struct sock_fprog program = filter(CAPABILITY_BIT(CAP_CHOWN), SECCOMP_PROFILE, profile);
    const uint32_t x64 = AUDIT_ARCH_X86_64;
    CHECK(decide(&program, x64, SYS_mkdir, 0) == (SECCOMP_RET_ERRNO | 28));
    CHECK(decide(&program, x64, SYS_personality, 8) == DENIED && decide(&program, x64, SYS_personality, 9) == DENIED);
    CHECK(decide(&program, x64, SYS_personality, 10) == SECCOMP_RET_ALLOW);
    CHECK(decide(&program, x64, SYS_chmod, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&program, x64, SYS_chown, 0) == SECCOMP_RET_ALLOW);
    CHECK(decide(&program, x64, SYS_rmdir, 0) == SECCOMP_RET_LOG);
    CHECK(decide(&program, x64, 100000, 0) == SECCOMP_RET_ALLOW);
    program = filter(0, SECCOMP_PROFILE, profile);
    CHECK(decide(&program, x64, SYS_chmod, 0) == SECCOMP_RET_KILL_THREAD);
}

static void nonsense(void)
{
    static const char *const texts[] = {
        "{}",
        "{\"defaultAction\": 5}",
        "{\"defaultAction\": \"SCMP_ACT_NOPE\"}",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"]}]}",
        "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"read\"], \"action\": \"SCMP_ACT_LOG\","
        "\"args\": [{\"index\": 9, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        auto_json profile = json_loads(texts[i], 0, NULL);
        struct process_spec spec = { .seccomp = SECCOMP_PROFILE, .profile = profile };
        struct sock_fprog program;
        struct failure failure;
        CHECK(profile != NULL && seccomp_filter_for(&spec, &program, &failure) < 0);
        CHECK(failure.phase == PHASE_SECURITY && program.filter == NULL);
    }
}

int main(void)
{
    seccomp_prepare();
    defaults();
    profiles();
    nonsense();
    return 0;
}
