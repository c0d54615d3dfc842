/* Packing: a directory tree as a tar stream, as dockerd writes it. */
#include "archives/tar-write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archives/bulk.h"
#include "archives/tar-format.h"
#include "core/cleanup.h"
#include "core/write-all.h"

enum {
    COPY_BYTES = 256 * 1024,
    MAX_DEPTH = 4096, /* of directories: far beyond what PATH_MAX lets anybody make by name */
    LINK_BUCKETS = 4096,
};

/* A file with several names: all after the first become links to the first. */
struct link_entry {
    struct link_entry *next;
    dev_t device;
    ino_t inode;
    char *name;
};

struct writer {
    int output;
    struct tar_write_options options;
    dev_t device;
    char *copy_buffer;
    struct link_entry *links[LINK_BUCKETS];
    char *culprit;
    unsigned culprit_size;
};

/* The PAX records of one entry. */
struct records {
    char *text;
    size_t length;
};

static int emit(struct writer *writer, const void *data, size_t length)
{
    if (writer->options.bulk != NULL)
        return bulk_write(writer->options.bulk, data, length);
    return write_all(writer->output, data, length);
}

static int pad(struct writer *writer, uint64_t length)
{
    static const char zeros[TAR_BLOCK];
    size_t rest = (size_t)(length % TAR_BLOCK);
    return rest == 0 ? 0 : emit(writer, zeros, TAR_BLOCK - rest);
}

/* "length key=value\n", where length counts itself. */
static int add_record(struct records *records, const char *key, const void *value, size_t value_length)
{
    size_t body = strlen(key) + value_length + 3;
    size_t total = body + 1;
    for (size_t digits = 1, limit = 10; total >= limit; limit *= 10)
        total = body + ++digits;
    char *grown = realloc(records->text, records->length + total + 1);
    if (grown == NULL)
        return -ENOMEM;
    records->text = grown;
    char *at = grown + records->length;
    int head = sprintf(at, "%zu %s=", total, key);
    memcpy(at + head, value, value_length);
    at[total - 1] = '\n';
    records->length += total;
    return 0;
}

static int add_number(struct records *records, const char *key, long long value)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%lld", value);
    return add_record(records, key, text, (size_t)length);
}

static void put_octal(char *field, size_t size, uint64_t value)
{
    snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
}

static bool fits_octal(int64_t value, size_t size)
{
    return value >= 0 && (uint64_t)value < (1ULL << (3 * (size - 1)));
}

static void put_checksum(struct tar_header *header)
{
    memset(header->checksum, ' ', sizeof(header->checksum));
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(*header); i++)
        sum += ((const unsigned char *)header)[i];
    snprintf(header->checksum, 7, "%06o", sum);
    header->checksum[7] = ' ';
}

static void start_header(struct tar_header *header, char type)
{
    memset(header, 0, sizeof(*header));
    header->type = type;
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
}

