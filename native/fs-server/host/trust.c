#include "host/trust.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

#include "base/buckets.h"
#include "base/file-systems.h"
#include "base/lock-order.h"
#include "base/memory.h"
#include "host/host-events.h"
#include "include/cleanup.h"
#include "wire/transport.h"

enum {
    /* What the host does not tell (docs/volumes.md) is seen after this long. */
    TRUSTED_MS = 1000,
    /* Of more changes in a second it is cheaper to ask than to be told. */
    MAX_CHANGES = 1000,
    BUSY_MS = 5000,
    /* Directories of a guest; of others it remembers names for as long as it did without marks. */
    MAX_MARKS = 8192,
};

static const uint64_t names_change = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;
static const uint64_t marked_events = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY |
                                      FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_ONDIR | FAN_EVENT_ON_CHILD;

/* A directory of which the host tells. In the table under table_lock. */
struct mark {
    struct mark *next;
    struct inode *inode;
    struct file_identity identity;
};

static void tell(const struct host_event *event);

static struct mark *marks[BUCKETS];
static unsigned mark_count;
/* Guards what follows, and that what is marked at the host is what is in the table. */
static struct lock marking = LOCK_OF(LOCK_MARKS);
static struct host_listener host = {
    .fd = -1, .reports = FAN_REPORT_DFID_NAME, .tell = tell, .loss = "the guest remembers names for a short time only"
};
/* Counts changes by others. Raised between begin_notices() and end_notices(). */
static _Atomic uint64_t changes;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- marks ---- */

/* The bucket's link is the caller's to look through. */
static struct mark **bucket_of_mark(const struct file_identity *identity)
{
    return &marks[bucket_of_identity(identity)];
}

static bool has_room_for_mark(void)
{
    auto_lock looking = take_lock(&table_lock);
    return mark_count < MAX_MARKS;
}

static void enter_mark(struct mark *mark)
{
    auto_lock changing = take_lock(&table_lock);
    struct mark **bucket = bucket_of_mark(&mark->identity);
    mark->next = *bucket;
    *bucket = mark;
    mark_count++;
    mark->inode->mark = mark;
}

/* True if the same directory has another: in another share. */
static bool take_out_mark(const struct mark *mark)
{
    auto_lock changing = take_lock(&table_lock);
    bool again = false;
    for (struct mark **link = bucket_of_mark(&mark->identity); *link != NULL;) {
        if (*link == mark) {
            *link = mark->next;
            continue;
        }
        again = again || same_identity(&(*link)->identity, &mark->identity);
        link = &(*link)->next;
    }
    mark_count--;
    return again;
}

/* Under `marking`. */
static enum marking mark_now(struct inode *directory)
{
    auto_free struct mark *mark = allocate(sizeof(*mark));
    mark->inode = directory;
    if (!has_room_for_mark() || !listen_to_host(&host) || is_remote(directory->fd) ||
        identify_file(directory->fd, &mark->identity) != 0 ||
        fanotify_mark(host.fd, FAN_MARK_ADD, marked_events, AT_FDCWD, path_of(directory).text) != 0)
        return UNMARKABLE;
    enter_mark(mark);
    mark = NULL;
    return MARKED;
}

static bool mark_directory(struct inode *directory)
{
    if (directory->marking == NOT_MARKED) {
        auto_lock one_by_one = take_lock(&marking);
        if (directory->marking == NOT_MARKED)
            directory->marking = mark_now(directory);
    }
    return directory->marking == MARKED;
}

static void end_mark(struct inode *inode)
{
    auto_free struct mark *mark = inode->mark;
    if (mark == NULL)
        return;
    auto_lock one_by_one = take_lock(&marking);
    if (!take_out_mark(mark))
        fanotify_mark(host.fd, FAN_MARK_REMOVE, marked_events, AT_FDCWD, path_of(inode).text);
}

void prepare_trust(void)
{
    on_inode_end(end_mark);
}

/* ---- what is told ---- */

/* The marks are older than the number of changes, and that is older than what is looked at after it. */
static struct trust begin_trust(struct inode *inode)
{
    return (struct trust){ .inode = inode, .changes = changes };
}

struct trust trust_names(struct inode *directory)
{
    /* Changes to a watched directory are done again in the guest: it has to ask for each name, to be told what it was before. */
    bool possible = directory->share->cache_milliseconds > 0 && directory->type == S_IFDIR && !directory->watched &&
                    mark_directory(directory);
    return possible ? begin_trust(directory) : (struct trust){ .inode = NULL };
}

struct trust trust_attributes(struct inode *inode)
{
    if (inode->type == S_IFDIR)
        return trust_names(inode);
    bool possible = inode->share->cache_milliseconds > 0 && inode->named_in_marked && !inode->watched;
    return possible ? begin_trust(inode) : (struct trust){ .inode = NULL };
}

bool trusts(const struct trust *trust)
{
    return trust->inode != NULL;
}

static void extend_entry(struct fuse_entry_out *entry)
{
    entry->entry_valid = TRUSTED_MS / 1000;
    entry->entry_valid_nsec = TRUSTED_MS % 1000 * 1000000;
    /* a directory's attributes are trusted when it is marked itself: when it has been asked for them */
    if (entry->nodeid != 0 && !S_ISDIR(entry->attr.mode)) {
        entry->attr_valid = entry->entry_valid;
        entry->attr_valid_nsec = entry->entry_valid_nsec;
    }
}

