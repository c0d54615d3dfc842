/* Open files and directories. */
#ifndef FS_SERVER_HANDLES_H
#define FS_SERVER_HANDLES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock-order.h"

/* An open file or directory. */
struct handle {
    struct handle *next;
    uint64_t id;
    uint64_t node;
    int fd;
    DIR *dir;
    unsigned users;
    bool released;
    /* A DIR has one position. */
    struct lock reading;
};

enum {
    /* Each has a buffer of 32 KiB. */
    MAX_OPEN_DIRECTORIES = 4096,
};

/* Consumes `fd`, or `dir` that is made of it; returns the number for the guest. 0, and all is closed: too
 * many are open. */
uint64_t add_handle(uint64_t node, int fd, DIR *dir);
/* All of them, for who knows that no request is under way; free() it. */
struct handle **list_handles(size_t *count);
/* As add_handle(), with the number that it had in a server before. False: too many are open, or the number is taken. */
bool restore_handle(uint64_t id, uint64_t node, int fd, DIR *dir);
/* The number that is handed out next: from now on at least this one. */
uint64_t next_handle_number(uint64_t at_least);
/* NULL if the guest made the number up, or if it is another file's. */
struct handle *hold_handle(uint64_t id, uint64_t node);
/* Gives back what hold_handle() took; `release`: the guest has closed it. NULL is allowed. */
void drop_handle(struct handle *handle, bool release);

#endif
