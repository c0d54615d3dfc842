#include "alone.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

static int give_up(uint64_t capabilities)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        uint32_t lost = (uint32_t)(capabilities >> (32 * i));
        sets[i].effective &= ~lost;
        sets[i].permitted &= ~lost;
        sets[i].inheritable &= ~lost;
    }
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
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
    return give_up(UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_NET_ADMIN);
}
