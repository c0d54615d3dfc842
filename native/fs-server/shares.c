#include "shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "operation.h"

static struct share *shares;

int add_share(const char *name, const char *mode, double cache_seconds, const char *path) {
    if (!is_plain_name(name) || strlen(name) >= sizeof((struct share *)0)->name)
        return EINVAL;
    pthread_mutex_lock(&table_lock);
    bool taken = false;
    for (struct share *share = shares; share != NULL; share = share->next)
        taken = taken || strcmp(share->name, name) == 0;
    pthread_mutex_unlock(&table_lock);
    if (taken)
        return 0; // a daemon that was restarted asks again
    int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return errno;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
        return errno;
    struct share *share = allocate(sizeof *share);
    snprintf(share->name, sizeof share->name, "%s", name);
    share->readonly = strcmp(mode, "ro") == 0;
    share->cache_seconds = cache_seconds;
    share->root = adopt_inode(fd, &st, share);
    pthread_mutex_lock(&table_lock);
    share->next = shares;
    shares = share;
    pthread_mutex_unlock(&table_lock);
    return 0;
}

int remove_share(const char *name) {
    pthread_mutex_lock(&table_lock);
    struct share **link = &shares;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    struct share *share = *link;
    if (share != NULL)
        *link = share->next;
    pthread_mutex_unlock(&table_lock);
    return share != NULL ? 0 : ENOENT;
}

struct inode *look_up_share(const char *name) {
    pthread_mutex_lock(&table_lock);
    struct share *share = shares;
    while (share != NULL && strcmp(share->name, name) != 0)
        share = share->next;
    struct inode *root = share != NULL ? share->root : NULL;
    if (root != NULL) {
        root->lookups++;
        root->users++;
    }
    pthread_mutex_unlock(&table_lock);
    return root;
}
