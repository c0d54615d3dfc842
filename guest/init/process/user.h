/* Users and groups by an image's /etc/passwd and /etc/group, as runc and Docker resolve them. */
#ifndef CAISSON_USER_H
#define CAISSON_USER_H

#include <stddef.h>
#include <sys/types.h>

#include "core/failure.h"

#define MAX_GROUPS 1024

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[MAX_GROUPS];
    size_t group_count;
    char home[256];
};

/* Resolves `wanted` ('', 'name', 'uid', 'name:group', 'uid:gid', ':group') and additional groups, names or numbers,
 * from the texts of the two files; NULL is a missing file. The primary group is the first of `groups`. */
int user_resolve(const char *passwd, const char *group, const char *wanted, const char *const *additional,
                 struct user *user, struct failure *failure);
/* The same, reading /etc/passwd and /etc/group of the calling process's root. */
int user_lookup(const char *wanted, const char *const *additional, struct user *user, struct failure *failure);

#endif
