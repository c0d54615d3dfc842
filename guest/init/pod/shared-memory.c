/* Shared memory that outlives whoever made it: tmpfs in the VM's own mount namespace, bound into containers. */
#include "pod/shared-memory.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fields.h"
#include "paths/mount-options.h"

int shared_memory_make(const char *directory, const char *path, const json_t *entry, struct failure *failure)
{
    json_t *words;
    struct mount_options options;
    int result;
    if ((result = field_array(entry, "options", &words, failure)) < 0 ||
        (result = mount_options_read(words, &options, failure)) < 0)
        return result;
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return fail_errno(failure, errno, PHASE_MOUNT, "make %s", directory);
    if (mkdir(path, 0755) < 0)
        return errno == EEXIST ? 0 : fail_errno(failure, errno, PHASE_MOUNT, "make %s", path);
    if (mount("shm", path, "tmpfs", options.flags, options.data) < 0) {
        result = fail_errno(failure, errno, PHASE_MOUNT, "mount shared memory (%s)", options.data);
        rmdir(path);
    }
    return result;
}

void shared_memory_drop_pod(void)
{
    umount2(POD_SHM, MNT_DETACH | UMOUNT_NOFOLLOW);
    rmdir(POD_SHM);
}
