#include "install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/write-all.h"

/* The folder of the image that holds what is brought. */
#define SOURCE "/caisson"

static const char *const places[] = { "run", "names" };

static int copy_file(int from, int to)
{
    static char buffer[65536];
    ssize_t got;
    while ((got = read(from, buffer, sizeof(buffer))) > 0) {
        int result = write_all(to, buffer, (size_t)got);
        if (result < 0)
            return result;
    }
    return got < 0 ? -errno : 0;
}

static int copy_tree(int from, int to)
{
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 3), result = 0;
    auto_directory entries = copy < 0 ? NULL : fdopendir(copy);
    for (struct dirent *entry; result == 0 && entries != NULL && (entry = readdir(entries)) != NULL;) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        auto_fd source = openat(from, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (source < 0 || fstat(source, &status) < 0)
            return -errno;
        bool is_directory = S_ISDIR(status.st_mode);
        if (is_directory && mkdirat(to, entry->d_name, 0755) < 0 && errno != EEXIST)
            return -errno;
        auto_fd target = openat(to, entry->d_name,
                                is_directory ? O_RDONLY | O_DIRECTORY | O_CLOEXEC
                                             : O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                0755);
        if (target < 0)
            return -errno;
        result = is_directory ? copy_tree(source, target) : copy_file(source, target);
    }
    return entries == NULL ? -errno : result;
}

int install(const char *directory)
{
    umask(022);
    auto_fd from = open(SOURCE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd to = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = from < 0 || to < 0 ? -errno : copy_tree(from, to);
    /* Where others are mounted: what is here is read-only by then. */
    for (size_t i = 0; result == 0 && i < sizeof(places) / sizeof(places[0]); i++)
        if (mkdirat(to, places[i], 0700) < 0 && errno != EEXIST)
            result = -errno;
    if (result == 0)
        return 0;
    dprintf(STDERR_FILENO, "copy %s to %s: %s\n", SOURCE, directory, strerror(-result));
    return 1;
}
