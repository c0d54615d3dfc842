/* The file that a server's state is saved in: numbers of 8 bytes and strings with their length before them, one after the
 * other. A reader believes nothing of it. */
#ifndef FS_SERVER_STATE_FILE_H
#define FS_SERVER_STATE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What is read, and how far. `failed` once something was not there or too long: then everything reads as 0 and "". */
struct state_reader {
    unsigned char *bytes;
    size_t length, at;
    bool failed;
};

void put_number(FILE *file, uint64_t value);
void put_bytes(FILE *file, const void *bytes, size_t length);

/* Takes all of the file; 0 or an errno. free() `bytes` after it. */
int read_state(int fd, struct state_reader *reader);
uint64_t take_number(struct state_reader *reader);
/* A number that may be no more than `most`. */
uint64_t take_number_up_to(struct state_reader *reader, uint64_t most);
/* Bytes that lie in the reader; no more than `most`. */
const unsigned char *take_field(struct state_reader *reader, size_t most, size_t *length);
/* A string without zeros, into `size` bytes at `text`. */
void take_text(struct state_reader *reader, char *text, size_t size);

#endif
