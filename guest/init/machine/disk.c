/* machine: the VM itself, whatever runs in it: disks, kernel modules, identity, memory that goes back to the host.
 *
 * Hot-plugged disks: which LUN of the virtio-scsi controller is which /dev/sdX, told by the kernel's uevents. */
#include "machine/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/log.h"
#include "core/loop.h"

#define MAX_LUNS 512
#define MAX_PARTITIONS 255

static struct {
    char name[16];                              /* sdX; empty: not there */
    uint8_t partitions[MAX_PARTITIONS / 8 + 1]; /* bit per partition */
} disks[MAX_LUNS];

static struct source uevents = { .fd = -1 };
static void (*on_change)(void);

/* A block device's path ends in `/<host>:<channel>:<target>:<lun>/block/<disk>[/<partition>]`. */
static bool parse_path(const char *path, int *lun, char name[16], int *partition)
{
    const char *block = strstr(path, "/block/");
    if (block == NULL)
        return false;
    const char *address = block;
    while (address > path && address[-1] != '/')
        address--;
    char disk[16], part[16] = "";
    if (sscanf(address, "%*d:%*d:%*d:%d/block/%15[^/]/%15s", lun, disk, part) < 2)
        return false;
    if (*lun < 0 || *lun >= MAX_LUNS)
        return false;
    snprintf(name, 16, "%s", disk);
    *partition = 0;
    size_t length = strlen(disk);
    if (strncmp(part, disk, length) == 0 && sscanf(part + length, "%d", partition) != 1)
        return false;
    return *partition >= 0 && *partition <= MAX_PARTITIONS;
}

static void note(const char *path, bool present)
{
    int lun, partition;
    char name[16];
    if (!parse_path(path, &lun, name, &partition))
        return;
    if (partition > 0) {
        uint8_t bit = (uint8_t)(1u << (partition % 8));
        if (present)
            disks[lun].partitions[partition / 8] |= bit;
        else
            disks[lun].partitions[partition / 8] &= (uint8_t)~bit;
        return;
    }
    memset(disks[lun].partitions, 0, sizeof(disks[lun].partitions));
    snprintf(disks[lun].name, sizeof(disks[lun].name), "%s", present ? name : "");
}

/* What was plugged before we listened, or while the socket overflowed. */
static void rescan(void)
{
    memset(disks, 0, sizeof(disks));
    auto_directory directory = opendir("/sys/class/block");
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char target[512];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);
        if (length <= 0 || strncmp(entry->d_name, "sd", 2) != 0)
            continue;
        target[length] = '\0';
        int lun, partition;
        char name[16];
        /* Disks before their partitions, whatever order the directory has. */
        if (parse_path(target, &lun, name, &partition)) {
            snprintf(disks[lun].name, sizeof(disks[lun].name), "%s", name);
            if (partition > 0)
                disks[lun].partitions[partition / 8] |= (uint8_t)(1u << (partition % 8));
        }
    }
}

static void uevents_ready(struct source *source, uint32_t events)
{
    (void)events;
    char message[8192];
    bool changed = false;
    for (;;) {
        ssize_t length = recv(source->fd, message, sizeof(message) - 1, MSG_DONTWAIT);
        if (length < 0 && errno == ENOBUFS) {
            rescan();
            changed = true;
            continue;
        }
        if (length <= 0)
            break;
        message[length] = '\0';
        if (strncmp(message, "add@", 4) == 0 || strncmp(message, "remove@", 7) == 0) {
            note(strchr(message, '@') + 1, message[0] == 'a');
            changed = true;
        }
    }
    if (changed)
        on_change();
}

void disks_open(void (*changed)(void))
{
    on_change = changed;
    uevents.fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    if (uevents.fd < 0 || bind(uevents.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("uevents: %s", strerror(errno));
    int size = 1 << 20;
    setsockopt(uevents.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    uevents.ready = uevents_ready;
    if (loop_add(&uevents, EPOLLIN) < 0)
        die("cannot watch uevents");
    rescan();
}

int disk_spec_read(const json_t *object, struct disk_spec *spec, struct failure *failure)
{
    int64_t lun, partition = 0;
    int result = field_integer(object, "lun", &lun, failure);
    if (result == 0 && json_object_get(object, "partition") != NULL)
        result = field_integer(object, "partition", &partition, failure);
    if (result < 0)
        return result;
    if (lun < 0 || lun >= MAX_LUNS || partition < 0 || partition > MAX_PARTITIONS)
        return fail(failure, EINVAL, PHASE_REQUEST, "no such disk address: LUN %lld, partition %lld", (long long)lun,
                    (long long)partition);
    *spec = (struct disk_spec){ (int)lun, (int)partition };
    return 0;
}

bool disk_path(const struct disk_spec *spec, char *path, size_t size)
{
    if (disks[spec->lun].name[0] == '\0')
        return false;
    if (spec->partition == 0) {
        snprintf(path, size, "/dev/%s", disks[spec->lun].name);
        return true;
    }
    snprintf(path, size, "/dev/%s%d", disks[spec->lun].name, spec->partition);
    return (disks[spec->lun].partitions[spec->partition / 8] & 1u << (spec->partition % 8)) != 0;
}

/* Whether the block device of these numbers lies at the address, as sysfs tells. */
static bool lies_at(const struct disk_spec *spec, dev_t device)
{
    char link[64], target[512], name[16];
    int lun, partition;
    snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(device), minor(device));
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    return parse_path(target, &lun, name, &partition) && lun == spec->lun && partition == spec->partition;
}

int disk_open(const struct disk_spec *spec, char *path, size_t size)
{
    if (!disk_path(spec, path, size))
        return -ENODEV;
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENXIO : -errno;
    struct stat status;
    uint64_t bytes = 0;
    /* without a size yet it would be read as zeros */
    if (fstat(fd, &status) < 0 || !S_ISBLK(status.st_mode) || !lies_at(spec, status.st_rdev) ||
        ioctl(fd, BLKGETSIZE64, &bytes) < 0 || bytes == 0)
        return -ENXIO;
    return take_fd(&fd);
}

void disk_read_anew(int fd)
{
    ioctl(fd, BLKFLSBUF, 0);
}
