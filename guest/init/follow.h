/* Symbolic links by hand: realpath(3) wants everything to exist, Docker's paths need not. Only where "/" is the
 * container's own root, since nothing here keeps within another. */
#ifndef CAISSON_FOLLOW_H
#define CAISSON_FOLLOW_H

#include <limits.h>
#include <sys/types.h>

/* The absolute path without links, "." and "..": what does not exist is taken as it is written. 0 or -errno. */
int follow_path(const char *path, char resolved[PATH_MAX]);
/* Makes the directory and what is missing above it, with the owner for new ones. Existing ones stay as they are. */
int follow_make_directory(const char *path, uid_t uid, gid_t gid);

#endif
