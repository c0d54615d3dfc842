/* Which devices a container may use: a cgroup BPF program made from its rules (bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE).
 * The last rule that matches decides, so the program asks them from the end. */
#include "limits/device-filter.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/fields.h"

#define MAX_RULES 256
#define INSNS_PER_RULE 9

struct rule {
    bool allow;
    char type;
    int64_t major, minor; /* -1: any */
    uint32_t access;
};

/* What runc allows every container: making any node, and using the harmless ones and terminals. */
static const struct rule standard[] = {
    { true, 'c', -1, -1, BPF_DEVCG_ACC_MKNOD },
    { true, 'b', -1, -1, BPF_DEVCG_ACC_MKNOD },
    { true, 'c', 1, 3, 7 },
    { true, 'c', 1, 5, 7 },
    { true, 'c', 1, 7, 7 },
    { true, 'c', 1, 8, 7 },
    { true, 'c', 1, 9, 7 },
    { true, 'c', 5, 0, 7 },
    { true, 'c', 5, 2, 7 },
    { true, 'c', 136, -1, 7 },
};

struct code {
    struct bpf_insn insns[(MAX_RULES + 16) * INSNS_PER_RULE + 16];
    uint32_t count;
};

static void emit(struct code *code, uint8_t operation, uint8_t destination, uint8_t source, int offset, int32_t value)
{
    code->insns[code->count++] = (struct bpf_insn){
        .code = operation,
        .dst_reg = destination & 0xfu,
        .src_reg = source & 0xfu,
        .off = (int16_t)offset,
        .imm = value,
    };
}

/* r2: type, r3: access, r4: major, r5: minor. A condition that fails jumps to the next rule. Returns false if the rule
 * has none: what followed would never run, which the kernel refuses. */
static bool emit_rule(struct code *code, const struct rule *rule)
{
    uint32_t jumps[4];
    int jump_count = 0;
    if (rule->type != 'a') {
        jumps[jump_count++] = code->count;
        emit(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0,
             rule->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
    }
    if (rule->access != 7) {
        /* An allowing rule must cover all that is asked; a denying one matches if it covers any of it. */
        emit(code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
        if (rule->allow) {
            emit(code, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int32_t)(~rule->access & 7));
            jumps[jump_count++] = code->count;
            emit(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 0, 0);
        } else {
            emit(code, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, (int32_t)rule->access);
            jumps[jump_count++] = code->count;
            emit(code, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
        }
    }
    if (rule->major >= 0) {
        jumps[jump_count++] = code->count;
        emit(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int32_t)rule->major);
    }
    if (rule->minor >= 0) {
        jumps[jump_count++] = code->count;
        emit(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int32_t)rule->minor);
    }
    emit(code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, rule->allow ? 1 : 0);
    emit(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (int i = 0; i < jump_count; i++)
        code->insns[jumps[i]].off = (int16_t)(code->count - jumps[i] - 1);
    return jump_count > 0;
}

static int read_rule(const json_t *object, struct rule *rule, struct failure *failure)
{
    const char *type, *access;
    int result;
    if ((result = field_bool(object, "allow", &rule->allow, failure)) < 0 ||
        (result = field_string(object, "type", &type, failure)) < 0 ||
        (result = field_integer(object, "major", &rule->major, failure)) < 0 ||
        (result = field_integer(object, "minor", &rule->minor, failure)) < 0 ||
        (result = field_string(object, "access", &access, failure)) < 0)
        return result;
    rule->type = type[0];
    rule->access = (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0u) | (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0u) |
                   (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0u);
    if (strchr("acb", rule->type) == NULL || rule->type == '\0' || rule->major > INT32_MAX || rule->minor > INT32_MAX)
        return fail(failure, EINVAL, PHASE_REQUEST, "bad device rule");
    return 0;
}

int device_filter_load(const json_t *rules, int *program, struct failure *failure)
{
    static struct code code;
    static struct rule wanted[MAX_RULES];
    *program = -1;
    size_t count = json_array_size(rules);
    if (count > MAX_RULES)
        return fail(failure, E2BIG, PHASE_REQUEST, "too many device rules");
    for (size_t i = 0; i < count; i++) {
        int result = read_rule(json_array_get(rules, i), &wanted[i], failure);
        if (result < 0)
            return result;
    }
    const struct rule *final = count > 0 ? &wanted[count - 1] : NULL;
    if (final != NULL && final->allow && final->type == 'a' && final->major < 0 && final->minor < 0 &&
        final->access == 7)
        return 0;

    code.count = 0;
    /* struct bpf_cgroup_dev_ctx: access_type (access << 16 | type), major, minor */
    emit(&code, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
    emit(&code, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    emit(&code, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    emit(&code, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    emit(&code, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
    emit(&code, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
    for (size_t i = sizeof(standard) / sizeof(standard[0]); i-- > 0;)
        emit_rule(&code, &standard[i]);
    bool goes_on = true;
    for (size_t i = count; goes_on && i-- > 0;)
        goes_on = emit_rule(&code, &wanted[i]);
    if (goes_on) {
        emit(&code, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
        emit(&code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }

    static const char license[] = "Apache-2.0";
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
        .insns = (uint64_t)(uintptr_t)code.insns,
        .insn_cnt = code.count,
        .license = (uint64_t)(uintptr_t)license,
    };
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
    if (fd < 0)
        return fail_errno(failure, errno, PHASE_CGROUP, "load the device rules");
    *program = fd;
    return 0;
}

int device_filter_attach(int program, int cgroup)
{
    union bpf_attr attributes = {
        .target_fd = (uint32_t)cgroup,
        .attach_bpf_fd = (uint32_t)program,
        .attach_type = BPF_CGROUP_DEVICE,
    };
    return syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof(attributes)) < 0 ? -errno : 0;
}
