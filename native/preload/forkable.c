/* Preloaded into the QEMU that all emulated VMs are made of, the seed: on request it forks itself with all of its threads, so that a
 * child goes on where the seed is stopped, with every translation that the seed has made (docs/adr/0022-forked-clones.md).
 *
 * The guest is stopped, so QEMU's threads wait. A signal has each of them note where it is and wait in its handler; the main
 * thread forks from there. A child has a main thread only, and starts the others where they were noted: on their stacks, with
 * their thread pointers, in the same handler, from which they return to what they waited for.
 *
 * What a child must not share with the seed is replaced before any of that goes on: the files that come with the request,
 * eventfds and signalfds, user, groups, capabilities, the id in the command line. Last comes the filter of system calls (-sandbox), which the
 * seed has put off: with it nothing could fork. Nothing in the handlers takes a lock or allocates.
 *
 * CAISSON_SEED is FD:ID, the listening socket for requests and the id in the seed's command line. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../seed-request.h"

/* One that QEMU has no use for. */
#define STOP_SIGNAL (SIGRTMIN + 9)
#define MAX_THREADS 64
#define MAX_INHERITED 32
#define MAX_INSTRUCTIONS 4096
/* For all threads to come to their handlers. */
static const int stop_seconds = 20;

/* What a function's caller relies on, its stack and where it goes on. */
struct context {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};

struct stopped_thread {
    atomic_int ready;
    atomic_int restarted;
    pid_t id;
    char *pointer;
    struct context context;
};

static struct stopped_thread threads[MAX_THREADS];
static atomic_int thread_count;
/* The main thread may fork. */
static atomic_int all_stopped;
/* Counts up when the threads may leave their handlers. */
static atomic_int turn;
/* Counts up with each thread that has come somewhere: what others wait for. */
static atomic_int news;

static struct seed_request request;
static int request_files[SEED_FILES];
static int listening = -1;
static int asking = -1;
static atomic_int fork_result;

static pid_t seed_pid;
static char seed_id[SEED_ID_BYTES];
static char **arguments;
static int argument_count;
/* Of the files that QEMU was started with, by their numbers: it may have some under other numbers too. */
static struct stat inherited[MAX_INHERITED];
static bool is_inherited[MAX_INHERITED];
/* What QEMU has set on a tap, for the child's: -1, nothing. */
static const unsigned long tap_settings[] = { TUNSETVNETHDRSZ, TUNSETOFFLOAD, TUNSETSNDBUF };
static long tap_values[MAX_INHERITED][3];
static bool has_no_tap[MAX_INHERITED];
static struct sock_filter filter[MAX_INSTRUCTIONS];
static struct sock_fprog program = { .filter = filter };
/* Where glibc keeps a thread's id, from its thread pointer; 0: not known. */
static size_t id_offset;

/* Sets the function pointer that `function` leads to. */
static void find_function(void *from, const char *name, void *function)
{
    void *found = dlsym(from, name);
    memcpy(function, &found, sizeof(found));
}

/* ---- What QEMU calls ---- */

/* QEMU blocks all signals in its threads. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    int (*real)(int, const sigset_t *, sigset_t *);
    find_function(RTLD_NEXT, "pthread_sigmask", &real);
    if (set == NULL || how == SIG_UNBLOCK)
        return real(how, set, old);
    sigset_t others = *set;
    sigdelset(&others, STOP_SIGNAL);
    return real(how, &others, old);
}

/* Of libseccomp: the filter is kept for the children. */
int seccomp_load(void *context);
int seccomp_load(void *context)
{
    int (*export)(void *, int);
    find_function(RTLD_DEFAULT, "seccomp_export_bpf", &export);
    int file = memfd_create("filter", MFD_CLOEXEC);
    if (file < 0 || export == NULL)
        return -ENOSYS;
    int result = export(context, file);
    ssize_t size = result < 0 ? -1 : pread(file, filter, sizeof(filter), 0);
    close(file);
    if (result < 0)
        return result;
    if (size <= 0 || size == (ssize_t)sizeof(filter))
        return -E2BIG;
    program.len = (unsigned short)((size_t)size / sizeof(filter[0]));
    return 0;
}

/* A ring or an epoll set can't be taken over by a child; QEMU does with poll. */
int io_uring_queue_init(unsigned entries, void *ring, unsigned flags);
int io_uring_queue_init(unsigned entries, void *ring, unsigned flags)
{
    (void)entries, (void)ring, (void)flags;
    return -ENOSYS;
}

