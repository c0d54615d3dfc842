/* Mount options, addresses, and paths inside a root full of traps. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"
#include "paths/mount-options.h"
#include "paths/resolve.h"
#include "pod/netlink.h"

static void options(void)
{
    struct failure failure;
    struct mount_options read;
    auto_json words = json_pack("[s,s,s,s,s,s]", "nosuid", "ro", "size=64k", "rslave", "mode=755", "rw");
    CHECK(mount_options_read(words, &read, &failure) == 0);
    CHECK(read.flags == MS_NOSUID && read.propagation == (MS_SLAVE | MS_REC));
    CHECK_TEXT(read.data, "size=64k,mode=755");
    auto_json wrong = json_pack("[i]", 1);
    CHECK(mount_options_read(wrong, &read, &failure) == -EINVAL);
    auto_json many = json_array();
    for (int i = 0; i < 1000; i++)
        json_array_append_new(many, json_string("something=long"));
    CHECK(mount_options_read(many, &read, &failure) == -E2BIG);
}

static void addresses(void)
{
    struct ip_prefix prefix;
    uint8_t mac[6];
    CHECK(ip_prefix_parse("10.1.2.3/24", &prefix) && prefix.family == AF_INET && prefix.length == 24 &&
          prefix.bytes[3] == 3);
    CHECK(ip_prefix_parse("10.1.2.3", &prefix) && prefix.length == 32);
    CHECK(ip_prefix_parse("fd00::1/64", &prefix) && prefix.family == AF_INET6 && prefix.length == 64);
    CHECK(ip_prefix_parse("0.0.0.0/0", &prefix) && prefix.length == 0);
    CHECK(!ip_prefix_parse("10.1.2.3/33", &prefix) && !ip_prefix_parse("10.1.2/8", &prefix));
    CHECK(!ip_prefix_parse("10.1.2.3/8x", &prefix) && !ip_prefix_parse("", &prefix));
    CHECK(mac_parse("02:42:ac:11:00:0f", mac) && mac[5] == 0x0f);
    CHECK(!mac_parse("02:42:ac:11:00", mac) && !mac_parse("02:42:ac:11:00:0f:1", mac));
}

static void make_link(int root, const char *name, const char *target)
{
    CHECK(symlinkat(target, root, name) == 0);
}

static void paths(void)
{
    char directory[] = "/tmp/resolve-XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    auto_fd root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_link(root, "out", "/etc");
    make_link(root, "up", "../../../../etc");
    make_link(root, "dangling", "/run/made/by/us");
    make_link(root, "loop", "loop");
    make_link(root, "magic", "/proc/self/root");
    int fd;
    CHECK(resolve_open(root, "/out/passwd", RESOLVE_EXISTING) == -ENOENT);
    CHECK(resolve_open(root, "up/passwd", RESOLVE_EXISTING) == -ENOENT);
    CHECK(resolve_open(root, "loop", RESOLVE_MAKE_FILE) == -ELOOP);
    CHECK((fd = resolve_open(root, "/a/b/c", RESOLVE_MAKE_DIRECTORY)) >= 0 && close(fd) == 0);
    CHECK(faccessat(root, "a/b/c", F_OK, 0) == 0);
    CHECK((fd = resolve_open(root, "dangling", RESOLVE_MAKE_FILE)) >= 0 && close(fd) == 0);
    struct stat status;
    CHECK(fstatat(root, "run/made/by/us", &status, 0) == 0 && S_ISREG(status.st_mode));
    CHECK((fd = resolve_open(root, "/out/new/../hosts", RESOLVE_MAKE_FILE)) >= 0 && close(fd) == 0);
    CHECK(fstatat(root, "etc/hosts", &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode));
    CHECK((fd = resolve_open(root, "../../x/../../y", RESOLVE_MAKE_DIRECTORY)) >= 0 && close(fd) == 0);
    CHECK(faccessat(root, "y", F_OK, 0) == 0);
    CHECK((fd = resolve_open(root, "magic/inside", RESOLVE_MAKE_FILE)) >= 0 && close(fd) == 0);
    CHECK(faccessat(root, "proc/self/root/inside", F_OK, 0) == 0);
    CHECK(resolve_open(root, "run/made/by/us/below", RESOLVE_MAKE_FILE) == -ENOTDIR);
    const char *leaf;
    CHECK((fd = resolve_parent(root, "/dev/net/tun", &leaf)) >= 0 && close(fd) == 0);
    CHECK_TEXT(leaf, "tun");
    CHECK(resolve_parent(root, "/dev/net/..", &leaf) == -EINVAL);
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    CHECK(system(command) == 0);
}

int main(void)
{
    options();
    addresses();
    paths();
    return 0;
}
