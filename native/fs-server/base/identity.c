#include "base/identity.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

/* We run as root and can give files to others. */
static bool privileged;

static const unsigned file_capabilities[] = {
    CAP_CHOWN,
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    CAP_SETGID,
    CAP_SETUID,
    CAP_SETFCAP,
    CAP_MKNOD,
    /* space that a file system holds back for root, and quotas */
    CAP_SYS_RESOURCE,
};

void drop_capabilities(void)
{
    privileged = geteuid() == 0;
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3], kept[_LINUX_CAPABILITY_U32S_3] = { 0 };
    for (size_t i = 0; i < sizeof(file_capabilities) / sizeof(file_capabilities[0]); i++)
        kept[CAP_TO_INDEX(file_capabilities[i])].permitted |= CAP_TO_MASK(file_capabilities[i]);
    bool known = syscall(SYS_capget, &header, data) == 0;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= kept[i].permitted;
        data[i].effective &= kept[i].permitted;
        data[i].inheritable = 0;
    }
    if (!known || syscall(SYS_capset, &header, data) < 0) {
        complain("fs-server: can't drop capabilities");
        exit(1);
    }
}

int prepare_identity(void)
{
    return unshare(CLONE_FS) < 0 ? errno : 0;
}

/* A file system uid other than 0 takes effective capabilities away; what is permitted may be taken back. */
static void regain_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) < 0)
        return;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        data[i].effective = data[i].permitted;
    syscall(SYS_capset, &header, data);
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
    if (in->uid != 0)
        regain_capabilities();
}

void leave_caller(void)
{
    umask(0);
    if (!privileged)
        return;
    setfsuid(0);
    setfsgid(0);
}
