/* Seccomp filters: Docker's default profile by capabilities, or a profile in Docker's JSON form. libseccomp makes the
 * program, in the order that is quick to run: a search tree instead of a list. */
#include "limits/seccomp.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/log.h"

#include "limits/seccomp-default.h"

#define CLONE_NEW_MASK UINT64_C(0x7e020000) /* every namespace flag of clone(2) */
#define X32_BIT 0x40000000u

/* A profile in the making: libseccomp's filter, and the largest system call it names by architecture. */
struct build {
    scmp_filter_ctx filter;
    uint32_t default_action;
    int largest[2]; /* x86_64, x86 */
};

static const uint32_t architectures[2] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86 };

/* A finished program, kept in memory that children share. */
struct program {
    uint64_t capabilities; /* those the profile asks about */
    struct sock_fprog code;
};

/* Default profiles by capabilities, and the last one made from JSON. */
static struct program defaults[8];
static unsigned next_default;
static struct program custom;

static void cleanup_filter(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}

static void note_number(struct build *build, const char *name)
{
    for (int i = 0; i < 2; i++) {
        int number = seccomp_syscall_resolve_name_arch(architectures[i], name);
        if (number > build->largest[i])
            build->largest[i] = number;
    }
}

/* Names that no architecture of ours knows are passed over, as runc does. */
static int add_rule(struct build *build, const char *name, uint32_t action, const struct scmp_arg_cmp *arguments,
                    unsigned count)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR)
        return 0;
    note_number(build, name);
    if (action == build->default_action)
        return 0;
    int result = seccomp_rule_add_array(build->filter, action, number, count, arguments);
    return result == -EEXIST ? 0 : result;
}

static int add_names(struct build *build, const char *const *names)
{
    int result = 0;
    for (; result == 0 && *names != NULL; names++)
        result = add_rule(build, *names, SCMP_ACT_ALLOW, NULL, 0);
    return result;
}

static int add_default_rules(struct build *build, uint64_t capabilities)
{
    int result = add_names(build, always_allowed);
    const size_t groups = sizeof(allowed_by_capability) / sizeof(allowed_by_capability[0]);
    for (size_t i = 0; result == 0 && i < groups; i++)
        if (capabilities & CAPABILITY_BIT(allowed_by_capability[i].capability))
            result = add_names(build, allowed_by_capability[i].names);
    for (size_t i = 0; result == 0 && i < sizeof(personalities) / sizeof(personalities[0]); i++) {
        struct scmp_arg_cmp same = SCMP_A0(SCMP_CMP_EQ, personalities[i]);
        result = add_rule(build, "personality", SCMP_ACT_ALLOW, &same, 1);
    }
    if (result == 0 && !(capabilities & CAPABILITY_BIT(CAP_SYS_ADMIN))) {
        struct scmp_arg_cmp no_namespaces = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEW_MASK, 0);
        result = add_rule(build, "clone", SCMP_ACT_ALLOW, &no_namespaces, 1);
        /* Its flags lie in memory, where a filter can't look: let libc fall back to clone. */
        if (result == 0)
            result = add_rule(build, "clone3", SCMP_ACT_ERRNO(ENOSYS), NULL, 0);
    }
    return result;
}

/* ---- Docker's JSON form ---- */

