/* Programs of other processors: the kernel starts them by a program that emulates theirs (binfmt_misc). */
#ifndef CAISSON_EMULATOR_H
#define CAISSON_EMULATOR_H

#include <jansson.h>
#include <stdbool.h>

#include "core/failure.h"
#include "machine/disk.h"

struct emulator {
    bool wanted;
    struct disk_spec disk; /* its bytes are the program, static */
    char name[33];
    int machine; /* e_machine of the ELF files that it runs */
    int bits;    /* 32 or 64 */
    bool big_endian;
};

/* Reads the optional field `emulator` of a container. */
int emulator_read(const json_t *spec, struct emulator *emulator, struct failure *failure);
/* Copies the program from its disk into memory and tells the kernel of it; again: nothing. Waits for the disk's bytes. The disk may go
 * afterwards. */
int emulator_register(const struct emulator *emulator, struct failure *failure);

#endif
