/* From a clone of the agent to the container's program. The order of the steps is runc's, since it shows: in which
 * errors come first, and in what the seccomp filter must allow. */
#include "process/launch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/go-error.h"
#include "limits/device-filter.h"
#include "limits/seccomp.h"
#include "process/user.h"

pid_t launch_clone(uint64_t flags, int cgroup, int *pidfd)
{
    struct clone_args arguments = {
        .flags = flags | CLONE_PIDFD | (cgroup >= 0 ? (uint64_t)CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = cgroup >= 0 ? (unsigned)cgroup : 0,
    };
    long pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
    return pid < 0 ? (pid_t)-errno : (pid_t)pid;
}

void child_begin(void)
{
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    umask(0);
}

void child_fail(const struct launch *launch, const struct failure *failure)
{
    char packet[1 + sizeof(*failure)] = { STATUS_FAILURE };
    memcpy(packet + 1, failure, sizeof(*failure));
    ssize_t ignored = write(launch->status, packet, sizeof(packet));
    (void)ignored;
    _exit(127);
}

int child_limits(const struct process_spec *spec, struct failure *failure)
{
    auto_fd fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    char number[16];
    int length = snprintf(number, sizeof(number), "%d", spec->oom_score_adj);
    if (fd < 0 || write(fd, number, (size_t)length) < 0)
        return fail_errno(failure, errno, PHASE_SECURITY, "write oom_score_adj");
    for (size_t i = 0; i < spec->rlimit_count; i++)
        if (setrlimit((__rlimit_resource_t)spec->rlimits[i].resource, &spec->rlimits[i].limit) < 0)
            return fail_errno(failure, errno, PHASE_SECURITY, "error setting rlimit type %d",
                              spec->rlimits[i].resource);
    return 0;
}

static int send_master(int status, int master)
{
    char kind = STATUS_TERMINAL;
    struct iovec part = { &kind, 1 };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control.bytes),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &master, sizeof(int));
    return sendmsg(status, &message, 0) < 0 ? -errno : 0;
}

