/* archives: tar streams in and out of a container's files, through a pipe or the bulk disk. Streams come from clients and are
 * hostile.
 *
 * Unpacking: each entry below the destination, with dockerd's messages. */
#include "archives/tar-read.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archives/file-writer.h"
#include "archives/tar-entry.h"
#include "archives/tar-format.h"
#include "archives/tar-headers.h"
#include "archives/tar-input.h"
#include "archives/tar-sparse.h"
#include "core/cleanup.h"
#include "core/go-error.h"

/* What is longer than PATH_MAX fails where it is used, so that the complaint tells of what was to be done. */
enum { MAX_PATH_BYTES = 2 * PATH_MAX };

#define NANOSECONDS INT64_C(1000000000)

/* The time of a directory is set when the archive has left it: what is unpacked into it would change it. */
struct directory_time {
    struct directory_time *next;
    struct directory_time *outer; /* of those that it has not left */
    struct timespec mtime;
    char path[];
};

struct reader {
    struct tar_input input;
    const char *destination;
    struct tar_read_options options;
    struct directory_time *directories; /* in the archive's order */
    struct directory_time **directories_end;
    struct directory_time *innermost;
    char directory[MAX_PATH_BYTES]; /* of the entry before: itself, or where it is */
    bool goes_back;                 /* the archive has come to a directory again that it had left */
};

/* Takes ".", ".." and double slashes out of a path, as Go's filepath.Clean, but leaves it without a slash
 * before it and empty instead of ".". A ".." that leads above the start of a relative path is left. False if
 * it does not fit. */
static bool clean_path(const char *path, char *cleaned, size_t size)
{
    bool absolute = path[0] == '/';
    size_t length = 0;
    size_t above = 0; /* bytes of ".." at the start */
    for (path += strspn(path, "/"); *path != '\0'; path += strspn(path, "/")) {
        size_t part = strcspn(path, "/");
        bool is_up = part == 2 && path[0] == '.' && path[1] == '.';
        if (is_up && length > above) {
            while (length > above && cleaned[length - 1] != '/')
                length--;
            if (length > above || (length > 0 && cleaned[length - 1] == '/'))
                length--;
        } else if (!(is_up && absolute) && !(part == 1 && path[0] == '.')) {
            if (length + part + 2 > size)
                return false;
            if (length > 0)
                cleaned[length++] = '/';
            memcpy(cleaned + length, path, part);
            length += part;
            if (is_up)
                above = length;
        }
        path += part;
    }
    cleaned[length] = '\0';
    return true;
}

static bool leads_out(const char *cleaned)
{
    return strncmp(cleaned, "..", 2) == 0 && (cleaned[2] == '/' || cleaned[2] == '\0');
}

/* The absolute path of an entry; names that lead out of the destination are refused in Docker's words. */
static int resolve(struct reader *reader, const char *name, char *path, size_t size)
{
    char relative[MAX_PATH_BYTES];
    const char *base = strcmp(reader->destination, "/") == 0 ? "" : reader->destination;
    if (!clean_path(name, relative, sizeof(relative)))
        return tar_fail(&reader->input, ENAMETOOLONG, "open %s/%s: file name too long", base, name);
    if (leads_out(relative))
        return tar_fail(&reader->input, EINVAL, "\"%s\" is outside of \"%s\"", relative, reader->destination);
    int length = snprintf(path, size, "%s%s%s", base, relative[0] == '\0' ? "" : "/", relative);
    if (length == 0)
        snprintf(path, size, "/");
    if (length < 0 || (size_t)length >= size)
        return tar_fail(&reader->input, ENAMETOOLONG, "open %s/%s: file name too long", base, relative);
    return 0;
}

