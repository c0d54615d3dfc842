#include "transport.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dispatch.h"
#include "identity.h"
#include "inodes.h"
#include "locks.h"
#include "memory.h"

static int fuse_socket = -1;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t read_lock = PTHREAD_MUTEX_INITIALIZER;

void answer(uint64_t unique, int error, const void *data, size_t length) {
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + length), .error = error, .unique = unique};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)data, length}};
    struct iovec *part = parts;
    int count = length > 0 ? 2 : 1;
    pthread_mutex_lock(&write_lock);
    while (count > 0) {
        ssize_t written = writev(fuse_socket, part, count);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            exit(0); // the VM is gone
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
    pthread_mutex_unlock(&write_lock);
}

void answer_error(uint64_t unique, int error) {
    answer(unique, -error, NULL, 0);
}

/** Forgets and interrupts have no answer and are cheap: at once, and in order. True: the request has been seen to. */
static bool handle_at_once(struct request *request) {
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    const void *body = request->bytes + sizeof *in;
    size_t length = request->length - sizeof *in;
    switch (in->opcode) {
    case FUSE_FORGET:
        if (length >= sizeof(struct fuse_forget_in))
            forget(in->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
        break;
    case FUSE_BATCH_FORGET:
        if (length >= sizeof(struct fuse_batch_forget_in)) {
            const struct fuse_batch_forget_in *batch = body;
            const struct fuse_forget_one *one = (const struct fuse_forget_one *)(batch + 1);
            size_t there = (length - sizeof *batch) / sizeof *one;
            for (size_t i = 0; i < batch->count && i < there; i++)
                forget(one[i].nodeid, one[i].nlookup);
        }
        break;
    case FUSE_INTERRUPT:
        if (length >= sizeof(struct fuse_interrupt_in))
            interrupt_waiting(((const struct fuse_interrupt_in *)body)->unique);
        break;
    case FUSE_SETLKW:
        start_waiting(request);
        return true;
    default:
        return false;
    }
    free(request);
    return true;
}

/** The next bytes of the guest. Ends the process when the VM is gone. Under read_lock. */
static void take_bytes(void *to, size_t length) {
    static unsigned char pending[64 << 10];
    static size_t pending_at, pending_end;
    for (size_t done = 0; done < length;) {
        if (pending_at < pending_end) {
            size_t part = pending_end - pending_at < length - done ? pending_end - pending_at : length - done;
            memcpy((char *)to + done, pending + pending_at, part);
            pending_at += part;
            done += part;
            continue;
        }
        // what is long goes to its place, without a copy
        bool straight = length - done >= sizeof pending;
        ssize_t got = read(fuse_socket, straight ? (void *)((char *)to + done) : pending,
                           straight ? length - done : sizeof pending);
        if (got < 0 && errno == EINTR)
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
}

/** The next request that has to be answered. Under read_lock. */
static struct request *take_request(void) {
    for (;;) {
        struct fuse_in_header header;
        take_bytes(&header, sizeof header);
        if (header.len < sizeof header || header.len > MAX_REQUEST) {
            complain("fs-server: a request of %u bytes from the guest", header.len);
            exit(1);
        }
        struct request *request = allocate(sizeof *request + header.len);
        request->length = header.len;
        memcpy(request->bytes, &header, sizeof header);
        take_bytes(request->bytes + sizeof header, header.len - sizeof header);
        if (!handle_at_once(request))
            return request;
    }
}

/**
 * Workers take turns at the socket: the one that has read a request sees to it, so that no other has to wake up first. A
 * guest that sends without reading answers has as many requests here as there are workers, and stalls only itself.
 */
static void *work(void *unused) {
    (void)unused;
    if (prepare_identity() != 0) {
        complain("fs-server: a worker can't have a umask of its own");
        exit(1);
    }
    for (;;) {
        pthread_mutex_lock(&read_lock);
        struct request *request = take_request();
        pthread_mutex_unlock(&read_lock);
        handle_request(request);
    }
    return NULL;
}

int serve_guest(int fd) {
    fuse_socket = fd;
    pthread_t thread;
    for (int i = 1; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    work(NULL);
    return 1;
}
