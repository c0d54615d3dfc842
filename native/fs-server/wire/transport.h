/* The bytes between us and the guest's kernel: requests come one after the other, answers go in any order.
 *
 * This folder knows how messages look and come, and nothing of files: what is done about a request its handler says. */
#ifndef FS_SERVER_TRANSPORT_H
#define FS_SERVER_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MAX_WRITE = 1 << 20,
    MAX_REQUEST = MAX_WRITE + 65536,
    WORKERS = 8,
};

struct request {
    size_t length;
    /* Followed by the bytes as they came: struct fuse_in_header, then the operation's own. */
    unsigned char bytes[];
};

/* Whoever gets a request has it answered, and calls finish_request() after that. */
struct request_handler {
    /* In the order in which the guest has sent them, and before the next is read: nothing that takes long. False:
     * it is for `handle`. */
    bool (*at_once)(struct request *request);
    /* By several threads at a time. */
    void (*handle)(struct request *request);
};

/* `error` is 0 or a negative errno. Ends the process when the VM is gone. */
void answer(uint64_t unique, int error, const void *data, size_t length);
/* As answer() without an error; `look` may change the data just before it is sent, when no notice can come between. */
void answer_after(uint64_t unique, void *data, size_t length,
                  void (*look)(void *data, size_t length, const void *context), const void *context);
/* Notices to the guest's kernel (FUSE_NOTIFY_ numbers) are sent between these, and no answer. */
void begin_notices(void);
void notice(int code, const void *data, size_t length);
void end_notices(void);
/* `error` is 0 or an errno. */
void answer_error(uint64_t unique, int error);
/* A request that was taken has been seen to: consumes it. */
void finish_request(struct request *request);
/* Takes no more requests, and sends nothing more, once all that were taken are answered and the answers have reached the
 * guest, whose vCPUs must run until then. For the thread that calls release_guest() after it. 0; EBUSY: somebody else does;
 * ETIMEDOUT: the guest did not let it come to an end, and goes on. */
int hold_guest(void);
void release_guest(void);
/* What the guest has sent and nobody has taken, while it is held; free() it. 0 or an errno. */
int peek_requests(unsigned char **bytes, size_t *length);
/* Consumes `bytes` (malloc): they come before what the guest sends. While it is held. */
void put_requests_first(unsigned char *bytes, size_t length);
/* The guest is at the connected socket `fd`, and its requests are for the handler. Once, before there are threads. */
void meet_guest(int fd, const struct request_handler *handler);
/* Serves it until the VM is gone; never returns. 1 if it can't begin. */
int serve_guest(void);

#endif
