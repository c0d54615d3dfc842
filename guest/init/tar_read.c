#include "tar_read.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "go-error.h"
#include "tar_format.h"

enum {
    COPY_BYTES = 256 * 1024,
    MAX_EXTENDED_BYTES = 1024 * 1024, /* of PAX records or a GNU long name, as Go's archive/tar allows */
};

/* An entry, after the extended headers before it were applied. Names are owned. */
struct entry {
    char *name;
    char *link;
    char type;
    mode_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size;
    struct timespec mtime;
    dev_t device;
    unsigned char capability[256];
    size_t capability_length;
};

/* The times of a directory are set at the end: what is unpacked into it would change them. */
struct directory_time {
    struct directory_time *next;
    struct timespec mtime;
    char path[];
};

struct reader {
    int input;
    const char *destination;
    struct tar_read_options options;
    char *copy_buffer;
    struct directory_time *directories;
    char *message;
    unsigned message_size;
};

__attribute__((format(printf, 3, 4))) static int fail(struct reader *reader, int error, const char *format,
                                                      ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reader->message, reader->message_size, format, arguments);
    va_end(arguments);
    return -error;
}

static int invalid_header(struct reader *reader) {
    return fail(reader, EINVAL, "archive/tar: invalid tar header");
}

/* 1 when `length` bytes were read, 0 at an end before the first byte, else an error. */
static int read_all(struct reader *reader, void *buffer, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t got = read(reader->input, (char *)buffer + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(reader, errno, "read the archive: %s", go_error(errno));
        if (got == 0)
            return done == 0 ? 0 : fail(reader, EINVAL, "unexpected EOF");
        done += (size_t)got;
    }
    return 1;
}

static int must_read(struct reader *reader, void *buffer, size_t length) {
    int result = read_all(reader, buffer, length);
    return result == 0 ? fail(reader, EINVAL, "unexpected EOF") : result;
}

static uint64_t padded(uint64_t size) {
    return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

static int skip(struct reader *reader, uint64_t length) {
    while (length > 0) {
        size_t part = length < COPY_BYTES ? (size_t)length : COPY_BYTES;
        int result = must_read(reader, reader->copy_buffer, part);
        if (result < 0)
            return result;
        length -= part;
    }
    return 0;
}

/* Octal text, or GNU's base 256 when the first bit is set. False if it is neither or does not fit. */
static bool parse_number(const char *field, size_t size, int64_t *value) {
    const unsigned char *bytes = (const unsigned char *)field;
    if ((bytes[0] & 0x80) != 0) {
        bool negative = (bytes[0] & 0x40) != 0;
        uint64_t total = negative ? UINT64_MAX : 0;
        for (size_t i = 0; i < size; i++) {
            unsigned byte = i == 0 ? (negative ? bytes[i] | 0x80u : bytes[i] & 0x7fu) : bytes[i];
            if (!negative && (total >> 55) != 0)
                return false;
            total = (total << 8) | (byte & 0xffu);
        }
        *value = (int64_t)total;
        return true;
    }
    size_t at = 0;
    while (at < size && (field[at] == ' ' || field[at] == '\0'))
        at++;
    int64_t total = 0;
    for (; at < size && field[at] != ' ' && field[at] != '\0'; at++) {
        if (field[at] < '0' || field[at] > '7' || total > (INT64_MAX >> 3))
            return false;
        total = total * 8 + (field[at] - '0');
    }
    *value = total;
    return true;
}

static bool checksum_is_right(const struct tar_header *header) {
    int64_t wanted;
    if (!parse_number(header->checksum, sizeof header->checksum, &wanted))
        return false;
    int64_t as_unsigned = 0, as_signed = 0;
    for (size_t i = 0; i < sizeof *header; i++) {
        bool in_checksum =
            i >= offsetof(struct tar_header, checksum) && i < offsetof(struct tar_header, type);
        char byte = in_checksum ? ' ' : ((const char *)header)[i];
        as_unsigned += (unsigned char)byte;
        as_signed += (signed char)byte;
    }
    return wanted == as_unsigned || wanted == as_signed;
}

static char *copy_field(const char *field, size_t size) {
    return strndup(field, size);
}

static bool parse_decimal(const char *text, size_t length, int64_t *value) {
    char digits[24];
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    char *end;
    errno = 0;
    *value = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0';
}

/* Seconds with a fraction; Docker's archives carry whole ones, others need not. */
static bool parse_time(const char *text, size_t length, struct timespec *time) {
    const char *dot = memchr(text, '.', length);
    int64_t seconds;
    if (!parse_decimal(text, dot == NULL ? length : (size_t)(dot - text), &seconds))
        return false;
    long nanoseconds = 0, unit = 100000000;
    for (const char *at = dot == NULL ? text + length : dot + 1; at < text + length; at++) {
        if (*at < '0' || *at > '9')
            return false;
        nanoseconds += (*at - '0') * unit;
        unit /= 10;
    }
    *time = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = text[0] == '-' ? 0 : nanoseconds};
    return true;
}

