/* Failures of operations, and their names on the wire. */
#include "core/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct failure *failure, int code, enum phase phase, const char *format, va_list arguments)
{
    failure->code = abs(code);
    failure->phase = phase;
    vsnprintf(failure->message, sizeof(failure->message), format, arguments);
}

int fail(struct failure *failure, int code, enum phase phase, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(failure, code, phase, format, arguments);
    va_end(arguments);
    return -failure->code;
}

int fail_errno(struct failure *failure, int code, enum phase phase, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(failure, code, phase, format, arguments);
    va_end(arguments);
    size_t used = strlen(failure->message);
    snprintf(failure->message + used, sizeof(failure->message) - used, ": %s", strerror(failure->code));
    return -failure->code;
}

const char *phase_name(enum phase phase)
{
    static const char *const names[] = {
        [PHASE_REQUEST] = "request", [PHASE_DISK] = "disk",           [PHASE_MOUNT] = "mount",
        [PHASE_NETWORK] = "network", [PHASE_NAMESPACE] = "namespace", [PHASE_USER] = "user",
        [PHASE_CGROUP] = "cgroup",   [PHASE_SECURITY] = "security",   [PHASE_EXEC] = "exec",
        [PHASE_IO] = "io",
    };
    return (unsigned)phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "request";
}

const char *code_name(int code)
{
    const char *name = strerrorname_np(code);
    return name != NULL ? name : "EIO";
}
