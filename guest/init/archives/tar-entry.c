/* An entry of a tar stream owns its texts. */
#include "archives/tar-entry.h"

#include <stdlib.h>

void tar_xattrs_free(struct tar_xattr **xattrs)
{
    while (*xattrs != NULL) {
        struct tar_xattr *first = *xattrs;
        *xattrs = first->next;
        free(first);
    }
}

void tar_entry_free(struct tar_entry *entry)
{
    free(entry->name);
    free(entry->link);
    free(entry->parts);
    tar_xattrs_free(&entry->xattrs);
}
