/* First process of a container started with --init: runs the program, hands signals on to it, reaps what is orphaned,
 * and exits as the program did. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that tell of an error in this process itself: not to be waited for. */
static const int own_signals[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU };

static pid_t start(char **args, const sigset_t *mask)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    /* A process group of its own, in the terminal's foreground, so that ctrl-C reaches the program once. */
    setpgid(0, 0);
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(STDIN_FILENO, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(args[0], args);
    fprintf(stderr, "[FATAL tini (%d)] exec %s failed: %s\n", (int)getpid(), args[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

int main(int argc, char **argv)
{
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (first >= argc) {
        fprintf(stderr, "usage: docker-init -- PROGRAM ARGUMENTS\n");
        return 1;
    }
    sigset_t set, before;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof(own_signals) / sizeof(own_signals[0]); i++)
        sigdelset(&set, own_signals[i]);
    sigprocmask(SIG_SETMASK, &set, &before);
    pid_t child = start(argv + first, &before);
    if (child < 0) {
        perror("fork");
        return 1;
    }
    for (;;) {
        siginfo_t info;
        if (sigwaitinfo(&set, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            kill(child, info.si_signo);
            continue;
        }
        int status, result = -1;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == child)
                result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (result >= 0)
            return result;
    }
}
