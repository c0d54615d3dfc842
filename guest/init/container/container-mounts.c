/* What a container has mounted in the VM's own mount namespace: its root, and the trees beside it. */
#include "container/container-mounts.h"

#include <errno.h>
#include <stdlib.h>

#include "container/container-table.h"
#include "core/fields.h"
#include "rootfs/rootfs.h"
#include "rootfs/trees.h"

#define MAX_LAYERS 500

int container_disks_read(struct container *container, struct failure *failure)
{
    json_t *rootfs, *layers, *writable;
    int result;
    if ((result = field_object(container->spec, "rootfs", &rootfs, failure)) < 0 ||
        (result = field_array(rootfs, "layers", &layers, failure)) < 0 ||
        (result = field_object(rootfs, "writable", &writable, failure)) < 0 ||
        (result = disk_spec_read(writable, &container->writable, failure)) < 0)
        return result;
    size_t count = json_array_size(layers);
    if (count > MAX_LAYERS)
        return fail(failure, E2BIG, PHASE_REQUEST, "too many layers");
    container->layers = calloc(count + 1, sizeof(*container->layers));
    if (container->layers == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for layers");
    for (size_t i = 0; i < count; i++) {
        result = disk_spec_read(json_array_get(layers, i), &container->layers[i], failure);
        if (result < 0)
            return result;
    }
    container->layer_count = (int)count;
    if ((result = emulator_read(container->spec, &container->emulator, failure)) < 0)
        return result;
    return trees_read(container->spec, &container->trees, failure);
}

static bool is_ready(const struct disk_spec *disk, int *missing)
{
    char path[64];
    bool ready = disk_path(disk, path, sizeof(path));
    if (!ready)
        *missing = disk->lun;
    return ready;
}

bool container_disks_ready(const struct container *container, int *missing)
{
    bool ready = is_ready(&container->writable, missing);
    if (ready && container->emulator.wanted)
        ready = is_ready(&container->emulator.disk, missing);
    for (int i = 0; ready && i < container->layer_count; i++)
        ready = is_ready(&container->layers[i], missing);
    for (int i = 0; ready && i < container->trees.count; i++) {
        const struct tree *tree = &container->trees.list[i];
        ready = !tree->has_disk || is_ready(&tree->disk, missing);
        for (int layer = 0; ready && layer < tree->layer_count; layer++)
            ready = is_ready(&tree->layers[layer], missing);
    }
    return ready;
}

int container_mount(const struct container *container, struct failure *failure)
{
    int result = rootfs_mount(container->directory, container->layers, container->layer_count, &container->writable,
                              container->spec, failure);
    return result < 0 ? result : trees_mount(&container->trees, failure);
}

int container_sync_trees(const struct container *container)
{
    return trees_sync(container->directory, &container->trees);
}

int container_unmount(const struct container *container, int flags)
{
    int result = trees_unmount(container->directory, &container->trees, flags);
    return result < 0 ? result : rootfs_unmount(container->directory, container->layer_count, flags);
}