static int make_parents(struct reader *reader, const char *path)
{
    char parent[MAX_PATH_BYTES];
    if (strlen(path) >= PATH_MAX)
        return 0;
    snprintf(parent, sizeof(parent), "%s", path);
    char *last = strrchr(parent, '/');
    if (last == NULL || last == parent)
        return 0;
    *last = '\0';
    /* mkdir of each would ask the host each time, where the files are shared */
    if (access(parent, F_OK) == 0)
        return 0;
    *last = '/';
    for (char *at = strchr(parent + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(parent, 0755) < 0 && errno != EEXIST)
            return tar_fail(&reader->input, errno, "mkdir %s: %s", parent, go_error(errno));
        *at = '/';
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* In the words of Go's os.RemoveAll, which puts a slash between a parent and the name in it. */
static int fail_remove(struct reader *reader, const char *path, int error)
{
    const char *slash = strrchr(path, '/') == path ? "/" : "";
    return tar_fail(&reader->input, error, "unlinkat %s%s: %s", slash, path, go_error(error));
}

/* Makes room for an entry. A directory is kept where a directory comes. */
static int make_room(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0;
    bool was_directory = S_ISDIR(st.st_mode);
    bool is_directory = entry->type == TAR_TYPE_DIRECTORY;
    if (reader->options.no_overwrite_dir_non_dir && was_directory != is_directory) {
        if (was_directory)
            return tar_fail(&reader->input, EINVAL, "cannot overwrite directory \"%s\" with non-directory \"%s\"", path,
                            reader->destination);
        return tar_fail(&reader->input, EINVAL, "cannot overwrite non-directory \"%s\" with directory \"%s\"", path,
                        reader->destination);
    }
    if (was_directory && is_directory)
        return 0;
    if (strcmp(path, reader->destination) == 0)
        return 0;
    /* FTW_MOUNT would pass over files: overlayfs numbers the devices of files and directories differently */
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) < 0)
        return fail_remove(reader, path, errno);
    return 0;
}

/* So many bytes of the stream to where the file stands. */
static int copy_data(struct reader *reader, struct file_writer *file, uint64_t left, const char *path)
{
    while (left > 0) {
        const uint8_t *bytes;
        ssize_t part = tar_must_borrow(&reader->input, &bytes, left);
        if (part < 0)
            return (int)part;
        int result = file_writer_write(file, bytes, (size_t)part);
        if (result < 0)
            return tar_fail(&reader->input, -result, "write %s: %s", path, go_error(-result));
        left -= (uint64_t)part;
    }
    return 0;
}

/* A sparse file: its parts, with holes in between. The complaints are those of Go's archive/tar. */
static int copy_parts(struct reader *reader, struct file_writer *file, struct tar_entry *entry, const char *path)
{
    int result = entry->map_before_data ? sparse_read_map(&reader->input, entry) : 0;
    int64_t left = entry->stored;
    for (size_t i = 0; result >= 0 && i < entry->part_count; i++) {
        const struct tar_part *part = &entry->parts[i];
        if (part->length > left)
            return tar_fail(&reader->input, EINVAL, "archive/tar: sparse file references non-existent data");
        left -= part->length;
        result = file_writer_seek(file, (uint64_t)part->offset);
        if (result < 0)
            return tar_fail(&reader->input, -result, "seek %s: %s", path, go_error(-result));
        result = copy_data(reader, file, (uint64_t)part->length, path);
    }
    if (result >= 0 && left > 0)
        return tar_fail(&reader->input, EINVAL, "archive/tar: sparse file contains unreferenced data");
    if (result >= 0 && ftruncate(file->fd, entry->size) < 0)
        return tar_fail(&reader->input, errno, "truncate %s: %s", path, go_error(errno));
    return result;
}

static int unpack_data(struct reader *reader, struct tar_entry *entry, const char *path)
{
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, entry->mode & 0777);
    if (fd < 0)
        return tar_fail(&reader->input, errno, "open %s: %s", path, go_error(errno));
    uint64_t size = (uint64_t)(entry->sparse ? entry->stored : entry->size);
    struct file_writer file;
    file_writer_begin(&file, fd, size);
    int result = entry->sparse ? copy_parts(reader, &file, entry, path) : copy_data(reader, &file, size, path);
    return result < 0 ? result : tar_skip_padding(&reader->input, size);
}

