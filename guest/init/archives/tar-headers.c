/* The headers of a tar stream, as Go's archive/tar reads them. */
#include "archives/tar-headers.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "archives/tar-format.h"
#include "archives/tar-sparse.h"
#include "core/cleanup.h"

enum {
    MAX_EXTENDED_BYTES = 1024 * 1024, /* of PAX records or a GNU long name, as Go's archive/tar allows */
};

static int invalid_header(struct tar_input *input)
{
    return tar_fail(input, EINVAL, "archive/tar: invalid tar header");
}

/* Octal text, or GNU's base 256 when the first bit is set. False if it is neither or does not fit. */
static bool parse_number(const char *field, size_t size, int64_t *value)
{
    const unsigned char *bytes = (const unsigned char *)field;
    if ((bytes[0] & 0x80) != 0) {
        /* a negative number is counted by its complement, which has to fit as well */
        unsigned inverted = (bytes[0] & 0x40) != 0 ? 0xff : 0;
        uint64_t total = 0;
        for (size_t i = 0; i < size; i++) {
            unsigned byte = bytes[i] ^ inverted;
            if ((total >> 55) != 0)
                return false;
            total = (total << 8) | (i == 0 ? byte & 0x7fu : byte);
        }
        *value = inverted != 0 ? ~(int64_t)total : (int64_t)total;
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

static bool checksum_is_right(const struct tar_header *header)
{
    int64_t wanted;
    if (!parse_number(header->checksum, sizeof(header->checksum), &wanted))
        return false;
    int64_t as_unsigned = 0, as_signed = 0;
    for (size_t i = 0; i < sizeof(*header); i++) {
        bool in_checksum = i >= offsetof(struct tar_header, checksum) && i < offsetof(struct tar_header, type);
        char byte = in_checksum ? ' ' : ((const char *)header)[i];
        as_unsigned += (unsigned char)byte;
        as_signed += (signed char)byte;
    }
    return wanted == as_unsigned || wanted == as_signed;
}

static char *copy_field(const char *field, size_t size)
{
    return strndup(field, size);
}

static bool parse_decimal(const char *text, size_t length, int64_t *value)
{
    char digits[24];
    if (length == 0 || length >= sizeof(digits))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    char *end;
    errno = 0;
    *value = strtoll(digits, &end, 10);
    return errno == 0 && *end == '\0';
}

/* Seconds with a fraction; Docker's archives carry whole ones, others need not. */
static bool parse_time(const char *text, size_t length, struct timespec *time)
{
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
    *time = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nanoseconds };
    if (text[0] == '-' && nanoseconds > 0 && seconds > INT64_MIN)
        *time = (struct timespec){ .tv_sec = (time_t)seconds - 1, .tv_nsec = 1000000000 - nanoseconds };
    return true;
}

static bool replace(char **text, const char *value, size_t length)
{
    free(*text);
    *text = strndup(value, length);
    return *text != NULL && strlen(*text) == length;
}

/* What the extended headers before an entry say; `has_…` tells which of them. */
struct extension {
    /* GNU's, which go before those of PAX */
    char *long_name;
    char *long_link;
    /* the rest is of the last PAX header only: there may be any number of them */
    char *path;
    char *link;
    int64_t uid, gid, size;
    struct timespec mtime;
    bool has_uid, has_gid, has_size, has_mtime;
    struct tar_xattr *xattrs;
    struct sparse_records sparse;
};

static void free_records(struct extension *extension)
{
    free(extension->path);
    free(extension->link);
    tar_xattrs_free(&extension->xattrs);
    sparse_free_records(&extension->sparse);
    *extension = (struct extension){ .long_name = extension->long_name, .long_link = extension->long_link };
}

static void free_extension(struct extension *extension)
{
    free(extension->long_name);
    free(extension->long_link);
    free_records(extension);
}

static bool add_xattr(struct extension *extension, const char *name, const char *value, size_t length)
{
    size_t name_size = strlen(name) + 1;
    struct tar_xattr *xattr = malloc(sizeof(*xattr) + name_size + length);
    if (xattr == NULL)
        return false;
    memcpy(xattr->text, name, name_size);
    memcpy(xattr->text + name_size, value, length);
    xattr->name = xattr->text;
    xattr->value = xattr->text + name_size;
    xattr->length = length;
    xattr->next = extension->xattrs;
    extension->xattrs = xattr;
    return true;
}

/* Whether Go's archive/tar takes the record, whatever its value means. */
static bool is_valid_record(const char *key, size_t key_length, const char *value, size_t length)
{
    static const char *const texts[] = { "path", "linkpath", "uname", "gname" };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(key, texts[i]) == 0)
            return memchr(value, '\0', length) == NULL;
    return key_length > 0 && strlen(key) == key_length;
}

