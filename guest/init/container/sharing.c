/* What containers of a Pod have in common beyond namespaces: shared memory, and the files that the daemon gives. The
 * agent keeps both in the VM's mount namespace, and binds them into each container that uses them: so they live as long
 * as anyone has them, whoever ends first. */
#include "container/sharing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "container/container-table.h"
#include "core/fields.h"
#include "pod/shared-memory.h"

/* An empty source is the container's own, which others may join; `pod` the Pod's; else it is the id of whose it is. */
static int shm_path(const struct container *container, const char *source, char *path, size_t size,
                    struct failure *failure)
{
    const struct container *owner = container;
    if (strcmp(source, "pod") == 0) {
        snprintf(path, size, POD_SHM);
        return 0;
    }
    if (*source != '\0' && (owner = container_find(source)) == NULL)
        return fail(failure, ENOENT, PHASE_MOUNT, "no container %s to share memory with", source);
    snprintf(path, size, "%s/shm", owner->directory);
    return 0;
}

static int resolve_shm(const struct container *container, json_t *entry, struct failure *failure)
{
    const char *source;
    char path[64];
    int result;
    if ((result = field_string(entry, "source", &source, failure)) < 0 ||
        (result = shm_path(container, source, path, sizeof(path), failure)) < 0)
        return result;
    bool foreign = *source != '\0' && strcmp(source, "pod") != 0;
    if (!foreign && (result = shared_memory_make(container->directory, path, entry, failure)) < 0)
        return result;
    json_object_set_new(entry, "type", json_string("bind"));
    json_object_set_new(entry, "source", json_string(path));
    return 0;
}

static int resolve_file(json_t *file, struct failure *failure)
{
    const char *id, *path;
    int result;
    if (json_object_get(file, "of") == NULL)
        return 0;
    if ((result = field_id(file, "of", &id, failure)) < 0 || (result = field_string(file, "path", &path, failure)) < 0)
        return result;
    const struct container *owner = container_find(id);
    const json_t *files = owner == NULL ? NULL : json_object_get(owner->spec, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *theirs = json_array_get(files, i);
        const char *known = json_string_value(json_object_get(theirs, "path"));
        if (known == NULL || strcmp(known, path) != 0)
            continue;
        const char *source = json_string_value(json_object_get(theirs, "source"));
        char own[64];
        snprintf(own, sizeof(own), "%s/f%zu", owner->directory, i);
        /* Theirs may be another's in turn. */
        json_object_set_new(file, "source", json_string(source != NULL ? source : own));
        return 0;
    }
    return fail(failure, ENOENT, PHASE_MOUNT, "container %s has no file %s", id, path);
}

int sharing_resolve(struct container *container, struct failure *failure)
{
    json_t *mounts = json_object_get(container->spec, "mounts");
    json_t *files = json_object_get(container->spec, "files");
    int result = 0;
    for (size_t i = 0; result == 0 && i < json_array_size(mounts); i++) {
        json_t *entry = json_array_get(mounts, i);
        const char *type = json_string_value(json_object_get(entry, "type"));
        if (type != NULL && strcmp(type, "shm") == 0)
            result = resolve_shm(container, entry, failure);
    }
    for (size_t i = 0; result == 0 && i < json_array_size(files); i++)
        result = resolve_file(json_array_get(files, i), failure);
    return result;
}
