#include "tasks/task.h"

#include <string.h>

#include "tasks/files.h"
#include "tasks/manifest.h"
#include "tasks/stats.h"
#include "tasks/top.h"
#include "tasks/tunnel.h"

static const struct {
    const char *kind;
    task_run *run;
} tasks[] = {
    { "stat", stat_run },       { "archive", archive_run }, { "extract", extract_run }, { "export", export_run },
    { "changes", changes_run }, { "layer", layer_run },     { "usage", usage_run },     { "top", top_run },
    { "stats", stats_run },     { "tunnel", tunnel_run },   { "sockets", sockets_run },
};

task_run *task_find(const char *kind)
{
    for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
        if (strcmp(tasks[i].kind, kind) == 0)
            return tasks[i].run;
    return NULL;
}
