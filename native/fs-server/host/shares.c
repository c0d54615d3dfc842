#include "host/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/trust.h"
#include "host/watches.h"
#include "include/cleanup.h"
#include "wire/operation.h"

static struct share *shares;

/* Where the share of this name hangs in the list, or its end. Under the lock. */
static struct share **find_share(const char *name)
{
    struct share **link = &shares;
    while (*link != NULL && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    return link;
}

int add_share(const char *name, const char *mode, unsigned cache_milliseconds, const char *path, int opened)
{
    auto_fd fd = opened;
    struct stat st;
    if (!is_plain_name(name) || strlen(name) >= sizeof((struct share *)0)->name)
        return EINVAL;
    if (share_named(name) != NULL)
        return 0; /* a daemon that was restarted asks again */
    if (fd < 0)
        return EBADF;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
        return errno;
    struct share *share = allocate(sizeof *share);
    snprintf(share->name, sizeof(share->name), "%s", name);
    share->host_path = strdup(path);
    share->readonly = strcmp(mode, "ro") == 0;
    share->cache_milliseconds = cache_milliseconds;
    struct inode *root = adopt_inode(take_fd(&fd), &st, share);
    auto_lock changing = take_lock(&table_lock);
    share->root = root;
    root->users--;
    share->next = shares;
    shares = share;
    return 0;
}

int set_share_cache(const char *name, unsigned cache_milliseconds)
{
    take_lock(&table_lock);
    struct share *share = *find_share(name);
    if (share != NULL)
        share->cache_milliseconds = cache_milliseconds;
    give_lock(&table_lock);
    if (share != NULL && cache_milliseconds == 0)
        wait_for_end_of_trust(share);
    return share != NULL ? 0 : ENOENT;
}

void wait_for_end_of_all_trust(void)
{
    take_lock(&table_lock);
    const struct share *share = shares; /* what comes later has been told of to nobody */
    give_lock(&table_lock);
    for (; share != NULL; share = share->next)
        wait_for_end_of_trust(share);
}

int protect_share(const char *name)
{
    auto_lock changing = take_lock(&table_lock);
    struct share *share = *find_share(name);
    if (share == NULL)
        return ENOENT;
    share->readonly = true;
    return 0;
}

int remove_share(const char *name)
{
    take_lock(&table_lock);
    struct share **link = find_share(name);
    struct share *share = *link;
    if (share != NULL)
        *link = share->next;
    give_lock(&table_lock);
    if (share != NULL)
        end_watches_of(share);
    return share != NULL ? 0 : ENOENT;
}

struct share *share_named(const char *name)
{
    auto_lock looking = take_lock(&table_lock);
    return *find_share(name);
}

struct inode *look_up_share(const char *name)
{
    auto_lock changing = take_lock(&table_lock);
    struct share *share = *find_share(name);
    struct inode *root = share != NULL ? share->root : NULL;
    if (root != NULL) {
        root->lookups++;
        root->users++;
    }
    return root;
}