int epoll_create1(int flags);
int epoll_create1(int flags)
{
    (void)flags;
    errno = ENOSYS;
    return -1;
}

int ioctl(int fd, unsigned long what, ...)
{
    va_list list;
    va_start(list, what);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (fd >= 0 && fd < MAX_INHERITED) {
        for (int i = 0; i < 3; i++)
            if (what == tap_settings[i])
                tap_values[fd][i] = what == TUNSETOFFLOAD ? (long)(intptr_t)argument : *(int *)argument;
    }
    return (int)syscall(SYS_ioctl, fd, what, argument);
}

/* QEMU keeps the guest's memory and its translations from children. */
int madvise(void *address, size_t length, int advice)
{
    if (advice == MADV_DONTFORK)
        return 0;
    int (*real)(void *, size_t, int);
    find_function(RTLD_NEXT, "madvise", &real);
    return real(address, length, advice);
}

/* ---- Waiting ---- */

static void tell(void)
{
    atomic_fetch_add(&news, 1);
    syscall(SYS_futex, &news, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void wait_for_news(int seen)
{
    struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
    syscall(SYS_futex, &news, FUTEX_WAIT_PRIVATE, seen, &moment, NULL, 0);
}

static void wait_for_turn(int mine)
{
    for (;;) {
        int seen = atomic_load(&news);
        if (atomic_load(&turn) != mine)
            return;
        wait_for_news(seen);
    }
}

static void let_go(void)
{
    atomic_store(&all_stopped, 0);
    atomic_fetch_add(&turn, 1);
    tell();
}

/* ---- Threads ---- */

/* Returns 0, and once more with 1 in a thread that `start_at` has made. */
__attribute__((naked, noinline, returns_twice)) static int note_context(struct context *context)
{
    (void)context;
    __asm__("mov %rbx, 0(%rdi)\n\t"
            "mov %rbp, 8(%rdi)\n\t"
            "mov %r12, 16(%rdi)\n\t"
            "mov %r13, 24(%rdi)\n\t"
            "mov %r14, 32(%rdi)\n\t"
            "mov %r15, 40(%rdi)\n\t"
            "lea 8(%rsp), %rdx\n\t"
            "mov %rdx, 48(%rdi)\n\t"
            "mov (%rsp), %rdx\n\t"
            "mov %rdx, 56(%rdi)\n\t"
            "xor %eax, %eax\n\t"
            "ret");
}

/* clone(2) onto the stack of `context`, to go on there. Returns the new thread's id, or -errno. */
__attribute__((naked, noinline)) static long start_at(const struct context *context, unsigned long flags, pid_t *id,
                                                      void *pointer)
{
    (void)context, (void)flags, (void)id, (void)pointer;
    __asm__("mov %rdi, %r9\n\t"
            "mov %rcx, %r8\n\t"
            "mov %rsi, %rdi\n\t"
            "mov 48(%r9), %rsi\n\t"
            "mov %rdx, %r10\n\t"
            "mov $56, %eax\n\t"
            "syscall\n\t"
            "test %rax, %rax\n\t"
            "jnz 1f\n\t"
            "mov 0(%r9), %rbx\n\t"
            "mov 8(%r9), %rbp\n\t"
            "mov 16(%r9), %r12\n\t"
            "mov 24(%r9), %r13\n\t"
            "mov 32(%r9), %r14\n\t"
            "mov 40(%r9), %r15\n\t"
            "mov $1, %eax\n\t"
            "jmp *56(%r9)\n\t"
            "1: ret");
}

static char *thread_pointer(void)
{
    return (char *)pthread_self();
}

/* A new thread has none of the kernel's notes about restartable sequences; glibc asks them on which CPU it is. */
static void register_sequences(char *pointer)
{
    if (__rseq_size == 0)
        return;
    struct rseq *area = (struct rseq *)(void *)(pointer + __rseq_offset);
    area->cpu_id = (uint32_t)RSEQ_CPU_ID_REGISTRATION_FAILED;
    syscall(SYS_rseq, area, sizeof(*area), 0, RSEQ_SIG);
}

static int restart_threads(void)
{
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    int count = atomic_load(&thread_count);
    for (int i = 0; i < count; i++) {
        struct stopped_thread *thread = &threads[i];
        if (thread->id == seed_pid)
            continue;
        long id = start_at(&thread->context, flags, (pid_t *)(void *)(thread->pointer + id_offset), thread->pointer);
        if (id < 0)
            return (int)-id;
    }
    for (int i = 0; i < count; i++) {
        while (threads[i].id != seed_pid && atomic_load(&threads[i].restarted) == 0) {
            int seen = atomic_load(&news);
            if (atomic_load(&threads[i].restarted) == 0)
                wait_for_news(seen);
        }
    }
    return 0;
}

/* ---- What a child has of its own ---- */

/* Calls `with` for each number in a directory of /proc. 0 or an errno. */
static int each_number(const char *directory, void (*with)(int number))
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char buffer[2048];
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    long size;
    while ((size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < size;) {
            struct entry *entry = (struct entry *)(void *)(buffer + at);
            at += entry->length;
            int number = 0;
            const char *digit = entry->name;
            while (*digit >= '0' && *digit <= '9')
                number = number * 10 + (*digit++ - '0');
            if (digit != entry->name && number != fd)
                with(number);
        }
    }
    close(fd);
    return size < 0 ? EIO : 0;
}

/* A hexadecimal number that the kernel tells of an open file, 0 if it doesn't. Of an eventfd reading would take it from the seed too. */
static uint64_t told_number(int fd, const char *name)
{
    char path[64];
    char text[512];
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t size = read(file, text, sizeof(text) - 1);
    close(file);
    text[size < 0 ? 0 : size] = '\0';
    const char *found = strstr(text, name);
    return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 16);
}

