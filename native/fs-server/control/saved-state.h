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
    MAX_REASON = 4608,
    MAX_WAITING_BYTES = 16 << 20,
};

static inline bool is_root(const struct inode *inode)
{
    return inode->share->root == inode;
}

/* Why it is refused, in words. */
__attribute__((format(printf, 2, 3))) void explain(char reason[MAX_REASON], const char *format, ...);
/* The path of what a descriptor stands for, as the host has it now; false if that is too long to be told. */
bool host_path(int fd, char path[PATH_MAX]);
/* Opens what lies at `path` below the share, never through a link; "" is the share itself. -1 and errno. */
int open_below(const struct share *share, const char *path);

#endif