static bool apply_record(struct extension *extension, const char *key, const char *value, size_t length)
{
    struct timespec other_time;
    if (length == 0) /* what the header says holds */
        return true;
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
    if (strcmp(key, "atime") == 0 || strcmp(key, "ctime") == 0)
        return parse_time(value, length, &other_time);
    if (strncmp(key, TAR_XATTR_PREFIX, strlen(TAR_XATTR_PREFIX)) == 0)
        return add_xattr(extension, key + strlen(TAR_XATTR_PREFIX), value, length);
    if (strncmp(key, TAR_SPARSE_PREFIX, strlen(TAR_SPARSE_PREFIX)) == 0)
        return sparse_take_record(&extension->sparse, key + strlen(TAR_SPARSE_PREFIX), value, length);
    return true;
}

/* Of a global header (`extension` is NULL) the records only have to be right: dockerd does nothing with them. */
static bool apply_records(struct extension *extension, char *text, size_t length)
{
    char *end = text + length;
    while (text < end) {
        char *after;
        /* strtoul would skip white space, and end behind the record */
        if (*text < '0' || *text > '9')
            return false;
        unsigned long size = strtoul(text, &after, 10);
        if (*after != ' ' || size < 4 || size > (size_t)(end - text) || text[size - 1] != '\n')
            return false;
        char *key = after + 1;
        if (key >= text + size)
            return false;
        char *equals = memchr(key, '=', (size_t)(text + size - key));
        if (equals == NULL)
            return false;
        *equals = '\0';
        size_t value_length = (size_t)(text + size - 1 - (equals + 1));
        if (!is_valid_record(key, (size_t)(equals - key), equals + 1, value_length) ||
            (extension != NULL && !apply_record(extension, key, equals + 1, value_length)))
            return false;
        text += size;
    }
    return true;
}

static int read_extension(struct tar_input *input, const struct tar_header *header, struct extension *extension)
{
    int64_t size;
    if (!parse_number(header->size, sizeof(header->size), &size) || size < 0)
        return invalid_header(input);
    if (size > MAX_EXTENDED_BYTES)
        return tar_fail(input, EINVAL, "archive/tar: header field too long");
    auto_free char *text = malloc(tar_padded((uint64_t)size) + 1);
    if (text == NULL)
        return tar_fail(input, ENOMEM, "out of memory");
    int result = tar_must_read(input, text, tar_padded((uint64_t)size));
    if (result < 0)
        return result;
    text[size] = '\0';
    bool good = true;
    if (header->type == TAR_TYPE_GNU_LONG_NAME)
        good = replace(&extension->long_name, text, strlen(text));
    else if (header->type == TAR_TYPE_GNU_LONG_LINK)
        good = replace(&extension->long_link, text, strlen(text));
    else if (header->type == TAR_TYPE_PAX) {
        free_records(extension);
        good = apply_records(extension, text, (size_t)size);
    } else
        good = apply_records(NULL, text, (size_t)size);
    return good ? 0 : invalid_header(input);
}

/* Gives a text away. NULL if there is none, or an empty one. */
static char *take_text(char **text)
{
    if (*text == NULL || **text == '\0')
        return NULL;
    char *taken = *text;
    *text = NULL;
    return taken;
}

static bool ends_in_slash(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && name[length - 1] == '/';
}