static int make_symlink(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    /* A link that leads out of the destination is refused: a later entry could write through it. As with dockerd one to a
     * neighbour whose name begins with the destination's (/srv/app-data of /srv/app) is none of these. */
    char joined[2 * MAX_PATH_BYTES], cleaned[2 * MAX_PATH_BYTES];
    const char *base = reader->destination + 1; /* which is absolute */
    snprintf(joined, sizeof(joined), "%.*s/%s", (int)(strrchr(path, '/') - path), path, entry->link);
    if (!reader->options.any_symlinks && clean_path(joined, cleaned, sizeof(cleaned)) &&
        strncmp(cleaned, base, strlen(base)) != 0)
        return tar_fail(&reader->input, EINVAL, "invalid symlink \"%s\" -> \"%s\"", path, entry->link);
    if (symlink(entry->link, path) < 0)
        return tar_fail(&reader->input, errno, "symlink %s %s: %s", entry->link, path, go_error(errno));
    return 0;
}

static int make_hard_link(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    char target[MAX_PATH_BYTES], cleaned[MAX_PATH_BYTES];
    char joined[2 * MAX_PATH_BYTES], shown[2 * MAX_PATH_BYTES];
    snprintf(joined, sizeof(joined), "./%s", entry->link); /* an absolute link is below the destination, too */
    if (clean_path(joined, cleaned, sizeof(cleaned)) && leads_out(cleaned)) {
        snprintf(joined, sizeof(joined), "%s/%s", reader->destination, entry->link);
        clean_path(joined, shown, sizeof(shown)); /* fits: it is no longer */
        return tar_fail(&reader->input, EINVAL, "invalid hardlink \"/%s\" -> \"%s\"", shown, entry->link);
    }
    int result = resolve(reader, entry->link, target, sizeof(target));
    if (result < 0)
        return result;
    if (link(target, path) < 0)
        return tar_fail(&reader->input, errno, "link %s %s: %s", target, path, go_error(errno));
    return 0;
}

static int make_node(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    mode_t type = entry->type == TAR_TYPE_BLOCK ? S_IFBLK : entry->type == TAR_TYPE_CHARACTER ? S_IFCHR : S_IFIFO;
    if (mknod(path, type | entry->mode, entry->device) < 0)
        return tar_fail(&reader->input, errno, "%s", go_error(errno)); /* dockerd names no path here */
    return 0;
}

/* The path is the directory, or lies in it. */
static bool lies_in(const char *path, const char *directory)
{
    size_t length = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* As dockerd sets it: nothing before 1970, or after what 64 bits of nanoseconds can count; of a symbolic link what is left
 * in 64 bits. */
static struct timespec time_to_set(struct timespec time, bool is_link)
{
    int64_t nanoseconds;
    bool too_far = __builtin_mul_overflow((int64_t)time.tv_sec, NANOSECONDS, &nanoseconds);
    too_far = __builtin_add_overflow(nanoseconds, (int64_t)time.tv_nsec, &nanoseconds) || too_far;
    if (!is_link)
        return time.tv_sec < 0 || too_far ? (struct timespec){ 0 } : time;
    int64_t rest = nanoseconds % NANOSECONDS;
    return (struct timespec){
        .tv_sec = (time_t)(nanoseconds / NANOSECONDS - (rest < 0 ? 1 : 0)),
        .tv_nsec = (long)(rest < 0 ? rest + NANOSECONDS : rest),
    };
}

static int remember_time(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    struct directory_time *time = malloc(sizeof(*time) + strlen(path) + 1);
    if (time == NULL)
        return tar_fail(&reader->input, ENOMEM, "out of memory");
    time->mtime = time_to_set(entry->mtime, false);
    strcpy(time->path, path);
    time->next = NULL;
    *reader->directories_end = time;
    reader->directories_end = &time->next;
    time->outer = reader->innermost;
    reader->innermost = time;
    return 0;
}

static void set_time(const struct directory_time *time)
{
    struct timespec times[2] = { time->mtime, time->mtime };
    utimensat(AT_FDCWD, time->path, times, AT_SYMLINK_NOFOLLOW);
}

/* Before an entry. A directory's time is set soon, while its name is known: later it has to be looked up again. */
static void leave_directories(struct reader *reader, const struct tar_entry *entry, const char *path)
{
    char parent[MAX_PATH_BYTES];
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent ? 1 : 0] = '\0';
    reader->goes_back = reader->goes_back || !lies_in(reader->directory, parent);
    while (reader->innermost != NULL && !lies_in(parent, reader->innermost->path)) {
        set_time(reader->innermost);
        reader->innermost = reader->innermost->outer;
    }
    strcpy(reader->directory, entry->type == TAR_TYPE_DIRECTORY ? path : parent);
}

