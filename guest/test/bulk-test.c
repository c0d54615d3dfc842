/* Streams through the bulk disk, with a file for the disk and pipes for the agent's. */
#include "archives/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "core/cleanup.h"

enum { SLOT = 8192 };

static char path[] = "/tmp/bulk-test-XXXXXX";
static int disk, records[2], releases[2];
static struct bulk bulk;
static const struct bulk_area area = { 4096, SLOT, 2 };

static void begin(bool reads)
{
    CHECK(pipe2(records, O_CLOEXEC) == 0 && pipe2(releases, O_CLOEXEC) == 0);
    /* Without O_DIRECT, which not every file system of a host has. */
    CHECK(bulk_open(&bulk, &area, "/dev/null", records[reads ? 0 : 1], releases[reads ? 1 : 0]) == 0 ||
          errno == EINVAL);
    if (bulk.disk >= 0)
        close(bulk.disk);
    bulk.disk = dup(disk);
    CHECK(bulk.disk >= 0);
}

static void end(void)
{
    bulk_close(&bulk);
    for (int i = 0; i < 2; i++) {
        close(records[i]);
        close(releases[i]);
    }
}

static void put_record(uint32_t kind, uint32_t length)
{
    const uint32_t record[2] = { kind, length };
    CHECK(write(records[1], record, sizeof(record)) == sizeof(record));
}

static int area_of(const char *text)
{
    struct bulk_area read_area;
    struct failure failure;
    bool present;
    auto_json object = json_loads(text, 0, NULL);
    CHECK(object != NULL);
    int result = bulk_area_read(object, &read_area, &present, &failure);
    return result < 0 ? result : present;
}

static void areas_are_checked(void)
{
    CHECK(area_of("{}") == 0);
    CHECK(area_of("{\"bulk\": {\"offset\": 4096, \"slotBytes\": 524288, \"slots\": 4}}") == 1);
    CHECK(area_of("{\"bulk\": 1}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": -4096, \"slotBytes\": 524288, \"slots\": 4}}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": 512, \"slotBytes\": 524288, \"slots\": 4}}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": 0, \"slotBytes\": 0, \"slots\": 4}}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": 0, \"slotBytes\": 100000, \"slots\": 4}}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": 0, \"slotBytes\": 4194304, \"slots\": 4}}") == -EINVAL);
    CHECK(area_of("{\"bulk\": {\"offset\": 0, \"slotBytes\": 524288, \"slots\": 65}}") == -EINVAL);
}

static void records_become_a_stream(void)
{
    char text[SLOT], got[SLOT];
    begin(true);
    put_record(BULK_PLAIN, 5);
    CHECK(write(records[1], "hello", 5) == 5);
    put_record(BULK_PLAIN, 0);
    memset(text, 'a', SLOT);
    CHECK(pwrite(disk, text, SLOT, 4096) == SLOT);
    put_record(BULK_SLOT, SLOT);
    memset(text, 'b', SLOT);
    CHECK(pwrite(disk, text, SLOT, 4096 + SLOT) == SLOT);
    put_record(BULK_SLOT, 3); /* less than a sector */
    CHECK(bulk_read(&bulk, got, 2) == 2 && memcmp(got, "he", 2) == 0);
    CHECK(bulk_read(&bulk, got, SLOT) == 3 && memcmp(got, "llo", 3) == 0);
    CHECK(bulk_read(&bulk, got, 100) == 100 && got[99] == 'a');
    CHECK(read(releases[0], got, 10) == 1);
    /* The first slot again. */
    memset(text, 'c', SLOT);
    CHECK(pwrite(disk, text, SLOT, 4096) == SLOT);
    put_record(BULK_SLOT, 1000);
    close(records[1]);
    CHECK(bulk_read(&bulk, got, SLOT) == SLOT - 100 && got[0] == 'a');
    CHECK(bulk_read(&bulk, got, SLOT) == 3 && memcmp(got, "bbb", 3) == 0);
    CHECK(bulk_read(&bulk, got, SLOT) == 1000 && got[999] == 'c');
    CHECK(bulk_read(&bulk, got, SLOT) == 0);
    CHECK(read(releases[0], got, 10) == 2);
    records[1] = dup(disk);
    end();
}

