#include "wire/transport.h"

#include <errno.h>
#include <linux/fuse.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/lock-order.h"
#include "base/memory.h"

static int fuse_socket = -1;
static const struct request_handler *handler;
static struct lock sending = LOCK_OF(LOCK_SENDING);
static struct lock taking = LOCK_OF(LOCK_TAKING);

/* Nothing is to be sent: under `sending`. */
static bool silent;
static pthread_cond_t may_send = PTHREAD_COND_INITIALIZER;

/* What the guest has sent beyond what was taken of it: under `taking`, or while the guest is held. */
static unsigned char fixed_pending[64 << 10];
static unsigned char *pending = fixed_pending;
static size_t pending_at, pending_end;

enum {
    HOLD_TIMEOUT_MS = 5000,
};

/* Whether workers shall leave the socket alone, and which one waits there: changed under `gate`. */
static struct lock gate = LOCK_OF(LOCK_GATE);
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static _Atomic bool held;
static bool waits;
static pthread_t waiter;
/* Requests that were taken and not seen to. */
static _Atomic unsigned under_way;

static void begin_sending(void)
{
    take_lock(&sending);
    while (silent)
        wait_under(&sending, &may_send);
}

static void end_sending(void)
{
    give_lock(&sending);
}

/* Between begin_sending() and end_sending(). */
static void send_message(struct fuse_out_header header, const void *data, size_t length)
{
    header.len = (uint32_t)(sizeof(header) + length);
    struct iovec parts[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)data, length } };
    struct iovec *part = parts;
    int count = length > 0 ? 2 : 1;
    while (count > 0) {
        ssize_t written = writev(fuse_socket, part, count);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            exit(0); /* the VM is gone */
        }
        size_t done = (size_t)written;
        while (count > 0 && done >= part->iov_len) {
            done -= part->iov_len;
            part++;
            count--;
        }
        if (count > 0) {
            part->iov_base = (char *)part->iov_base + done;
            part->iov_len -= done;
        }
    }
}

void answer(uint64_t unique, int error, const void *data, size_t length)
{
    begin_sending();
    send_message((struct fuse_out_header){ .error = error, .unique = unique }, data, length);
    end_sending();
}

void answer_after(uint64_t unique, void *data, size_t length,
                  void (*look)(void *data, size_t length, const void *context), const void *context)
{
    begin_sending();
    look(data, length, context);
    send_message((struct fuse_out_header){ .unique = unique }, data, length);
    end_sending();
}

void begin_notices(void)
{
    begin_sending();
}

void notice(int code, const void *data, size_t length)
{
    send_message((struct fuse_out_header){ .error = code }, data, length);
}

void end_notices(void)
{
    end_sending();
}

void answer_error(uint64_t unique, int error)
{
    answer(unique, -error, NULL, 0);
}

void finish_request(struct request *request)
{
    free(request);
    under_way--;
}

/* Before this thread waits for the guest: false if it shall not. */
static bool begin_wait(bool may_leave)
{
    auto_lock changing = take_lock(&gate);
    waits = may_leave && !held;
    waiter = pthread_self();
    return waits || !may_leave;
}

static void end_wait(void)
{
    auto_lock changing = take_lock(&gate);
    waits = false;
}

/* The next bytes of the guest. Ends the process when the VM is gone. `first`: a request begins here, and false is
 * returned, with nothing taken, when the guest is to be held. Under `taking`. */
static bool take_bytes(void *to, size_t length, bool first)
{
    for (size_t done = 0; done < length;) {
        bool may_leave = first && done == 0;
        if (may_leave && held)
            return false;
        if (pending_at < pending_end) {
            size_t part = pending_end - pending_at < length - done ? pending_end - pending_at : length - done;
            memcpy((char *)to + done, pending + pending_at, part);
            pending_at += part;
            done += part;
            continue;
        }
        if (pending != fixed_pending) {
            free(pending);
            pending = fixed_pending;
        }
        if (!begin_wait(may_leave))
            return false;
        /* what is long goes to its place, without a copy */
        bool straight = length - done >= sizeof(fixed_pending);
        ssize_t got = read(fuse_socket, straight ? (void *)((char *)to + done) : pending,
                           straight ? length - done : sizeof(fixed_pending));
        int error = errno;
        end_wait();
        if (got < 0 && error == EINTR)
            continue;
        if (got <= 0)
            exit(0);
        if (straight) {
            done += (size_t)got;
        } else {
            pending_at = 0;
            pending_end = (size_t)got;
        }
    }
    return true;
}

