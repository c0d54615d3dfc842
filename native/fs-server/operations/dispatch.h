/* From a request to the operation that answers it. */
#ifndef FS_SERVER_DISPATCH_H
#define FS_SERVER_DISPATCH_H

#include "wire/transport.h"

/** Carries the request out, answers it and frees it. */
void handle_request(struct request *request);

#endif