static bool replace(char **text, const char *value, size_t length) {
    free(*text);
    *text = strndup(value, length);
    return *text != NULL && strlen(*text) == length;
}

/* What the extended headers before an entry say; `has_…` tells which of them. */
struct extension {
    char *path;
    char *link;
    int64_t uid, gid, size;
    struct timespec mtime;
    bool has_uid, has_gid, has_size, has_mtime;
    unsigned char capability[256];
    size_t capability_length;
};

static void free_extension(struct extension *extension) {
    free(extension->path);
    free(extension->link);
}

static bool apply_record(struct extension *extension, const char *key, const char *value, size_t length) {
    if (strcmp(key, "path") == 0)
        return replace(&extension->path, value, length);
    if (strcmp(key, "linkpath") == 0)
        return replace(&extension->link, value, length);
    if (strcmp(key, "uid") == 0)
        return extension->has_uid = parse_decimal(value, length, &extension->uid);
    if (strcmp(key, "gid") == 0)
        return extension->has_gid = parse_decimal(value, length, &extension->gid);
    if (strcmp(key, "size") == 0)
        return extension->has_size = parse_decimal(value, length, &extension->size) && extension->size >= 0;
    if (strcmp(key, "mtime") == 0)
        return extension->has_mtime = parse_time(value, length, &extension->mtime);
    if (strcmp(key, TAR_XATTR_PREFIX TAR_CAPABILITY_XATTR) == 0 && length <= sizeof extension->capability) {
        memcpy(extension->capability, value, length);
        extension->capability_length = length;
    }
    return strncmp(key, "GNU.sparse.", 11) != 0; /* its data is not the file's */
}

static bool apply_records(struct extension *extension, char *text, size_t length) {
    char *end = text + length;
    while (text < end) {
        char *after;
        unsigned long size = strtoul(text, &after, 10);
        if (after == text || *after != ' ' || size < 4 || size > (size_t)(end - text) ||
            text[size - 1] != '\n')
            return false;
        char *key = after + 1;
        char *equals = memchr(key, '=', (size_t)(text + size - key));
        if (equals == NULL)
            return false;
        *equals = '\0';
        if (!apply_record(extension, key, equals + 1, (size_t)(text + size - 1 - (equals + 1))))
            return false;
        text += size;
    }
    return true;
}

static int read_extension(struct reader *reader, const struct tar_header *header,
                          struct extension *extension) {
    int64_t size;
    if (!parse_number(header->size, sizeof header->size, &size) || size < 0 || size > MAX_EXTENDED_BYTES)
        return invalid_header(reader);
    auto_free char *text = malloc(padded((uint64_t)size) + 1);
    if (text == NULL)
        return fail(reader, ENOMEM, "out of memory");
    int result = must_read(reader, text, padded((uint64_t)size));
    if (result < 0)
        return result;
    text[size] = '\0';
    bool good = true;
    if (header->type == TAR_TYPE_GNU_LONG_NAME)
        good = replace(&extension->path, text, strlen(text));
    else if (header->type == TAR_TYPE_GNU_LONG_LINK)
        good = replace(&extension->link, text, strlen(text));
    else if (header->type == TAR_TYPE_PAX)
        good = apply_records(extension, text, (size_t)size);
    return good ? 0 : invalid_header(reader);
}

