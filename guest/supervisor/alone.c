#include "alone.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "protocol/supervisor.h"

#define OWN_SYSFS SUPERVISOR_STATE "/sys"

int give_up_return(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];
    /* First the set that bounds what an execve() gives to root: who traces this process may have it call that. */
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1 && prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) < 0)
        return -errno;
    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    sets[0].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    sets[0].permitted &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    sets[0].inheritable &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

/* /sys is of the network that was left, and has its interfaces' names. The rest of it stays as the node has masked it. Where a node
 * lets nobody mount, they are there to be read, and lead nowhere. */
static void show_own_network(void)
{
    static const char *const lists[] = { "class/net", "devices/virtual/net" };
    if (mkdir(OWN_SYSFS, 0700) < 0 ||
        mount("sysfs", OWN_SYSFS, "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
        rmdir(OWN_SYSFS);
        return;
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char own[64], seen[64];
        snprintf(own, sizeof(own), OWN_SYSFS "/%s", lists[i]);
        snprintf(seen, sizeof(seen), "/sys/%s", lists[i]);
        mount(own, seen, NULL, MS_BIND, NULL);
    }
    umount2(OWN_SYSFS, MNT_DETACH);
    rmdir(OWN_SYSFS);
}

int leave_network(void)
{
    struct ifreq lo = { .ifr_name = "lo" };
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    auto_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
        return -errno;
    lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        return -errno;
    show_own_network();
    return give_up_return();
}
