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

/* A zombie has been killed already; its parent, or process 1, takes it. One whose parent is not in this namespace came from outside: the
 * runtime brings a daemon's `ctl`, which is not that program yet. */
static bool is_spared(pid_t pid)
{
    char path[64], text[512], state;
    int parent;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    auto_file file = fopen(path, "re");
    size_t length = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[length] = '\0';
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL || sscanf(name_end, ") %c %d", &state, &parent) != 2)
        return true;
    return state == 'Z' || state == 'X' || parent == 0;
}

void sweep_visit(void (*visit)(pid_t pid, void *argument), void *argument)
{
    auto_directory proc = opendir("/proc");
    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 0 && !is_own(pid) && !is_spared(pid))
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