/* The archive is over. */
static void leave_all_directories(struct reader *reader)
{
    for (; reader->innermost != NULL; reader->innermost = reader->innermost->outer)
        set_time(reader->innermost);
    for (struct directory_time *time = reader->directories, *next; time != NULL; time = next) {
        next = time->next;
        if (reader->goes_back)
            set_time(time);
        free(time);
    }
}

/* A hard link may be one to a symbolic link. */
static bool is_symlink(const struct tar_entry *entry, const char *path)
{
    struct stat st;
    return entry->type == TAR_TYPE_SYMLINK ||
           (entry->type == TAR_TYPE_HARD_LINK && lstat(path, &st) == 0 && S_ISLNK(st.st_mode));
}

/* What is to be set, and how it was made: a file system that is shared asks the host for each call. */
struct attributes {
    uid_t uid;
    gid_t gid;
    bool owner_differs;
    bool mode_differs;
};

/* `made`: it is new, so what the kernel knows of it is true. */
static struct attributes compare_attributes(const struct reader *reader, const struct tar_entry *entry,
                                            const char *path, bool made)
{
    struct attributes wanted = {
        .uid = reader->options.set_owner ? reader->options.uid : (uid_t)entry->uid,
        .gid = reader->options.set_owner ? reader->options.gid : (gid_t)entry->gid,
        .owner_differs = true,
        .mode_differs = true,
    };
    struct statx is;
    const unsigned mask = STATX_UID | STATX_GID | STATX_MODE;
    if (made && statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, mask, &is) == 0 &&
        (is.stx_mask & mask) == mask) {
        wanted.owner_differs = is.stx_uid != wanted.uid || is.stx_gid != wanted.gid;
        /* a new owner takes the bits with which it would run */
        wanted.mode_differs = (is.stx_mode & 07777) != (entry->mode & 07777) ||
                              (wanted.owner_differs && (entry->mode & (S_ISUID | S_ISGID)) != 0);
    }
    return wanted;
}

static int set_attributes(struct reader *reader, const struct tar_entry *entry, const char *path, bool made)
{
    struct attributes wanted = compare_attributes(reader, entry, path, made);
    if (wanted.owner_differs && lchown(path, wanted.uid, wanted.gid) < 0)
        return tar_fail(&reader->input, errno, "lchown %s: %s", path, go_error(errno));
    bool is_link = is_symlink(entry, path);
    struct timespec mtime = time_to_set(entry->mtime, is_link);
    struct timespec times[2] = { mtime, mtime };
    if (is_link) {
        utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
        return 0;
    }
    if (wanted.mode_differs && chmod(path, entry->mode) < 0)
        return tar_fail(&reader->input, errno, "chmod %s: %s", path, go_error(errno));
    /* Those that this file system has not are left out, as dockerd does. */
    for (const struct tar_xattr *xattr = entry->xattrs; xattr != NULL; xattr = xattr->next)
        if (lsetxattr(path, xattr->name, xattr->value, xattr->length, 0) < 0 && errno != EOPNOTSUPP && errno != EPERM)
            return tar_fail(&reader->input, errno, "%s", go_error(errno));
    if (entry->type == TAR_TYPE_DIRECTORY)
        return remember_time(reader, entry, path);
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        return tar_fail(&reader->input, errno, "utimensat %s: %s", path, go_error(errno));
    return 0;
}

