/* What vm-launch asks of a seed (preload/forkable.c): one message with the child's files beside it, and one answer. */
#pragma once

#include <stdint.h>

#define SEED_FILES 16
/* Of a VM's id, by which its process is found: as long as the seed's own. */
#define SEED_ID_BYTES 32

struct seed_request {
    char id[SEED_ID_BYTES];
    /* Whom the child becomes; -1: whoever the seed is. */
    int32_t uid;
    int32_t gid;
    int32_t group;
    int32_t count;
    /* Number that the file has in QEMU, for each that comes with the message; STDERR_FILENO: where it complains. */
    int32_t places[SEED_FILES];
};

struct seed_answer {
    /* 0, or an errno. EAGAIN: the seed still has a client. */
    int32_t error;
    int32_t pid;
};
