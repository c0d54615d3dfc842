#include "table/inodes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/trust.h"
#include "table/crowd.h"
#include "table/descriptors.h"

pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct inode *inodes_by_id[BUCKETS];
static struct inode *inodes_by_key[BUCKETS];
static uint64_t next_inode_id = FUSE_ROOT_ID + 1;

size_t bucket_of(uint64_t value) {
    return (size_t)((value * 0x9E3779B97F4A7C15ull) >> 50) % BUCKETS;
}

static size_t bucket_of_key(dev_t dev, ino_t ino, const struct share *share) {
    return bucket_of((uint64_t)ino ^ ((uint64_t)dev << 40) ^ (uint64_t)(uintptr_t)share);
}

static struct inode *find_inode(uint64_t id) {
    struct inode *inode = inodes_by_id[bucket_of(id)];
    while (inode != NULL && inode->id != id)
        inode = inode->next_by_id;
    return inode;
}

struct inode *hold_inode(uint64_t id) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL)
        inode->users++;
    pthread_mutex_unlock(&table_lock);
    return inode;
}

static void leave_number(const struct inode *inode) {
    struct inode **link = &inodes_by_id[bucket_of(inode->id)];
    while (*link != inode)
        link = &(*link)->next_by_id;
    *link = inode->next_by_id;
}

static void free_if_unused(struct inode *inode) {
    if (inode->lookups > 0 || inode->users > 0 || inode->share->root == inode)
        return;
    leave_number(inode);
    struct inode **link = &inodes_by_key[bucket_of_key(inode->dev, inode->ino, inode->share)];
    while (*link != inode)
        link = &(*link)->next_by_key;
    *link = inode->next_by_key;
    while (inode->locks != NULL) {
        struct lock_owner *lock = inode->locks;
        inode->locks = lock->next;
        close(lock->fd);
        free(lock);
    }
    end_mark(inode);
    close(inode->fd);
    free(inode);
    discount_known_file();
}

void drop_inode(struct inode *inode) {
    if (inode == NULL)
        return;
    pthread_mutex_lock(&table_lock);
    inode->users--;
    free_if_unused(inode);
    pthread_mutex_unlock(&table_lock);
}

void forget(uint64_t id, uint64_t lookups) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL) {
        inode->lookups -= lookups > inode->lookups ? inode->lookups : lookups;
        free_if_unused(inode);
    }
    pthread_mutex_unlock(&table_lock);
}

/** Under the lock. */
static void enter_number(struct inode *inode, uint64_t id) {
    inode->id = id;
    inode->next_by_id = inodes_by_id[bucket_of(id)];
    inodes_by_id[bucket_of(id)] = inode;
}

/** Consumes `fd`. Under the lock. */
static struct inode *make_inode(uint64_t id, int fd, const struct stat *st, struct share *share) {
    struct inode *inode = allocate(sizeof *inode);
    inode->dev = st->st_dev;
    inode->ino = st->st_ino;
    inode->type = st->st_mode & S_IFMT;
    inode->fd = fd;
    inode->share = share;
    size_t key = bucket_of_key(inode->dev, inode->ino, inode->share);
    inode->next_by_key = inodes_by_key[key];
    inodes_by_key[key] = inode;
    enter_number(inode, id);
    count_known_file();
    return inode;
}

/** Under the lock. */
static struct inode *find_file(const struct stat *st, const struct share *share) {
    struct inode *inode = inodes_by_key[bucket_of_key(st->st_dev, st->st_ino, share)];
    while (inode != NULL && !(inode->dev == st->st_dev && inode->ino == st->st_ino && inode->share == share))
        inode = inode->next_by_key;
    return inode;
}

struct inode *hold_file(const struct stat *st, const struct share *share) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_file(st, share);
    if (inode != NULL)
        inode->users++;
    pthread_mutex_unlock(&table_lock);
    return inode;
}

struct inode *adopt_inode(int fd, const struct stat *st, struct share *share) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = find_file(st, share);
    if (inode != NULL)
        close(fd);
    else
        inode = make_inode(next_inode_id++, fd, st, share);
    inode->lookups++;
    inode->users++;
    pthread_mutex_unlock(&table_lock);
    return inode;
}

void count_lookup(struct inode *inode) {
    pthread_mutex_lock(&table_lock);
    inode->lookups++;
    pthread_mutex_unlock(&table_lock);
}

struct inode **list_inodes(size_t *count) {
    pthread_mutex_lock(&table_lock);
    *count = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct inode *inode = inodes_by_id[bucket]; inode != NULL; inode = inode->next_by_id)
            ++*count;
    struct inode **list = allocate((*count + 1) * sizeof *list);
    size_t index = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct inode *inode = inodes_by_id[bucket]; inode != NULL; inode = inode->next_by_id)
            list[index++] = inode;
    pthread_mutex_unlock(&table_lock);
    return list;
}

struct inode *restore_inode(uint64_t id, uint64_t lookups, int fd, const struct stat *st, struct share *share) {
    pthread_mutex_lock(&table_lock);
    struct inode *inode = id > FUSE_ROOT_ID && find_inode(id) == NULL ? make_inode(id, fd, st, share) : NULL;
    if (inode != NULL)
        inode->lookups = lookups;
    else
        close(fd);
    pthread_mutex_unlock(&table_lock);
    return inode;
}

bool renumber_inode(struct inode *inode, uint64_t id, uint64_t lookups) {
    pthread_mutex_lock(&table_lock);
    const struct inode *other = find_inode(id);
    bool possible = id > FUSE_ROOT_ID && (other == NULL || other == inode);
    if (possible) {
        leave_number(inode);
        enter_number(inode, id);
        inode->lookups = lookups;
    }
    pthread_mutex_unlock(&table_lock);
    return possible;
}

uint64_t next_inode_number(uint64_t at_least) {
    pthread_mutex_lock(&table_lock);
    if (next_inode_id < at_least)
        next_inode_id = at_least;
    uint64_t next = next_inode_id;
    pthread_mutex_unlock(&table_lock);
    return next;
}

struct fd_path fd_path(int fd) {
    struct fd_path path;
    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

struct fd_path path_of(const struct inode *inode) {
    return fd_path(inode->fd);
}

int reopen(const struct inode *inode, int flags) {
    if (inode->type != S_IFREG && inode->type != S_IFDIR) {
        errno = inode->type == S_IFLNK ? ELOOP : ENXIO;
        return -1;
    }
    struct fd_path path = path_of(inode);
    return guest_descriptor(open(path.text, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL | O_NOCTTY)) | O_CLOEXEC));
}
