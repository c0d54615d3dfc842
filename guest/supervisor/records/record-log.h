/* The files of the log. A position is the number of bytes ever written before it: it outlives files that were dropped. */
#ifndef CAISSON_RECORD_LOG_H
#define CAISSON_RECORD_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RECORD_LOG_MOST_FILES 64

struct log_segment {
    uint64_t start;
    uint64_t size;
    uint64_t weight; /* what it counts for against `most_bytes` */
    int fd;
};

struct record_log {
    int directory;
    uint64_t most_bytes; /* of one file; it gets no further records then */
    unsigned most_files;
    unsigned line_bytes; /* what each line is counted for beside its own bytes; 0: files are counted as they are */
    unsigned count;
    struct log_segment segments[RECORD_LOG_MOST_FILES]; /* oldest first; the last is written to */
};

/* Where to read for the last lines. */
struct log_tail {
    uint64_t position;
    uint64_t lines; /* that end between there and where the wanted ones begin */
};

/* Opens what lies in the directory, which it makes. 0 or -errno. */
int record_log_open(struct record_log *log, const char *directory);
void record_log_close(struct record_log *log);
struct record_log_bounds {
    uint64_t most_bytes; /* 0, as of most_files: what a log has that nobody bounds */
    unsigned most_files;
    unsigned line_bytes;
};

/* From now on. Files that are too many go with the next rotation. */
void record_log_limit(struct record_log *log, struct record_log_bounds bounds);
uint64_t record_log_first(const struct record_log *log);
uint64_t record_log_end(const struct record_log *log);
/* Whole records. When the disk is full the oldest file goes for them. 0 or -errno: none of them is there. */
int record_log_append(struct record_log *log, const void *records, size_t length);
/* Reads whole records from `*position`, which is moved on to what there still is, up to `limit`. Bytes, 0 at the end, or -errno. */
ssize_t record_log_read(const struct record_log *log, uint64_t *position, uint64_t limit, void *buffer, size_t size);
/* The last `lines` lines of both streams. */
int record_log_tail(const struct record_log *log, uint64_t lines, struct log_tail *tail);

#endif