static int read_action(const char *word, uint32_t errno_value, uint32_t *action)
{
    const struct {
        const char *word;
        uint32_t action;
    } actions[] = {
        { "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
        { "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(errno_value) },
        { "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
        { "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
        { "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
        { "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
        { "SCMP_ACT_LOG", SCMP_ACT_LOG },
        { "SCMP_ACT_TRACE", SCMP_ACT_TRACE(errno_value) },
    };
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(word, actions[i].word) == 0) {
            *action = actions[i].action;
            return 0;
        }
    return -EINVAL;
}

static int read_comparison(const char *word, enum scmp_compare *comparison)
{
    static const struct {
        const char *word;
        enum scmp_compare comparison;
    } comparisons[] = {
        { "SCMP_CMP_NE", SCMP_CMP_NE },
        { "SCMP_CMP_LT", SCMP_CMP_LT },
        { "SCMP_CMP_LE", SCMP_CMP_LE },
        { "SCMP_CMP_EQ", SCMP_CMP_EQ },
        { "SCMP_CMP_GE", SCMP_CMP_GE },
        { "SCMP_CMP_GT", SCMP_CMP_GT },
        { "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
    };
    for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++)
        if (strcmp(word, comparisons[i].word) == 0) {
            *comparison = comparisons[i].comparison;
            return 0;
        }
    return -EINVAL;
}

static bool kernel_is_at_least(const char *wanted)
{
    struct utsname name;
    unsigned major = 0, minor = 0, wanted_major = 0, wanted_minor = 0;
    uname(&name);
    if (sscanf(wanted, "%u.%u", &wanted_major, &wanted_minor) < 1 || sscanf(name.release, "%u.%u", &major, &minor) < 1)
        return false;
    return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

static bool lists_word(const json_t *array, const char *word)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item != NULL && strcmp(item, word) == 0)
            return true;
    }
    return false;
}

static bool has_capability(const json_t *name, uint64_t capabilities)
{
    int number = json_is_string(name) ? capability_number(json_string_value(name)) : -1;
    return number >= 0 && (capabilities & CAPABILITY_BIT(number)) != 0;
}

/* A rule's `includes` must all hold and none of its `excludes` may. */
static bool rule_applies(const json_t *rule, uint64_t capabilities)
{
    const json_t *includes = json_object_get(rule, "includes"), *excludes = json_object_get(rule, "excludes");
    const json_t *list = json_object_get(includes, "arches");
    if (json_array_size(list) > 0 && !lists_word(list, "amd64"))
        return false;
    if (lists_word(json_object_get(excludes, "arches"), "amd64"))
        return false;
    list = json_object_get(includes, "caps");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!has_capability(json_array_get(list, i), capabilities))
            return false;
    list = json_object_get(excludes, "caps");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (has_capability(json_array_get(list, i), capabilities))
            return false;
    const char *kernel = json_string_value(json_object_get(includes, "minKernel"));
    if (kernel != NULL && !kernel_is_at_least(kernel))
        return false;
    kernel = json_string_value(json_object_get(excludes, "minKernel"));
    return kernel == NULL || !kernel_is_at_least(kernel);
}

/* JSON numbers beyond 2^63 arrive as reals. */
static uint64_t number_of(const json_t *value)
{
    if (json_is_real(value))
        return (uint64_t)json_real_value(value);
    return (uint64_t)json_integer_value(value);
}

static int read_arguments(const json_t *array, struct scmp_arg_cmp *arguments, unsigned *count, bool *repeated)
{
    unsigned seen = 0;
    *count = 0;
    *repeated = false;
    if (json_array_size(array) > 6)
        return -EINVAL;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        const char *word = json_string_value(json_object_get(item, "op"));
        uint64_t index = number_of(json_object_get(item, "index"));
        enum scmp_compare comparison;
        if (word == NULL || index > 5 || read_comparison(word, &comparison) < 0)
            return -EINVAL;
        uint64_t value = number_of(json_object_get(item, "value"));
        uint64_t second = number_of(json_object_get(item, "valueTwo"));
        *repeated |= (seen & 1u << index) != 0;
        seen |= 1u << index;
        arguments[(*count)++] = (struct scmp_arg_cmp){ (unsigned)index, comparison, value, second };
    }
    return 0;
}

static int add_rule_of(struct build *build, const char *name, uint32_t action, const struct scmp_arg_cmp *arguments,
                       unsigned count, bool repeated)
{
    if (!repeated)
        return add_rule(build, name, action, arguments, count);
    /* Conditions on the same argument can't be joined: each becomes a rule of its own, as in runc. */
    int result = 0;
    for (unsigned i = 0; result == 0 && i < count; i++)
        result = add_rule(build, name, action, &arguments[i], 1);
    return result;
}

static int add_profile_rule(struct build *build, const json_t *rule, uint64_t capabilities, struct failure *failure)
{
    const char *word = json_string_value(json_object_get(rule, "action"));
    const json_t *errno_value = json_object_get(rule, "errnoRet");
    uint32_t action;
    struct scmp_arg_cmp arguments[6];
    unsigned count;
    bool repeated;
    if (word == NULL ||
        read_action(word, json_is_integer(errno_value) ? (uint32_t)number_of(errno_value) : EPERM, &action) < 0)
        return fail(failure, EINVAL, PHASE_SECURITY, "seccomp profile: unknown action %s", word != NULL ? word : "");
    if (read_arguments(json_object_get(rule, "args"), arguments, &count, &repeated) < 0)
        return fail(failure, EINVAL, PHASE_SECURITY, "seccomp profile: bad arguments of a rule");
    if (!rule_applies(rule, capabilities))
        return 0;
    const json_t *names = json_object_get(rule, "names");
    const char *single = json_string_value(json_object_get(rule, "name"));
    int result = 0;
    if (single != NULL && *single != '\0')
        result = add_rule_of(build, single, action, arguments, count, repeated);
    for (size_t i = 0; result == 0 && i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name != NULL)
            result = add_rule_of(build, name, action, arguments, count, repeated);
    }
    if (result < 0)
        return fail_errno(failure, result, PHASE_SECURITY, "seccomp profile: cannot add a rule");
    return 0;
}

static int add_profile(struct build *build, const json_t *profile, uint64_t capabilities, struct failure *failure)
{
    const json_t *rules = json_object_get(profile, "syscalls");
    int result = 0;
    for (size_t i = 0; result == 0 && i < json_array_size(rules); i++)
        result = add_profile_rule(build, json_array_get(rules, i), capabilities, failure);
    return result;
}

/* ---- programs ---- */

