/* Namespaces by descriptor. */
#ifndef CAISSON_NAMESPACES_H
#define CAISSON_NAMESPACES_H

/* The agent's own, opened at start. */
struct own_namespaces {
    int net, ipc, uts, pid;
};
extern struct own_namespaces own;

void namespaces_open(void);

#endif
