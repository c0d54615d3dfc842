/* Streams of a job through the bulk disk. Reads and writes go past the page cache, in requests of a whole slot: the disk
 * is the daemon's to write to, and one request costs the guest as much as some hundred bytes of the port. */
#include "archives/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/write-all.h"

/* O_DIRECT wants whole sectors, and memory that a device may write to. */
#define SECTOR_BYTES 512u
#define ALIGNMENT 4096u
#define HUGE_PAGE_BYTES (2u << 20)
#define MAX_SLOT_BYTES (2u << 20)
#define MAX_SLOTS 64

static uint32_t sectors(uint32_t length)
{
    return (length + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
}

int bulk_area_read(const json_t *object, struct bulk_area *area, bool *present, struct failure *failure)
{
    json_t *field;
    int64_t offset, slot_bytes, slots;
    *present = json_object_get(object, "bulk") != NULL;
    if (!*present)
        return 0;
    int result;
    if ((result = field_object(object, "bulk", &field, failure)) < 0 ||
        (result = field_integer(field, "offset", &offset, failure)) < 0 ||
        (result = field_integer(field, "slotBytes", &slot_bytes, failure)) < 0 ||
        (result = field_integer(field, "slots", &slots, failure)) < 0)
        return result;
    if (offset < 0 || offset > INT64_MAX / 2 || offset % ALIGNMENT != 0 || slot_bytes <= 0 ||
        slot_bytes > MAX_SLOT_BYTES || slot_bytes % ALIGNMENT != 0 || slots <= 0 || slots > MAX_SLOTS)
        return fail(failure, EINVAL, PHASE_REQUEST, "no such part of the bulk disk");
    *area = (struct bulk_area){ (uint64_t)offset, (uint32_t)slot_bytes, (uint32_t)slots };
    return 0;
}

int bulk_open(struct bulk *bulk, const struct bulk_area *area, const char *disk, int records, int releases)
{
    *bulk = (struct bulk){ .area = *area, .disk = -1, .records = records, .releases = releases };
    bulk->buffer = aligned_alloc(HUGE_PAGE_BYTES, HUGE_PAGE_BYTES);
    if (bulk->buffer == NULL)
        return -ENOMEM;
    madvise(bulk->buffer, HUGE_PAGE_BYTES, MADV_NOHUGEPAGE); /* a small stream touches some pages of it */
    bulk->disk = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
    return bulk->disk < 0 ? -errno : 0;
}

void bulk_close(struct bulk *bulk)
{
    drop_fd(&bulk->disk);
    free(bulk->buffer);
    bulk->buffer = NULL;
}

/* Before the first slot, when nothing is in the buffer: in a huge page it is one piece for the device, and found by one
 * look at the page table. It works without, too. */
static void take_huge_page(const struct bulk *bulk)
{
    if (bulk->turn > 0)
        return;
    madvise(bulk->buffer, HUGE_PAGE_BYTES, MADV_DONTNEED);
    madvise(bulk->buffer, HUGE_PAGE_BYTES, MADV_HUGEPAGE);
}

static off_t slot_offset(const struct bulk *bulk)
{
    return (off_t)(bulk->area.offset + bulk->turn % bulk->area.slots * bulk->area.slot_bytes);
}

/* 1, or 0 at an end before the first byte. */
static int read_all(int fd, void *to, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = read(fd, (uint8_t *)to + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return done == 0 ? 0 : -EPROTO;
        done += (size_t)got;
    }
    return 1;
}

/* ---- in ---- */

static int read_slot(struct bulk *bulk, uint32_t length)
{
    if (length > bulk->area.slot_bytes)
        return -EPROTO;
    take_huge_page(bulk);
    uint32_t wanted = sectors(length);
    for (uint32_t done = 0; done < wanted;) {
        ssize_t got = pread(bulk->disk, bulk->buffer + done, wanted - done, slot_offset(bulk) + done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        done += (uint32_t)got;
    }
    bulk->turn++;
    bulk->start = 0;
    bulk->end = length;
    static const uint8_t released;
    return write_all(bulk->releases, &released, sizeof(released));
}

/* 1 when there are bytes to be had, 0 at the end. */
static int next_record(struct bulk *bulk)
{
    while (bulk->start == bulk->end && bulk->plain_left == 0) {
        uint32_t record[2]; /* kind and length, little endian as we are */
        int result = read_all(bulk->records, record, sizeof(record));
        if (result <= 0)
            return result;
        if (record[0] == BULK_PLAIN)
            bulk->plain_left = record[1];
        else if (record[0] == BULK_SLOT)
            result = read_slot(bulk, record[1]);
        else
            return -EPROTO;
        if (result < 0)
            return result;
    }
    return 1;
}

ssize_t bulk_borrow(struct bulk *bulk, const uint8_t **bytes, size_t length)
{
    int result = length == 0 ? 0 : next_record(bulk);
    if (result <= 0 || bulk->plain_left > 0)
        return result < 0 ? result : 0;
    size_t part = bulk->end - bulk->start < length ? bulk->end - bulk->start : length;
    *bytes = bulk->buffer + bulk->start;
    bulk->start += part;
    return (ssize_t)part;
}

ssize_t bulk_read(struct bulk *bulk, void *to, size_t length)
{
    const uint8_t *bytes;
    ssize_t part = bulk_borrow(bulk, &bytes, length);
    if (part > 0)
        memcpy(to, bytes, (size_t)part);
    if (part != 0 || bulk->plain_left == 0)
        return part;
    ssize_t got = read(bulk->records, to, length < bulk->plain_left ? length : bulk->plain_left);
    if (got > 0)
        bulk->plain_left -= (uint32_t)got;
    return got < 0 ? -errno : got == 0 ? -EPROTO : got;
}

/* ---- out ---- */

static int wait_for_slot(struct bulk *bulk)
{
    while (bulk->busy >= bulk->area.slots) {
        uint8_t released[MAX_SLOTS];
        ssize_t got = read(bulk->releases, released, sizeof(released));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EPIPE; /* nobody takes any more */
        if ((size_t)got > bulk->busy)
            return -EPROTO;
        bulk->busy -= (uint32_t)got;
    }
    return 0;
}

static int write_slot(struct bulk *bulk)
{
    int result = wait_for_slot(bulk);
    uint32_t wanted = sectors((uint32_t)bulk->end);
    memset(bulk->buffer + bulk->end, 0, wanted - bulk->end);
    for (uint32_t done = 0; result == 0 && done < wanted;) {
        ssize_t written = pwrite(bulk->disk, bulk->buffer + done, wanted - done, slot_offset(bulk) + done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        done += (uint32_t)written;
    }
    bulk->turn++;
    bulk->busy++;
    return result;
}

int bulk_flush(struct bulk *bulk)
{
    if (bulk->end == 0)
        return 0;
    bool plain = bulk->end <= BULK_PLAIN_BYTES;
    int result = plain ? 0 : write_slot(bulk);
    const uint32_t record[2] = { plain ? BULK_PLAIN : BULK_SLOT, (uint32_t)bulk->end };
    if (result == 0)
        result = write_all(bulk->records, record, sizeof(record));
    if (result == 0 && plain)
        result = write_all(bulk->records, bulk->buffer, bulk->end);
    bulk->end = 0;
    if (!bulk->begun)
        take_huge_page(bulk);
    bulk->begun = true;
    return result;
}

int bulk_write(struct bulk *bulk, const void *from, size_t length)
{
    while (length > 0) {
        /* The first bytes are not kept back: a client may show what comes, and most streams are small. */
        size_t limit =
            bulk->begun || bulk->area.slot_bytes < BULK_PLAIN_BYTES ? bulk->area.slot_bytes : BULK_PLAIN_BYTES;
        size_t part = limit - bulk->end < length ? limit - bulk->end : length;
        memcpy(bulk->buffer + bulk->end, from, part);
        bulk->end += part;
        from = (const uint8_t *)from + part;
        length -= part;
        int result = bulk->end == limit ? bulk_flush(bulk) : 0;
        if (result < 0)
            return result;
    }
    return 0;
}
