/* Preloaded into a clone's QEMU: the template's memory file is opened for reading only, and mapped where it has data.
 *
 * QEMU 7.2 opens the file of a memory-backend-file for writing even if it maps it privately (share=off). Then
 * a guest that has broken out of QEMU could write to the memory of every other clone. With this the file
 * needs to be readable only; a private mapping may be written to all the same, copy on write. Newer versions
 * can do it themselves.
 *
 * Most of the file is holes. Whoever reads a hole through a mapping of the file has the kernel put a page of
 * zeros into its cache, and a checkpoint reads all of a VM's memory. So holes are anonymous memory, which all
 * read from the same page of zeros. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A hole that is smaller is mapped with the data around it: a process may have some 65,000 mappings. */
static const off_t smallest_hole = 2 << 20;

/* QEMU's descriptor of the file, which it keeps; -1 before it has opened it. */
static int memory_fd = -1;
/* Where the guest's memory is mapped. */
static uintptr_t memory_start, memory_end;

static int open_file(const char *path, int flags, mode_t mode)
{
    const char *readonly = getenv("CAISSON_READONLY");
    bool is_memory = readonly != NULL && strcmp(path, readonly) == 0;
    if (is_memory)
        flags = (flags & ~(O_ACCMODE | O_CREAT | O_TRUNC)) | O_RDONLY;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (is_memory && fd >= 0)
        memory_fd = fd;
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_file(path, flags | O_LARGEFILE, 0);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_file(path, flags, 0);
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* End of the data that begins at `start`, with the small holes in it. */
static off_t end_of_data(int fd, off_t start, off_t end)
{
    for (;;) {
        off_t hole = lseek(fd, start, SEEK_HOLE);
        if (hole < 0 || hole >= end)
            return end;
        start = lseek(fd, hole, SEEK_DATA);
        if (start < 0)
            return errno == ENXIO ? hole : end;
        if (start >= end || start - hole >= smallest_hole)
            return hole;
    }
}

/* As mmap of the file, privately; 0 where it has holes. */
static void *map_memory(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    int anonymous = flags | MAP_ANONYMOUS | MAP_NORESERVE;
    char *base = map(address, length, protection, anonymous, -1, 0);
    if (base == MAP_FAILED)
        return base;
    /* As in a mapping of a file: what a clone touches here and there must not cost it 2 MiB each time. */
    syscall(SYS_madvise, base, length, MADV_NOHUGEPAGE);
    off_t end = offset + (off_t)length;
    off_t start = lseek(fd, offset, SEEK_DATA);
    if (start < 0 && errno != ENXIO)
        start = offset;
    while (start >= 0 && start < end) {
        off_t stop = end_of_data(fd, start, end);
        void *data = map(base + (start - offset), (size_t)(stop - start), protection, flags | MAP_FIXED, fd, start);
        if (data == MAP_FAILED)
            return data; /* QEMU gives up, and its memory with it */
        start = stop < end ? lseek(fd, stop, SEEK_DATA) : end;
    }
    memory_start = (uintptr_t)base;
    memory_end = memory_start + length;
    return base;
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    bool is_memory = fd >= 0 && fd == memory_fd && (flags & MAP_TYPE) == MAP_PRIVATE;
    return (is_memory ? map_memory : map)(address, length, protection, flags, fd, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    return mmap64(address, length, protection, flags, fd, offset);
}

/* QEMU asks for huge pages for all of the guest's memory, and does without. */
int madvise(void *address, size_t length, int advice)
{
    uintptr_t start = (uintptr_t)address;
    if (advice == MADV_HUGEPAGE && start >= memory_start && start < memory_end)
        return 0;
    return (int)syscall(SYS_madvise, address, length, advice);
}

/* A guest reports pages that it has no use for. QEMU punches a hole into the file first, and then drops its own pages
 * (ram_block_discard_range): in a private mapping the second is all there is to do. */
int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    if (fd >= 0 && fd == memory_fd && (mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return 0;
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    return fallocate64(fd, mode, offset, length);
}
