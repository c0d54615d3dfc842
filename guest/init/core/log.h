/* Sparse lines on the VM's console. */
#ifndef CAISSON_LOG_H
#define CAISSON_LOG_H

/* Opens /dev/console; before that, and on the host, lines go to stderr. */
void log_open(void);
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);
/* For start-up only: logs and ends PID 1, which ends the VM. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

#endif
