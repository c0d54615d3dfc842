/* Containers: from the request to the last unmount. */
#ifndef CAISSON_CONTAINER_H
#define CAISSON_CONTAINER_H

#include <jansson.h>
#include <stdbool.h>

#include "machine/disk.h"
#include "core/failure.h"
#include "core/loop.h"
#include "wire/port.h"
#include "limits/spec.h"

struct process;

struct container {
    struct container *next;
    char *id;
    char *cgroup_name; /* the id it was made with: a group can't be renamed */
    char directory[32]; /* /run/c/<number> */
    json_t *spec;
    struct disk_spec *layers;
    int layer_count;
    struct disk_spec writable;
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
    struct request request; /* of the start, while it waits for disks */
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

/* Answers by itself. */
void container_start(struct request request, const json_t *params);
void container_freeze(struct request request, const json_t *params);
void container_remove(struct request request, const json_t *params);
int container_signal(const json_t *params, struct failure *failure);
int container_update(const json_t *params, struct failure *failure);
int container_file(const json_t *params, struct failure *failure);
/* Its checkpoint goes on as another container. */
int container_rename(const json_t *params, struct failure *failure);
void exec_start(struct request request, const json_t *params);

/* Disks appeared: containers that waited for them go on. */
void containers_disks_changed(void);
/* Execs whose exit is acknowledged are forgotten. */
void execs_sweep(uint64_t acknowledged);
/* Gives up a container that still waits for its disks. False if it does not. */
bool container_cancel(struct container *container);
/* Takes the container out of the table, its execs with it; its mounts must be gone. */
void container_forget(struct container *container);

#endif