/* System calls younger than the profile get ENOSYS, not EPERM, so that libc falls back to what it knows (as runc). */
static size_t write_prologue(const struct build *build, struct sock_filter *to)
{
    const uint32_t audit[2] = { SCMP_ARCH_X86_64, SCMP_ARCH_X86 };
    size_t used = 0;
    for (int i = 0; i < 2; i++) {
        if (build->largest[i] <= 0)
            continue;
        to[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
        to[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit[i], 0, 4);
        to[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
        to[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0);
        to[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)build->largest[i], 0, 1);
        to[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    return used;
}

static int write_program(const struct build *build, struct sock_fprog *code)
{
    auto_fd fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = seccomp_export_bpf(build->filter, fd);
    if (result < 0)
        return result;
    off_t size = lseek(fd, 0, SEEK_END);
    size_t count = size > 0 ? (size_t)size / sizeof(struct sock_filter) : 0;
    auto_free struct sock_filter *filter = calloc(count + 16, sizeof(*filter));
    if (filter == NULL)
        return -ENOMEM;
    size_t used = 0;
    if ((build->default_action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
        used = write_prologue(build, filter);
    if (used + count > BPF_MAXINSNS)
        return -E2BIG;
    if (pread(fd, filter + used, (size_t)size, 0) != (ssize_t)size)
        return -EIO;
    code->len = (unsigned short)(used + count);
    code->filter = filter;
    filter = NULL;
    return 0;
}

static int compile(const json_t *profile, uint64_t capabilities, struct program *program, struct failure *failure)
{
    __attribute__((cleanup(cleanup_filter))) scmp_filter_ctx filter = NULL;
    struct build build = { .default_action = SCMP_ACT_ERRNO(EPERM) };
    if (profile != NULL) {
        const char *word = json_string_value(json_object_get(profile, "defaultAction"));
        const json_t *errno_value = json_object_get(profile, "defaultErrnoRet");
        uint32_t value = json_is_integer(errno_value) ? (uint32_t)number_of(errno_value) : EPERM;
        if (word == NULL || read_action(word, value, &build.default_action) < 0)
            return fail(failure, EINVAL, PHASE_SECURITY, "seccomp profile: unknown default action");
    }
    build.filter = filter = seccomp_init(build.default_action);
    if (filter == NULL)
        return fail(failure, ENOMEM, PHASE_SECURITY, "no memory for a seccomp filter");
    int result = seccomp_arch_add(filter, SCMP_ARCH_X86);
    if (result == 0 || result == -EEXIST)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    /* As Docker's: a foreign architecture is like a denied call, not death. */
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    if (result == 0) {
        if (profile == NULL)
            result = add_default_rules(&build, capabilities);
        else if ((result = add_profile(&build, profile, capabilities, failure)) < 0)
            return result;
    }
    if (result == 0)
        result = write_program(&build, &program->code);
    if (result < 0)
        return fail_errno(failure, result, PHASE_SECURITY, "cannot make a seccomp filter");
    program->capabilities = capabilities;
    return 0;
}

/* The default profile, made when it is asked for first. The oldest gives way when there are too many. */
static int default_program(uint64_t capabilities, struct sock_fprog *code, struct failure *failure)
{
    const unsigned count = sizeof(defaults) / sizeof(defaults[0]);
    uint64_t asked_about = 0;
    for (size_t i = 0; i < sizeof(allowed_by_capability) / sizeof(allowed_by_capability[0]); i++)
        asked_about |= CAPABILITY_BIT(allowed_by_capability[i].capability);
    capabilities &= asked_about;
    for (unsigned i = 0; i < count; i++)
        if (defaults[i].code.filter != NULL && defaults[i].capabilities == capabilities) {
            *code = defaults[i].code;
            return 0;
        }
    struct program *program = &defaults[next_default++ % count];
    free(program->code.filter);
    *program = (struct program){ 0 };
    int result = compile(NULL, capabilities, program, failure);
    *code = program->code;
    return result;
}

void seccomp_prepare(void)
{
    struct failure failure;
    struct sock_fprog code;
    /* Docker's default set, and --cap-drop ALL. */
    if (default_program(CAPABILITY_BIT(CAP_SYS_CHROOT), &code, &failure) < 0 || default_program(0, &code, &failure) < 0)
        log_line("%s", failure.message);
}

int seccomp_filter_for(const struct process_spec *spec, struct sock_fprog *program, struct failure *failure)
{
    *program = (struct sock_fprog){ 0 };
    if (spec->seccomp == SECCOMP_UNCONFINED)
        return 0;
    if (spec->seccomp == SECCOMP_DEFAULT)
        return default_program(spec->capabilities, program, failure);
    free(custom.code.filter);
    custom = (struct program){ 0 };
    int result = compile(spec->profile, spec->capabilities, &custom, failure);
    *program = custom.code;
    return result;
}

int seccomp_install(const struct sock_fprog *program)
{
    if (program->filter == NULL)
        return 0;
    /* Speculation mitigations that seccomp would switch on are not what Docker's filter does on its kernels (runc asks
     * for SPEC_ALLOW); under emulation they cost dearly. */
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program);
    return result == 0 ? 0 : -errno;
}