static int child_error;

static void note_error(void)
{
    if (child_error == 0)
        child_error = errno;
}

static void put(int file, int place)
{
    if (dup3(file, place, O_CLOEXEC) < 0)
        note_error();
}

static int own_eventfd(int fd, int flags)
{
    int own = eventfd(0, flags);
    uint64_t count = told_number(fd, "eventfd-count:");
    if (own < 0 || (count > 0 && write(own, &count, sizeof(count)) < 0))
        note_error();
    return own;
}

static int own_signalfd(int fd, int flags)
{
    uint64_t signals = told_number(fd, "sigmask:");
    int own = (int)syscall(SYS_signalfd4, -1, &signals, sizeof(signals), flags);
    if (own < 0)
        note_error();
    return own;
}

/* Whoever has the same one could change how the others wait at it. */
static void replace_anonymous(int fd)
{
    char path[64];
    char target[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size <= 0)
        return;
    target[size] = '\0';
    bool is_eventfd = strcmp(target, "anon_inode:[eventfd]") == 0;
    if (!is_eventfd && strcmp(target, "anon_inode:[signalfd]") != 0)
        return;
    /* EFD_ and SFD_ flags are O_ flags. */
    int flags = O_CLOEXEC | (fcntl(fd, F_GETFL) & O_NONBLOCK);
    int own = is_eventfd ? own_eventfd(fd, flags) : own_signalfd(fd, flags);
    put(own, fd);
    close(own);
}

static int replaced_place;
static int replaced_file;

/* A file of the host that QEMU was given: it may have it under other numbers, too. */
static void replace_copies(int fd)
{
    struct stat found;
    const struct stat *given = &inherited[replaced_place];
    if (fd == replaced_file || fstat(fd, &found) < 0 || !S_ISREG(found.st_mode))
        return;
    if (found.st_dev == given->st_dev && found.st_ino == given->st_ino)
        put(replaced_file, fd);
}

static void set_tap(int file, int place)
{
    for (int i = 0; i < 3; i++) {
        long value = tap_values[place][i];
        int number = (int)value;
        if (value < 0)
            continue;
        void *argument = tap_settings[i] == TUNSETOFFLOAD ? (void *)(intptr_t)value : (void *)&number;
        if (syscall(SYS_ioctl, file, tap_settings[i], argument) < 0)
            note_error();
    }
}

static void take_files(void)
{
    for (int i = 0; i < request.count; i++) {
        int file = request_files[i];
        int place = request.places[i];
        if (place == STDERR_FILENO) {
            put(file, STDOUT_FILENO);
            put(file, STDERR_FILENO);
        } else if (S_ISREG(inherited[place].st_mode)) {
            replaced_place = place;
            replaced_file = file;
            if (each_number("/proc/self/fd", replace_copies) != 0)
                note_error();
        } else {
            set_tap(file, place);
            put(file, place);
        }
    }
    for (int i = 0; i < request.count; i++)
        close(request_files[i]);
    if (each_number("/proc/self/fd", replace_anonymous) != 0)
        note_error();
}

/* The name by which the daemon finds a VM's process. */
static void take_name(void)
{
    size_t length = strlen(seed_id);
    for (int i = 0; i < argument_count; i++) {
        char *found = strstr(arguments[i], seed_id);
        if (found != NULL)
            memcpy(found, request.id, length);
    }
}