/* An entry of any type for "." tells of the destination, if that is a directory; "/" is a path like others. */
static bool is_destination(const struct reader *reader, const struct tar_entry *entry, const char *path)
{
    struct stat st;
    return entry->name[0] != '/' && strcmp(path, reader->destination) == 0 && lstat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static int skip_data(struct reader *reader, const struct tar_entry *entry)
{
    uint64_t size = (uint64_t)(entry->sparse ? entry->stored : entry->size);
    if (entry->type != TAR_TYPE_REGULAR)
        return 0;
    for (uint64_t left = size; left > 0;) {
        const uint8_t *bytes;
        ssize_t part = tar_must_borrow(&reader->input, &bytes, left);
        if (part < 0)
            return (int)part;
        left -= (uint64_t)part;
    }
    return tar_skip_padding(&reader->input, size);
}

static int unpack_entry(struct reader *reader, struct tar_entry *entry)
{
    char path[MAX_PATH_BYTES];
    int result = resolve(reader, entry->name, path, sizeof(path));
    if (result == 0 && reader->options.keep_destination && is_destination(reader, entry, path))
        return skip_data(reader, entry);
    if (result < 0)
        return result;
    leave_directories(reader, entry, path);
    result = make_parents(reader, path);
    if (result < 0)
        return result;
    bool is_directory = entry->type == TAR_TYPE_DIRECTORY;
    bool made = is_directory && mkdir(path, entry->mode & 0777) == 0;
    if (!made && (result = make_room(reader, entry, path)) < 0)
        return result;
    switch (entry->type) {
    case TAR_TYPE_REGULAR:
        result = unpack_data(reader, entry, path);
        made = true;
        break;
    case TAR_TYPE_DIRECTORY:
        if (!made && mkdir(path, 0700) < 0 && errno != EEXIST)
            return tar_fail(&reader->input, errno, "mkdir %s: %s", path, go_error(errno));
        break;
    case TAR_TYPE_SYMLINK:
        result = make_symlink(reader, entry, path);
        break;
    case TAR_TYPE_HARD_LINK:
        result = make_hard_link(reader, entry, path);
        break;
    case TAR_TYPE_CHARACTER:
    case TAR_TYPE_BLOCK:
    case TAR_TYPE_FIFO:
        result = make_node(reader, entry, path);
        break;
    default:
        return tar_fail(&reader->input, EINVAL, "unhandled tar header type %d", (unsigned char)entry->type);
    }
    return result == 0 ? set_attributes(reader, entry, path, made) : result;
}

int tar_read(int input, const char *destination, struct tar_read_options options, char *message, unsigned message_size)
{
    auto_free uint8_t *buffer = malloc(TAR_COPY_BYTES);
    if (buffer == NULL)
        return -ENOMEM;
    struct reader reader = {
        .input = { .fd = input,
                   .bulk = options.bulk,
                   .copy_buffer = buffer,
                   .message = message,
                   .message_size = message_size },
        .destination = destination,
        .options = options,
    };
    reader.directories_end = &reader.directories;
    snprintf(reader.directory, sizeof(reader.directory), "%s", destination);
    message[0] = '\0';
    int result;
    do {
        struct tar_entry entry = { 0 };
        result = tar_next_entry(&reader.input, &entry);
        if (result > 0) {
            int unpacked = unpack_entry(&reader, &entry);
            if (unpacked < 0)
                result = unpacked;
        }
        tar_entry_free(&entry);
    } while (result > 0);
    leave_all_directories(&reader);
    return result;
}
