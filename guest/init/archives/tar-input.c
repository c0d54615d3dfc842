/* Reads a tar stream, from a descriptor or the bulk disk, and says in Go's words what is wrong with it. */
#include "archives/tar-input.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "archives/bulk.h"
#include "archives/tar-format.h"
#include "core/go-error.h"

int tar_fail(struct tar_input *input, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(input->message, input->message_size, format, arguments);
    va_end(arguments);
    return -error;
}

static int read_failed(struct tar_input *input, int error)
{
    return tar_fail(input, error, "read the archive: %s", go_error(error));
}

static ssize_t read_some(struct tar_input *input, void *buffer, size_t length)
{
    if (input->bulk == NULL)
        return read(input->fd, buffer, length);
    ssize_t got = bulk_read(input->bulk, buffer, length);
    if (got < 0)
        errno = (int)-got;
    return got < 0 ? -1 : got;
}

int tar_read_all(struct tar_input *input, void *buffer, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = read_some(input, (char *)buffer + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return read_failed(input, errno);
        if (got == 0)
            return done == 0 ? 0 : tar_fail(input, EINVAL, "unexpected EOF");
        done += (size_t)got;
    }
    return 1;
}

int tar_must_read(struct tar_input *input, void *buffer, size_t length)
{
    int result = tar_read_all(input, buffer, length);
    return result == 0 ? tar_fail(input, EINVAL, "unexpected EOF") : result;
}

ssize_t tar_must_borrow(struct tar_input *input, const uint8_t **bytes, uint64_t length)
{
    ssize_t part = input->bulk == NULL ? 0 : bulk_borrow(input->bulk, bytes, length);
    if (part < 0)
        return read_failed(input, (int)-part);
    if (part > 0)
        return part;
    part = length < TAR_COPY_BYTES ? (ssize_t)length : TAR_COPY_BYTES;
    *bytes = input->copy_buffer;
    int result = tar_must_read(input, input->copy_buffer, (size_t)part);
    return result < 0 ? result : part;
}

uint64_t tar_padded(uint64_t size)
{
    return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

int tar_skip_padding(struct tar_input *input, uint64_t size)
{
    char padding[TAR_BLOCK];
    for (size_t left = (size_t)(tar_padded(size) - size); left > 0;) {
        ssize_t got = read_some(input, padding, left);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return read_failed(input, errno);
        if (got == 0)
            return 0;
        left -= (size_t)got;
    }
    return 0;
}
