/* What is written past the page cache and what isn't make one file, wherever its parts begin. */
#include "archives/file-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

enum { FILE_BYTES = 3 << 20, ROUNDS = 60 };

static char path[] = "/tmp/file-writer-test-XXXXXX";
static uint8_t *source;   /* aligned as a slot is */
static uint8_t *expected; /* the whole file */

static void require_content(int fd)
{
    uint8_t *found = malloc(FILE_BYTES);
    CHECK(found != NULL && pread(fd, found, FILE_BYTES, 0) == FILE_BYTES);
    CHECK(memcmp(found, expected, FILE_BYTES) == 0);
    free(found);
}

/* Where the file system has no O_DIRECT all of it takes the way through the cache. */
static void begin(struct file_writer *writer, int fd)
{
    file_writer_begin(writer, fd, FILE_BYTES);
    writer->may_be_direct = true;
}

static void parts_make_one_file(int fd)
{
    struct file_writer writer;
    begin(&writer, fd);
    for (int round = 0; round < ROUNDS; round++) {
        size_t offset = (size_t)(rand() % FILE_BYTES);
        size_t length = (size_t)(rand() % (round % 2 == 0 ? 1 << 19 : 70000)) % (FILE_BYTES - offset);
        size_t from = (size_t)(rand() % 64) * (round % 3 == 0 ? 1 : 512);
        if (round % 5 != 0)
            offset = offset / 512 * 512;
        CHECK(file_writer_seek(&writer, offset) == 0);
        CHECK(file_writer_write(&writer, source + from, length) == 0);
        CHECK(writer.position == offset + length);
        memcpy(expected + offset, source + from, length);
    }
    require_content(fd);
}

static void small_ones_are_kept(int fd)
{
    struct file_writer writer;
    file_writer_begin(&writer, fd, 4096);
    CHECK(!writer.may_be_direct);
    CHECK(file_writer_write(&writer, source, 0) == 0 && writer.position == 0);
}

static void errors_are_told(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct file_writer writer;
    begin(&writer, full);
    CHECK(file_writer_write(&writer, source, 1 << 20) == -ENOSPC);
    close(full);
}

int main(void)
{
    int fd = mkstemp(path);
    source = aligned_alloc(4096, FILE_BYTES);
    expected = calloc(1, FILE_BYTES);
    CHECK(fd >= 0 && source != NULL && expected != NULL && ftruncate(fd, FILE_BYTES) == 0);
    for (size_t i = 0; i < FILE_BYTES; i++)
        source[i] = (uint8_t)rand();
    parts_make_one_file(fd);
    small_ones_are_kept(fd);
    errors_are_told();
    close(fd);
    unlink(path);
    free(source);
    free(expected);
    return 0;
}
