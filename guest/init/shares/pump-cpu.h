/* On which CPU the pump of the shares runs: where the process is that asks. */
#ifndef CAISSON_PUMP_CPU_H
#define CAISSON_PUMP_CPU_H

#include <linux/fuse.h>
#include <sys/types.h>

/* For the thread that reads requests, with the one that reads answers; `device` is the port's name in sysfs ("vport0p2"). */
void pump_cpu_start(pid_t answers, const char *device);
/* Of each request. */
void pump_cpu_request(const struct fuse_in_header *request);

#endif