static bool fill_entry(struct entry *entry, const struct tar_header *header, struct extension *extension) {
    int64_t mode, mtime, device_major = 0, device_minor = 0;
    if (!parse_number(header->mode, sizeof header->mode, &mode) ||
        !parse_number(header->uid, sizeof header->uid, &entry->uid) ||
        !parse_number(header->gid, sizeof header->gid, &entry->gid) ||
        !parse_number(header->size, sizeof header->size, &entry->size) ||
        !parse_number(header->mtime, sizeof header->mtime, &mtime))
        return false;
    entry->type =
        header->type == '\0' || header->type == TAR_TYPE_CONTIGUOUS ? TAR_TYPE_REGULAR : header->type;
    entry->mode = (mode_t)mode & 07777;
    entry->mtime = extension->has_mtime ? extension->mtime : (struct timespec){.tv_sec = (time_t)mtime};
    if (extension->has_uid)
        entry->uid = extension->uid;
    if (extension->has_gid)
        entry->gid = extension->gid;
    if (extension->has_size)
        entry->size = extension->size;
    if (entry->type == TAR_TYPE_CHARACTER || entry->type == TAR_TYPE_BLOCK) {
        if (!parse_number(header->devmajor, sizeof header->devmajor, &device_major) ||
            !parse_number(header->devminor, sizeof header->devminor, &device_minor))
            return false;
        entry->device = makedev((unsigned)device_major, (unsigned)device_minor);
    }
    memcpy(entry->capability, extension->capability, extension->capability_length);
    entry->capability_length = extension->capability_length;
    if (extension->path != NULL) {
        entry->name = extension->path;
        extension->path = NULL;
    } else if (memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0] != '\0') {
        if (asprintf(&entry->name, "%.*s/%.*s", (int)sizeof header->prefix, header->prefix,
                     (int)sizeof header->name, header->name) < 0)
            entry->name = NULL;
    } else {
        entry->name = copy_field(header->name, sizeof header->name);
    }
    entry->link =
        extension->link != NULL ? extension->link : copy_field(header->linkname, sizeof header->linkname);
    extension->link = NULL;
    return entry->name != NULL && entry->link != NULL && entry->size >= 0;
}

/* 1 with the next entry, 0 at the end of the archive. */
static int next_entry(struct reader *reader, struct entry *entry) {
    struct extension extension = {0};
    int result;
    for (;;) {
        struct tar_header header;
        result = read_all(reader, &header, sizeof header);
        if (result <= 0)
            break;
        static const struct tar_header zeros;
        if (memcmp(&header, &zeros, sizeof header) == 0) {
            result = 0;
            break;
        }
        if (!checksum_is_right(&header)) {
            result = invalid_header(reader);
            break;
        }
        if (header.type == TAR_TYPE_PAX || header.type == TAR_TYPE_PAX_GLOBAL ||
            header.type == TAR_TYPE_GNU_LONG_NAME || header.type == TAR_TYPE_GNU_LONG_LINK) {
            result = read_extension(reader, &header, &extension);
            if (result < 0)
                break;
            continue;
        }
        result = fill_entry(entry, &header, &extension) ? 1 : invalid_header(reader);
        break;
    }
    free_extension(&extension);
    return result;
}

/* Takes ".", ".." and double slashes out of a path, as Go's filepath.Clean. False if ".." leads above its
 * start. */
static bool clean_relative(const char *path, char *cleaned, size_t size) {
    size_t length = 0;
    while (*path != '\0') {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            if (length == 0)
                return false;
            while (length > 0 && cleaned[length - 1] != '/')
                length--;
            if (length > 0)
                length--;
        } else if (part > 0 && !(part == 1 && path[0] == '.')) {
            if (length + part + 2 > size)
                return false;
            if (length > 0)
                cleaned[length++] = '/';
            memcpy(cleaned + length, path, part);
            length += part;
        }
        path += part;
        path += strspn(path, "/");
    }
    cleaned[length] = '\0';
    return true;
}

/* The same of an absolute path, above whose start there is nothing. */
static const char *clean_absolute(const char *path, char *cleaned, size_t size) {
    size_t length = 0;
    cleaned[0] = '\0';
    for (path += strspn(path, "/"); *path != '\0'; path += strspn(path, "/")) {
        size_t part = strcspn(path, "/");
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            char *slash = strrchr(cleaned, '/');
            length = slash == NULL ? 0 : (size_t)(slash - cleaned);
            cleaned[length] = '\0';
        } else if (!(part == 1 && path[0] == '.') && length + part + 2 <= size) {
            length += (size_t)snprintf(cleaned + length, size - length, "/%.*s", (int)part, path);
        }
        path += part;
    }
    return cleaned[0] == '\0' ? "/" : cleaned;
}

