#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/system-calls.h"

/* Named one by one, with the request that needs each, in docs/security.md. Not those over processes and the kernel, which also count
 * when files of /proc or /sys are opened, as a share may hold; nor DAC_READ_SEARCH, by which any file of a share's file system can be
 * opened by its handle. */
static const unsigned file_capabilities[] = {
    CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_MKNOD,
};

static void must(bool done, const char *what)
{
    if (done)
        return;
    complain("fs-server: %s: %s", what, strerror(errno));
    exit(1);
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3], kept[_LINUX_CAPABILITY_U32S_3] = { 0 };
    for (size_t i = 0; i < sizeof(file_capabilities) / sizeof(file_capabilities[0]); i++)
        kept[CAP_TO_INDEX(file_capabilities[i])].permitted |= CAP_TO_MASK(file_capabilities[i]);
    must(syscall(SYS_capget, &header, data) == 0, "capget");
    bool may_set = (data[CAP_TO_INDEX(CAP_SETPCAP)].effective & CAP_TO_MASK(CAP_SETPCAP)) != 0;
    /* as many as the kernel knows */
    for (unsigned capability = 0; may_set && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if ((kept[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) == 0)
            must(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, "bounding set");
    /* A thread keeps what it has when it makes files as another user: the guest has checked permissions, and knows groups that
     * we don't. */
    if (may_set)
        must(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED, 0, 0, 0) == 0,
             "securebits");
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        data[i].permitted &= kept[i].permitted;
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    must(syscall(SYS_capset, &header, data) == 0, "drop capabilities");
}

#ifdef CHECKED_BUILD

/* The sanitizers need files and system calls of their own. */
static void leave_the_host(void)
{
}

static void keep_few_system_calls(void)
{
}

#else

/* Puts a directory of /proc where it is found when everything else is gone. */
static int take_tree(const char *path)
{
    int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    must(tree >= 0, path);
    return tree;
}

static void put_tree(int tree, const char *path)
{
    must(mkdir(path, 0500) == 0 && move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0, path);
    close(tree);
}

/* A mount namespace whose only mount is an empty directory with /proc/self/fd, the way to calls that take no O_PATH descriptor, and
 * /proc/self/fdinfo, which tells of locks. Shares come as descriptors of mounts that are in no namespace. */
static void leave_the_host(void)
{
    if (geteuid() != 0)
        return; /* there is nothing that this user may not do elsewhere */
    must(unshare(CLONE_NEWNS) == 0, "a mount namespace");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mounts of one's own");
    int descriptors = take_tree("/proc/self/fd"), descriptions = take_tree("/proc/self/fdinfo");
    /* Any directory will do that is there. */
    must(mount("fs-server", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0500,size=64k,nr_inodes=16") == 0,
         "an empty root");
    must(chdir("/proc") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
             chdir("/") == 0,
         "a new root");
    must(mkdir("/proc", 0500) == 0 && mkdir("/proc/self", 0500) == 0, "directories of the root");
    put_tree(descriptors, "/proc/self/fd");
    put_tree(descriptions, "/proc/self/fdinfo");
    must(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0,
         "a root that stays empty");
}

static void keep_few_system_calls(void)
{
    must(filter_system_calls() == 0, "filter system calls");
}

#endif

void enter_sandbox(void)
{
    leave_the_host();
    must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) == 0, "no core files");
    drop_capabilities();
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    keep_few_system_calls();
}
