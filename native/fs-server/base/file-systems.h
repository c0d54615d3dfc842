/* What kind of file system a file lies on. */
#ifndef FS_SERVER_FILE_SYSTEMS_H
#define FS_SERVER_FILE_SYSTEMS_H

#include <stdbool.h>

/* Others may change it without this host's kernel, or that can't be told. */
bool is_remote(int fd);
/* The host's kernel makes its files up, as those of /proc and /sys. */
bool is_made_up(int fd);

#endif
