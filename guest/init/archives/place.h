/* What a path of a client means, as `docker cp` gives it. */
#ifndef CAISSON_PLACE_H
#define CAISSON_PLACE_H

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

/* Where a path leads: the directory, and the name in it. The last element is not followed, unless the path ends in "/" or
 * "/.": Docker's way to say what a path means. */
struct place {
    int root; /* the caller's */
    int directory;
    char path[PATH_MAX]; /* of the directory */
    char name[NAME_MAX + 1];
    struct stat status;
};

/* Finds an absolute path below `root`. Returns 0 or -errno, and then says in `message` on what it failed. */
int place_find(int root, const char *path, struct place *place, char *message, size_t message_size);

/* Writes mode, size, time, and the mode of what the path leads to in the end (0: nothing); then three names, all ended by
 * NUL: where the entry is, where a link leads, and where the path leads. */
int place_describe(const struct place *place, const char *path, int output, char *message, size_t message_size);

#endif
