/* An empty volume gets what the image has at its place, as Docker does it: in an init container, once. */
#ifndef CAISSON_FILL_H
#define CAISSON_FILL_H

/* Copies the tree at `source` to `target`, with owners, modes, times and attributes, if nothing is in `target`. What is at `source`
 * may be missing. Returns an exit code; says on stderr what went wrong. */
int fill(const char *source, const char *target);

#endif
