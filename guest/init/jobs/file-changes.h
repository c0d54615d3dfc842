/* What a container changed in its image: docker diff. */
#ifndef CAISSON_FILE_CHANGES_H
#define CAISSON_FILE_CHANGES_H

/* Writes one record for each change, ended by NUL: a letter (A added, C changed, D deleted) and the absolute path, in
 * Docker's order. `directory` is a container's, with its layers mounted. Joins a mount namespace of its own: for a
 * process that ends. Returns 0 or -errno. */
int file_changes(const char *directory, int layer_count, int output);

#endif
