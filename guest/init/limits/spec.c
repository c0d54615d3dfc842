/* limits: what a process may do, as the daemon asks for it: cgroup, devices, system calls, capabilities.
 *
 * A process as the daemon describes it (GuestProcess), checked. */
#include "limits/spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "protocol/agent.h"

/* By number, from 0 (linux/capability.h). */
static const char *const capability_names[] = { "CHOWN",
                                                "DAC_OVERRIDE",
                                                "DAC_READ_SEARCH",
                                                "FOWNER",
                                                "FSETID",
                                                "KILL",
                                                "SETGID",
                                                "SETUID",
                                                "SETPCAP",
                                                "LINUX_IMMUTABLE",
                                                "NET_BIND_SERVICE",
                                                "NET_BROADCAST",
                                                "NET_ADMIN",
                                                "NET_RAW",
                                                "IPC_LOCK",
                                                "IPC_OWNER",
                                                "SYS_MODULE",
                                                "SYS_RAWIO",
                                                "SYS_CHROOT",
                                                "SYS_PTRACE",
                                                "SYS_PACCT",
                                                "SYS_ADMIN",
                                                "SYS_BOOT",
                                                "SYS_NICE",
                                                "SYS_RESOURCE",
                                                "SYS_TIME",
                                                "SYS_TTY_CONFIG",
                                                "MKNOD",
                                                "LEASE",
                                                "AUDIT_WRITE",
                                                "AUDIT_CONTROL",
                                                "SETFCAP",
                                                "MAC_OVERRIDE",
                                                "MAC_ADMIN",
                                                "SYSLOG",
                                                "WAKE_ALARM",
                                                "BLOCK_SUSPEND",
                                                "AUDIT_READ",
                                                "PERFMON",
                                                "BPF",
                                                "CHECKPOINT_RESTORE" };

/* By RLIMIT_ number. */
static const char *const rlimit_names[] = {
    "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
    "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
};

