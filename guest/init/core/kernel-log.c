/* The kernel's messages, from /dev/kmsg: a record for each read, `<priority>,<number>,<time>,<flags>;<message>\n…`. */
#include "core/kernel-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define RECORD_SIZE 8192
#define SEPARATOR "; "
#define LEVEL_MASK 7
#define LEVEL_WARNING 4

/* Makes room at the end of `text` by dropping whole messages from its start. */
static void append(char *text, size_t size, const char *message)
{
    size_t wanted = strlen(SEPARATOR) + strlen(message) + 1;
    if (wanted > size)
        return;
    while (strlen(text) + wanted > size) {
        const char *next = strstr(text + strlen(SEPARATOR), SEPARATOR);
        if (next == NULL)
            text[0] = '\0';
        else
            memmove(text, next, strlen(next) + 1);
    }
    size_t used = strlen(text);
    snprintf(text + used, size - used, SEPARATOR "%s", message);
}

void kernel_log_about(const char *device, char *text, size_t size)
{
    text[0] = '\0';
    auto_fd log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (log < 0)
        return;
    char record[RECORD_SIZE];
    for (;;) {
        ssize_t length = read(log, record, sizeof(record) - 1);
        if (length < 0 && errno == EPIPE) /* overwritten since the last read; the next one is of what there is */
            continue;
        if (length <= 0)
            return;
        record[length] = '\0';
        char *message = strchr(record, ';');
        bool is_wanted = (strtoul(record, NULL, 10) & LEVEL_MASK) <= LEVEL_WARNING;
        if (!is_wanted || message == NULL || strstr(message, device) == NULL)
            continue;
        message++;
        message[strcspn(message, "\n")] = '\0';
        append(text, size, message);
    }
}
