/* Seccomp filters: Docker's default profile by capabilities, or a profile in Docker's JSON form. */
#ifndef CAISSON_SECCOMP_H
#define CAISSON_SECCOMP_H

#include <linux/filter.h>
#include <stdint.h>

#include "core/failure.h"
#include "limits/spec.h"

/* Builds the usual filters ahead, so that the template's clones have them. */
void seccomp_prepare(void);
/* The filter for a process. `program->filter` is NULL for none. It stays valid until the next call and in children. */
int seccomp_filter_for(const struct process_spec *spec, struct sock_fprog *program, struct failure *failure);
/* Installs it for the calling process. Returns 0 or -errno. */
int seccomp_install(const struct sock_fprog *program);

#endif
