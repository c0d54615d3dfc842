/* What a guest's watcher and the host's file server (native/fs-server) tell each other of changes to shared files: by two
 * extended attributes of the shares' root, which no container sees. Numbers are the machine's own. ADR 12. */
#ifndef CAISSON_SHARE_CHANGES_PROTOCOL_H
#define CAISSON_SHARE_CHANGES_PROTOCOL_H

#include <stdint.h>

/* Set: what of the shares is watched (inotify) by now. The value is a struct share_watches. */
#define SHARE_WATCHES_ATTRIBUTE "trusted.caisson.watches"
/* Read: the next change, as a struct share_change. The answer waits until there is one. Who asks is the replayer from now on:
 * what it does to shared files is answered as done, and nothing is done. */
#define SHARE_CHANGE_ATTRIBUTE "trusted.caisson.change"
/* A directory of the shares' root for the replayer alone: the other end of a rename that isn't watched. */
#define SHARE_ELSEWHERE ".elsewhere"

enum {
    /* Of a list in several parts. */
    SHARE_WATCHES_FIRST = 1,
    SHARE_WATCHES_LAST = 2,
    /* In one part: 64 KiB is what an attribute may have. */
    SHARE_WATCHES_PART = 4000,
    SHARE_NAME_SIZE = 256,
};

struct share_watch {
    /* FUSE's number of the file. */
    uint64_t node;
    /* IN_ bits. */
    uint32_t events;
    uint32_t unused;
};

struct share_watches {
    uint32_t flags;
    uint32_t count;
    struct share_watch list[];
};

enum share_change_kind {
    SHARE_MODIFIED = 1,
    SHARE_ATTRIBUTES,
    SHARE_CLOSED, /* by one that could write */
    SHARE_CREATED,
    SHARE_DELETED,
    SHARE_RENAMED,
    SHARE_GONE, /* the watched file has no name any more */
};

struct share_change {
    uint32_t kind;
    /* Type bits (S_IFMT) of the file. */
    uint32_t type;
    /* The directory of `name`; the file itself if that is empty. 0: elsewhere. */
    uint64_t node;
    uint64_t new_node;
    char name[SHARE_NAME_SIZE];
    char new_name[SHARE_NAME_SIZE];
};

#endif
