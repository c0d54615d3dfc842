/* Brings the supervisor into a Pod. */
#ifndef CAISSON_INSTALL_H
#define CAISSON_INSTALL_H

/* Copies the files beside the running program into the directory. Returns the exit code. */
int install(const char *directory);

#endif
