#include "base/identity.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* We run as root and can give files to others. */
static bool privileged;

void prepare_identities(void)
{
    privileged = geteuid() == 0;
}

int prepare_identity(void)
{
    return unshare(CLONE_FS) < 0 ? errno : 0;
}

void enter_caller(const struct fuse_in_header *in, uint32_t umask_bits)
{
    umask(umask_bits & 0777);
    if (!privileged || (in->uid == 0 && in->gid == 0))
        return;
    setfsgid(in->gid);
    setfsuid(in->uid);
    /* Neither call tells of failure but by what it finds: a file must not become root's. */
    if ((gid_t)setfsgid((gid_t)-1) != in->gid || (uid_t)setfsuid((uid_t)-1) != in->uid) {
        complain("fs-server: can't make files as %u:%u", in->uid, in->gid);
        exit(1);
    }
}

void leave_caller(void)
{
    umask(0);
    if (!privileged)
        return;
    setfsuid(0);
    setfsgid(0);
}