/* The absolute path of an entry; names that lead out of the destination are refused in Docker's words. */
static int resolve(struct reader *reader, const char *name, char *path, size_t size) {
    char relative[PATH_MAX];
    if (!clean_relative(name, relative, sizeof relative))
        return fail(reader, EINVAL, "\"%s\" is outside of \"%s\"", name, reader->destination);
    const char *base = strcmp(reader->destination, "/") == 0 ? "" : reader->destination;
    int length = snprintf(path, size, "%s%s%s", base, relative[0] == '\0' ? "" : "/", relative);
    if (length == 0)
        snprintf(path, size, "/");
    if (length < 0 || (size_t)length >= size)
        return fail(reader, ENAMETOOLONG, "%s: file name too long", name);
    return 0;
}

static int make_parents(struct reader *reader, const char *path) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *at = strchr(parent + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(parent, 0755) < 0 && errno != EEXIST)
            return fail(reader, errno, "mkdir %s: %s", parent, go_error(errno));
        *at = '/';
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

/* Makes room for an entry. A directory is kept where a directory comes. */
static int make_room(struct reader *reader, const struct entry *entry, const char *path) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0;
    bool was_directory = S_ISDIR(st.st_mode);
    bool is_directory = entry->type == TAR_TYPE_DIRECTORY;
    if (reader->options.no_overwrite_dir_non_dir && was_directory != is_directory) {
        if (was_directory)
            return fail(reader, EINVAL, "cannot overwrite directory \"%s\" with non-directory \"%s\"", path,
                        reader->destination);
        return fail(reader, EINVAL, "cannot overwrite non-directory \"%s\" with directory \"%s\"", path,
                    reader->destination);
    }
    if (was_directory && is_directory)
        return 0;
    if (strcmp(path, reader->destination) == 0)
        return 0;
    if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
        return fail(reader, errno, "remove %s: %s", path, go_error(errno));
    return 0;
}

static int unpack_data(struct reader *reader, const struct entry *entry, const char *path) {
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(reader, errno, "open %s: %s", path, go_error(errno));
    uint64_t left = (uint64_t)entry->size;
    while (left > 0) {
        size_t part = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        int result = must_read(reader, reader->copy_buffer, part);
        if (result < 0)
            return result;
        for (size_t done = 0; done < part;) {
            ssize_t written = write(fd, reader->copy_buffer + done, part - done);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                return fail(reader, errno, "write %s: %s", path, go_error(errno));
            done += (size_t)written;
        }
        left -= part;
    }
    return skip(reader, padded((uint64_t)entry->size) - (uint64_t)entry->size);
}

static int make_symlink(struct reader *reader, const struct entry *entry, const char *path) {
    /* A link that leads out of the destination is refused: a later entry could write through it. */
    char joined[2 * PATH_MAX], cleaned[PATH_MAX];
    const char *base = strcmp(reader->destination, "/") == 0 ? "" : reader->destination;
    const char *below = path + strlen(base);
    const char *slash = strrchr(below, '/');
    snprintf(joined, sizeof joined, "%.*s/%s", slash == NULL ? 0 : (int)(slash - below), below, entry->link);
    if (!reader->options.any_symlinks && !clean_relative(joined, cleaned, sizeof cleaned))
        return fail(reader, EINVAL, "invalid symlink \"%s\" -> \"%s\"", path, entry->link);
    if (symlink(entry->link, path) < 0)
        return fail(reader, errno, "symlink %s %s: %s", entry->link, path, go_error(errno));
    return 0;
}

static int make_hard_link(struct reader *reader, const struct entry *entry, const char *path) {
    char target[PATH_MAX];
    char cleaned[PATH_MAX];
    if (!clean_relative(entry->link, cleaned, sizeof cleaned)) {
        char joined[2 * PATH_MAX];
        snprintf(joined, sizeof joined, "%s/%s", reader->destination, entry->link);
        return fail(reader, EINVAL, "invalid hardlink \"%s\" -> \"%s\"",
                    clean_absolute(joined, cleaned, sizeof cleaned), entry->link);
    }
    int result = resolve(reader, entry->link, target, sizeof target);
    if (result < 0)
        return result;
    if (link(target, path) < 0)
        return fail(reader, errno, "link %s %s: %s", target, path, go_error(errno));
    return 0;
}

