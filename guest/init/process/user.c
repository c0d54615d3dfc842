/* Users and groups by an image's /etc/passwd and /etc/group, as runc and Docker resolve them. */
#include "process/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAX_ID 2147483647
#define MAX_FILE_BYTES (16 * 1024 * 1024)
#define OUT_OF_RANGE "uids and gids must be in range 0-2147483647"

/* A field of a line: not terminated. */
struct text {
    const char *at;
    size_t length;
};

static bool text_is(struct text text, const char *word, size_t length)
{
    return text.length == length && memcmp(text.at, word, length) == 0;
}

/* Whether the whole of it is a number, as Go's Atoi: an optional sign, then digits. Too large ones saturate. */
static bool text_number(struct text text, int64_t *number)
{
    bool negative = text.length > 0 && text.at[0] == '-';
    size_t i = negative || (text.length > 0 && text.at[0] == '+') ? 1 : 0;
    if (i == text.length)
        return false;
    int64_t value = 0;
    for (; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        if (value <= MAX_ID)
            value = value * 10 + (text.at[i] - '0');
    }
    *number = negative ? -value : value;
    return true;
}

/* Splits the next non-empty line at colons; missing fields are empty. False at the end. */
static bool next_line(const char **cursor, struct text *fields, size_t count)
{
    while (**cursor != '\0') {
        const char *line = *cursor;
        size_t length = strcspn(line, "\n");
        *cursor = line + length + (line[length] == '\n');
        while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r'))
            length--;
        while (length > 0 && (*line == ' ' || *line == '\t')) {
            line++;
            length--;
        }
        if (length == 0)
            continue;
        for (size_t i = 0; i < count; i++) {
            const char *colon = memchr(line, ':', length);
            size_t part = colon != NULL ? (size_t)(colon - line) : length;
            fields[i] = (struct text){ line, part };
            size_t skip = colon != NULL ? part + 1 : part;
            line += skip;
            length -= skip;
        }
        return true;
    }
    return false;
}

static void add_group(struct user *user, gid_t gid)
{
    for (size_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == gid)
            return;
    if (user->group_count < MAX_GROUPS)
        user->groups[user->group_count++] = gid;
}

static bool lists_member(struct text members, const char *name, size_t length)
{
    while (members.length > 0) {
        const char *comma = memchr(members.at, ',', members.length);
        size_t part = comma != NULL ? (size_t)(comma - members.at) : members.length;
        if (text_is((struct text){ members.at, part }, name, length))
            return true;
        size_t skip = comma != NULL ? part + 1 : part;
        members.at += skip;
        members.length -= skip;
    }
    return false;
}

/* Finds a group by name, or by number if the text is one. */
static bool find_group(const char *file, struct text wanted, gid_t *gid)
{
    int64_t number = 0, id;
    bool by_number = text_number(wanted, &number);
    struct text fields[3];
    while (file != NULL && next_line(&file, fields, 3)) {
        if (!text_number(fields[2], &id) || id < 0 || id > MAX_ID)
            continue;
        if (by_number ? id == number : text_is(fields[0], wanted.at, wanted.length)) {
            *gid = (gid_t)id;
            return true;
        }
    }
    return false;
}

/* Fills uid, gid and home. `name` becomes the user's name, empty if the file doesn't know it. */
static int find_user(const char *file, struct text wanted, struct user *user, struct text *name,
                     struct failure *failure)
{
    int64_t number = 0, uid, gid;
    bool by_number = wanted.length == 0 || text_number(wanted, &number);
    struct text fields[6];
    while (file != NULL && next_line(&file, fields, 6)) {
        if (!text_number(fields[2], &uid) || uid < 0 || uid > MAX_ID)
            continue;
        if (by_number ? uid != number : !text_is(fields[0], wanted.at, wanted.length))
            continue;
        if (!text_number(fields[3], &gid) || gid < 0 || gid > MAX_ID)
            gid = 0;
        user->uid = (uid_t)uid;
        user->gid = (gid_t)gid;
        if (fields[5].length > 0 && fields[5].length < sizeof(user->home))
            snprintf(user->home, sizeof(user->home), "%.*s", (int)fields[5].length, fields[5].at);
        *name = fields[0];
        return 0;
    }
    if (!by_number)
        return fail(failure, EINVAL, PHASE_USER, "unable to find user %.*s: no matching entries in passwd file",
                    (int)wanted.length, wanted.at);
    if (number < 0 || number > MAX_ID)
        return fail(failure, EINVAL, PHASE_USER, OUT_OF_RANGE);
    user->uid = (uid_t)number;
    return 0;
}

