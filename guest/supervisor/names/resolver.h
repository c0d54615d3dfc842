/* The container's name server, where Docker's is: 127.0.0.11. It knows the containers of its networks, and asks others for the rest. */
#ifndef CAISSON_NAMES_RESOLVER_H
#define CAISSON_NAMES_RESOLVER_H

/* Answers from now on, by the table at `path` (table.h). 0 or -errno. */
int resolver_open(const char *path);

#endif
