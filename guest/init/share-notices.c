/* The kernel takes a notice of a name only when nobody does anything in its directory, and who does may wait for an answer that
 * comes through the pump. So notices have a thread of their own. */
#include "share-notices.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What the kernel doesn't know it has nothing to forget of (ENOENT). */
static void *hand_over(void *fuse)
{
    for (;;) {
        struct waiting *taken = take();
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
