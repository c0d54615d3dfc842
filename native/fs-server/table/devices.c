#include "table/devices.h"

#include "table/inodes.h"

static dev_t devices[MAX_DEVICES];
static size_t device_count;

uint64_t guest_ino(dev_t dev, ino_t ino)
{
    size_t index = 0;
    auto_lock changing = take_lock(&table_lock);
    while (index < device_count && devices[index] != dev)
        index++;
    if (index == device_count && device_count < MAX_DEVICES)
        devices[device_count++] = dev;
    return (uint64_t)ino ^ ((uint64_t)index << 48);
}

void restore_devices(const uint64_t *from, size_t count)
{
    auto_lock changing = take_lock(&table_lock);
    for (device_count = 0; device_count < count && device_count < MAX_DEVICES; device_count++)
        devices[device_count] = (dev_t)from[device_count];
}

size_t list_devices(uint64_t *to)
{
    auto_lock looking = take_lock(&table_lock);
    for (size_t index = 0; index < device_count; index++)
        to[index] = devices[index];
    return device_count;
}
