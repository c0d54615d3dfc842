/* The kernel takes a notice of a name only when nobody does anything in its directory, and who does may wait for an answer that
 * comes through the pump. So notices have a thread of their own. */
#include "shares/share-notices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "protocol/share-notices-protocol.h"

enum { MAX_WAITING = 4096 };

struct waiting {
    struct waiting *next;
    size_t length;
    char message[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t added = PTHREAD_COND_INITIALIZER;
static struct waiting *first, **last = &first;
static unsigned count;

static struct waiting *take(void)
{
    pthread_mutex_lock(&lock);
    while (first == NULL)
        pthread_cond_wait(&added, &lock);
    struct waiting *taken = first;
    first = taken->next;
    if (first == NULL)
        last = &first;
    count--;
    pthread_mutex_unlock(&lock);
    return taken;
}

/* The kernel's caches of all files: there is no way to have it forget those of one file system. If it can't, programs are told in
 * time that there are too many files (EMFILE). */
static void *drop_caches(void *taken)
{
    auto_free struct waiting *one = taken;
    struct share_notice_forget forget;
    memcpy(&forget, one->message + sizeof(struct fuse_out_header), sizeof(forget));
    auto_fd fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    /* 4 is to say nothing of it in the kernel's log, and has to come first, alone */
    if (fd >= 0 && pwrite(fd, "4", 1, 0) == 1)
        (void)!pwrite(fd, forget.data_too != 0 ? "3" : "2", 1, 0);
    return NULL;
}

/* Consumes it. On a thread of its own: it takes the kernel a second or two, and other notices don't wait. */
static void forget_files(struct waiting *taken)
{
    pthread_t thread;
    if (taken->length < sizeof(struct fuse_out_header) + sizeof(struct share_notice_forget) ||
        pthread_create(&thread, NULL, drop_caches, taken) != 0)
        free(taken);
    else
        pthread_detach(thread);
}

static bool is_for_agent(const struct waiting *taken)
{
    struct fuse_out_header header;
    memcpy(&header, taken->message, sizeof(header));
    return header.error == SHARE_NOTICE_FORGET;
}

/* What the kernel doesn't know it has nothing to forget of (ENOENT). */
static void *hand_over(void *fuse)
{
    for (;;) {
        struct waiting *taken = take();
        if (is_for_agent(taken)) {
            forget_files(taken);
            continue;
        }
        while (write((int)(intptr_t)fuse, taken->message, taken->length) < 0 && errno == EINTR)
            ;
        free(taken);
    }
    return NULL;
}

int share_notices_start(int fuse)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, hand_over, (void *)(intptr_t)fuse);
}

void share_notices_add(const void *message, size_t length)
{
    pthread_mutex_lock(&lock);
    struct waiting *one = count < MAX_WAITING ? malloc(sizeof(*one) + length) : NULL;
    if (one != NULL) {
        one->next = NULL;
        one->length = length;
        memcpy(one->message, message, length);
        *last = one;
        last = &one->next;
        count++;
        pthread_cond_signal(&added);
    }
    pthread_mutex_unlock(&lock);
}