/* The next request that has to be answered; NULL when the guest is to be held. Under `taking`. */
static struct request *take_request(void)
{
    for (;;) {
        struct fuse_in_header header;
        if (!take_bytes(&header, sizeof(header), true))
            return NULL;
        if (header.len < sizeof(header) || header.len > MAX_REQUEST) {
            complain("fs-server: a request of %u bytes from the guest", header.len);
            exit(1);
        }
        struct request *request = allocate(sizeof(*request) + header.len);
        request->length = header.len;
        memcpy(request->bytes, &header, sizeof(header));
        take_bytes(request->bytes + sizeof(header), header.len - sizeof(header), false);
        under_way++;
        if (!handler->at_once(request))
            return request;
    }
}

static void wait_at_gate(void)
{
    auto_lock looking = take_lock(&gate);
    while (held)
        wait_under(&gate, &gate_opened);
}

static void open_gate(void)
{
    auto_lock changing = take_lock(&gate);
    held = false;
    pthread_cond_broadcast(&gate_opened);
}

/* Has the worker that waits at the socket leave it. The signal may come just before it does wait, so it is repeated. */
static bool has_no_reader(void)
{
    if (try_lock(&taking)) {
        give_lock(&taking); /* who takes it from now on sees that the guest is held */
        return true;
    }
    auto_lock looking = take_lock(&gate);
    if (waits)
        pthread_kill(waiter, SIGUSR1);
    return false;
}

static bool has_answered_all(void)
{
    return under_way == 0;
}

/* QEMU hands on what it reads at once: what it has not read is all that is not in the guest. */
static bool has_sent_all(void)
{
    int unread;
    return ioctl(fuse_socket, SIOCOUTQ, &unread) == 0 && unread == 0;
}

/* Waits until it is so; false when that takes too long. */
static bool comes_true(bool (*condition)(void))
{
    for (int waited = 0; waited < HOLD_TIMEOUT_MS; waited++) {
        if (condition())
            return true;
        usleep(1000);
    }
    return false;
}

static void set_silent(bool value)
{
    auto_lock changing = take_lock(&sending);
    silent = value;
    pthread_cond_broadcast(&may_send);
}

/* True for the one who is to hold the guest. */
static bool begin_hold(void)
{
    auto_lock changing = take_lock(&gate);
    bool first = !held;
    held = true;
    return first;
}

int hold_guest(void)
{
    if (!begin_hold())
        return EBUSY;
    bool quiet = comes_true(has_no_reader) && comes_true(has_answered_all);
    note_taken(LOCK_HELD);
    set_silent(true);
    if (quiet && comes_true(has_sent_all))
        return 0;
    release_guest();
    return ETIMEDOUT;
}

void release_guest(void)
{
    note_given(LOCK_HELD);
    set_silent(false);
    open_gate();
}

int peek_requests(unsigned char **bytes, size_t *length)
{
    int unread;
    if (ioctl(fuse_socket, FIONREAD, &unread) < 0)
        return errno;
    size_t before = pending_end - pending_at;
    *length = before + (size_t)unread;
    *bytes = allocate(*length + 1);
    memcpy(*bytes, pending + pending_at, before);
    if (unread == 0 || recv(fuse_socket, *bytes + before, (size_t)unread, MSG_PEEK | MSG_DONTWAIT) == unread)
        return 0;
    free(*bytes);
    *bytes = NULL;
    return EIO;
}

void put_requests_first(unsigned char *bytes, size_t length)
{
    if (pending != fixed_pending)
        free(pending);
    pending = bytes;
    pending_at = 0;
    pending_end = length;
}

/* Workers take turns at the socket: the one that has read a request sees to it, so that no other has to wake up first. A
 * guest that sends without reading answers has as many requests here as there are workers, and stalls only itself. */
static void *work(void *unused)
{
    (void)unused;
    if (prepare_identity() != 0) {
        complain("fs-server: a worker can't have a umask of its own");
        exit(1);
    }
    for (;;) {
        take_lock(&taking);
        struct request *request = take_request();
        give_lock(&taking);
        if (request != NULL)
            handler->handle(request);
        else
            wait_at_gate();
    }
    return NULL;
}

void meet_guest(int fd, const struct request_handler *by)
{
    fuse_socket = fd;
    handler = by;
}

int serve_guest(void)
{
    pthread_t thread;
    for (int i = 1; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    work(NULL);
    return 1;
}
