/* Mount options as fstab words, to what mount(2) takes. */
#ifndef CAISSON_MOUNT_OPTIONS_H
#define CAISSON_MOUNT_OPTIONS_H

#include <jansson.h>

#include "core/failure.h"

struct mount_options {
    unsigned long flags;
    unsigned long propagation; /* MS_PRIVATE … with MS_REC, 0: none asked */
    char data[3072];           /* what the file system itself understands */
};

int mount_options_read(const json_t *words, struct mount_options *options, struct failure *failure);

#endif
