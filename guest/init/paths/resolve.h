/* Paths inside a container's root, resolved so that no symbolic link of the image leads out of it. */
#ifndef CAISSON_RESOLVE_H
#define CAISSON_RESOLVE_H

enum resolve_make { RESOLVE_EXISTING, RESOLVE_MAKE_DIRECTORY, RESOLVE_MAKE_FILE };

/* Opens `path` below `root` with O_PATH; makes it, with missing parents, if asked. Returns a descriptor or -errno. */
int resolve_open(int root, const char *path, enum resolve_make make);
/* Opens the directory that holds `path`'s last component, making it if it is missing; `leaf` points into `path`. */
int resolve_parent(int root, const char *path, const char **leaf);

/* From now on what resolve_open makes in the root's own file system is written to this descriptor: its path from the root, with `p` in
 * front if it was asked for and `d` if it lies on the way, each ended by NUL. -1: no more. */
void resolve_list_made(int descriptor);

#endif