static bool is_plain_text(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* A text goes into its field when it fits as it is, else into a record. */
static int put_text(struct records *records, char *field, size_t size, const char *key, const char *text)
{
    size_t length = strlen(text);
    memcpy(field, text, length < size ? length : size);
    return length <= size && is_plain_text(text) ? 0 : add_record(records, key, text, length);
}

static int put_number(struct records *records, char *field, size_t size, const char *key, int64_t value)
{
    bool fits = fits_octal(value, size);
    put_octal(field, size, fits ? (uint64_t)value : 0);
    return fits ? 0 : add_number(records, key, value);
}

static int write_records(struct writer *writer, const struct records *records)
{
    if (records->length == 0)
        return 0;
    struct tar_header header;
    start_header(&header, TAR_TYPE_PAX);
    memcpy(header.name, "PaxHeaders.0/entry", 18);
    put_octal(header.mode, sizeof(header.mode), 0);
    put_octal(header.uid, sizeof(header.uid), 0);
    put_octal(header.gid, sizeof(header.gid), 0);
    put_octal(header.size, sizeof(header.size), records->length);
    put_octal(header.mtime, sizeof(header.mtime), 0);
    put_checksum(&header);
    int result = emit(writer, &header, sizeof(header));
    if (result == 0)
        result = emit(writer, records->text, records->length);
    return result == 0 ? pad(writer, records->length) : result;
}

/* Revision 3 names the root of a user namespace, which means nothing elsewhere: as Docker, it becomes revision 2. */
static int add_capability(struct records *records, int fd, const char *name)
{
    enum { REVISION_OFFSET = 3 }; /* the highest byte of little-endian magic_etc */
    char path[40 + NAME_MAX];
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", fd, name);
    char value[256];
    ssize_t length = lgetxattr(path, TAR_CAPABILITY_XATTR, value, sizeof(value));
    if (length <= 0)
        return 0;
    if (length == XATTR_CAPS_SZ_3 && value[REVISION_OFFSET] == VFS_CAP_REVISION_3 >> VFS_CAP_REVISION_SHIFT) {
        value[REVISION_OFFSET] = VFS_CAP_REVISION_2 >> VFS_CAP_REVISION_SHIFT;
        length = XATTR_CAPS_SZ_2;
    }
    return add_record(records, TAR_XATTR_PREFIX TAR_CAPABILITY_XATTR, value, (size_t)length);
}

/* Whoever unpacks root's files may know root by name only. Other names are another machine's. */
static void put_owner_names(struct tar_header *header, const struct stat *st)
{
    if (st->st_uid == 0)
        memcpy(header->uname, "root", 4);
    if (st->st_gid == 0)
        memcpy(header->gname, "root", 4);
}

static int write_header(struct writer *writer, int directory, const char *path, const char *name, char type,
                        const struct stat *st, const char *link)
{
    auto_free char *text = NULL;
    struct records records = { 0 };
    struct tar_header header;
    start_header(&header, type);
    int64_t size = type == TAR_TYPE_REGULAR ? st->st_size : 0;
    /* With the type, as Docker's archives have it. */
    put_octal(header.mode, sizeof(header.mode), st->st_mode & (S_IFMT | 07777));
    put_owner_names(&header, st);
    int result = put_text(&records, header.name, sizeof(header.name), "path", name);
    if (result == 0 && link != NULL)
        result = put_text(&records, header.linkname, sizeof(header.linkname), "linkpath", link);
    if (result == 0)
        result = put_number(&records, header.uid, sizeof(header.uid), "uid", st->st_uid);
    if (result == 0)
        result = put_number(&records, header.gid, sizeof(header.gid), "gid", st->st_gid);
    if (result == 0)
        result = put_number(&records, header.size, sizeof(header.size), "size", size);
    if (result == 0)
        result = put_number(&records, header.mtime, sizeof(header.mtime), "mtime", st->st_mtim.tv_sec);
    /* hard links too: an owner is set for each name, and that takes the capabilities away */
    if (result == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
        result = add_capability(&records, directory, path);
    text = records.text;
    bool is_device = type == TAR_TYPE_CHARACTER || type == TAR_TYPE_BLOCK;
    put_octal(header.devmajor, sizeof(header.devmajor), is_device ? major(st->st_rdev) & 07777777 : 0);
    put_octal(header.devminor, sizeof(header.devminor), is_device ? minor(st->st_rdev) & 07777777 : 0);
    put_checksum(&header);
    if (result == 0)
        result = write_records(writer, &records);
    return result == 0 ? emit(writer, &header, sizeof(header)) : result;
}

/* The file may shrink while it is read: what is missing is filled up, so that the archive stays whole. */
static int write_data(struct writer *writer, int fd, uint64_t size)
{
    uint64_t left = size;
    while (left > 0) {
        size_t wanted = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        ssize_t got = read(fd, writer->copy_buffer, wanted);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0) {
            memset(writer->copy_buffer, 0, wanted);
            got = (ssize_t)wanted;
        }
        int result = emit(writer, writer->copy_buffer, (size_t)got);
        if (result < 0)
            return result;
        left -= (uint64_t)got;
    }
    return pad(writer, size);
}

static struct link_entry **bucket_of(struct writer *writer, const struct stat *st)
{
    return &writer->links[(st->st_ino ^ st->st_dev) % LINK_BUCKETS];
}

/* Where the file's first name is linked in; the end of the list if it has none yet. */
static struct link_entry **find_link(struct writer *writer, const struct stat *st)
{
    struct link_entry **at = bucket_of(writer, st);
    while (*at != NULL && ((*at)->inode != st->st_ino || (*at)->device != st->st_dev))
        at = &(*at)->next;
    return at;
}

/* The name that this file was written under before, or NULL after remembering this one. -ENOMEM through
 * `result`. */
static const char *earlier_name(struct writer *writer, const struct stat *st, const char *name, int *result)
{
    struct link_entry *earlier = *find_link(writer, st), **bucket = bucket_of(writer, st);
    if (earlier != NULL)
        return earlier->name;
    struct link_entry *entry = malloc(sizeof(*entry));
    char *copy = strdup(name);
    if (entry == NULL || copy == NULL) {
        free(entry);
        free(copy);
        *result = -ENOMEM;
        return NULL;
    }
    *entry = (struct link_entry){ .next = *bucket, .device = st->st_dev, .inode = st->st_ino, .name = copy };
    *bucket = entry;
    return NULL;
}

static int write_entry(struct writer *writer, int directory, const char *path, const char *name, unsigned depth);

/* -ENOENT where a running container has removed or replaced it since it was looked at. */
static int gone_or(int error)
{
    bool is_gone = error == ENOENT || error == ENOTDIR || error == ELOOP || error == EINVAL || error == ENXIO;
    return is_gone ? -ENOENT : -error;
}

/* The next name of this file becomes the first. */
static void forget_name(struct writer *writer, const struct stat *st, const char *name)
{
    struct link_entry **at = find_link(writer, st), *entry = *at;
    if (entry == NULL || strcmp(entry->name, name) != 0)
        return;
    *at = entry->next;
    free(entry->name);
    free(entry);
}

static int write_regular(struct writer *writer, int directory, const char *path, const char *name,
                         const struct stat *st)
{
    auto_fd fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return gone_or(errno);
    int result = write_header(writer, directory, path, name, TAR_TYPE_REGULAR, st, NULL);
    return result == 0 ? write_data(writer, fd, (uint64_t)st->st_size) : result;
}

static int write_symlink(struct writer *writer, int directory, const char *path, const char *name,
                         const struct stat *st)
{
    char target[PATH_MAX + 1];
    ssize_t length = readlinkat(directory, path, target, PATH_MAX);
    if (length < 0)
        return gone_or(errno);
    target[length] = '\0';
    return write_header(writer, directory, path, name, TAR_TYPE_SYMLINK, st, target);
}

/* `parent/.wh.base`, an empty file. */
static int write_whiteout(struct writer *writer, const char *name, const struct stat *st)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash == NULL ? name : slash + 1;
    auto_free char *marker = NULL;
    if (asprintf(&marker, "%.*s.wh.%s", (int)(base - name), name, base) < 0)
        return -ENOMEM;
    struct stat empty = { .st_mode = 0600, .st_mtim = st->st_mtim };
    return write_header(writer, -1, "", marker, TAR_TYPE_REGULAR, &empty, NULL);
}

