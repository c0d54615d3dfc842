#include "base/state-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "include/cleanup.h"

enum {
    /* A million files with paths of a thousand bytes. */
    MAX_STATE_BYTES = 1 << 30,
};

void put_number(FILE *file, uint64_t value)
{
    fwrite(&value, sizeof(value), 1, file);
}

void put_bytes(FILE *file, const void *bytes, size_t length)
{
    put_number(file, length);
    if (length > 0)
        fwrite(bytes, length, 1, file);
}

/* Reads `length` bytes; 0 or an errno. */
static int read_whole(int fd, unsigned char *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : EBADMSG;
        done += (size_t)got;
    }
    return 0;
}

int read_state(int fd, struct state_reader *reader)
{
    *reader = (struct state_reader){ 0 };
    struct stat st;
    if (fstat(fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode) || st.st_size > MAX_STATE_BYTES)
        return EBADMSG;
    auto_free unsigned char *bytes = malloc((size_t)st.st_size + 1);
    int error = bytes == NULL ? ENOMEM : read_whole(fd, bytes, (size_t)st.st_size);
    if (error != 0)
        return error;
    reader->length = (size_t)st.st_size;
    reader->bytes = bytes;
    bytes = NULL;
    return 0;
}

/* The next bytes, or NULL. */
static const unsigned char *advance(struct state_reader *reader, size_t length)
{
    if (reader->failed || length > reader->length - reader->at) {
        reader->failed = true;
        return NULL;
    }
    const unsigned char *bytes = reader->bytes + reader->at;
    reader->at += length;
    return bytes;
}

uint64_t take_number(struct state_reader *reader)
{
    uint64_t value = 0;
    const unsigned char *bytes = advance(reader, sizeof(value));
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof(value));
    return value;
}

uint64_t take_number_up_to(struct state_reader *reader, uint64_t most)
{
    uint64_t value = take_number(reader);
    if (value <= most)
        return value;
    reader->failed = true;
    return 0;
}

const unsigned char *take_field(struct state_reader *reader, size_t most, size_t *length)
{
    *length = (size_t)take_number_up_to(reader, most);
    const unsigned char *bytes = advance(reader, *length);
    if (bytes == NULL)
        *length = 0;
    return bytes;
}

void take_text(struct state_reader *reader, char *text, size_t size)
{
    size_t length;
    const unsigned char *bytes = take_field(reader, size - 1, &length);
    if (length > 0 && memchr(bytes, 0, length) != NULL) {
        reader->failed = true;
        length = 0;
    }
    if (length > 0)
        memcpy(text, bytes, length);
    text[length] = '\0';
}
