/* Notices of the file server's (native/fs-server) that are for the agent, among those that are for the kernel. */
#ifndef CAISSON_SHARE_NOTICES_PROTOCOL_H
#define CAISSON_SHARE_NOTICES_PROTOCOL_H

#include <stdint.h>

/* In fuse_out_header.error, far from the kernel's FUSE_NOTIFY_ numbers. */
#define SHARE_NOTICE_FORGET 0x1000

/* The guest knows too many files: it is to forget what nobody uses. */
struct share_notice_forget {
    /* Pages of files as well: a file is known for as long as the guest caches some of its data. */
    uint32_t data_too;
};

#endif