static bool is_opaque(int fd)
{
    char value[2];
    return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static bool is_wanted(const struct writer *writer, const char *name)
{
    return writer->options.wanted == NULL || writer->options.wanted(writer->options.context, name);
}

static int write_children(struct writer *writer, int fd, const char *name, unsigned depth)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return -errno;
    int result = 0;
    for (int i = 0; i < count; i++) {
        const char *base = entries[i]->d_name;
        if (result == 0 && strcmp(base, ".") != 0 && strcmp(base, "..") != 0) {
            auto_free char *child = NULL;
            if (asprintf(&child, "%s%s%s", name, name[0] == '\0' || name[strlen(name) - 1] == '/' ? "" : "/", base) < 0)
                result = -ENOMEM;
            else
                result = write_entry(writer, fd, base, child, depth + 1);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int write_directory(struct writer *writer, int directory, const char *path, const char *name,
                           const struct stat *st, unsigned depth)
{
    auto_fd fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return gone_or(errno);
    if (depth > MAX_DEPTH)
        return -ELOOP;
    const struct stat *omitted = writer->options.omitted;
    if (omitted != NULL && omitted->st_dev == st->st_dev && omitted->st_ino == st->st_ino)
        return 0;
    if (name[0] != '\0' && is_wanted(writer, name)) {
        auto_free char *slashed = NULL;
        if (asprintf(&slashed, "%s%s", name, name[strlen(name) - 1] == '/' ? "" : "/") < 0)
            return -ENOMEM;
        int result = write_header(writer, directory, path, slashed, TAR_TYPE_DIRECTORY, st, NULL);
        if (result < 0)
            return result;
    }
    if (writer->options.one_file_system && st->st_dev != writer->device)
        return 0;
    if (writer->options.layer && is_opaque(fd)) {
        auto_free char *marker = NULL;
        if (asprintf(&marker, "%s%s.wh..wh..opq", name, name[0] == '\0' ? "" : "/") < 0)
            return -ENOMEM;
        struct stat empty = { .st_mode = st->st_mode & 0777, .st_uid = st->st_uid, .st_gid = st->st_gid };
        int result = write_header(writer, -1, "", marker, TAR_TYPE_REGULAR, &empty, NULL);
        if (result < 0)
            return result;
    }
    return write_children(writer, fd, name, depth);
}

/* An overlay makes whiteouts as links of one, which are no file of the layer. */
static bool is_whiteout(const struct writer *writer, const struct stat *st)
{
    return writer->options.layer && S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int write_of_type(struct writer *writer, int directory, const char *path, const char *name,
                         const struct stat *st, unsigned depth)
{
    if (S_ISDIR(st->st_mode))
        return write_directory(writer, directory, path, name, st, depth);
    if (!is_wanted(writer, name))
        return 0;
    if (is_whiteout(writer, st))
        return write_whiteout(writer, name, st);
    if (S_ISSOCK(st->st_mode))
        return 0; /* tar has no form for it, and Docker leaves it out too */
    int result = 0;
    const char *earlier = st->st_nlink > 1 ? earlier_name(writer, st, name, &result) : NULL;
    if (result < 0)
        return result;
    if (earlier != NULL)
        return write_header(writer, directory, path, name, TAR_TYPE_HARD_LINK, st, earlier);
    switch (st->st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFLNK:
        result = S_ISREG(st->st_mode) ? write_regular(writer, directory, path, name, st)
                                      : write_symlink(writer, directory, path, name, st);
        if (result == -ENOENT)
            forget_name(writer, st, name);
        return result;
    case S_IFCHR:
        return write_header(writer, directory, path, name, TAR_TYPE_CHARACTER, st, NULL);
    case S_IFBLK:
        return write_header(writer, directory, path, name, TAR_TYPE_BLOCK, st, NULL);
    case S_IFIFO:
        return write_header(writer, directory, path, name, TAR_TYPE_FIFO, st, NULL);
    default:
        return 0; /* no type that Linux has */
    }
}

static int write_entry(struct writer *writer, int directory, const char *path, const char *name, unsigned depth)
{
    struct stat st;
    int result = fstatat(directory, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    if (result == 0)
        result = write_of_type(writer, directory, path, name, &st, depth);
    /* what a running container removed between the listing and now is not there */
    if (result == -ENOENT && depth > 0)
        return 0;
    if (result < 0 && writer->culprit[0] == '\0')
        snprintf(writer->culprit, writer->culprit_size, "%s", name);
    return result;
}

int tar_write(int output, int directory, const char *path, const char *name, struct tar_write_options options,
              char *culprit, unsigned culprit_size)
{
    struct writer *writer = calloc(1, sizeof(*writer));
    char *buffer = malloc(COPY_BYTES);
    if (writer == NULL || buffer == NULL) {
        free(writer);
        free(buffer);
        return -ENOMEM;
    }
    *writer = (struct writer){
        .output = output, .options = options, .copy_buffer = buffer, .culprit = culprit, .culprit_size = culprit_size
    };
    culprit[0] = '\0';
    struct stat top;
    int result = fstatat(directory, path, &top, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    writer->device = top.st_dev;
    if (result == 0)
        result = write_entry(writer, directory, path, name, 0);
    for (size_t i = 0; i < options.gone_count && result == 0; i++)
        result = write_whiteout(writer, options.gone[i], &(struct stat){ 0 });
    if (result == 0) {
        memset(buffer, 0, 2 * TAR_BLOCK);
        result = emit(writer, buffer, 2 * TAR_BLOCK);
    }
    if (result == 0 && options.bulk != NULL)
        result = bulk_flush(options.bulk);
    for (size_t i = 0; i < LINK_BUCKETS; i++) {
        for (struct link_entry *entry = writer->links[i]; entry != NULL;) {
            struct link_entry *next = entry->next;
            free(entry->name);
            free(entry);
            entry = next;
        }
    }
    free(buffer);
    free(writer);
    return result;
}
