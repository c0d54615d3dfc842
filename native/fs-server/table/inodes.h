/* What the guest knows by number: files (inodes) and shares, their roots.
 *
 * This folder is what stands behind the numbers in a request: files, open files, locks, devices. A number that the guest made up
 * finds nothing here. */
#ifndef FS_SERVER_INODES_H
#define FS_SERVER_INODES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/lock-order.h"

struct share {
    struct share *next;
    char name[64];
    /* Where on the host it was opened, for complaints; free() with it. */
    char *host_path;
    _Atomic bool readonly;
    /* How long the guest may cache names and attributes of this share. */
    _Atomic unsigned cache_milliseconds;
    /* When what the guest was told to trust for long has run out, on the monotonic clock; 0: it never was. */
    _Atomic int64_t trusted_until_ms;
    /* Until then nothing is to be trusted for long: others change too much. */
    _Atomic int64_t busy_until_ms;
    /* Changes by others since when: trust.c's. */
    int64_t counted_from_ms;
    unsigned changes;
    struct inode *root;
};

struct lock_owner {
    struct lock_owner *next;
    uint64_t owner;
    /* The open file by which it asked last; 0: none that is open. */
    uint64_t handle;
    int fd;
    /* Requests that use it; one that is `dropped`, and in no list, goes with the last. */
    unsigned users;
    bool dropped;
};

struct mark;
/* Whether the host tells of what others change in a directory. */
enum marking { NOT_MARKED, MARKED, UNMARKABLE };

/* A file the guest knows. `fd` is O_PATH; it is freed when the guest has forgotten it and no request uses
 * it. */
struct inode {
    struct inode *next_by_id, *next_by_key;
    uint64_t id;
    dev_t dev;
    ino_t ino;
    mode_t type;
    int fd;
    uint64_t lookups;
    unsigned users;
    struct share *share;
    struct lock_owner *locks;
    /* Of a directory: trust.c's. */
    _Atomic enum marking marking;
    struct mark *mark;
    /* The guest was told of it by its name in a marked directory. */
    _Atomic bool named_in_marked;
    /* As the share's: of its own attributes, and of names in it. */
    _Atomic int64_t trusted_until_ms;
    /* Somebody in the guest waits for changes of it (watches.c). */
    _Atomic bool watched;
    /* Out of the tables, and about to be freed. Under table_lock. */
    bool gone;
};

/* Guards all tables: inodes, handles, shares, devices, marks. Nothing that may block is done under it. */
extern struct lock table_lock;

/* Who is told of each inode that the guest has forgotten and nobody uses, without a lock, before it is freed. Said once, at the
 * start. */
void on_inode_end(void (*told)(struct inode *inode));
/* How many files the guest knows. */
size_t known_files(void);
/* Takes the inode for the time of a request; NULL if the guest made the number up. */
struct inode *hold_inode(uint64_t id);
/* Gives back what hold_inode() took. NULL is allowed. */
void drop_inode(struct inode *inode);
/* The guest gives up so many of its lookups. */
void forget(uint64_t id, uint64_t lookups);
/* Gives `fd` (O_PATH, consumed) a number, or finds the one it has; counts one lookup, and takes the inode: a guest that guesses
 * its number may forget it before it is told. */
struct inode *adopt_inode(int fd, const struct stat *st, struct share *share);
/* The guest is told of an inode that is held. */
void count_lookup(struct inode *inode);
/* Takes the inode of the file; NULL if the guest doesn't know it. */
struct inode *hold_file(const struct stat *st, const struct share *share);
/* All of them, for who knows that no request is under way; free() it. */
struct inode **list_inodes(size_t *count);
/* Puts one into the table as it was in a server before: `fd` (O_PATH) is consumed. NULL, and `fd` is closed: the number is
 * taken. */
struct inode *restore_inode(uint64_t id, uint64_t lookups, int fd, const struct stat *st, struct share *share);
/* A share's root gets the number that it had. False: it is taken. */
bool renumber_inode(struct inode *inode, uint64_t id, uint64_t lookups);
/* The number that is handed out next: from now on at least this one. */
uint64_t next_inode_number(uint64_t at_least);
/* Opens what an O_PATH descriptor stands for. Never a special file: that would act on the host's devices. */
int reopen(const struct inode *inode, int flags);

/* How `/proc/self/fd/N` is spelled: the way to calls that take no O_PATH descriptor. */
struct fd_path {
    char text[40];
};
struct fd_path fd_path(int fd);
struct fd_path path_of(const struct inode *inode);

#endif
