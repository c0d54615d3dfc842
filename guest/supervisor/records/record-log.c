/* The files of the log. Each is named after the position of its first byte. */
#include "records/record-log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/write-all.h"
#include "records/record.h"

#define NAME_DIGITS 20

static const struct { /* as dockerd's `local` driver has it */
    uint64_t most_bytes;
    unsigned most_files;
} defaults = { 20000000, 5 };

static void name_of(uint64_t start, char name[NAME_DIGITS + 1])
{
    snprintf(name, NAME_DIGITS + 1, "%0*llu", NAME_DIGITS, (unsigned long long)start);
}

static void drop_oldest(struct record_log *log)
{
    char name[NAME_DIGITS + 1];
    name_of(log->segments[0].start, name);
    unlinkat(log->directory, name, 0);
    drop_fd(&log->segments[0].fd);
    log->count--;
    memmove(&log->segments[0], &log->segments[1], log->count * sizeof(log->segments[0]));
}

static int open_segment(struct record_log *log, uint64_t start, bool is_new)
{
    char name[NAME_DIGITS + 1];
    struct stat status;
    name_of(start, name);
    while (log->count >= RECORD_LOG_MOST_FILES)
        drop_oldest(log);
    auto_fd fd = openat(log->directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (is_new ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0 || fstat(fd, &status) < 0)
        return -errno;
    log->segments[log->count++] = (struct log_segment){
        .start = start, .size = (uint64_t)status.st_size, .weight = (uint64_t)status.st_size, .fd = take_fd(&fd)
    };
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

static int open_known(struct record_log *log)
{
    uint64_t starts[RECORD_LOG_MOST_FILES];
    size_t count = 0;
    int copy = fcntl(log->directory, F_DUPFD_CLOEXEC, 3);
    auto_directory entries = copy < 0 ? NULL : fdopendir(copy);
    if (entries == NULL)
        return -errno;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (strlen(entry->d_name) == NAME_DIGITS && strspn(entry->d_name, "0123456789") == NAME_DIGITS &&
            count < RECORD_LOG_MOST_FILES)
            starts[count++] = strtoull(entry->d_name, NULL, 10);
    qsort(starts, count, sizeof(starts[0]), by_start);
    for (size_t i = 0; i < count; i++) {
        int result = open_segment(log, starts[i], false);
        if (result < 0)
            return result;
    }
    return 0;
}

int record_log_open(struct record_log *log, const char *directory)
{
    *log = (struct record_log){ .most_bytes = defaults.most_bytes, .most_files = defaults.most_files };
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    log->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (log->directory < 0)
        return -errno;
    int result = open_known(log);
    /* A file of an earlier process may end within a record: what is new begins in one of its own. */
    return result < 0 ? result
                      : open_segment(log, record_log_end(log),
                                     record_log_end(log) != record_log_first(log) || log->count == 0);
}

void record_log_close(struct record_log *log)
{
    for (unsigned i = 0; i < log->count; i++)
        drop_fd(&log->segments[i].fd);
    log->count = 0;
    drop_fd(&log->directory);
}

void record_log_limit(struct record_log *log, struct record_log_bounds bounds)
{
    log->most_bytes = bounds.most_bytes > 0 ? bounds.most_bytes : defaults.most_bytes;
    log->most_files = bounds.most_files > 0 ? bounds.most_files : defaults.most_files;
    log->line_bytes = bounds.line_bytes;
    if (log->most_files > RECORD_LOG_MOST_FILES)
        log->most_files = RECORD_LOG_MOST_FILES;
}

uint64_t record_log_first(const struct record_log *log)
{
    return log->count > 0 ? log->segments[0].start : 0;
}

uint64_t record_log_end(const struct record_log *log)
{
    if (log->count == 0)
        return 0;
    const struct log_segment *last = &log->segments[log->count - 1];
    return last->start + last->size;
}

static int rotate(struct record_log *log)
{
    int result = open_segment(log, record_log_end(log), true);
    while (result == 0 && log->count > log->most_files)
        drop_oldest(log);
    return result;
}

/* All of it or nothing. */
static int write_to_last(struct record_log *log, const void *records, size_t length)
{
    struct log_segment *last = &log->segments[log->count - 1];
    if (lseek(last->fd, (off_t)last->size, SEEK_SET) < 0)
        return -errno;
    int result = write_all(last->fd, records, length);
    if (result == 0)
        last->size += length;
    else if (ftruncate(last->fd, (off_t)last->size) < 0)
        result = -errno;
    return result;
}

/* Length of the record that begins there; 0: not all of it is there, or it is none. */
static size_t record_at(const uint8_t *bytes, size_t length, struct record_header *header)
{
    if (length < RECORD_HEADER_BYTES)
        return 0;
    memcpy(header, bytes, sizeof(*header));
    size_t total = RECORD_HEADER_BYTES + header->length + RECORD_TRAILER_BYTES;
    return header->length > RECORD_MOST_BYTES || total > length ? 0 : total;
}

/* How many of the bytes are whole records. */
static size_t whole_records(const uint8_t *bytes, size_t length)
{
    struct record_header header;
    size_t used = 0, total;
    while ((total = record_at(bytes + used, length - used, &header)) > 0)
        used += total;
    return used;
}

/* How many of the bytes are whole records that fit into one file, one at least, and what they count for. */
static size_t that_fit(const struct record_log *log, const uint8_t *bytes, size_t length, uint64_t *weight)
{
    struct record_header header;
    size_t used = 0, total;
    *weight = 0;
    while ((total = record_at(bytes + used, length - used, &header)) > 0) {
        uint64_t more = total;
        if (log->line_bytes > 0)
            more = header.length + record_lines(&header, bytes + used + RECORD_HEADER_BYTES) * log->line_bytes;
        if (used > 0 && *weight + more > log->most_bytes)
            break;
        used += total;
        *weight += more;
    }
    return used;
}

static int append_at_once(struct record_log *log, const void *records, size_t length, uint64_t weight)
{
    const struct log_segment *last = &log->segments[log->count - 1];
    int result = last->size > 0 && last->weight + weight > log->most_bytes ? rotate(log) : 0;
    if (result == 0)
        result = write_to_last(log, records, length);
    while (result == -ENOSPC && log->count > 1) {
        drop_oldest(log);
        result = write_to_last(log, records, length);
    }
    if (result == 0)
        log->segments[log->count - 1].weight += weight;
    return result;
}

int record_log_append(struct record_log *log, const void *records, size_t length)
{
    const uint8_t *bytes = records;
    int result = 0;
    /* What comes at once may be more than a file is to have: each gets the whole records that fit. */
    while (length > 0 && result == 0) {
        uint64_t weight;
        size_t part = that_fit(log, bytes, length, &weight);
        if (part == 0)
            return -EINVAL;
        result = append_at_once(log, bytes, part, weight);
        bytes += part;
        length -= part;
    }
    return result;
}

/* The file that has the position, or the first one after it; NULL at the end of the log. */
static const struct log_segment *segment_at(const struct record_log *log, uint64_t position)
{
    for (unsigned i = 0; i < log->count; i++)
        if (position < log->segments[i].start + log->segments[i].size)
            return &log->segments[i];
    return NULL;
}

ssize_t record_log_read(const struct record_log *log, uint64_t *position, uint64_t limit, void *buffer, size_t size)
{
    for (;;) {
        const struct log_segment *segment = segment_at(log, *position);
        if (segment == NULL || *position >= limit)
            return 0;
        if (*position < segment->start)
            *position = segment->start;
        uint64_t offset = *position - segment->start, left = segment->size - offset;
        if (left > limit - *position)
            left = limit - *position;
        ssize_t got = pread(segment->fd, buffer, left < size ? (size_t)left : size, (off_t)offset);
        if (got < 0)
            return -errno;
        size_t whole = whole_records(buffer, (size_t)got);
        if (whole > 0)
            return (ssize_t)whole;
        /* A record that its writer did not live to finish, or somebody has been at the file: the next file goes on. */
        if (size < RECORD_LARGEST)
            return -EMSGSIZE;
        *position = segment->start + segment->size;
    }
}

/* A walk back through the records. */
struct walk {
    const struct record_log *log;
    unsigned segment; /* in which `position` is an end */
    uint64_t position;
    struct record_header header; /* of the record that begins there */
    uint64_t lines;              /* that end in it */
};

/* To the record before. 1, 0 at the begin of the log, or -errno. */
static int step_back(struct walk *walk)
{
    static uint8_t content[RECORD_MOST_BYTES];
    const struct log_segment *segment = &walk->log->segments[walk->segment];
    while (walk->position <= segment->start) {
        if (walk->segment == 0)
            return 0;
        segment = &walk->log->segments[--walk->segment];
        walk->position = segment->start + segment->size;
    }
    uint64_t offset = walk->position - segment->start;
    uint32_t total = 0;
    if (offset < RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES)
        return 0;
    if (pread(segment->fd, &total, sizeof(total), (off_t)(offset - RECORD_TRAILER_BYTES)) != sizeof(total))
        return -EIO;
    if (total < RECORD_HEADER_BYTES + RECORD_TRAILER_BYTES || total > RECORD_LARGEST || total > offset)
        return 0; /* not ours: what is before it is not found this way */
    off_t start = (off_t)(offset - total);
    uint32_t length = total - RECORD_HEADER_BYTES - RECORD_TRAILER_BYTES;
    if (pread(segment->fd, &walk->header, sizeof(walk->header), start) != sizeof(walk->header) ||
        pread(segment->fd, content, length, start + RECORD_HEADER_BYTES) != (ssize_t)length)
        return -EIO;
    if (walk->header.length != length)
        return 0;
    walk->position -= total;
    walk->lines = record_lines(&walk->header, content);
    return 1;
}

/* Of the other stream than the record at which the wanted lines begin: one of its lines may have begun before. */
static int find_begun_line(struct walk *walk, struct log_tail *tail)
{
    uint8_t settled = walk->header.kind;
    uint64_t unwanted = 0;
    int result;
    while ((result = step_back(walk)) > 0) {
        bool is_other = walk->header.kind != settled && walk->header.kind != RECORD_STATE;
        if (is_other && (walk->header.flags & RECORD_FLAG_END) != 0)
            return 0;
        unwanted += walk->lines;
        if (!is_other)
            continue;
        tail->position = walk->position;
        tail->lines += unwanted;
        unwanted = 0;
        if (walk->lines > 0)
            return 0;
    }
    return result;
}

int record_log_tail(const struct record_log *log, uint64_t lines, struct log_tail *tail)
{
    struct walk walk = { .log = log, .segment = log->count - 1, .position = record_log_end(log) };
    uint64_t found = 0;
    int result;
    *tail = (struct log_tail){ .position = walk.position };
    while ((result = step_back(&walk)) > 0) {
        found += walk.lines;
        tail->position = walk.position;
        if (found <= lines)
            continue;
        tail->lines = found - lines;
        return find_begun_line(&walk, tail);
    }
    return result;
}
