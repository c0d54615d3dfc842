/* A question to the host goes from a process to the pump, and its answer from the port's interrupt to the pump and back to the
 * process. On two CPUs each of these is an interrupt of the other CPU, sent under a lock that the other one then waits for: an
 * emulated machine pays for that with threads of the host that spin. On one CPU each is a switch.
 * docs/adr/0018-pump-follows.md */
#include "shares/pump-cpu.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/affinity.h"
#include "core/cleanup.h"

enum {
    /* Requests of one thread, one after the other, before it is looked for, and then between two looks. */
    FIRST_LOOK = 2,
    LOOK_EVERY = 8,
    /* What is larger is copied on one CPU while it is carried on the other. */
    LARGE = 32 * 1024,
    PROCESSOR_FIELD = 39,
};

static struct {
    pid_t threads[2];
    char interrupt[48]; /* "/proc/irq/N/smp_affinity_list", or empty */
    pid_t asker;
    unsigned count;
    int cpu; /* -1: any */
} pump = { .cpu = -1 };

/* The interrupt of a virtio device ("virtio0"), from /proc/interrupts; -1: unknown. */
static int find_interrupt(const char *device)
{
    auto_file file = fopen("/proc/interrupts", "re");
    char line[1024];
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *name = strrchr(line, ' ');
        if (name != NULL && strcmp(name + 1, device) == 0)
            return atoi(line);
    }
    return -1;
}

static void move_interrupt(int cpu)
{
    auto_fd file = open(pump.interrupt, O_WRONLY | O_CLOEXEC);
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", cpu);
    if (file >= 0 && write(file, text, (size_t)length) < 0)
        pump.interrupt[0] = '\0';
}

static void move(int cpu)
{
    if (cpu == pump.cpu)
        return;
    pump.cpu = cpu;
    for (size_t index = 0; index < 2; index++)
        affinity_of_thread(pump.threads[index], cpu);
    if (cpu >= 0 && pump.interrupt[0] != '\0')
        move_interrupt(cpu);
}

void pump_cpu_start(pid_t answers, const char *device)
{
    pump.threads[0] = answers;
    pump.threads[1] = gettid();
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/device", device);
    if (realpath(path, target) == NULL)
        return;
    int number = find_interrupt(strrchr(target, '/') + 1);
    if (number >= 0)
        snprintf(pump.interrupt, sizeof(pump.interrupt), "/proc/irq/%d/smp_affinity_list", number);
    move(0); /* where the agent is, whose port has the same interrupt */
}

/* The CPU a thread is on, or was last; -1 if it is gone. proc(5) */
static int cpu_of(pid_t thread)
{
    char path[32], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", thread);
    auto_fd file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    /* The name may hold anything; after it comes field 3. */
    char *field = strrchr(text, ')');
    for (int number = 2; field != NULL && number < PROCESSOR_FIELD; number++)
        field = strchr(field + 1, ' ');
    return field == NULL ? -1 : atoi(field + 1);
}

static bool is_large(const struct fuse_in_header *request)
{
    if (request->opcode == FUSE_READ)
        return ((const struct fuse_read_in *)(request + 1))->size > LARGE;
    return request->len > LARGE;
}

void pump_cpu_request(const struct fuse_in_header *request)
{
    pid_t asker = (pid_t)request->pid;
    if (asker == 0) /* the kernel, for nobody */
        return;
    if (is_large(request)) {
        pump.count = 0;
        move(-1);
        return;
    }
    if (asker != pump.asker) {
        pump.asker = asker;
        pump.count = 0;
    }
    pump.count++;
    if (pump.count != FIRST_LOOK && pump.count % LOOK_EVERY != 0)
        return;
    int cpu = cpu_of(asker);
    if (cpu >= 0)
        move(cpu);
}
