/* From a clone of the agent to the container's program: what a container's first process and an exec have in common. */
#ifndef CAISSON_LAUNCH_H
#define CAISSON_LAUNCH_H

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/failure.h"
#include "limits/spec.h"
#include "process/stdio.h"

struct launch {
    const struct process_spec *spec;
    struct sock_fprog seccomp;
    struct child_stdio stdio;
    int status;              /* the child's end of the socket to the agent */
    int filter;              /* cgroup device program to attach at the end, -1: none */
    int cgroup;              /* where to */
    const char *const *args; /* what to run; spec->args, or an init in front of them */
    const json_t *job;       /* of a job: no program, but this */
};

/* What the child tells the agent on the status socket, one packet each. End of file without any: it runs. */
enum status_kind { STATUS_FAILURE, STATUS_TERMINAL /* with a descriptor, the master */ };

/* Clones the agent into a cgroup (-1: the agent's own). Returns the pid (0 in the child) or -errno. */
pid_t launch_clone(uint64_t flags, int cgroup, int *pidfd);

/* ---- in the child ---- */

/* Default signals and a session of its own. */
void child_begin(void);
__attribute__((noreturn)) void child_fail(const struct launch *launch, const struct failure *failure);
/* What needs the VM's /proc: oom_score_adj and rlimits. */
int child_limits(const struct process_spec *spec, struct failure *failure);
/* Opens a terminal of the devpts in `root`, sends its master to the agent and puts the slave into launch->stdio.
 * Returns the slave, which launch owns, or -errno. */
int child_terminal(struct launch *launch, int root, struct failure *failure);
/* In the container's root: user, security, program. Returns only by child_fail. */
__attribute__((noreturn)) void child_run(struct launch *launch);

#endif
