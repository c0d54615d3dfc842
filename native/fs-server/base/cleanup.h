/* Ownership by scope: a variable declared with one of these frees what it holds when it goes out of scope. */
#ifndef FS_SERVER_CLEANUP_H
#define FS_SERVER_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_pointer(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_file(FILE **file)
{
    if (*file != NULL)
        fclose(*file);
}

#define auto_fd __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_pointer)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *

/* Hands an owned descriptor on. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
