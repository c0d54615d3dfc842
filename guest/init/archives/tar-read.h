/* Unpacks a tar stream into the container's file system: docker cp, ADD, volume contents. The stream comes
 * from a client and is hostile: the caller has made the container's root its own (chroot), and nothing leaves
 * `destination`. */
#ifndef CAISSON_TAR_READ_H
#define CAISSON_TAR_READ_H

#include <stdbool.h>
#include <sys/types.h>

struct bulk;

struct tar_read_options {
    /* Where the archive comes from instead of `input`, unless NULL. */
    struct bulk *bulk;
    /* Docker's noOverwriteDirNonDir: a directory never replaces a file, nor a file a directory. */
    bool no_overwrite_dir_non_dir;
    /* An entry for the destination itself changes nothing, as in dockerd. */
    bool keep_destination;
    /* Everything belongs to uid and gid, whatever the archive says. */
    bool set_owner;
    uid_t uid;
    gid_t gid;
    /* Symbolic links may lead out of the destination: the archive is a copy of a part of a tree, the process can't leave
     * the destination all the same, and whoever follows the links does so in the whole tree. */
    bool any_symlinks;
};

/* Unpacks below the absolute directory `destination`. Returns 0 or -errno; `message`, of `message_size`
 * bytes, then says in Docker's words what went wrong. */
int tar_read(int input, const char *destination, struct tar_read_options options, char *message, unsigned message_size);

#endif
