/* The table of containers: what the agent knows of each, from the request to start it until its mounts are gone. */
#include "container/container-table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "limits/cgroup.h"
#include "process/process.h"

static struct container *containers;
static unsigned next_number;

struct container *container_first(void)
{
    return containers;
}

struct container *container_find(const char *id)
{
    for (struct container *container = containers; container != NULL; container = container->next)
        if (strcmp(container->id, id) == 0)
            return container;
    return NULL;
}

struct container *container_need(const json_t *params, struct failure *failure)
{
    const char *id;
    if (field_id(params, "id", &id, failure) < 0)
        return NULL;
    struct container *container = container_find(id);
    if (container == NULL)
        fail(failure, ENOENT, PHASE_REQUEST, "no container %s", id);
    return container;
}

struct container *container_need_running(const json_t *params, struct failure *failure)
{
    struct container *container = container_need(params, failure);
    if (container == NULL)
        return NULL;
    if (container->process == NULL || container->process->state != PROCESS_RUNNING) {
        fail(failure, ESRCH, PHASE_REQUEST, "container %s is not running", container->id);
        return NULL;
    }
    return container;
}

static void free_container(struct container *container)
{
    process_spec_free(&container->process_spec);
    json_decref(container->spec);
    free(container->layers);
    trees_free(&container->trees);
    free(container->cgroup_name);
    free(container->id);
    free(container);
}

struct container *container_add(const char *id, json_t *spec)
{
    struct container *container = calloc(1, sizeof(*container));
    if (container == NULL)
        return NULL;
    container->cgroup = container->filter = container->mount_namespace = -1;
    container->memory_events.fd = container->freeze_events.fd = -1;
    container->id = strdup(id);
    container->cgroup_name = strdup(id);
    container->spec = json_incref(spec);
    if (container->id == NULL || container->cgroup_name == NULL) {
        free_container(container);
        return NULL;
    }
    snprintf(container->directory, sizeof(container->directory), "/run/c/%u", next_number++);
    container->next = containers;
    containers = container;
    return container;
}

void container_forget(struct container *container)
{
    for (struct process *process = process_first(), *next; process != NULL; process = next) {
        next = process->next;
        if (process->container == container)
            process_free(process);
    }
    for (struct container **link = &containers; *link != NULL; link = &(*link)->next)
        if (*link == container) {
            *link = container->next;
            break;
        }
    timer_stop(&container->disk_timer);
    timer_stop(&container->freeze_timer);
    loop_remove(&container->memory_events);
    loop_remove(&container->freeze_events);
    drop_fd(&container->memory_events.fd);
    drop_fd(&container->freeze_events.fd);
    drop_fd(&container->filter);
    drop_fd(&container->mount_namespace);
    if (container->cgroup >= 0)
        cgroup_remove(container->cgroup_name);
    drop_fd(&container->cgroup);
    free_container(container);
}
