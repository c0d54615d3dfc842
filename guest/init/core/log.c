/* Sparse lines on the VM's console. */
#include "core/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int console = STDERR_FILENO;

void log_open(void)
{
    /* Non-blocking: a console nobody reads must not stop PID 1. */
    int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        console = fd;
}

__attribute__((format(printf, 1, 0))) static void write_line(const char *format, va_list arguments)
{
    char line[512] = "agent: ";
    const size_t prefix = strlen(line);
    int length = vsnprintf(line + prefix, sizeof(line) - prefix - 1, format, arguments);
    if (length < 0)
        return;
    size_t used = strlen(line);
    line[used++] = '\n';
    ssize_t ignored = write(console, line, used);
    (void)ignored;
}

void log_line(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
    exit(1);
}
