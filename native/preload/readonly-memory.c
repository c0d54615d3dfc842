// Preloaded into a clone's QEMU: the template's memory file is opened for reading only.
//
// QEMU 7.2 opens the file of a memory-backend-file for writing even if it maps it privately (share=off). Then
// a guest that has broken out of QEMU could write to the memory of every other clone. With this the file
// needs to be readable only; a private mapping may be written to all the same, copy on write. Newer versions
// can do it themselves.

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_file(const char *path, int flags, mode_t mode) {
    const char *readonly = getenv("CAISSON_READONLY");
    if (readonly != NULL && strcmp(path, readonly) == 0)
        flags = (flags & ~(O_ACCMODE | O_CREAT | O_TRUNC)) | O_RDONLY;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list arguments) {
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags) {
    return open_file(path, flags | O_LARGEFILE, 0);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) {
    return open_file(path, flags, 0);
}