static int number_of(const char *name, const char *prefix, const char *const *names, size_t count)
{
    if (strncasecmp(name, prefix, strlen(prefix)) == 0)
        name += strlen(prefix);
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

int capability_number(const char *name)
{
    return number_of(name, "CAP_", capability_names, sizeof(capability_names) / sizeof(capability_names[0]));
}

static int read_capabilities(const json_t *object, struct process_spec *spec, struct failure *failure)
{
    auto_free const char **names = NULL;
    int result = field_strings(object, "capabilities", &names, failure);
    for (const char **name = names; result == 0 && *name != NULL; name++) {
        int number = capability_number(*name);
        if (number < 0)
            return fail(failure, EINVAL, PHASE_SECURITY, "unknown capability %s", *name);
        spec->capabilities |= CAPABILITY_BIT(number);
    }
    return result;
}

/* -1 is infinity; so is anything that does not fit. */
static rlim_t rlimit_value(int64_t value)
{
    return value < 0 ? RLIM_INFINITY : (rlim_t)value;
}

static int read_rlimits(const json_t *object, struct process_spec *spec, struct failure *failure)
{
    json_t *array;
    int result = field_array(object, "rlimits", &array, failure);
    if (result < 0)
        return result;
    spec->rlimits = calloc(json_array_size(array) + 1, sizeof(*spec->rlimits));
    if (spec->rlimits == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for rlimits");
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        const char *type;
        int64_t soft, hard;
        if ((result = field_string(item, "type", &type, failure)) < 0 ||
            (result = field_integer(item, "soft", &soft, failure)) < 0 ||
            (result = field_integer(item, "hard", &hard, failure)) < 0)
            return result;
        int resource = number_of(type, "RLIMIT_", rlimit_names, sizeof(rlimit_names) / sizeof(rlimit_names[0]));
        if (resource < 0)
            return fail(failure, EINVAL, PHASE_REQUEST, "unknown rlimit %s", type);
        spec->rlimits[spec->rlimit_count++] =
            (struct rlimit_spec){ resource, { rlimit_value(soft), rlimit_value(hard) } };
    }
    return 0;
}

static int read_channel(const json_t *object, const char *name, uint32_t *channel, struct failure *failure)
{
    *channel = 0;
    if (json_object_get(object, name) == NULL)
        return 0;
    int64_t value;
    int result = field_integer(object, name, &value, failure);
    if (result < 0)
        return result;
    if (value <= 0 || value >= GUEST_CHANNEL_BIT)
        return fail(failure, EINVAL, PHASE_REQUEST, "%s is no channel of the daemon's", name);
    *channel = (uint32_t)value;
    return 0;
}

static int read_seccomp(const json_t *object, struct process_spec *spec, struct failure *failure)
{
    json_t *seccomp = json_object_get(object, "seccomp");
    if (json_is_object(seccomp)) {
        spec->seccomp = SECCOMP_PROFILE;
        spec->profile = seccomp;
        return 0;
    }
    const char *word = json_is_string(seccomp) ? json_string_value(seccomp) : "";
    if (strcmp(word, "default") == 0)
        spec->seccomp = SECCOMP_DEFAULT;
    else if (strcmp(word, "unconfined") == 0)
        spec->seccomp = SECCOMP_UNCONFINED;
    else
        return fail(failure, EINVAL, PHASE_REQUEST, "field seccomp is no profile");
    return 0;
}

static int read_console_size(const json_t *object, struct process_spec *spec, struct failure *failure)
{
    json_t *size = json_object_get(object, "consoleSize");
    if (size == NULL)
        return 0;
    int64_t rows, columns;
    int result;
    if ((result = field_integer(size, "rows", &rows, failure)) < 0 ||
        (result = field_integer(size, "columns", &columns, failure)) < 0)
        return result;
    spec->rows = (uint16_t)rows;
    spec->columns = (uint16_t)columns;
    return 0;
}

int process_spec_read(const json_t *object, struct process_spec *spec, struct failure *failure)
{
    *spec = (struct process_spec){ 0 };
    json_t *process;
    int64_t oom_score_adj;
    int result;
    if ((result = field_object(object, "process", &process, failure)) < 0 ||
        (result = field_strings(process, "args", &spec->args, failure)) < 0 ||
        (result = field_strings(process, "env", &spec->env, failure)) < 0 ||
        (result = field_string(process, "cwd", &spec->cwd, failure)) < 0 ||
        (result = field_string(process, "user", &spec->user, failure)) < 0 ||
        (result = field_strings(process, "additionalGroups", &spec->groups, failure)) < 0 ||
        (result = field_bool(process, "terminal", &spec->terminal, failure)) < 0 ||
        (result = field_bool(process, "noNewPrivileges", &spec->no_new_privileges, failure)) < 0 ||
        (result = field_integer(process, "oomScoreAdj", &oom_score_adj, failure)) < 0 ||
        (result = read_console_size(process, spec, failure)) < 0 ||
        (result = read_capabilities(process, spec, failure)) < 0 ||
        (result = read_rlimits(process, spec, failure)) < 0 || (result = read_seccomp(process, spec, failure)) < 0 ||
        (result = read_channel(process, "stdin", &spec->input, failure)) < 0 ||
        (result = read_channel(process, "stdout", &spec->output, failure)) < 0 ||
        (result = read_channel(process, "stderr", &spec->error, failure)) < 0)
        return result;
    if (spec->args[0] == NULL)
        return fail(failure, EINVAL, PHASE_REQUEST, "field args is empty");
    if (oom_score_adj < -1000 || oom_score_adj > 1000)
        return fail(failure, EINVAL, PHASE_REQUEST, "oomScoreAdj is not within -1000 and 1000");
    spec->oom_score_adj = (int)oom_score_adj;
    return 0;
}

void process_spec_free(struct process_spec *spec)
{
    free(spec->args);
    free(spec->env);
    free(spec->groups);
    free(spec->rlimits);
    *spec = (struct process_spec){ 0 };
}
