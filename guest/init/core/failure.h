/* Why an operation was refused; becomes AgentFailure on the wire. It crosses a pipe from a container's first process,
 * so it holds no pointers. */
#ifndef CAISSON_FAILURE_H
#define CAISSON_FAILURE_H

enum phase {
    PHASE_REQUEST,
    PHASE_DISK,
    PHASE_MOUNT,
    PHASE_NETWORK,
    PHASE_NAMESPACE,
    PHASE_USER,
    PHASE_CGROUP,
    PHASE_SECURITY,
    PHASE_EXEC,
    PHASE_IO,
};

struct failure {
    int code; /* errno, positive; 0: none */
    enum phase phase;
    char message[480];
};

/* Fills `failure` and returns -code. `code` may be given as errno or -errno. */
__attribute__((format(printf, 4, 5))) int fail(struct failure *failure, int code, enum phase phase, const char *format,
                                               ...);
/* As `fail`, with `: <strerror>` after the message. */
__attribute__((format(printf, 4, 5))) int fail_errno(struct failure *failure, int code, enum phase phase,
                                                     const char *format, ...);
const char *phase_name(enum phase phase);
/* Symbolic errno, `ENOENT`. */
const char *code_name(int code);

#endif
