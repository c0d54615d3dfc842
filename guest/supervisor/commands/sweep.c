#include "commands/sweep.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

/* Processes of the supervisor's own: itself, jobs, and `ctl`, which daemons have started beside it. */
static bool is_own(pid_t pid)
{
    char path[64];
    struct stat own, other;
    if (pid == getpid())
        return true;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

/* A zombie has been killed already; its parent, or process 1, takes it. */
static bool is_zombie(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    auto_file file = fopen(path, "re");
    size_t length = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[length] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || strncmp(name_end, ") Z", 3) == 0 || strncmp(name_end, ") X", 3) == 0;
}

void sweep_visit(void (*visit)(pid_t pid, void *argument), void *argument)
{
    auto_directory proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && !is_own(pid) && !is_zombie(pid))
            visit(pid, argument);
    }
}

static void kill_it(pid_t pid, void *argument)
{
    kill(pid, SIGKILL);
    *(bool *)argument = true;
}

bool sweep_kill(void)
{
    bool found = false;
    sweep_visit(kill_it, &found);
    return found;
}
