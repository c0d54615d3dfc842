/* What the host tells of files that change: fanotify(7), by file identities and names. */
#ifndef FS_SERVER_HOST_EVENTS_H
#define FS_SERVER_HOST_EVENTS_H

#include <linux/fanotify.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HANDLE_BYTES = 128 };

/** How events name a file: file system, and a handle in it. */
struct file_identity {
    __kernel_fsid_t system;
    int type;
    unsigned length;
    unsigned char bytes[HANDLE_BYTES];
};

/** One file of an event, and the name in it if it is a directory. */
struct event_place {
    bool there;
    struct file_identity identity;
    const char *name;
};

struct host_event {
    uint64_t events;
    struct event_place directory, target, from, to;
};

struct event_buffer {
    _Alignas(struct fanotify_event_metadata) char bytes[64 << 10];
};

size_t bucket_of_identity(const struct file_identity *identity);
bool same_identity(const struct file_identity *a, const struct file_identity *b);
/** 0 or -1 and errno. */
int identify_file(int fd, struct file_identity *identity);
/**
 * Waits for events of fanotify's descriptor `from` and tells those that are not of this process's own doing, in order. What the
 * host has lost isn't told. False at its end.
 */
bool read_events(int from, struct event_buffer *buffer, void (*tell)(const struct host_event *event));

#endif
