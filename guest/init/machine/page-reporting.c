/* Memory that is free in the guest goes back to the host: the balloon's driver tells the host which pages are free, all of
 * them once and from then on what is freed. Containers that end at once shall not pay for that, nor VMs that wait for one:
 * so the driver is not loaded before a container has run for a while. */
#include "machine/page-reporting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/worker.h"
#include "machine/modprobe.h"
#include "process/process.h"

#define DELAY_MS 5000
#define ORDER_FILE "/sys/module/page_reporting/parameters/page_reporting_order"
/* Of free blocks that are reported, in powers of two of pages: 512 KiB. With the kernel's 2 MiB half of a file cache that was
 * given up stays with the host, since it lies scattered. */
#define ORDER "7"

static bool loaded;

static bool any_container_runs(void)
{
    for (const struct process *process = process_first(); process != NULL; process = process->next)
        if (process->kind == PROCESS_CONTAINER && process->state == PROCESS_RUNNING)
            return true;
    return false;
}

static int load(void *argument, struct failure *failure)
{
    (void)argument;
    int result = load_module("virtio_balloon");
    if (result < 0)
        return fail_errno(failure, result, PHASE_IO, "load virtio_balloon");
    auto_fd order = open(ORDER_FILE, O_WRONLY | O_CLOEXEC); /* the driver has set its own */
    if (order < 0 || write(order, ORDER, sizeof(ORDER) - 1) < 0)
        return fail_errno(failure, errno, PHASE_IO, "write " ORDER_FILE);
    return 0;
}

static void was_loaded(void *argument, const char *output, size_t length, const struct failure *failure)
{
    (void)argument, (void)output, (void)length;
    if (failure != NULL)
        log_line("free memory is not reported: %s", failure->message);
}

static void containers_last(struct timer *timer)
{
    (void)timer;
    if (!any_container_runs())
        return;
    loaded = true; /* one that can't be loaded now never can */
    int result = worker_run(load, was_loaded, NULL);
    if (result < 0)
        log_line("free memory is not reported: %s", strerror(-result));
}

void page_reporting_expect(void)
{
    static struct timer timer = { .fire = containers_last };
    if (!loaded)
        timer_start(&timer, DELAY_MS);
}
