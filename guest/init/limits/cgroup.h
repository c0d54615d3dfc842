/* The cgroup v2 hierarchy: one leaf for each container below /sys/fs/cgroup/caisson. */
#ifndef CAISSON_CGROUP_H
#define CAISSON_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/failure.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_PARENT CGROUP_ROOT "/docker"
/* Has no processes: it has limits, so that there always is a group that has. */
#define CGROUP_HELD CGROUP_ROOT "/held"

/* Mounts the hierarchy and enables every controller. */
void cgroups_open(void);
/* Makes a container's group; an old one of the same name is emptied first. Returns a directory descriptor. */
int cgroup_create(const char *id, struct failure *failure);
/* Writes values by file name, in order. */
int cgroup_write(int group, const json_t *values, struct failure *failure);
int cgroup_write_file(int group, const char *name, const char *value);
/* Reads a file as text. Returns its length or -errno. */
ssize_t cgroup_read(int group, const char *name, char *text, size_t size);
/* The number behind `key ` in a flat keyed file's text; 0 if there is none. */
unsigned long long cgroup_key(const char *text, const char *key);
/* Kills every process in it. */
void cgroup_kill(int group);
bool cgroup_populated(int group);
/* Calls `visit` for each process in it. */
void cgroup_processes(int group, void (*visit)(pid_t pid, void *argument), void *argument);
int cgroup_remove(const char *id);

#endif
