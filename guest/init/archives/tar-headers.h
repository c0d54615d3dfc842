/* The headers of a tar stream, and the extended headers before them. The stream is hostile. */
#ifndef CAISSON_TAR_HEADERS_H
#define CAISSON_TAR_HEADERS_H

#include "archives/tar-entry.h"
#include "archives/tar-input.h"

/* 1 with the next entry, which `tar_entry_free` frees, 0 at the end of the archive, else -errno. */
int tar_next_entry(struct tar_input *input, struct tar_entry *entry);

#endif
