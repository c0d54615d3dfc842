/* Into which bucket of a table a number goes. */
#ifndef FS_SERVER_BUCKETS_H
#define FS_SERVER_BUCKETS_H

#include <stddef.h>
#include <stdint.h>

enum { BUCKETS = 1 << 14 };

static inline size_t bucket_of(uint64_t value)
{
    return (size_t)((value * 0x9E3779B97F4A7C15ull) >> 50) % BUCKETS;
}

#endif
