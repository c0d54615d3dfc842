#include "table/handles.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/buckets.h"
#include "base/memory.h"
#include "table/inodes.h"

static struct handle *handles[BUCKETS];
static unsigned open_directories;
static uint64_t next_handle_id = 1;

static void close_handle(struct handle *handle)
{
    if (handle->dir != NULL)
        closedir(handle->dir);
    else
        close(handle->fd);
    pthread_mutex_destroy(&handle->reading.mutex);
    free(handle);
}

static struct handle *find_handle(uint64_t id)
{
    struct handle *handle = handles[bucket_of(id)];
    while (handle != NULL && handle->id != id)
        handle = handle->next;
    return handle;
}

/* Consumes `fd` or `dir`. `id` 0: the next number. 0: too many are open, or the number is taken. */
static uint64_t enter_handle(uint64_t id, uint64_t node, int fd, DIR *dir)
{
    struct handle *handle = allocate(sizeof(*handle));
    handle->fd = fd;
    handle->dir = dir;
    handle->node = node;
    handle->reading = (struct lock)LOCK_OF(LOCK_POSITION);
    take_lock(&table_lock);
    bool possible = (dir == NULL || open_directories < MAX_OPEN_DIRECTORIES) && (id == 0 || find_handle(id) == NULL);
    if (possible) {
        open_directories += dir != NULL ? 1 : 0;
        handle->id = id != 0 ? id : next_handle_id++;
        handle->next = handles[bucket_of(handle->id)];
        handles[bucket_of(handle->id)] = handle;
        id = handle->id;
    }
    give_lock(&table_lock);
    if (possible)
        return id;
    close_handle(handle);
    return 0;
}

uint64_t add_handle(uint64_t node, int fd, DIR *dir)
{
    return enter_handle(0, node, fd, dir);
}

bool restore_handle(uint64_t id, uint64_t node, int fd, DIR *dir)
{
    return enter_handle(id, node, fd, dir) != 0;
}

struct handle **list_handles(size_t *count)
{
    take_lock(&table_lock);
    *count = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct handle *handle = handles[bucket]; handle != NULL; handle = handle->next)
            ++*count;
    struct handle **list = allocate((*count + 1) * sizeof(*list));
    size_t index = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct handle *handle = handles[bucket]; handle != NULL; handle = handle->next)
            list[index++] = handle;
    give_lock(&table_lock);
    return list;
}

uint64_t next_handle_number(uint64_t at_least)
{
    take_lock(&table_lock);
    if (next_handle_id < at_least)
        next_handle_id = at_least;
    uint64_t next = next_handle_id;
    give_lock(&table_lock);
    return next;
}

struct handle *hold_handle(uint64_t id, uint64_t node)
{
    take_lock(&table_lock);
    struct handle *handle = find_handle(id);
    if (handle != NULL && handle->node == node)
        handle->users++;
    else
        handle = NULL;
    give_lock(&table_lock);
    return handle;
}

void drop_handle(struct handle *handle, bool release)
{
    if (handle == NULL)
        return;
    take_lock(&table_lock);
    if (release && !handle->released) {
        handle->released = true;
        struct handle **link = &handles[bucket_of(handle->id)];
        while (*link != handle)
            link = &(*link)->next;
        *link = handle->next;
    }
    bool last = --handle->users == 0 && handle->released;
    open_directories -= last && handle->dir != NULL ? 1 : 0;
    give_lock(&table_lock);
    if (last)
        close_handle(handle);
}
