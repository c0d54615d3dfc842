/* An entry of a tar stream, as its headers describe it. */
#ifndef CAISSON_TAR_ENTRY_H
#define CAISSON_TAR_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct tar_xattr {
    struct tar_xattr *next;
    const char *name;
    const char *value;
    size_t length;
    char text[];
};

/* Of a sparse file: so many bytes of the data belong there. */
struct tar_part {
    int64_t offset;
    int64_t length;
};

/* An entry, after the extended headers before it were applied. All is owned. */
struct tar_entry {
    char *name;
    char *link;
    char type;
    mode_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size; /* never negative */
    struct timespec mtime;
    dev_t device;
    struct tar_xattr *xattrs;
    bool sparse;
    bool map_before_data; /* sparse_read_map() reads it */
    int64_t stored;       /* bytes of a sparse file in the archive */
    struct tar_part *parts;
    size_t part_count;
};

void tar_entry_free(struct tar_entry *entry);
/* All of the list, which is empty then. */
void tar_xattrs_free(struct tar_xattr **xattrs);

#endif
