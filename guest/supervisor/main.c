/* The supervisor: process 1 of a container's Pod on a Kubernetes cluster. It starts the container's command when a daemon says so,
 * and outlives it, so that a stopped container keeps its files and its log.
 *
 *   init [run [DIRECTORY [SOCKET…]]]  process 1, which keeps what it has in the directory; with sockets (sockets/sockets.h)
 *   init alone …            process 1 of a container without a network (alone.h)
 *   init install DIRECTORY  copies itself and what it needs there, in an init container
 *   init fill FROM TO…     in an init container of the same image: empty volumes get what it has there
 *   init listen PORT…       of a probe that looks whether a network keeps its policies: who is to be reached,
 *   init reach ADDRESS ALLOWED DENIED  and who tries it (reach.h)
 *   init ctl                a daemon's way in, run by Kubernetes' exec: carries bytes to process 1 and back */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alone.h"
#include "commands/child.h"
#include "commands/command.h"
#include "core/log.h"
#include "core/loop.h"
#include "ctl.h"
#include "fill.h"
#include "install.h"
#include "names/resolver.h"
#include "protocol/supervisor.h"
#include "reach.h"
#include "records/record-log.h"
#include "requests.h"
#include "sessions/session.h"
#include "sockets/sockets.h"
#include "tasks/manifest.h"

static struct record_log records;
static struct source signals = { .fd = -1 };

static void signals_ready(struct source *source, uint32_t events)
{
    (void)events;
    struct signalfd_siginfo info;
    while (read(source->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        command_signalled((int)info.ssi_signo, info.ssi_pid == 0);
}

/* Whoever signals process 1 means the command. */
static void take_signals(void)
{
    static const int others[] = { SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU };
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        sigdelset(&set, others[i]);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.ready = signals_ready;
    if (signals.fd < 0 || loop_add(&signals, EPOLLIN) < 0)
        die("signalfd: %s", strerror(errno));
}

static int supervise(const char *directory, char *const sockets[], int socket_count)
{
    char log_path[256], socket_path[256];
    umask(022);
    snprintf(log_path, sizeof(log_path), "%s/log", directory);
    snprintf(socket_path, sizeof(socket_path), "%s/control", directory);
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        die("make %s: %s", directory, strerror(errno));
    /* What the volume was made with is not what the container's users may see. */
    if (chmod(directory, 0700) < 0)
        die("close %s: %s", directory, strerror(errno));
    loop_open();
    children_open();
    int result = record_log_open(&records, log_path);
    if (result < 0)
        die("open the log in %s: %s", log_path, strerror(-result));
    command_open(&records);
    take_signals();
    sockets_open(sockets, socket_count); /* first: their directories are not what the container has made */
    manifest_begin(directory);
    result = sessions_open(socket_path, &request_events);
    if (result < 0)
        die("listen on %s: %s", socket_path, strerror(-result));
    /* Of a container on a network with names; without them it runs all the same. */
    result = access(SUPERVISOR_NAMES, F_OK) == 0 ? resolver_open(SUPERVISOR_NAMES) : 0;
    if (result < 0)
        log_line("no name server: %s", strerror(-result));
    loop_run(sessions_sweep);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    const char *directory = argc > 2 ? argv[2] : SUPERVISOR_STATE;
    char *const *sockets = argc > 3 ? argv + 3 : NULL;
    int socket_count = argc > 3 ? argc - 3 : 0;
    if (*mode == '\0' || strcmp(mode, "run") == 0)
        return supervise(directory, sockets, socket_count);
    if (strcmp(mode, "alone") == 0) {
        int result = leave_network();
        if (result < 0)
            die("leave the Pod's network: %s", strerror(-result));
        return supervise(directory, sockets, socket_count);
    }
    if (strcmp(mode, "ctl") == 0) {
        int result = give_up_return();
        if (result < 0)
            die("give up rights: %s", strerror(-result));
        return control(directory);
    }
    if (strcmp(mode, "install") == 0 && argc == 3)
        return install(directory);
    if (strcmp(mode, "fill") == 0 && argc >= 4 && argc % 2 == 0) {
        int code = 0;
        for (int i = 2; i < argc && code == 0; i += 2)
            code = fill(argv[i], argv[i + 1]);
        return code;
    }
    if (strcmp(mode, "listen") == 0 && argc > 2)
        return reach_listen(argv + 2, argc - 2);
    if (strcmp(mode, "reach") == 0 && argc == 5)
        return reach(argv[2], argv[3], argv[4]);
    dprintf(
        STDERR_FILENO,
        "usage: init [run|alone [DIRECTORY [SOCKET...]]] | ctl [DIRECTORY] | install DIRECTORY | fill (FROM TO)... | listen PORT... | "
        "reach ADDRESS ALLOWED DENIED\n");
    return 2;
}
