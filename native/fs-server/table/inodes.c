#include "table/inodes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buckets.h"
#include "base/memory.h"
#include "include/cleanup.h"
#include "table/descriptors.h"

struct lock table_lock = LOCK_OF(LOCK_TABLE);
static struct inode *inodes_by_id[BUCKETS];
static struct inode *inodes_by_key[BUCKETS];
static uint64_t next_inode_id = FUSE_ROOT_ID + 1;
static _Atomic size_t inode_count;
static void (*tell_of_end)(struct inode *inode);

void on_inode_end(void (*told)(struct inode *inode))
{
    tell_of_end = told;
}

size_t known_files(void)
{
    return inode_count;
}

static size_t bucket_of_key(dev_t dev, ino_t ino, const struct share *share)
{
    return bucket_of((uint64_t)ino ^ ((uint64_t)dev << 40) ^ (uint64_t)(uintptr_t)share);
}

static struct inode *find_inode(uint64_t id)
{
    struct inode *inode = inodes_by_id[bucket_of(id)];
    while (inode != NULL && inode->id != id)
        inode = inode->next_by_id;
    return inode;
}

struct inode *hold_inode(uint64_t id)
{
    auto_lock looking = take_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL)
        inode->users++;
    return inode;
}

static void leave_number(const struct inode *inode)
{
    struct inode **link = &inodes_by_id[bucket_of(inode->id)];
    while (*link != inode)
        link = &(*link)->next_by_id;
    *link = inode->next_by_id;
}

/* Takes it out of the tables if neither the guest nor a request has it: then it is for end_inode(). Else NULL. Under the lock. */
static struct inode *take_out_if_unused(struct inode *inode)
{
    if (inode->lookups > 0 || inode->users > 0 || inode->share->root == inode)
        return NULL;
    leave_number(inode);
    struct inode **link = &inodes_by_key[bucket_of_key(inode->dev, inode->ino, inode->share)];
    while (*link != inode)
        link = &(*link)->next_by_key;
    *link = inode->next_by_key;
    inode->gone = true;
    inode_count--;
    return inode;
}

/* Closes and frees it, without the lock. NULL is allowed. */
static void end_inode(struct inode *inode)
{
    if (inode == NULL)
        return;
    tell_of_end(inode);
    while (inode->locks != NULL) {
        struct lock_owner *lock = inode->locks;
        inode->locks = lock->next;
        close(lock->fd);
        free(lock);
    }
    close(inode->fd);
    free(inode);
}

void drop_inode(struct inode *inode)
{
    if (inode == NULL)
        return;
    take_lock(&table_lock);
    inode->users--;
    struct inode *unused = take_out_if_unused(inode);
    give_lock(&table_lock);
    end_inode(unused);
}

void forget(uint64_t id, uint64_t lookups)
{
    struct inode *unused = NULL;
    take_lock(&table_lock);
    struct inode *inode = find_inode(id);
    if (inode != NULL) {
        inode->lookups -= lookups > inode->lookups ? inode->lookups : lookups;
        unused = take_out_if_unused(inode);
    }
    give_lock(&table_lock);
    end_inode(unused);
}

/* Under the lock. */
static void enter_number(struct inode *inode, uint64_t id)
{
    inode->id = id;
    inode->next_by_id = inodes_by_id[bucket_of(id)];
    inodes_by_id[bucket_of(id)] = inode;
}

/* Consumes `fd`. Under the lock. */
static struct inode *make_inode(uint64_t id, int fd, const struct stat *st, struct share *share)
{
    struct inode *inode = allocate(sizeof(*inode));
    inode->dev = st->st_dev;
    inode->ino = st->st_ino;
    inode->type = st->st_mode & S_IFMT;
    inode->fd = fd;
    inode->share = share;
    size_t key = bucket_of_key(inode->dev, inode->ino, inode->share);
    inode->next_by_key = inodes_by_key[key];
    inodes_by_key[key] = inode;
    enter_number(inode, id);
    inode_count++;
    return inode;
}

/* Under the lock. */
static struct inode *find_file(const struct stat *st, const struct share *share)
{
    struct inode *inode = inodes_by_key[bucket_of_key(st->st_dev, st->st_ino, share)];
    while (inode != NULL && !(inode->dev == st->st_dev && inode->ino == st->st_ino && inode->share == share))
        inode = inode->next_by_key;
    return inode;
}

struct inode *hold_file(const struct stat *st, const struct share *share)
{
    auto_lock looking = take_lock(&table_lock);
    struct inode *inode = find_file(st, share);
    if (inode != NULL)
        inode->users++;
    return inode;
}

struct inode *adopt_inode(int fd, const struct stat *st, struct share *share)
{
    auto_fd not_needed = -1; /* closed when the lock has been given back */
    auto_lock changing = take_lock(&table_lock);
    struct inode *inode = find_file(st, share);
    if (inode != NULL)
        not_needed = fd;
    else
        inode = make_inode(next_inode_id++, fd, st, share);
    inode->lookups++;
    inode->users++;
    return inode;
}

void count_lookup(struct inode *inode)
{
    auto_lock changing = take_lock(&table_lock);
    inode->lookups++;
}

struct inode **list_inodes(size_t *count)
{
    auto_lock looking = take_lock(&table_lock);
    struct inode **list = allocate((inode_count + 1) * sizeof(*list));
    *count = 0;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++)
        for (struct inode *inode = inodes_by_id[bucket]; inode != NULL; inode = inode->next_by_id)
            list[(*count)++] = inode;
    return list;
}

struct inode *restore_inode(uint64_t id, uint64_t lookups, int fd, const struct stat *st, struct share *share)
{
    auto_fd not_needed = -1; /* as above */
    auto_lock changing = take_lock(&table_lock);
    if (id <= FUSE_ROOT_ID || find_inode(id) != NULL) {
        not_needed = fd;
        return NULL;
    }
    struct inode *inode = make_inode(id, fd, st, share);
    inode->lookups = lookups;
    return inode;
}

bool renumber_inode(struct inode *inode, uint64_t id, uint64_t lookups)
{
    auto_lock changing = take_lock(&table_lock);
    const struct inode *other = find_inode(id);
    if (id <= FUSE_ROOT_ID || (other != NULL && other != inode))
        return false;
    leave_number(inode);
    enter_number(inode, id);
    inode->lookups = lookups;
    return true;
}

uint64_t next_inode_number(uint64_t at_least)
{
    auto_lock changing = take_lock(&table_lock);
    if (next_inode_id < at_least)
        next_inode_id = at_least;
    return next_inode_id;
}

struct fd_path fd_path(int fd)
{
    struct fd_path path;
    snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
    return path;
}

struct fd_path path_of(const struct inode *inode)
{
    return fd_path(inode->fd);
}

int reopen(const struct inode *inode, int flags)
{
    if (inode->type != S_IFREG && inode->type != S_IFDIR) {
        errno = inode->type == S_IFLNK ? ELOOP : ENXIO;
        return -1;
    }
    struct fd_path path = path_of(inode);
    return guest_descriptor(open(path.text, (flags & ~(O_NOFOLLOW | O_CREAT | O_EXCL | O_NOCTTY)) | O_CLOEXEC));
}
