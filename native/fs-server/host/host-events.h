/* What the host tells of files that change: fanotify(7), by file identities and names. */
#ifndef FS_SERVER_HOST_EVENTS_H
#define FS_SERVER_HOST_EVENTS_H

#include <linux/fanotify.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HANDLE_BYTES = 128 };

/* How events name a file: file system, and a handle in it. */
struct file_identity {
    __kernel_fsid_t system;
    int type;
    unsigned length;
    unsigned char bytes[HANDLE_BYTES];
};

/* One file of an event, and the name in it if it is a directory. */
struct event_place {
    bool there;
    struct file_identity identity;
    const char *name;
};

struct host_event {
    uint64_t events;
    struct event_place directory, target, from, to;
};

/* Who is told. Made with `fd` -1, which it stays until listen_to_host(). */
struct host_listener {
    /* fanotify's descriptor, for fanotify_mark(). */
    int fd;
    bool unavailable;
    /* FAN_REPORT_…: how events name files. */
    unsigned reports;
    /* What is complained of where the host can't tell. */
    const char *loss;
    /* Called by a thread of its own, for what is not of this process's own doing, in order. What the host has lost isn't told. */
    void (*tell)(const struct host_event *event);
};

size_t bucket_of_identity(const struct file_identity *identity);
bool same_identity(const struct file_identity *a, const struct file_identity *b);
/* 0 or -1 and errno. */
int identify_file(int fd, struct file_identity *identity);
/* True if the host tells of what is marked. Starts that at the first call; no two at a time. */
bool listen_to_host(struct host_listener *listener);

#endif
