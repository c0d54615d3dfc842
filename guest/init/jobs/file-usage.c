/* docker ps --size: the writable layer is walked, and its files' sizes added up. */
#include "jobs/file-usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_DEPTH 1024

struct sum {
    uint64_t bytes;
    void *linked; /* inodes that have several names, and were seen */
};

static int by_number(const void *a, const void *b)
{
    const ino_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* True if the inode is new. -ENOMEM when it can't be remembered. */
static int note_linked(struct sum *sum, ino_t inode)
{
    ino_t *key = malloc(sizeof(*key));
    if (key == NULL)
        return -ENOMEM;
    *key = inode;
    ino_t **found = tsearch(key, &sum->linked, by_number);
    if (found != NULL && *found == key)
        return 1;
    free(key);
    return found == NULL ? -ENOMEM : 0;
}

static int count_file(struct sum *sum, const struct stat *status)
{
    if (status->st_size == 0)
        return 0;
    int is_new = status->st_nlink > 1 ? note_linked(sum, status->st_ino) : 1;
    if (is_new > 0)
        sum->bytes += (uint64_t)status->st_size;
    return is_new < 0 ? is_new : 0;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        closedir(*directory);
}

static int count_directory(struct sum *sum, int parent, const char *name, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return -ELOOP;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    __attribute__((cleanup(close_directory))) DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        close(fd);
        return -ENOMEM;
    }
    int result = 0;
    for (const struct dirent *entry; result == 0 && (entry = readdir(directory)) != NULL;) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            result = errno == ENOENT ? 0 : -errno;
        else if (S_ISDIR(status.st_mode))
            result = count_directory(sum, fd, entry->d_name, depth + 1);
        else
            result = count_file(sum, &status);
    }
    return result;
}

int file_usage(int parent, const char *name, uint64_t *bytes)
{
    struct sum sum = { 0, NULL };
    int result = count_directory(&sum, parent, name, 0);
    while (sum.linked != NULL) {
        ino_t *inode = *(ino_t **)sum.linked;
        tdelete(inode, &sum.linked, by_number);
        free(inode);
    }
    *bytes = sum.bytes;
    return result;
}
