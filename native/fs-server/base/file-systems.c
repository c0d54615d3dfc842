#include "base/file-systems.h"

#include <linux/magic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

static const uint32_t remote[] = { NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
                                   CEPH_SUPER_MAGIC, AFS_SUPER_MAGIC, AFS_FS_MAGIC,          CODA_SUPER_MAGIC,
                                   FUSE_SUPER_MAGIC, V9FS_MAGIC,      OCFS2_SUPER_MAGIC,     0x01161970 /* GFS2 */,
                                   0x786f4256 /* vboxsf */ };
static const uint32_t made_up[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                    DEBUGFS_MAGIC,    TRACEFS_MAGIC, SECURITYFS_MAGIC,   BPF_FS_MAGIC,
                                    PSTOREFS_MAGIC,   SELINUX_MAGIC, 0x62656570 /* configfs */ };

/* Whether the file's is one of these types, by their magic numbers; `unknown` where that can't be told. */
static bool is_one_of(int fd, const uint32_t *types, size_t count, bool unknown)
{
    struct statfs system;
    if (fstatfs(fd, &system) < 0)
        return unknown;
    for (size_t i = 0; i < count; i++)
        if ((uint32_t)system.f_type == types[i])
            return true;
    return false;
}

bool is_remote(int fd)
{
    return is_one_of(fd, remote, sizeof(remote) / sizeof(remote[0]), true);
}

bool is_made_up(int fd)
{
    return is_one_of(fd, made_up, sizeof(made_up) / sizeof(made_up[0]), false);
}
