/* What a guest may trust for long: names and attributes in directories of which the host tells every change by others, which
 * the guest is then told at once (adr/0017-names-trusted-for-long.md). */
#ifndef FS_SERVER_TRUST_H
#define FS_SERVER_TRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/inodes.h"

/* Begun before the host is asked, and held against what has changed when the answer is sent. */
struct trust {
    /* The directory, or the file. NULL: what is told holds only for as long as it says. */
    struct inode *inode;
    uint64_t changes;
};

/* What an answer's bytes are. */
enum telling {
    /* struct fuse_entry_out, and perhaps more. Node 0: there is no such name. */
    TELLS_ENTRY,
    TELLS_ATTRIBUTES,
    /* struct fuse_direntplus, one after the other. */
    TELLS_LIST,
};

/* Once, before there are files. */
void prepare_trust(void);
/* For names in the directory, and what they lead to. */
struct trust trust_names(struct inode *directory);
/* For the file's own attributes. */
struct trust trust_attributes(struct inode *inode);
/* True if a file that nobody has may be told of as such (TELLS_ENTRY with node 0) rather than by an error. */
bool trusts(const struct trust *trust);
/* As answer(), without an error; makes it last if nobody else has changed anything meanwhile. */
void answer_trusted(uint64_t unique, const struct trust *trust, enum telling telling, void *data, size_t length);
/* The guest's kernel has not seen what its request has done to the file's attributes: it asks anew. */
void end_trust_in_attributes(const struct inode *inode);
/* Waits until nothing holds any longer that was told of the share, whose cache has been set to nothing. */
void wait_for_end_of_trust(const struct share *share);

#endif
