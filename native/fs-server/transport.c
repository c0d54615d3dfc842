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
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static pthread_cond_t queue_drained = PTHREAD_COND_INITIALIZER;
static struct request *queue_head, *queue_tail;
static size_t queued_bytes;

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

static void *work(void *unused) {
    (void)unused;
    if (prepare_identity() != 0) {
        complain("fs-server: a worker can't have a umask of its own");
        exit(1);
    }
    for (;;) {
        pthread_mutex_lock(&queue_lock);
        while (queue_head == NULL)
            pthread_cond_wait(&queue_filled, &queue_lock);
        struct request *request = queue_head;
        queue_head = request->next;
        if (queue_head == NULL)
            queue_tail = NULL;
        queued_bytes -= request->length;
        pthread_cond_signal(&queue_drained);
        pthread_mutex_unlock(&queue_lock);
        handle_request(request);
    }
    return NULL;
}

static bool read_fully(int fd, void *buffer, size_t length) {
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, (char *)buffer + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void enqueue(struct request *request) {
    const struct fuse_in_header *in = (const struct fuse_in_header *)(const void *)request->bytes;
    const void *body = request->bytes + sizeof *in;
    size_t length = request->length - sizeof *in;
    // Forgets and interrupts have no answer and are cheap: at once, and in order.
    if (in->opcode == FUSE_FORGET && length >= sizeof(struct fuse_forget_in)) {
        forget(in->nodeid, ((const struct fuse_forget_in *)body)->nlookup);
    } else if (in->opcode == FUSE_BATCH_FORGET && length >= sizeof(struct fuse_batch_forget_in)) {
        const struct fuse_batch_forget_in *batch = body;
        const struct fuse_forget_one *one = (const struct fuse_forget_one *)(batch + 1);
        size_t there = (length - sizeof *batch) / sizeof *one;
        for (size_t i = 0; i < batch->count && i < there; i++)
            forget(one[i].nodeid, one[i].nlookup);
    } else if (in->opcode == FUSE_INTERRUPT && length >= sizeof(struct fuse_interrupt_in)) {
        interrupt_waiting(((const struct fuse_interrupt_in *)body)->unique);
    } else if (in->opcode == FUSE_SETLKW) {
        start_waiting(request);
        return;
    } else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && in->opcode != FUSE_INTERRUPT) {
        pthread_mutex_lock(&queue_lock);
        while (queued_bytes > MAX_QUEUED_BYTES)
            pthread_cond_wait(&queue_drained, &queue_lock);
        request->next = NULL;
        if (queue_tail != NULL)
            queue_tail->next = request;
        else
            queue_head = request;
        queue_tail = request;
        queued_bytes += request->length;
        pthread_cond_signal(&queue_filled);
        pthread_mutex_unlock(&queue_lock);
        return;
    }
    free(request);
}

static _Noreturn void read_requests(void) {
    for (;;) {
        struct fuse_in_header header;
        if (!read_fully(fuse_socket, &header, sizeof header))
            exit(0);
        if (header.len < sizeof header || header.len > MAX_REQUEST) {
            complain("fs-server: a request of %u bytes from the guest", header.len);
            exit(1);
        }
        struct request *request = malloc(sizeof *request + header.len);
        if (request == NULL)
            exit(1);
        request->length = header.len;
        memcpy(request->bytes, &header, sizeof header);
        if (!read_fully(fuse_socket, request->bytes + sizeof header, header.len - sizeof header))
            exit(0);
        enqueue(request);
    }
}

int serve_guest(int fd) {
    fuse_socket = fd;
    pthread_t thread;
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    read_requests();
}