static void take_user(void)
{
    gid_t group = (gid_t)request.group;
    uid_t uid = (uid_t)request.uid;
    gid_t gid = (gid_t)request.gid;
    if (request.uid < 0)
        return;
    if (syscall(SYS_setgroups, 1, &group) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        note_error();
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
        note_error();
    /* It was, until the user changed: a seed is like any program that was executed. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (child_error == 0 && syscall(SYS_setresuid, -1, 0, -1) == 0)
        child_error = EPERM; /* privileges came back */
}

static void answer(int error, pid_t pid)
{
    struct seed_answer reply = { .error = error, .pid = pid };
    if (send(asking, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
        return;
}

/* The child's main thread, in its handler. Whatever fails ends it: a guest runs with all of it, or not at all. */
static void become_child(void)
{
    struct sigaction usual = { .sa_handler = SIG_DFL };
    close(listening);
    sigaction(SIGCHLD, &usual, NULL);
    setsid();
    take_files();
    take_name();
    take_user();
    if (child_error == 0)
        child_error = restart_threads();
    if (child_error == 0 && program.len > 0 &&
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        child_error = errno == 0 ? ESRCH : errno;
    answer(child_error, (pid_t)syscall(SYS_getpid));
    if (child_error != 0)
        _exit(125);
    close(asking);
    let_go();
}

static void fork_here(char *pointer)
{
    pid_t *id = (pid_t *)(void *)(pointer + id_offset);
    long pid = syscall(SYS_clone, SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID, NULL, NULL, id, NULL);
    if (pid == 0) {
        become_child();
        return;
    }
    atomic_store(&fork_result, pid < 0 ? errno : 0);
    let_go();
}

static void wait_to_fork(char *pointer, int mine)
{
    while (atomic_load(&turn) == mine) {
        int seen = atomic_load(&news);
        if (atomic_load(&all_stopped) != 0)
            fork_here(pointer);
        else if (atomic_load(&turn) == mine)
            wait_for_news(seen);
    }
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    int error = errno;
    int mine = atomic_load(&turn);
    int index = atomic_fetch_add(&thread_count, 1);
    if (index >= MAX_THREADS)
        return;
    struct stopped_thread *thread = &threads[index];
    thread->id = (pid_t)syscall(SYS_gettid);
    thread->pointer = thread_pointer();
    bool is_main = thread->id == seed_pid;
    bool is_restarted = !is_main && note_context(&thread->context) != 0;
    if (is_restarted)
        register_sequences(thread->pointer);
    atomic_store(is_restarted ? &thread->restarted : &thread->ready, 1);
    tell();
    if (is_main)
        wait_to_fork(thread->pointer, mine);
    else
        wait_for_turn(mine);
    errno = error;
}

/* ---- The seed's side ---- */

static pid_t signalled[MAX_THREADS];
static int signalled_count;
static int expected;
static int too_many;

static void stop_thread(int id)
{
    if (id == (pid_t)syscall(SYS_gettid))
        return;
    expected++;
    for (int i = 0; i < signalled_count; i++)
        if (signalled[i] == id)
            return;
    if (signalled_count == MAX_THREADS) {
        too_many = 1;
        return;
    }
    if (syscall(SYS_tgkill, seed_pid, id, STOP_SIGNAL) == 0)
        signalled[signalled_count++] = id;
}

static int ready_count(void)
{
    int count = 0;
    for (int i = 0; i < MAX_THREADS; i++)
        count += atomic_load(&threads[i].ready);
    return count;
}

/* All threads but this one are in their handlers. Threads that end or begin meanwhile are seen by the next look. */
static int stop_threads(void)
{
    time_t deadline = time(NULL) + stop_seconds;
    for (;;) {
        int seen = atomic_load(&news);
        expected = 0;
        int error = each_number("/proc/self/task", stop_thread);
        if (error != 0 || too_many)
            return error != 0 ? error : E2BIG;
        if (ready_count() == expected)
            return 0;
        if (time(NULL) > deadline)
            return ETIMEDOUT;
        wait_for_news(seen);
    }
}

static bool is_connected;

static bool is_ours(int fd)
{
    bool is_requests = false;
    for (int i = 0; i < request.count; i++)
        is_requests |= fd == request_files[i];
    return is_requests || fd <= STDERR_FILENO || fd == asking || fd == listening;
}

/* A client's connection would be the child's as well. */
static void look_for_client(int fd)
{
    int value;
    socklen_t size = sizeof(value);
    if (is_ours(fd) || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) < 0)
        return;
    if (value == 0)
        is_connected = true;
}

/* Interfaces of the host's, which a guest that is stopped has no use for: QEMU goes on with files of which nothing ever comes. */
static void release_taps(void)
{
    int nothing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int fd = 0; nothing >= 0 && fd < MAX_INHERITED; fd++) {
        if (!is_inherited[fd] || tap_values[fd][0] < 0 || has_no_tap[fd])
            continue;
        has_no_tap[fd] = dup3(nothing, fd, O_CLOEXEC) >= 0;
    }
    close(nothing);
}

static int fork_child(void)
{
    is_connected = false;
    release_taps();
    int error = each_number("/proc/self/fd", look_for_client);
    if (error != 0 || is_connected)
        return error != 0 ? error : EAGAIN;
    memset(threads, 0, sizeof(threads));
    atomic_store(&thread_count, 0);
    signalled_count = 0;
    too_many = 0;
    int mine = atomic_load(&turn);
    error = stop_threads();
    if (error != 0) {
        let_go();
        return error;
    }
    atomic_store(&all_stopped, 1);
    tell();
    wait_for_turn(mine);
    return atomic_load(&fork_result);
}

static bool is_valid(void)
{
    if (request.count < 0 || request.count > SEED_FILES || memchr(request.id, '\0', sizeof(request.id)) == NULL ||
        strlen(request.id) != strlen(seed_id))
        return false;
    for (int i = 0; i < request.count; i++) {
        int place = request.places[i];
        if (place != STDERR_FILENO && (place < 3 || place >= MAX_INHERITED || !is_inherited[place]))
            return false;
    }
    return true;
}

/* Takes the request and its files; the number of files, -1 if it isn't one. */
static int receive(void)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(request_files))];
    } control;
    struct iovec data = { &request, sizeof(request) };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    ssize_t size = recvmsg(asking, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    const struct cmsghdr *files = size < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (files == NULL || files->cmsg_type != SCM_RIGHTS)
        return -1;
    size_t bytes = files->cmsg_len - CMSG_LEN(0);
    memcpy(request_files, CMSG_DATA(files), bytes);
    int count = (int)(bytes / sizeof(int));
    return size == (ssize_t)sizeof(request) && is_valid() && request.count == count ? count : -count - 1;
}

