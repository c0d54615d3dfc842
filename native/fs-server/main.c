/* The host's end of shared files: answers the FUSE requests of one VM, which arrive on the unix socket of a
 * virtio-serial port. One process for each VM that shares anything; it outlives the daemon, as the VM does.
 *
 *   fs-server FUSE_SOCKET CONTROL_SOCKET
 *
 * The file system's root is a virtual directory whose children are the shares (bind mounts and volumes),
 * added over the control socket. A request names an inode that was handed out before, and at most one path
 * component: paths are never walked and symbolic links never followed on the host, so nothing outside a share
 * can be reached, whatever the guest races or forges. Only regular files and directories are ever opened
 * here; device nodes, FIFOs and sockets are the guest kernel's business. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "control/control.h"
#include "host/trust.h"
#include "include/usual-priority.h"
#include "operations/dispatch.h"
#include "table/crowd.h"
#include "table/descriptors.h"
#include "wire/transport.h"
#include "wire/waiting.h"

static int unix_socket(const char *path, bool listening)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (listening)
        unlink(path);
    int result = listening ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                           : connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (result == 0 && listening)
        result = listen(fd, 16);
    if (result < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        complain("usage: fs-server FUSE_SOCKET CONTROL_SOCKET");
        return 2;
    }
    take_usual_priority();
    setsid();
    signal(SIGPIPE, SIG_IGN);
    prepare_interrupts();
    /* Whoever can connect to the control socket may have any directory shared: the daemon, and no user of a VM. */
    umask(0077);
    /* Every file the guest remembers is a descriptor here. */
    set_descriptor_limit(prepare_descriptors());
    prepare_trust();
    prepare_identities();
    int guest = unix_socket(argv[1], false);
    int control = guest < 0 ? -1 : unix_socket(argv[2], true);
    if (control < 0) {
        complain("fs-server: %s: %s", guest < 0 ? argv[1] : argv[2], strerror(errno));
        return 1;
    }
    enter_sandbox();
    umask(0); /* a guest's files get the modes that it asks for */
    meet_guest(guest, &operations_handler);
    if (start_control(control) != 0)
        return 1;
    printf("ready\n");
    fflush(stdout);
    return serve_guest();
}
