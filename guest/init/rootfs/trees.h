/* File systems beside a container's root (GuestContainerSpec.trees): layers that can be written to, or a disk of their own. They are
 * mounted in the VM's own mount namespace; the container's mounts of type `tree` show them, or parts of them. */
#ifndef CAISSON_TREES_H
#define CAISSON_TREES_H

#include <jansson.h>
#include <stdbool.h>

#include "core/failure.h"
#include "machine/disk.h"

struct tree {
    struct disk_spec *layers; /* top first */
    int layer_count;
    bool has_disk;
    struct disk_spec disk;
};

struct trees {
    struct tree *list;
    int count;
};

/* Free with trees_free also after a failure. */
int trees_read(const json_t *spec, struct trees *trees, struct failure *failure);
void trees_free(struct trees *trees);
/* Mounts them in the working directory, which is the container's, with its writable disk mounted. */
int trees_mount(const struct trees *trees, struct failure *failure);
/* What was written to disks of their own is on them. */
int trees_sync(const char *directory, const struct trees *trees);
/* Before the writable disk. Harmless twice. */
int trees_unmount(const char *directory, const struct trees *trees, int flags);
/* Opens `subpath` in the tree of that number, links followed within it. Returns a descriptor or -errno. */
int tree_open(const char *directory, const char *number, const char *subpath);
/* Opens what was changed of the tree, in the container's directory. Returns a descriptor or -errno. */
int tree_open_changes(const char *directory, int number);

#endif
