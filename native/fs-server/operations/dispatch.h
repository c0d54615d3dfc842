/* From a request to the operation that answers it.
 *
 * This folder carries requests out, each by the do_ function of its name: it looks up what the request's numbers stand for, does
 * on the host what is asked, and answers. */
#ifndef FS_SERVER_DISPATCH_H
#define FS_SERVER_DISPATCH_H

#include "wire/transport.h"

/* Answers all that FUSE knows and we offer. */
extern const struct request_handler operations_handler;

#endif
