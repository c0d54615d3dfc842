#include "process/early-signal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* The value of a line of /proc/PID/status, up to the line's end. */
static const char *value_of(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at == NULL ? "" : at + strlen(name);
}

static bool is_first_of_namespace(const char *status)
{
    const char *ids = value_of(status, "\nNSpid:\t");
    size_t length = strcspn(ids, "\n");
    return length > 2 && strncmp(ids + length - 2, "\t1", 2) == 0;
}

bool signal_is_early(pid_t pid, int signal)
{
    char path[32];
    char status[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    auto_file file = fopen(path, "re");
    if (file == NULL)
        return false;
    status[fread(status, 1, sizeof(status) - 1, file)] = '\0';
    uint64_t bit = UINT64_C(1) << (signal - 1);
    uint64_t known = strtoull(value_of(status, "\nSigCgt:\t"), NULL, 16) |
                     strtoull(value_of(status, "\nSigBlk:\t"), NULL, 16) |
                     strtoull(value_of(status, "\nSigIgn:\t"), NULL, 16);
    /* R: on a CPU or about to be. D: it reads its program. */
    char state = *value_of(status, "\nState:\t");
    return (known & bit) == 0 && (state == 'R' || state == 'D') && is_first_of_namespace(status);
}
