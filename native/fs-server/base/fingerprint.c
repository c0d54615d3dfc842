#include "base/fingerprint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int take_fingerprint(int fd, struct fingerprint *of)
{
    *of = (struct fingerprint){ 0 };
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0)
        return errno;
    of->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    of->ino = st.stx_ino;
    if ((st.stx_mask & STATX_BTIME) != 0) {
        of->born[0] = (uint64_t)st.stx_btime.tv_sec;
        of->born[1] = st.stx_btime.tv_nsec;
    }
    union {
        struct file_handle handle;
        unsigned char room[sizeof(struct file_handle) + MAX_FILE_HANDLE];
    } found = { .handle.handle_bytes = MAX_FILE_HANDLE };
    int mount;
    if (name_to_handle_at(fd, "", &found.handle, &mount, AT_EMPTY_PATH) == 0) {
        of->handle_type = (uint64_t)(unsigned)found.handle.handle_type;
        of->handle_bytes = found.handle.handle_bytes;
        memcpy(of->handle, found.room + sizeof(struct file_handle), of->handle_bytes);
    }
    return 0;
}

bool same_file(const struct fingerprint *one, const struct fingerprint *other)
{
    return one->ino == other->ino && memcmp(one->born, other->born, sizeof(one->born)) == 0 &&
           one->handle_type == other->handle_type && one->handle_bytes == other->handle_bytes &&
           memcmp(one->handle, other->handle, one->handle_bytes) == 0;
}

void put_fingerprint(FILE *file, const struct fingerprint *of)
{
    put_number(file, of->dev);
    put_number(file, of->ino);
    put_number(file, of->born[0]);
    put_number(file, of->born[1]);
    put_number(file, of->handle_type);
    put_bytes(file, of->handle, of->handle_bytes);
}

struct fingerprint read_fingerprint(struct state_reader *reader)
{
    struct fingerprint of = { .dev = take_number(reader), .ino = take_number(reader) };
    of.born[0] = take_number(reader);
    of.born[1] = take_number(reader);
    of.handle_type = take_number(reader);
    const unsigned char *handle = take_field(reader, MAX_FILE_HANDLE, &of.handle_bytes);
    if (of.handle_bytes > 0)
        memcpy(of.handle, handle, of.handle_bytes);
    return of;
}