/* Names from GNU's headers, else from those of PAX, else from the header. NULL if memory is short. */
static void name_entry(struct tar_entry *entry, const struct tar_header *header, struct extension *extension)
{
    entry->name = take_text(&extension->long_name);
    if (entry->name == NULL)
        entry->name = take_text(&extension->path);
    if (entry->name != NULL) {
        /* all is said */
    } else if (memcmp(header->magic, "ustar", 6) == 0 && header->prefix[0] != '\0') {
        if (asprintf(&entry->name, "%.*s/%.*s", (int)sizeof(header->prefix), header->prefix, (int)sizeof(header->name),
                     header->name) < 0)
            entry->name = NULL;
    } else {
        entry->name = copy_field(header->name, sizeof(header->name));
    }
    entry->link = take_text(&extension->long_link);
    if (entry->link == NULL)
        entry->link = take_text(&extension->link);
    if (entry->link == NULL)
        entry->link = copy_field(header->linkname, sizeof(header->linkname));
}

static bool fill_entry(struct tar_entry *entry, const struct tar_header *header, struct extension *extension)
{
    int64_t mode, mtime, device_major = 0, device_minor = 0;
    if (header->type == TAR_TYPE_GNU_SPARSE && memcmp(header->magic, "ustar  ", 8) != 0)
        return false;
    if (!parse_number(header->mode, sizeof(header->mode), &mode) ||
        !parse_number(header->uid, sizeof(header->uid), &entry->uid) ||
        !parse_number(header->gid, sizeof(header->gid), &entry->gid) ||
        !parse_number(header->size, sizeof(header->size), &entry->size) ||
        !parse_number(header->mtime, sizeof(header->mtime), &mtime))
        return false;
    entry->type = header->type;
    entry->mode = (mode_t)mode & 07777;
    entry->mtime = extension->has_mtime ? extension->mtime : (struct timespec){ .tv_sec = (time_t)mtime };
    if (extension->has_uid)
        entry->uid = extension->uid;
    if (extension->has_gid)
        entry->gid = extension->gid;
    if (extension->has_size)
        entry->size = extension->size;
    if (entry->type == TAR_TYPE_CHARACTER || entry->type == TAR_TYPE_BLOCK) {
        if (!parse_number(header->devmajor, sizeof(header->devmajor), &device_major) ||
            !parse_number(header->devminor, sizeof(header->devminor), &device_minor))
            return false;
        entry->device = makedev((unsigned)device_major & 0xfff, (unsigned)device_minor & 0xfffff); /* as dockerd */
    }
    entry->xattrs = extension->xattrs;
    extension->xattrs = NULL;
    name_entry(entry, header, extension);
    if (entry->type == '\0') /* of the oldest format, which has no type of directories */
        entry->type = entry->name != NULL && ends_in_slash(entry->name) ? TAR_TYPE_DIRECTORY : TAR_TYPE_REGULAR;
    return entry->name != NULL && entry->link != NULL && entry->size >= 0 && sparse_apply(&extension->sparse, entry);
}

int tar_next_entry(struct tar_input *input, struct tar_entry *entry)
{
    struct extension extension = { 0 };
    int result;
    for (;;) {
        struct tar_header header;
        result = tar_read_all(input, &header, sizeof(header));
        if (result <= 0)
            break;
        static const struct tar_header zeros;
        if (memcmp(&header, &zeros, sizeof(header)) == 0) {
            result = 0;
            break;
        }
        if (!checksum_is_right(&header)) {
            result = invalid_header(input);
            break;
        }
        if (header.type == TAR_TYPE_PAX || header.type == TAR_TYPE_PAX_GLOBAL ||
            header.type == TAR_TYPE_GNU_LONG_NAME || header.type == TAR_TYPE_GNU_LONG_LINK) {
            result = read_extension(input, &header, &extension);
            if (result < 0)
                break;
            continue;
        }
        result = fill_entry(entry, &header, &extension) ? 1 : invalid_header(input);
        break;
    }
    free_extension(&extension);
    return result;
}
