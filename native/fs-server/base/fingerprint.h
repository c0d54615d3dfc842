/* What tells a file from another one that has its path: its number, and what the file system says of which file of that
 * number it is. */
#ifndef FS_SERVER_FINGERPRINT_H
#define FS_SERVER_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/state-file.h"

enum { MAX_FILE_HANDLE = 128 };

struct fingerprint {
    uint64_t dev, ino;
    /* When it was made, in seconds and nanoseconds; zeros where the file system doesn't know. */
    uint64_t born[2];
    /* name_to_handle_at(2); no bytes where the file system has none. */
    uint64_t handle_type;
    size_t handle_bytes;
    unsigned char handle[MAX_FILE_HANDLE];
};

/* Of what `fd` (O_PATH will do) stands for; 0 or an errno. */
int take_fingerprint(int fd, struct fingerprint *of);
/* Devices may have other numbers after a boot of the host: whoever needs them compares them. */
bool same_file(const struct fingerprint *one, const struct fingerprint *other);
void put_fingerprint(FILE *file, const struct fingerprint *of);
struct fingerprint read_fingerprint(struct state_reader *reader);

#endif