static int make_node(struct reader *reader, const struct entry *entry, const char *path) {
    mode_t type = entry->type == TAR_TYPE_BLOCK       ? S_IFBLK
                  : entry->type == TAR_TYPE_CHARACTER ? S_IFCHR
                                                      : S_IFIFO;
    if (mknod(path, type | entry->mode, entry->device) < 0)
        return fail(reader, errno, "mknod %s: %s", path, go_error(errno));
    return 0;
}

static int remember_time(struct reader *reader, const struct entry *entry, const char *path) {
    struct directory_time *time = malloc(sizeof *time + strlen(path) + 1);
    if (time == NULL)
        return fail(reader, ENOMEM, "out of memory");
    time->mtime = entry->mtime;
    strcpy(time->path, path);
    time->next = reader->directories;
    reader->directories = time;
    return 0;
}

static int set_attributes(struct reader *reader, const struct entry *entry, const char *path) {
    uid_t uid = reader->options.set_owner ? reader->options.uid : (uid_t)entry->uid;
    gid_t gid = reader->options.set_owner ? reader->options.gid : (gid_t)entry->gid;
    if (lchown(path, uid, gid) < 0)
        return fail(reader, errno, "lchown %s: %s", path, go_error(errno));
    if (entry->type == TAR_TYPE_SYMLINK) {
        struct timespec times[2] = {entry->mtime, entry->mtime};
        utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
        return 0;
    }
    if (chmod(path, entry->mode) < 0)
        return fail(reader, errno, "chmod %s: %s", path, go_error(errno));
    if (entry->capability_length > 0 &&
        lsetxattr(path, TAR_CAPABILITY_XATTR, entry->capability, entry->capability_length, 0) < 0 &&
        errno != EOPNOTSUPP && errno != EPERM)
        return fail(reader, errno, "setxattr %s: %s", path, go_error(errno));
    if (entry->type == TAR_TYPE_DIRECTORY)
        return remember_time(reader, entry, path);
    struct timespec times[2] = {entry->mtime, entry->mtime};
    if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(reader, errno, "utimensat %s: %s", path, go_error(errno));
    return 0;
}

static int unpack_entry(struct reader *reader, const struct entry *entry) {
    char path[PATH_MAX];
    int result = resolve(reader, entry->name, path, sizeof path);
    if (result == 0)
        result = make_parents(reader, path);
    if (result == 0)
        result = make_room(reader, entry, path);
    if (result < 0)
        return result;
    switch (entry->type) {
    case TAR_TYPE_REGULAR:
        result = unpack_data(reader, entry, path);
        break;
    case TAR_TYPE_DIRECTORY:
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return fail(reader, errno, "mkdir %s: %s", path, go_error(errno));
        break;
    case TAR_TYPE_SYMLINK:
        result = make_symlink(reader, entry, path);
        break;
    case TAR_TYPE_HARD_LINK:
        return make_hard_link(reader, entry, path); /* the attributes are those of the file it links to */
    case TAR_TYPE_CHARACTER:
    case TAR_TYPE_BLOCK:
    case TAR_TYPE_FIFO:
        result = make_node(reader, entry, path);
        break;
    default:
        return fail(reader, EINVAL, "unhandled tar header type %d", entry->type);
    }
    return result == 0 ? set_attributes(reader, entry, path) : result;
}

int tar_read(int input, const char *destination, struct tar_read_options options, char *message,
             unsigned message_size) {
    auto_free char *buffer = malloc(COPY_BYTES);
    if (buffer == NULL)
        return -ENOMEM;
    struct reader reader = {.input = input,
                            .destination = destination,
                            .options = options,
                            .copy_buffer = buffer,
                            .message = message,
                            .message_size = message_size};
    message[0] = '\0';
    int result;
    do {
        struct entry entry = {0};
        result = next_entry(&reader, &entry);
        if (result > 0) {
            int unpacked = unpack_entry(&reader, &entry);
            if (unpacked < 0)
                result = unpacked;
        }
        free(entry.name);
        free(entry.link);
    } while (result > 0);
    while (reader.directories != NULL) {
        struct directory_time *time = reader.directories;
        struct timespec times[2] = {time->mtime, time->mtime};
        utimensat(AT_FDCWD, time->path, times, AT_SYMLINK_NOFOLLOW);
        reader.directories = time->next;
        free(time);
    }
    return result;
}
