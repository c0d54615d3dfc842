/* Writes a directory tree as a tar stream: docker cp, export, commit. */
#ifndef CAISSON_TAR_WRITE_H
#define CAISSON_TAR_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct bulk;

struct tar_write_options {
    /* Where the archive goes instead of `output`, unless NULL. */
    struct bulk *bulk;
    /* A layer: overlayfs' whiteouts (character device 0:0) and opaque directories in the `.wh.` form of OCI's
     * layers. */
    bool layer;
    /* What is mounted inside the tree appears as an empty directory. */
    bool one_file_system;
    /* A directory that is not there for who asks, unless NULL. */
    const struct stat *omitted;
    /* Of a part of the tree, unless NULL: whether an entry of this name is written. A directory that isn't is looked through all the
     * same. */
    bool (*wanted)(const void *context, const char *name);
    const void *context;
    /* Names that a layer hides, besides those that the tree tells of. */
    const char *const *gone;
    size_t gone_count;
};

/* Writes `path` (relative to `directory`, not followed if it is a symbolic link) under the name `name` (""
 * for the root of an archive: its children have no prefix and it has no entry of its own), with all that is
 * in it in the order of names, and the end of the archive. Returns 0 or -errno; `culprit`, of `culprit_size`
 * bytes, names what it failed on. */
int tar_write(int output, int directory, const char *path, const char *name, struct tar_write_options options,
              char *culprit, unsigned culprit_size);

#endif
