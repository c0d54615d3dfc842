/* What a saved state is made of, for who writes it (save.c) and who reads it (load.c). */
#ifndef FS_SERVER_SAVED_STATE_H
#define FS_SERVER_SAVED_STATE_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "table/inodes.h"

/* First and last number of the file. Raised when what follows changes its meaning: "CAISFS" and a version. */
#define MAGIC UINT64_C(0x4341495346530001)

enum {
    HANDLE_FLAGS = O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC | O_NOATIME,
    KIND_FILE = 0,
    KIND_DIRECTORY = 1,
    HOST_PATH_MAX = 2 * PATH_MAX,
    MAX_REASON = HOST_PATH_MAX + 512,
    MAX_WAITING_BYTES = 16 << 20,
};

static inline bool is_root(const struct inode *inode)
{
    return inode->share->root == inode;
}

/* Why it is refused, in words. */
__attribute__((format(printf, 2, 3))) void explain(char reason[MAX_REASON], const char *format, ...);
/* The path of what a descriptor stands for, from the root of its mount, as it is now; false if that is too long to be told. */
bool path_in_mount(int fd, char path[PATH_MAX]);
/* The same on the host; false, and that of the share, where it can't be told. */
bool host_path(const struct inode *inode, char path[HOST_PATH_MAX]);
/* Opens what lies at `path` below the share, never through a link; "" is the share itself. -1 and errno. */
int open_below(const struct share *share, const char *path);

#endif
