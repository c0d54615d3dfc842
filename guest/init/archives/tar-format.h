/* The tar format, as Docker's archives use it: POSIX ustar headers with PAX records (POSIX.1-2001 pax, GNU's
 * L and K for reading). Numbers are octal text unless they do not fit. */
#ifndef CAISSON_TAR_FORMAT_H
#define CAISSON_TAR_FORMAT_H

enum {
    TAR_BLOCK = 512,
    TAR_TYPE_REGULAR = '0',
    TAR_TYPE_HARD_LINK = '1',
    TAR_TYPE_SYMLINK = '2',
    TAR_TYPE_CHARACTER = '3',
    TAR_TYPE_BLOCK = '4',
    TAR_TYPE_DIRECTORY = '5',
    TAR_TYPE_FIFO = '6',
    TAR_TYPE_PAX = 'x',
    TAR_TYPE_PAX_GLOBAL = 'g',
    TAR_TYPE_GNU_LONG_NAME = 'L',
    TAR_TYPE_GNU_LONG_LINK = 'K',
    TAR_TYPE_GNU_SPARSE = 'S', /* its first form, which dockerd does not unpack */
};

struct tar_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char linkname[100];
    char magic[6];
    char version[2];
    char uname[32];
    char gname[32];
    char devmajor[8];
    char devminor[8];
    char prefix[155];
    char padding[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

#define TAR_XATTR_PREFIX "SCHILY.xattr."
#define TAR_SPARSE_PREFIX "GNU.sparse."
/* The one extended attribute that Docker's archives carry. */
#define TAR_CAPABILITY_XATTR "security.capability"

#endif