static void *serve(void *nothing)
{
    for (;;) {
        asking = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (asking < 0)
            continue;
        int count = receive();
        int error = count < 0 ? EINVAL : fork_child();
        if (error != 0)
            answer(error, 0);
        for (int i = 0; i < (count < 0 ? -count - 1 : count); i++)
            close(request_files[i]);
        close(asking);
        asking = -1;
    }
    return nothing;
}

/* glibc notes the id of a thread in what the thread pointer leads to. */
static size_t find_id_offset(void)
{
    const char *start = thread_pointer();
    for (size_t at = 0; at < 1024; at += sizeof(pid_t)) {
        pid_t found;
        memcpy(&found, start + at, sizeof(found));
        if (found == seed_pid)
            return at;
    }
    return 0;
}

__attribute__((constructor)) static void begin(int argc, char **argv)
{
    char *setting = getenv("CAISSON_SEED");
    if (setting == NULL)
        return;
    seed_pid = getpid();
    id_offset = find_id_offset();
    const char *colon = strchr(setting, ':');
    listening = atoi(setting);
    if (colon == NULL || strlen(colon + 1) >= sizeof(seed_id) || id_offset == 0) {
        close(listening);
        return;
    }
    strcpy(seed_id, colon + 1);
    /* Children have the environment of any VM, and nothing that QEMU executed would have the capabilities. */
    memset(setting - strlen("CAISSON_SEED="), 0, strlen("CAISSON_SEED=") + strlen(setting));
    unsetenv("CAISSON_SEED");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    arguments = argv;
    argument_count = argc;
    memset(tap_values, -1, sizeof(tap_values));
    for (int fd = 3; fd < MAX_INHERITED; fd++)
        is_inherited[fd] = fstat(fd, &inherited[fd]) == 0;
    struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    sigfillset(&stop.sa_mask);
    sigaction(STOP_SIGNAL, &stop, NULL);
    /* Nobody waits for the children here. */
    sigaction(SIGCHLD, &ignored, NULL);
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, serve, NULL) != 0)
        close(listening);
    sigprocmask(SIG_SETMASK, &before, NULL);
}
