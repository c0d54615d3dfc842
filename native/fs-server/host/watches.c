#include "host/watches.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buckets.h"
#include "base/lock-order.h"
#include "base/memory.h"
#include "host/change-queue.h"
#include "host/host-events.h"

enum {
    /* What a guest watches beyond these it isn't told of. */
    MAX_WATCHES = 16384,
    /* Bits that inotify and fanotify have in common. */
    COMMON = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE,
    CONTENT = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE,
    MOVED = IN_MOVED_FROM | IN_MOVED_TO,
};

struct watch {
    struct watch *next_by_node, *next_by_identity;
    /* Held as long as it is watched. */
    struct inode *inode;
    struct file_identity identity;
    uint32_t events;
    bool reported;
};

static void tell(const struct host_event *event);

static struct lock lock = LOCK_OF(LOCK_WATCHES);
static struct watch *by_node[BUCKETS], *by_identity[BUCKETS];
static unsigned watch_count;
static struct host_listener host = { .fd = -1,
                                     .reports = FAN_REPORT_DFID_NAME_TARGET,
                                     .tell = tell,
                                     .loss = "changes on the host are not told to who watches in the guest" };

static uint64_t host_events(const struct watch *watch)
{
    if (watch->inode->type == S_IFDIR)
        return (watch->events & COMMON) | ((watch->events & MOVED) != 0 ? FAN_RENAME : 0) | FAN_ONDIR |
               FAN_EVENT_ON_CHILD;
    return (watch->events & CONTENT) | ((watch->events & IN_DELETE_SELF) != 0 ? FAN_ATTRIB : 0);
}

static bool mark(const struct watch *watch, unsigned flag)
{
    uint64_t events = host_events(watch);
    if ((events & ~(uint64_t)(FAN_ONDIR | FAN_EVENT_ON_CHILD)) == 0)
        return true;
    return fanotify_mark(host.fd, flag, events, AT_FDCWD, path_of(watch->inode).text) == 0;
}

static struct watch **find_by_node(uint64_t node)
{
    struct watch **link = &by_node[bucket_of(node)];
    while (*link != NULL && (*link)->inode->id != node)
        link = &(*link)->next_by_node;
    return link;
}

/* The next one of the same file on the host: one share may lie in another. NULL at the end. */
static struct watch *next_of(struct watch *watch, const struct file_identity *identity)
{
    while (watch != NULL && !same_identity(&watch->identity, identity))
        watch = watch->next_by_identity;
    return watch;
}

static struct watch *first_of(const struct file_identity *identity)
{
    return next_of(by_identity[bucket_of_identity(identity)], identity);
}

static void add_watch(uint64_t node, uint32_t events)
{
    if (watch_count == MAX_WATCHES)
        return;
    struct watch *watch = allocate(sizeof(*watch));
    watch->inode = hold_inode(node);
    watch->events = events;
    watch->reported = true;
    bool kept = watch->inode != NULL && (watch->inode->type == S_IFDIR || watch->inode->type == S_IFREG) &&
                identify_file(watch->inode->fd, &watch->identity) == 0 && mark(watch, FAN_MARK_ADD);
    if (!kept) {
        drop_inode(watch->inode);
        free(watch);
        return;
    }
    struct watch **link = &by_node[bucket_of(node)];
    watch->next_by_node = *link;
    *link = watch;
    link = &by_identity[bucket_of_identity(&watch->identity)];
    watch->next_by_identity = *link;
    *link = watch;
    watch->inode->watched = true;
    watch_count++;
}

static void end_watch(struct watch **by_node_link)
{
    struct watch *watch = *by_node_link;
    *by_node_link = watch->next_by_node;
    struct watch **link = &by_identity[bucket_of_identity(&watch->identity)];
    while (*link != watch)
        link = &(*link)->next_by_identity;
    *link = watch->next_by_identity;
    struct watch *other = first_of(&watch->identity);
    mark(watch, FAN_MARK_REMOVE);
    for (; other != NULL; other = next_of(other->next_by_identity, &watch->identity))
        mark(other, FAN_MARK_ADD);
    watch->inode->watched = false;
    drop_inode(watch->inode);
    free(watch);
    watch_count--;
}

static void note_watch(const struct share_watch *said)
{
    struct watch *watch = *find_by_node(said->node);
    if (watch == NULL) {
        add_watch(said->node, said->events);
        return;
    }
    /* several may watch the same file */
    uint32_t events = watch->reported ? watch->events | said->events : said->events;
    watch->reported = true;
    if ((events & ~watch->events) != 0) {
        watch->events |= events;
        mark(watch, FAN_MARK_ADD);
    }
    watch->events = events;
}

static void forget_reports(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct watch *watch = by_node[i]; watch != NULL; watch = watch->next_by_node)
            watch->reported = false;
}

static void end_unreported(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct watch **link = &by_node[i]; *link != NULL;)
            if ((*link)->reported)
                link = &(*link)->next_by_node;
            else
                end_watch(link);
}

void end_watches_of(const struct share *share)
{
    auto_lock changing = take_lock(&lock);
    for (size_t i = 0; i < BUCKETS && watch_count > 0; i++)
        for (struct watch **link = &by_node[i]; *link != NULL;)
            if ((*link)->inode->share != share)
                link = &(*link)->next_by_node;
            else
                end_watch(link);
}

