/* A process as the daemon describes it (GuestProcess), checked. Strings belong to the JSON it was read from. */
#ifndef CAISSON_SPEC_H
#define CAISSON_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "core/failure.h"

struct rlimit_spec {
    int resource;
    struct rlimit limit;
};

enum seccomp_kind { SECCOMP_DEFAULT, SECCOMP_UNCONFINED, SECCOMP_PROFILE };

struct process_spec {
    const char **args;
    const char **env;
    const char *cwd;
    const char *user;
    const char **groups;
    bool terminal;
    uint16_t rows, columns; /* 0: not given */
    uint64_t capabilities;  /* bit per CAP_ number */
    bool no_new_privileges;
    struct rlimit_spec *rlimits;
    size_t rlimit_count;
    int oom_score_adj;
    enum seccomp_kind seccomp;
    json_t *profile;               /* SECCOMP_PROFILE */
    uint32_t input, output, error; /* channels; 0: none */
};

/* Reads field `process` of `object`. Free with process_spec_free also after a failure. */
int process_spec_read(const json_t *object, struct process_spec *spec, struct failure *failure);
void process_spec_free(struct process_spec *spec);

/* Number of a capability, -1 if unknown: `CAP_SYS_ADMIN`. */
int capability_number(const char *name);
#define CAPABILITY_BIT(number) (UINT64_C(1) << (number))

#endif
