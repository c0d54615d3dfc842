/* The table of containers: what the agent knows of each. */
#ifndef CAISSON_CONTAINER_TABLE_H
#define CAISSON_CONTAINER_TABLE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/failure.h"
#include "core/loop.h"
#include "limits/spec.h"
#include "machine/disk.h"
#include "machine/emulator.h"
#include "rootfs/trees.h"
#include "wire/port.h"

struct process;

struct container {
    struct container *next;
    char *id;
    char *cgroup_name;  /* the id it was made with: a group can't be renamed */
    char directory[32]; /* /run/c/<number> */
    json_t *spec;
    struct disk_spec *layers;
    int layer_count;
    struct disk_spec writable;
    struct trees trees;
    struct emulator emulator;
    enum { NOT_EMULATED, REGISTERING, EMULATED } emulation;
    struct process_spec process_spec;
    struct process *process;
    int cgroup;
    int filter; /* device rules, -1: none */
    /* Held, so that the exit of the last process need not wait for a dozen file systems to be unmounted. */
    int mount_namespace;
    struct source memory_events;
    unsigned long long oom_kills;
    bool launched;
    bool removing;
    struct timer disk_timer;
    struct timer freeze_timer;
    struct source freeze_events;
    bool freezing, freeze_wanted;
    struct request freeze_request;
};

struct container *container_first(void);
struct container *container_find(const char *id);
/* As above, with a failure if there is none, or none that runs. */
struct container *container_need(const json_t *params, struct failure *failure);
struct container *container_need_running(const json_t *params, struct failure *failure);

/* Puts one into the table that has its names and takes a reference of `spec`, and nothing else; the id must be free. NULL if
 * memory is short. */
struct container *container_add(const char *id, json_t *spec);
/* Takes the container out of the table, its execs with it; its mounts must be gone. */
void container_forget(struct container *container);

#endif