int child_terminal(struct launch *launch, int root, struct failure *failure)
{
    struct open_how how = {
        .flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    auto_fd master = (int)syscall(SYS_openat2, root, "dev/pts/ptmx", &how, sizeof(how));
    int unlocked = 0;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
        return fail_errno(failure, errno, PHASE_IO, "open a terminal");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return fail_errno(failure, errno, PHASE_IO, "open the terminal's slave");
    const struct process_spec *spec = launch->spec;
    if (spec->rows > 0 || spec->columns > 0) {
        struct winsize size = { .ws_row = spec->rows, .ws_col = spec->columns };
        ioctl(slave, TIOCSWINSZ, &size);
    }
    for (int i = 0; i < 3; i++)
        launch->stdio.fds[i] = slave;
    int result = send_master(launch->status, master);
    if (result < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
        return fail_errno(failure, result < 0 ? result : errno, PHASE_IO, "take the terminal");
    return slave;
}

static int connect_stdio(struct launch *launch, const struct user *user, struct failure *failure)
{
    for (int i = 0; i < 3; i++) {
        int fd = launch->stdio.fds[i];
        if (fd < 0) {
            fd = open("/dev/null", O_RDWR | O_CLOEXEC);
            if (fd < 0)
                return fail_errno(failure, errno, PHASE_IO, "open /dev/null");
        } else if (user->uid != 0 && fchown(fd, user->uid, launch->spec->terminal ? (gid_t)-1 : user->gid) < 0 &&
                   errno != EPERM && errno != EROFS) {
            /* So that the user can open /dev/stdout again, as runc does. */
            return fail_errno(failure, errno, PHASE_IO, "change the owner of a standard stream");
        }
        /* The agent's own descriptors 0 to 2 are open, so none of these can be one of them. */
        if (dup2(fd, i) < 0)
            return fail_errno(failure, errno, PHASE_IO, "connect a standard stream");
    }
    return 0;
}

static int set_user(const struct process_spec *spec, const struct user *user, struct failure *failure)
{
    for (int number = 0; number <= CAP_LAST_CAP; number++)
        if (!(spec->capabilities & CAPABILITY_BIT(number)) && prctl(PR_CAPBSET_DROP, number) < 0 && errno != EINVAL)
            return fail_errno(failure, errno, PHASE_SECURITY, "drop a capability");
    bool arrived = false;
    if (*spec->cwd == '\0' || chdir(spec->cwd) == 0)
        arrived = true;
    else if (errno != EACCES && errno != EPERM)
        goto no_cwd;
    prctl(PR_SET_KEEPCAPS, 1);
    if (setgroups(user->group_count, user->groups) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return fail_errno(failure, errno, PHASE_USER, "become user %u", user->uid);
    prctl(PR_SET_KEEPCAPS, 0);
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = {
        { .effective = (uint32_t)spec->capabilities, .permitted = (uint32_t)spec->capabilities },
        { .effective = (uint32_t)(spec->capabilities >> 32), .permitted = (uint32_t)(spec->capabilities >> 32) },
    };
    if (syscall(SYS_capset, &header, data) < 0)
        return fail_errno(failure, errno, PHASE_SECURITY, "unable to apply caps");
    if (!arrived && chdir(spec->cwd) < 0)
        goto no_cwd;
    return 0;
no_cwd:;
    int code = errno;
    return fail(failure, code, PHASE_EXEC, "chdir to cwd (\"%s\") set in config.json failed: %s", spec->cwd,
                go_error(code));
}

static const char *environment_value(const char *const *env, const char *name)
{
    size_t length = strlen(name);
    for (; *env != NULL; env++)
        if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
            return *env + length + 1;
    return NULL;
}

/* Whether Go's exec.LookPath would take it. Returns 0 or the errno; EACCES also for directories. */
static int executable(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return errno;
    if (S_ISDIR(status.st_mode) || (status.st_mode & 0111) == 0)
        return EACCES;
    return 0;
}

static int find_program(const char *name, const char *search, char path[4096], struct failure *failure)
{
    if (strchr(name, '/') != NULL) {
        int code = executable(name);
        if (code == 0) {
            snprintf(path, 4096, "%s", name);
            return 0;
        }
        if (code == EACCES)
            return fail(failure, code, PHASE_EXEC, "exec: \"%s\": permission denied", name);
        return fail(failure, code, PHASE_EXEC, "exec: \"%s\": stat %s: %s", name, name, go_error(code));
    }
    while (search != NULL && *name != '\0') {
        size_t length = strcspn(search, ":");
        int printed = length == 0 ? snprintf(path, 4096, "./%s", name)
                                  : snprintf(path, 4096, "%.*s/%s", (int)length, search, name);
        if (printed > 0 && printed < 4096 && executable(path) == 0)
            return 0;
        search = search[length] == ':' ? search + length + 1 : NULL;
    }
    return fail(failure, ENOENT, PHASE_EXEC, "exec: \"%s\": executable file not found in $PATH", name);
}

/* The environment with HOME added if it is missing. */
static const char *const *complete_environment(const struct process_spec *spec, const struct user *user)
{
    static char home[sizeof(user->home) + 8];
    const char *value = environment_value(spec->env, "HOME");
    if (value != NULL && *value != '\0')
        return spec->env;
    size_t count = 0;
    while (spec->env[count] != NULL)
        count++;
    const char **env = calloc(count + 2, sizeof(*env)); /* freed by execve */
    if (env == NULL)
        return spec->env;
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(spec->env[i], "HOME=", 5) != 0)
            env[used++] = spec->env[i];
    snprintf(home, sizeof(home), "HOME=%s", user->home);
    env[used] = home;
    return env;
}

static int prepare(struct launch *launch, struct user *user, char program[4096], struct failure *failure)
{
    const struct process_spec *spec = launch->spec;
    int result = user_lookup(spec->user, spec->groups, user, failure);
    if (result == 0)
        result = connect_stdio(launch, user, failure);
    if (result == 0 && launch->filter >= 0 && (result = device_filter_attach(launch->filter, launch->cgroup)) < 0)
        return fail_errno(failure, result, PHASE_CGROUP, "attach the device rules");
    if (result == 0 && spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail_errno(failure, errno, PHASE_SECURITY, "set no_new_privs");
    if (result == 0 && !spec->no_new_privileges && (result = seccomp_install(&launch->seccomp)) < 0)
        return fail_errno(failure, result, PHASE_SECURITY, "install the seccomp filter");
    if (result == 0)
        result = set_user(spec, user, failure);
    if (result == 0)
        result = find_program(launch->args[0], environment_value(spec->env, "PATH"), program, failure);
    if (result == 0 && spec->no_new_privileges && (result = seccomp_install(&launch->seccomp)) < 0)
        return fail_errno(failure, result, PHASE_SECURITY, "install the seccomp filter");
    return result;
}

void child_run(struct launch *launch)
{
    static struct user user;
    static char program[4096];
    struct failure failure;
    if (prepare(launch, &user, program, &failure) < 0)
        child_fail(launch, &failure);
    const char *const *env = complete_environment(launch->spec, &user);
    umask(022);
    syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    /* execve takes non-const arrays only for C's sake. */
    execve(program, (char *const *)(uintptr_t)launch->args, (char *const *)(uintptr_t)env);
    /* Too late for a failed start: runc's program also says this on the container's stderr, and exits with 1. */
    dprintf(STDERR_FILENO, "exec %s: %s\n", program, go_error(errno));
    _exit(1);
}
