/* A container's file system: layers, overlay, mounts, devices and the move into it. Runs in the container's first
 * process, before its program. */
#ifndef CAISSON_ROOTFS_H
#define CAISSON_ROOTFS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/failure.h"

struct disk_spec;
struct launch;

/* Mounts layers (top first), the writable disk and the overlay in `directory`, in the VM's own mount namespace, where
 * they stay until rootfs_unmount. `spec` is the GuestContainerSpec. The working directory changes. */
int rootfs_mount(const char *directory, const struct disk_spec *layers, int layer_count,
                 const struct disk_spec *writable, const json_t *spec, struct failure *failure);
/* Writes the container's files (GuestContainerSpec.files) to `directory`. */
int rootfs_write_files(const char *directory, const json_t *files, struct failure *failure);
/* Replaces the content of one of them. */
int rootfs_replace_file(const char *directory, size_t index, const void *bytes, size_t length, struct failure *failure);
/* In the container's namespaces: builds everything below `directory`/root as the GuestContainerSpec says, opens the
 * terminal, and makes it the root. */
int rootfs_enter(const char *directory, const json_t *spec, bool init, struct launch *launch, struct failure *failure);
/* Unmounts what rootfs_mount made and removes `directory`. Harmless twice. */
int rootfs_unmount(const char *directory, int layer_count, int flags);

#endif
