/* Mount points that a build's step got made in its root: they are not of what the step has changed. */
#ifndef CAISSON_STUBS_H
#define CAISSON_STUBS_H

#include <stdbool.h>

/* From now on mount points that are made are noted in `directory`, the container's. A descriptor to be given to stubs_noted, or -errno. */
int stubs_note(const char *directory);
void stubs_noted(int descriptor);
/* Removes those that are empty, once no process of the container is left; with `parents` also the empty directories that were made on
 * the way. The directories they were in keep their times. Returns 0 or -errno. */
int stubs_remove(const char *directory, bool parents);

#endif
