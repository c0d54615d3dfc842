/* Hot-plugged disks: which LUN of the virtio-scsi controller is which /dev/sdX. */
#ifndef CAISSON_DISK_H
#define CAISSON_DISK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/failure.h"

struct disk_spec {
    int lun;
    int partition; /* 0: the whole disk */
};

/* Looks at what is plugged and listens for more; `changed` is called when disks appeared. */
void disks_open(void (*changed)(void));
/* Reads a GuestDisk. */
int disk_spec_read(const json_t *object, struct disk_spec *spec, struct failure *failure);
/* Path of the device node, if it is there. */
bool disk_path(const struct disk_spec *spec, char *path, size_t size);
/* Opens the node to be read, and proves that it is this very disk's: while the descriptor is open no other disk gets its name.
 * -ENODEV when there is none; -ENXIO when it is not ready yet, or the name is another's by now: try again. */
int disk_open(const struct disk_spec *spec, char *path, size_t size);
/* Has the kernel read again what it has read of the disk. */
void disk_read_anew(int fd);

#endif
