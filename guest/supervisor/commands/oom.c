#include "commands/oom.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/cleanup.h"
#include "limits/cgroup.h"

uint64_t oom_kills(void)
{
    /* Of cgroup v2, and of v1. */
    static const char *const files[] = { "memory.events", "memory/memory.oom_control" };
    char text[1024];
    auto_fd group = open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; group >= 0 && i < sizeof(files) / sizeof(files[0]); i++)
        if (cgroup_read(group, files[i], text, sizeof(text)) > 0)
            return cgroup_key(text, "oom_kill");
    return 0;
}
