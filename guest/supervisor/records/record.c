#include "records/record.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

int64_t record_time(void)
{
    static int64_t last;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    last = time_ns > last ? time_ns : last + 1;
    return last;
}

int record_write(struct ring *to, uint8_t kind, uint8_t flags, int64_t time_ns, const void *content, uint32_t length)
{
    if (length > RECORD_MOST_BYTES)
        return -EMSGSIZE;
    uint32_t total = RECORD_HEADER_BYTES + length + RECORD_TRAILER_BYTES;
    struct record_header header = { .length = length, .kind = kind, .flags = flags, .time_ns = time_ns };
    int result = ring_reserve(to, total);
    if (result < 0)
        return result;
    ring_append(to, &header, sizeof(header));
    ring_append(to, content, length);
    ring_append(to, &total, sizeof(total));
    return 0;
}

int record_cut(struct record_cutter *cutter, int64_t time_ns, const uint8_t *bytes, size_t length, struct ring *to)
{
    size_t start = 0, at = 0, joined = RECORD_MOST_BYTES - RECORD_LINE_BYTES;
    if (cutter->joined > 0 && cutter->joined < joined)
        joined = cutter->joined;
    while (at < length) {
        size_t most = RECORD_LINE_BYTES - cutter->begun, left = length - at; /* neither is 0 */
        const uint8_t *newline = memchr(bytes + at, '\n', left < most ? left : most);
        size_t part = newline != NULL ? (size_t)(newline - bytes) + 1 - at : left < most ? left : most;
        bool is_cut = newline == NULL && part == most;
        at += part;
        cutter->begun = newline != NULL || is_cut ? 0 : cutter->begun + (uint32_t)part;
        if (!is_cut && at < length && at - start <= joined)
            continue;
        int result = record_write(to, cutter->kind, cutter->begun == 0 ? RECORD_FLAG_END : 0, time_ns, bytes + start,
                                  (uint32_t)(at - start));
        if (result < 0)
            return result;
        start = at;
        time_ns = record_time();
    }
    return 0;
}

uint64_t record_lines(const struct record_header *header, const uint8_t *content)
{
    uint64_t lines = 0;
    if (header->kind != RECORD_STDOUT && header->kind != RECORD_STDERR)
        return 0;
    for (uint32_t i = 0; i < header->length; i++)
        lines += content[i] == '\n';
    bool is_cut = header->length == 0 || content[header->length - 1] != '\n';
    return lines + ((header->flags & RECORD_FLAG_END) != 0 && is_cut);
}

int record_cut_end(struct record_cutter *cutter, int64_t time_ns, struct ring *to)
{
    if (cutter->begun == 0)
        return 0;
    cutter->begun = 0;
    return record_write(to, cutter->kind, RECORD_FLAG_END, time_ns, "", 0);
}