static void extend_list(char *data, size_t length)
{
    for (size_t at = 0; at < length;) {
        struct fuse_direntplus item;
        memcpy(&item, data + at, sizeof(item));
        if (item.entry_out.nodeid != 0) {
            extend_entry(&item.entry_out);
            memcpy(data + at, &item.entry_out, sizeof(item.entry_out));
        }
        at += FUSE_DIRENTPLUS_SIZE(&item);
    }
}

struct last_look {
    const struct trust *trust;
    enum telling telling;
};

/* Just before the answer is sent: what others change from now on the guest is told after it. */
static void make_last(void *data, size_t length, const void *context)
{
    const struct last_look *look = context;
    struct inode *inode = look->trust->inode;
    int64_t now = now_ms();
    if (inode == NULL || look->trust->changes != changes || now < inode->share->busy_until_ms)
        return;
    /* The time first: who sets the cache to nothing looks at it then. */
    inode->share->trusted_until_ms = inode->trusted_until_ms = now + TRUSTED_MS;
    if (inode->share->cache_milliseconds == 0)
        return;
    if (look->telling == TELLS_LIST) {
        extend_list(data, length);
    } else if (look->telling == TELLS_ATTRIBUTES) {
        struct fuse_attr_out *out = data;
        out->attr_valid = TRUSTED_MS / 1000;
        out->attr_valid_nsec = TRUSTED_MS % 1000 * 1000000;
    } else {
        extend_entry(data);
    }
}

void answer_trusted(uint64_t unique, const struct trust *trust, enum telling telling, void *data, size_t length)
{
    struct last_look look = { trust, telling };
    answer_after(unique, data, length, make_last, &look);
}

void wait_for_end_of_trust(const struct share *share)
{
    for (int64_t left; (left = share->trusted_until_ms - now_ms()) > 0;)
        usleep((useconds_t)left * 1000);
}

/* ---- what others change ---- */

static void notice_attributes(uint64_t node)
{
    /* A negative offset: the attributes alone. Pages go when the new ones say that they are old. */
    struct fuse_notify_inval_inode_out out = { .ino = node, .off = -1 };
    notice(FUSE_NOTIFY_INVAL_INODE, &out, sizeof(out));
}

static void notice_name(uint64_t node, const char *name)
{
    struct {
        struct fuse_notify_inval_entry_out head;
        char name[NAME_MAX + 1];
    } out = { .head = { .parent = node, .namelen = (uint32_t)strlen(name) } };
    if (out.head.namelen > NAME_MAX)
        return;
    memcpy(out.name, name, out.head.namelen);
    notice(FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof(out.head) + out.head.namelen + 1);
}

void end_trust_in_attributes(const struct inode *inode)
{
    if (inode->share->trusted_until_ms == 0)
        return;
    begin_notices();
    notice_attributes(inode->id);
    end_notices();
}

static void count_change(struct share *share, int64_t now)
{
    if (now - share->counted_from_ms >= 1000) {
        share->counted_from_ms = now;
        share->changes = 0;
    }
    if (++share->changes > MAX_CHANGES)
        share->busy_until_ms = now + BUSY_MS;
}

/* Twice the time: the guest counts from when it has read the answer. */
static bool is_trusted(const struct inode *inode, int64_t now)
{
    return inode->trusted_until_ms + TRUSTED_MS >= now;
}

static void tell_of(const struct inode *directory, const char *name, uint64_t events)
{
    bool itself = name[0] == '\0' || strcmp(name, ".") == 0;
    bool names = (events & names_change) != 0;
    struct stat st;
    bool there = !itself && fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    struct inode *child = there ? hold_file(&st, directory->share) : NULL;
    begin_notices();
    changes++;
    int64_t now = now_ms();
    count_change(directory->share, now);
    bool trusted = is_trusted(directory, now);
    if (trusted && (itself || names))
        notice_attributes(directory->id);
    if (trusted && !itself && names)
        notice_name(directory->id, name);
    if (child != NULL && (trusted || is_trusted(child, now)))
        notice_attributes(child->id);
    end_notices();
    drop_inode(child);
}

/* The next marked directory of this identity after number `after`, held; NULL at the end. */
static struct inode *hold_next(const struct file_identity *identity, uint64_t after)
{
    auto_lock looking = take_lock(&table_lock);
    struct inode *found = NULL;
    for (struct mark *mark = *bucket_of_mark(identity); mark != NULL; mark = mark->next)
        if (!mark->inode->gone && same_identity(&mark->identity, identity) && mark->inode->id > after &&
            (found == NULL || mark->inode->id < found->id))
            found = mark->inode;
    if (found != NULL)
        found->users++;
    return found;
}

static void tell(const struct host_event *event)
{
    if (!event->directory.there)
        return;
    struct inode *directory;
    for (uint64_t last = 0; (directory = hold_next(&event->directory.identity, last)) != NULL;) {
        last = directory->id;
        tell_of(directory, event->directory.name, event->events);
        drop_inode(directory);
    }
}
