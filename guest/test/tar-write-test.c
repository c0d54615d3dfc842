/* The tar writer on a tree that changes under its hands, as that of a running container does. */
#include "archives/tar-write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archives/tar-format.h"
#include "check.h"

/* The linker puts these in front of the C library's (--wrap). */
int __real_fstatat(int directory, const char *path, struct stat *status, int flags);
int __wrap_fstatat(int directory, const char *path, struct stat *status, int flags);

/* Once it has been looked at, a thing whose name begins with "gone" is removed, and one with "other" is something else. */
int __wrap_fstatat(int directory, const char *path, struct stat *status, int flags)
{
    int result = __real_fstatat(directory, path, status, flags);
    bool is_gone = strncmp(path, "gone", 4) == 0, is_other = strncmp(path, "other", 5) == 0;
    if (result < 0 || (!is_gone && !is_other))
        return result;
    CHECK(unlinkat(directory, path, S_ISDIR(status->st_mode) ? AT_REMOVEDIR : 0) == 0);
    if (is_other && S_ISREG(status->st_mode))
        CHECK(symlinkat("stays", directory, path) == 0);
    else if (is_other)
        close(openat(directory, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return result;
}

static void make_tree(int top)
{
    static const char *const files[] = { "gone-file", "other-file", "stays", "gone-linked" };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        close(openat(top, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    CHECK(linkat(top, "gone-linked", top, "linked", 0) == 0 && linkat(top, "gone-linked", top, "linked-too", 0) == 0);
    CHECK(symlinkat("stays", top, "gone-link") == 0 && symlinkat("stays", top, "other-link") == 0);
    CHECK(mkdirat(top, "gone-directory", 0700) == 0 && mkdirat(top, "other-directory", 0700) == 0);
}

static void remove_tree(int top)
{
    static const char *const files[] = {
        "linked", "linked-too", "other-directory", "other-file", "other-link", "stays"
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        CHECK(unlinkat(top, files[i], 0) == 0);
}

/* "type name[=link]," of each entry; none has data. */
static void list(int archive, char *listing, size_t size)
{
    struct tar_header header;
    *listing = '\0';
    for (off_t at = 0; pread(archive, &header, sizeof(header), at) == sizeof(header) && header.name[0] != '\0';
         at += (off_t)sizeof(header))
        snprintf(listing + strlen(listing), size - strlen(listing), "%c %.100s%s%.100s,", header.type, header.name,
                 header.linkname[0] == '\0' ? "" : "=", header.linkname);
}

static void what_goes_away_is_left_out(const char *directory)
{
    char culprit[256], listing[1024];
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int archive = memfd_create("archive", MFD_CLOEXEC);
    CHECK(top >= 0 && archive >= 0);
    make_tree(top);
    CHECK(tar_write(archive, top, ".", "", (struct tar_write_options){ 0 }, culprit, sizeof(culprit)) == 0);
    list(archive, listing, sizeof(listing));
    CHECK_TEXT(listing, "0 linked,1 linked-too=linked,0 stays,");
    remove_tree(top);
    close(archive);
    close(top);
}

static void what_was_asked_for_is_missed(const char *directory)
{
    char culprit[256];
    int top = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    close(openat(top, "gone", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    CHECK(tar_write(null, top, "gone", "name", (struct tar_write_options){ 0 }, culprit, sizeof(culprit)) == -ENOENT);
    CHECK_TEXT(culprit, "name");
    close(null);
    close(top);
}

int main(void)
{
    char directory[] = "/tmp/tar-write-test-XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    what_goes_away_is_left_out(directory);
    what_was_asked_for_is_missed(directory);
    CHECK(rmdir(directory) == 0);
    return 0;
}
