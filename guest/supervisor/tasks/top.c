#include "tasks/top.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/sweep.h"
#include "core/cleanup.h"
#include "core/fields.h"
#include "protocol/supervisor.h"

#define PS SUPERVISOR_DIRECTORY "/ps/"

static void print_pid(pid_t pid, void *argument)
{
    (void)argument;
    dprintf(STDOUT_FILENO, "%d ", (int)pid);
}

/* Replaces the process. */
static int run_ps(const char *const *args, int complaint)
{
    static const char *const loader[] = { PS "ld-linux-x86-64.so.2", "--library-path", PS, "--argv0", "ps", PS "ps" };
    const size_t fixed = sizeof(loader) / sizeof(loader[0]);
    size_t count = 0;
    while (args[count] != NULL)
        count++;
    const char **all = calloc(count + fixed + 1, sizeof(*all)); /* freed by execve, or _exit */
    if (all == NULL)
        return -ENOMEM;
    memcpy(all, loader, sizeof(loader));
    memcpy(all + fixed, args, count * sizeof(*args));
    dup2(complaint, STDERR_FILENO);
    const char *const env[] = { "PATH=/bin", "LC_ALL=C", NULL };
    execve(loader[0], (char *const *)(uintptr_t)all, (char *const *)(uintptr_t)env);
    return -errno;
}

int top_run(const json_t *params, char *message, size_t message_size)
{
    struct failure failure;
    auto_free const char **args = NULL;
    if (field_strings(params, "psArgs", &args, &failure) < 0) {
        snprintf(message, message_size, "%s", failure.message);
        return -EINVAL;
    }
    auto_fd complaint = memfd_create("ps-complaint", MFD_CLOEXEC);
    if (complaint < 0)
        return -errno;
    sweep_visit(print_pid, NULL);
    dprintf(STDOUT_FILENO, "\n");
    pid_t pid = fork();
    if (pid == 0)
        _exit(-run_ps(args, complaint) & 0x7f);
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -errno;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    ssize_t length = pread(complaint, message, message_size - 1, 0);
    if (length <= 0)
        length = snprintf(message, message_size, "exit status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    message[length] = '\0';
    return -EINVAL;
}
