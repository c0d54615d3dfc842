/* Ownership by scope: a variable declared with one of these frees what it holds when it goes out of scope.
 *
 * This folder is what all our C programs use, in the guest and on the host: headers alone. */
#ifndef CAISSON_INCLUDE_CLEANUP_H
#define CAISSON_INCLUDE_CLEANUP_H

#include <dirent.h>
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

static inline void cleanup_directory(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

#define auto_fd __attribute__((cleanup(cleanup_fd))) int
#define auto_free __attribute__((cleanup(cleanup_pointer)))
#define auto_file __attribute__((cleanup(cleanup_file))) FILE *
#define auto_directory __attribute__((cleanup(cleanup_directory))) DIR *

/* Hands an owned descriptor on. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static inline void drop_fd(int *fd)
{
    cleanup_fd(fd);
    *fd = -1;
}

#endif
