/* Which devices of the host the guest has seen files of: it sees one device, and their index is part of its files' numbers. */
#ifndef FS_SERVER_DEVICES_H
#define FS_SERVER_DEVICES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_DEVICES = 4096 };

/* A file's number for the guest: the index of the host's device goes into the top bits. */
uint64_t guest_ino(dev_t dev, ino_t ino);
/* The numbers that the guest has of devices, in order: those of a server before, or ours into `to` (MAX_DEVICES); how many. */
void restore_devices(const uint64_t *from, size_t count);
size_t list_devices(uint64_t *to);

#endif
