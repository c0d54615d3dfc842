/* What the files of a tree take: docker ps --size. */
#ifndef CAISSON_FILE_USAGE_H
#define CAISSON_FILE_USAGE_H

#include <stdint.h>

/* Adds up the sizes of all files below `name` in `parent`, as dockerd counts: directories are nothing, a file with several
 * names counts once, a link by the length of what it says. What vanishes meanwhile is nothing either. Returns 0 or -errno. */
int file_usage(int parent, const char *name, uint64_t *bytes);

#endif
