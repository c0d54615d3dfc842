#include "handles.h"

#include <stdlib.h>
#include <unistd.h>

#include "inodes.h"
#include "memory.h"

static struct handle *handles[BUCKETS];
static unsigned open_directories;
static uint64_t next_handle_id = 1;

uint64_t add_handle(uint64_t node, int fd, DIR *dir) {
    pthread_mutex_lock(&table_lock);
    bool full = dir != NULL && open_directories == MAX_OPEN_DIRECTORIES;
    open_directories += dir != NULL && !full ? 1 : 0;
    pthread_mutex_unlock(&table_lock);
    if (full) {
        closedir(dir);
        return 0;
    }
    struct handle *handle = allocate(sizeof *handle);
    handle->fd = fd;
    handle->dir = dir;
    handle->node = node;
    pthread_mutex_init(&handle->reading, NULL);
    pthread_mutex_lock(&table_lock);
    handle->id = next_handle_id++;
    handle->next = handles[bucket_of(handle->id)];
    handles[bucket_of(handle->id)] = handle;
    pthread_mutex_unlock(&table_lock);
    return handle->id;
}

struct handle *hold_handle(uint64_t id, uint64_t node) {
    pthread_mutex_lock(&table_lock);
    struct handle *handle = handles[bucket_of(id)];
    while (handle != NULL && handle->id != id)
        handle = handle->next;
    if (handle != NULL && handle->node == node)
        handle->users++;
    else
        handle = NULL;
    pthread_mutex_unlock(&table_lock);
    return handle;
}

void drop_handle(struct handle *handle, bool release) {
    if (handle == NULL)
        return;
    pthread_mutex_lock(&table_lock);
    if (release && !handle->released) {
        handle->released = true;
        struct handle **link = &handles[bucket_of(handle->id)];
        while (*link != handle)
            link = &(*link)->next;
        *link = handle->next;
    }
    bool last = --handle->users == 0 && handle->released;
    open_directories -= last && handle->dir != NULL ? 1 : 0;
    pthread_mutex_unlock(&table_lock);
    if (!last)
        return;
    if (handle->dir != NULL)
        closedir(handle->dir);
    else
        close(handle->fd);
    pthread_mutex_destroy(&handle->reading);
    free(handle);
}
