/* GNU tar's sparse files in PAX records, forms 0.0, 0.1 and 1.0: where the data of an entry belongs. */
#ifndef CAISSON_TAR_SPARSE_H
#define CAISSON_TAR_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archives/tar-entry.h"
#include "archives/tar-input.h"

/* What the GNU.sparse records of one entry say. */
struct sparse_records {
    int64_t major, minor, size, parts;
    bool has_major, has_minor, has_size, has_parts;
    char *name;
    char *map;      /* decimal numbers with commas in between */
    size_t numbers; /* in `map`, of form 0.0, which has a record for each */
};

/* Takes a record of the PAX header; `key` is without "GNU.sparse.". False if it can't be one. */
bool sparse_take_record(struct sparse_records *records, const char *key, const char *value, size_t length);
void sparse_free_records(struct sparse_records *records);

/* Gives the entry its map, real size and name if the records describe a sparse file. False if they contradict each
 * other. Of form 1.0 the map stands before the data. */
bool sparse_apply(struct sparse_records *records, struct tar_entry *entry);

/* Reads a map that stands before the data, and takes its bytes off `stored`. 0 or -errno. */
int sparse_read_map(struct tar_input *input, struct tar_entry *entry);

#endif
