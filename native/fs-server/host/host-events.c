#include "host/host-events.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/buckets.h"
#include "base/memory.h"
#include "include/cleanup.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200
#endif

size_t bucket_of_identity(const struct file_identity *identity)
{
    uint64_t sum = identity->length;
    for (unsigned i = 0; i < identity->length; i++)
        sum = sum * 31 + identity->bytes[i];
    return bucket_of(sum);
}

bool same_identity(const struct file_identity *a, const struct file_identity *b)
{
    return a->type == b->type && a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0 &&
           memcmp(&a->system, &b->system, sizeof(a->system)) == 0;
}

int identify_file(int fd, struct file_identity *identity)
{
    union {
        struct file_handle head;
        unsigned char room[sizeof(struct file_handle) + HANDLE_BYTES];
    } handle = { .head = { .handle_bytes = HANDLE_BYTES } };
    struct statfs system;
    int mount;
    /* Without the flag only kernels before 6.5 and file systems that can be exported. */
    if (name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH | AT_HANDLE_FID) < 0) {
        handle.head.handle_bytes = HANDLE_BYTES;
        if (name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH) < 0)
            return -1;
    }
    if (fstatfs(fd, &system) < 0)
        return -1;
    memcpy(&identity->system, &system.f_fsid, sizeof(identity->system));
    identity->type = handle.head.handle_type;
    identity->length = handle.head.handle_bytes;
    memcpy(identity->bytes, handle.head.f_handle, identity->length);
    return 0;
}

/* `at`: struct fanotify_event_info_fid, then struct file_handle and its bytes, and a name. */
static void take_place(const char *at, bool named, struct event_place *place)
{
    struct fanotify_event_info_fid info;
    struct file_handle handle;
    memcpy(&info, at, sizeof(info));
    memcpy(&handle, at + sizeof(info), sizeof(handle));
    if (handle.handle_bytes > HANDLE_BYTES)
        return;
    const char *bytes = at + sizeof(info) + sizeof(handle);
    place->there = true;
    memcpy(&place->identity.system, &info.fsid, sizeof(place->identity.system));
    place->identity.type = handle.handle_type;
    place->identity.length = handle.handle_bytes;
    memcpy(place->identity.bytes, bytes, handle.handle_bytes);
    place->name = named ? bytes + handle.handle_bytes : "";
}

/* `at`: what follows the event's head. Nothing in there is aligned. */
static struct host_event parse(uint64_t mask, const char *at, const char *end)
{
    struct host_event event = { .events = mask };
    while (at < end) {
        struct fanotify_event_info_header head;
        memcpy(&head, at, sizeof(head));
        switch (head.info_type) {
        case FAN_EVENT_INFO_TYPE_FID:
            take_place(at, false, &event.target);
            break;
        case FAN_EVENT_INFO_TYPE_DFID:
            take_place(at, false, &event.directory);
            break;
        case FAN_EVENT_INFO_TYPE_DFID_NAME:
            take_place(at, true, &event.directory);
            break;
        case FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
            take_place(at, true, &event.from);
            break;
        case FAN_EVENT_INFO_TYPE_NEW_DFID_NAME:
            take_place(at, true, &event.to);
            break;
        default:
            break;
        }
        at += head.len;
    }
    return event;
}

enum { EVENTS_BYTES = 64 << 10 };

/* False at the end of events. */
static bool read_events(const struct host_listener *listener, char *events)
{
    ssize_t length = read(listener->fd, events, EVENTS_BYTES);
    if (length < 0)
        return errno == EINTR;
    pid_t own = getpid();
    /* An event is as long as the name in it: the next begins anywhere. */
    struct fanotify_event_metadata metadata;
    for (const char *at = events, *end = events + length; (size_t)(end - at) >= sizeof(metadata);
         at += metadata.event_len) {
        memcpy(&metadata, at, sizeof(metadata));
        if (metadata.event_len < sizeof(metadata) || metadata.event_len > (size_t)(end - at))
            break;
        /* what this guest has done its kernel has told */
        if (metadata.pid == own || (metadata.mask & FAN_Q_OVERFLOW) != 0)
            continue;
        struct host_event event = parse(metadata.mask, at + metadata.metadata_len, at + metadata.event_len);
        listener->tell(&event);
    }
    return true;
}

static void *listen_on(void *argument)
{
    auto_free char *events = allocate(EVENTS_BYTES);
    while (read_events(argument, events))
        ;
    return NULL;
}

bool listen_to_host(struct host_listener *listener)
{
    if (listener->fd >= 0 || listener->unavailable)
        return !listener->unavailable;
    pthread_t thread;
    listener->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | listener->reports, O_RDONLY);
    listener->unavailable = listener->fd < 0 || pthread_create(&thread, NULL, listen_on, listener) != 0;
    if (listener->unavailable)
        complain("fs-server: %s: %s", listener->loss, strerror(errno));
    return !listener->unavailable;
}