static int read_of(uint32_t kind, uint32_t length)
{
    char got[16];
    begin(true);
    put_record(kind, length);
    close(records[1]);
    ssize_t result = bulk_read(&bulk, got, sizeof(got));
    records[1] = dup(disk);
    end();
    return (int)result;
}

static void nonsense_is_refused(void)
{
    CHECK(read_of(BULK_SLOT, SLOT + 1) == -EPROTO);
    CHECK(read_of(BULK_SLOT, UINT32_MAX) == -EPROTO);
    CHECK(read_of(0, 1) == -EPROTO);
    CHECK(read_of(3, 1) == -EPROTO);
    CHECK(read_of(BULK_PLAIN, 4) == -EPROTO); /* and ends there */
    begin(true);
    CHECK(write(records[1], "abc", 3) == 3); /* half a record */
    close(records[1]);
    char got[16];
    CHECK(bulk_read(&bulk, got, sizeof(got)) == -EPROTO);
    records[1] = dup(disk);
    end();
}

static void get_record(uint32_t kind, uint32_t length)
{
    uint32_t record[2];
    CHECK(read(records[0], record, sizeof(record)) == sizeof(record));
    CHECK(record[0] == kind && record[1] == length);
}

static void a_stream_becomes_records(void)
{
    char text[3 * SLOT], got[SLOT];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i % 251);
    begin(false);
    CHECK(bulk_write(&bulk, text, 100) == 0); /* nothing is sent yet */
    CHECK(bulk_flush(&bulk) == 0 && bulk_flush(&bulk) == 0);
    get_record(BULK_PLAIN, 100);
    CHECK(read(records[0], got, 100) == 100 && memcmp(got, text, 100) == 0);
    end();
}

/* Slots larger than what goes as plain bytes, as the daemon's are. */
static void large_streams_use_slots(void)
{
    static const struct bulk_area wide = { 4096, 131072, 2 };
    static char text[65536 + 2 * 131072 + 70001], got[131072];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i % 251);
    begin(false);
    bulk.area = wide;
    /* Room for the beginning, which goes as plain bytes. */
    CHECK(fcntl(records[1], F_SETPIPE_SZ, 1 << 20) >= 0);
    CHECK(write(releases[1], "x", 1) == 1); /* more than one slot free when the third is wanted */
    CHECK(bulk_write(&bulk, text, sizeof(text)) == 0);
    CHECK(bulk_flush(&bulk) == 0);
    get_record(BULK_PLAIN, 65536);
    CHECK(read(records[0], got, 65536) == 65536 && memcmp(got, text, 65536) == 0);
    get_record(BULK_SLOT, 131072);
    get_record(BULK_SLOT, 131072);
    get_record(BULK_SLOT, 70001);
    CHECK(pread(disk, got, 131072, 4096 + 131072) == 131072 && memcmp(got, text + 65536 + 131072, 131072) == 0);
    CHECK(pread(disk, got, 70001, 4096) == 70001 && memcmp(got, text + 65536 + 2 * 131072, 70001) == 0);
    CHECK(bulk.busy == 2);
    /* Nobody takes the slots any more. */
    close(releases[1]);
    CHECK(bulk_write(&bulk, text, 131072) == -EPIPE);
    releases[1] = dup(disk);
    end();
}

static void releases_that_nothing_stands_for_are_refused(void)
{
    static char text[131072];
    begin(false);
    bulk.area.slot_bytes = sizeof(text);
    bulk.begun = true;
    bulk.busy = 2;
    CHECK(write(releases[1], "xxx", 3) == 3);
    CHECK(bulk_write(&bulk, text, sizeof(text)) == -EPROTO);
    end();
}

int main(void)
{
    disk = mkstemp(path);
    CHECK(disk >= 0 && ftruncate(disk, 1 << 20) == 0);
    unlink(path);
    areas_are_checked();
    records_become_a_stream();
    nonsense_is_refused();
    a_stream_becomes_records();
    large_streams_use_slots();
    releases_that_nothing_stands_for_are_refused();
    return 0;
}