static int find_groups(const char *file, struct text wanted, struct text name, struct user *user,
                       struct failure *failure)
{
    if (wanted.length > 0) {
        int64_t number;
        if (find_group(file, wanted, &user->gid)) {
            add_group(user, user->gid);
            return 0;
        }
        if (!text_number(wanted, &number))
            return fail(failure, EINVAL, PHASE_USER, "unable to find group %.*s: no matching entries in group file",
                        (int)wanted.length, wanted.at);
        if (number < 0 || number > MAX_ID)
            return fail(failure, EINVAL, PHASE_USER, OUT_OF_RANGE);
        user->gid = (gid_t)number;
        add_group(user, user->gid);
        return 0;
    }
    add_group(user, user->gid);
    struct text fields[4];
    while (file != NULL && name.length > 0 && next_line(&file, fields, 4)) {
        int64_t gid;
        if (lists_member(fields[3], name.at, name.length) && text_number(fields[2], &gid) && gid >= 0 && gid <= MAX_ID)
            add_group(user, (gid_t)gid);
    }
    return 0;
}

int user_resolve(const char *passwd, const char *group, const char *wanted, const char *const *additional,
                 struct user *user, struct failure *failure)
{
    user->uid = 0;
    user->gid = 0;
    user->group_count = 0;
    snprintf(user->home, sizeof(user->home), "/");
    const char *colon = strchr(wanted, ':');
    struct text user_text = { wanted, colon != NULL ? (size_t)(colon - wanted) : strlen(wanted) };
    const char *group_start = colon != NULL ? colon + 1 : "";
    /* what follows a second colon means nothing to Docker */
    struct text group_text = { group_start, strcspn(group_start, ":") };
    struct text name = { "", 0 };
    int result = find_user(passwd, user_text, user, &name, failure);
    if (result == 0)
        result = find_groups(group, group_text, name, user, failure);
    for (; result == 0 && *additional != NULL; additional++) {
        struct text text = { *additional, strlen(*additional) };
        gid_t gid;
        int64_t number;
        if (find_group(group, text, &gid))
            add_group(user, gid);
        else if (!text_number(text, &number))
            return fail(failure, EINVAL, PHASE_USER, "Unable to find group %s: no matching entries in group file",
                        *additional);
        else if (number < 0 || number > MAX_ID)
            return fail(failure, EINVAL, PHASE_USER, OUT_OF_RANGE);
        else
            add_group(user, (gid_t)number);
    }
    return result;
}

/* A whole file as text, or NULL. The image decides what lies there: only a regular file of sane size is read. */
static char *read_text(const char *path)
{
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > MAX_FILE_BYTES)
        return NULL;
    char *text = malloc((size_t)status.st_size + 1);
    size_t used = 0;
    while (text != NULL && used < (size_t)status.st_size) {
        ssize_t got = read(fd, text + used, (size_t)status.st_size - used);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    if (text != NULL)
        text[used] = '\0';
    return text;
}

int user_lookup(const char *wanted, const char *const *additional, struct user *user, struct failure *failure)
{
    auto_free char *passwd = read_text("/etc/passwd");
    auto_free char *group = read_text("/etc/group");
    return user_resolve(passwd, group, wanted, additional, user, failure);
}