void note_watches(uint32_t flags, const unsigned char *watches, size_t count)
{
    auto_lock changing = take_lock(&lock);
    if (!listen_to_host(&host))
        return;
    if ((flags & SHARE_WATCHES_FIRST) != 0)
        forget_reports();
    for (size_t i = 0; i < count; i++) {
        struct share_watch said;
        memcpy(&said, watches + i * sizeof(said), sizeof(said));
        note_watch(&said);
    }
    if ((flags & SHARE_WATCHES_LAST) != 0)
        end_unreported();
}

/* ---- what the host tells ---- */

static struct watch *first_at(const struct event_place *place)
{
    return place->there ? first_of(&place->identity) : NULL;
}

static struct watch *next_at(struct watch *watch, const struct event_place *place)
{
    return next_of(watch->next_by_identity, &place->identity);
}

/* The watch of this file in the same share, or NULL. */
static struct watch *watch_in(const struct event_place *place, const struct share *share)
{
    struct watch *watch = first_at(place);
    while (watch != NULL && watch->inode->share != share)
        watch = next_at(watch, place);
    return watch;
}

/* Type bits of what has the name now; of what the event was about, if nothing has. */
static uint32_t type_at(const struct inode *directory, const char *name, uint64_t events)
{
    struct stat st;
    if (fstatat(directory->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return st.st_mode & S_IFMT;
    return (events & FAN_ONDIR) != 0 ? S_IFDIR : S_IFREG;
}

static void queue(enum share_change_kind kind, uint32_t type, uint64_t node, const char *name, uint64_t known)
{
    struct share_change change = { .kind = kind, .type = type, .node = node };
    snprintf(change.name, sizeof(change.name), "%s", name);
    queue_change(&change, known);
}

/* In the order in which they happen to a file: the host joins those that it has not told yet. */
static const struct {
    uint32_t event;
    enum share_change_kind kind;
} kinds[] = {
    { IN_CREATE, SHARE_CREATED },     { IN_MODIFY, SHARE_MODIFIED }, { IN_ATTRIB, SHARE_ATTRIBUTES },
    { IN_CLOSE_WRITE, SHARE_CLOSED }, { IN_DELETE, SHARE_DELETED },
};

static void tell_directory(const struct watch *watch, const struct host_event *event)
{
    const char *name = event->directory.name;
    const struct inode *directory = watch->inode;
    const struct watch *known = watch_in(&event->target, directory->share);
    bool itself = name[0] == '\0' || strcmp(name, ".") == 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((event->events & watch->events & kinds[i].event) == 0)
            continue;
        uint32_t type = itself                           ? S_IFDIR
                        : kinds[i].kind == SHARE_DELETED ? ((event->events & FAN_ONDIR) != 0 ? S_IFDIR : S_IFREG)
                                                         : type_at(directory, name, event->events);
        queue(kinds[i].kind, type, directory->id, itself ? "" : name, known != NULL ? known->inode->id : 0);
    }
}

/* A file that is watched itself. What was told of its name in a watched directory is told of it, too. */
static void tell_file(const struct watch *watch, const struct host_event *event)
{
    struct stat st;
    bool gone = (event->events & IN_ATTRIB) != 0 && fstat(watch->inode->fd, &st) == 0 && st.st_nlink == 0;
    if (gone && (watch->events & (IN_ATTRIB | IN_DELETE_SELF)) != 0)
        queue(SHARE_GONE, S_IFREG, watch->inode->id, "", 0);
    const struct watch *directory = watch_in(&event->directory, watch->inode->share);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        uint32_t bit = event->events & watch->events & CONTENT & kinds[i].event;
        bool told = (directory != NULL && (directory->events & bit) != 0) || (gone && bit == IN_ATTRIB);
        if (bit != 0 && !told)
            queue(kinds[i].kind, S_IFREG, watch->inode->id, "", 0);
    }
}

static void tell_rename(const struct host_event *event, const struct watch *from, const struct watch *to)
{
    const struct watch *known = watch_in(&event->target, (from != NULL ? from : to)->inode->share);
    struct share_change change = { .kind = SHARE_RENAMED,
                                   .type = (event->events & FAN_ONDIR) != 0 ? S_IFDIR : S_IFREG };
    change.node = from != NULL ? from->inode->id : 0;
    change.new_node = to != NULL ? to->inode->id : 0;
    const char *name = from != NULL ? event->from.name : event->to.name;
    snprintf(change.name, sizeof(change.name), "%s", name);
    snprintf(change.new_name, sizeof(change.new_name), "%s", to != NULL ? event->to.name : name);
    queue_change(&change, known != NULL ? known->inode->id : 0);
}

static void tell_renames(const struct host_event *event)
{
    for (struct watch *from = first_at(&event->from); from != NULL; from = next_at(from, &event->from))
        tell_rename(event, from, watch_in(&event->to, from->inode->share));
    for (struct watch *to = first_at(&event->to); to != NULL; to = next_at(to, &event->to))
        if (watch_in(&event->from, to->inode->share) == NULL)
            tell_rename(event, NULL, to);
}

static void tell(const struct host_event *event)
{
    auto_lock looking = take_lock(&lock);
    if ((event->events & FAN_RENAME) != 0)
        tell_renames(event);
    for (struct watch *watch = first_at(&event->directory); watch != NULL; watch = next_at(watch, &event->directory))
        if (watch->inode->type == S_IFDIR)
            tell_directory(watch, event);
    for (struct watch *watch = first_at(&event->target); watch != NULL; watch = next_at(watch, &event->target))
        if (watch->inode->type == S_IFREG)
            tell_file(watch, event);
}
