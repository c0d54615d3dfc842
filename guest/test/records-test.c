/* The records of a Pod's log: how output is cut, rotation, positions, and where the last lines begin. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "records/record-log.h"
#include "records/record.h"

static char directory[] = "/tmp/records-XXXXXX";
static struct record_log records;
static uint8_t text[1 << 20];

static void empty_directory(void)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf %s/log", directory);
    CHECK(system(command) == 0);
}

static void open_log(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/log", directory);
    CHECK(record_log_open(&records, path) == 0);
}

static void append(struct ring *made)
{
    const uint8_t *bytes;
    size_t length = ring_front(made, &bytes);
    CHECK(length == made->used);
    CHECK(record_log_append(&records, bytes, length) == 0);
    ring_free(made);
}

static void write_text(struct record_cutter *cutter, const char *what)
{
    struct ring made = { 0 };
    CHECK(record_cut(cutter, 1, (const uint8_t *)what, strlen(what), &made) == 0);
    append(&made);
}

/* What is in the log from a position on, one letter for a record: o, e, s, and a dot where a line ends. Content goes to `text`. */
static const char *read_from(uint64_t position)
{
    static char kinds[4096];
    static uint8_t buffer[65536];
    size_t used = 0, content = 0;
    for (;;) {
        ssize_t got = record_log_read(&records, &position, UINT64_MAX, buffer, sizeof(buffer));
        CHECK(got >= 0);
        if (got == 0)
            break;
        position += (uint64_t)got;
        for (size_t at = 0; at < (size_t)got;) {
            struct record_header header;
            memcpy(&header, buffer + at, sizeof(header));
            CHECK(used < sizeof(kinds) - 3 && content + header.length < sizeof(text));
            kinds[used++] = "?oes"[header.kind];
            if ((header.flags & RECORD_FLAG_END) != 0)
                kinds[used++] = '.';
            memcpy(text + content, buffer + at + sizeof(header), header.length);
            content += header.length;
            at += RECORD_HEADER_BYTES + header.length + RECORD_TRAILER_BYTES;
        }
    }
    kinds[used] = '\0';
    text[content] = '\0';
    return kinds;
}

static void cuts_at_lines(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT }, error = { .kind = RECORD_STDERR };
    struct ring made = { 0 };
    empty_directory();
    open_log();
    write_text(&out, "one\ntwo\nbeg");
    write_text(&error, "error\n");
    write_text(&out, "un\n");
    write_text(&out, "rest");
    CHECK(record_cut_end(&out, 2, &made) == 0);
    append(&made);
    CHECK(record_cut_end(&error, 2, &made) == 0);
    CHECK(made.used == 0);
    CHECK_TEXT(read_from(0), "oe.o.oo.");
    CHECK_TEXT((const char *)text, "one\ntwo\nbegerror\nun\nrest");
    record_log_close(&records);
}

static void cuts_long_lines(void)
{
    static char line[3 * RECORD_LINE_BYTES + 2];
    struct record_cutter out = { .kind = RECORD_STDOUT };
    empty_directory();
    open_log();
    memset(line, 'x', sizeof(line) - 2);
    line[sizeof(line) - 2] = '\n';
    write_text(&out, "a");
    write_text(&out, line);
    /* 16 KiB, 16 KiB, 16 KiB, and the rest with its newline */
    CHECK_TEXT(read_from(0), "oo.o.o.o.");
    CHECK(strlen((const char *)text) == 3 * RECORD_LINE_BYTES + 2);
    struct log_tail tail;
    CHECK(record_log_tail(&records, 1, &tail) == 0);
    CHECK(tail.lines == 1);
    read_from(tail.position);
    CHECK(strlen((const char *)text) == RECORD_LINE_BYTES + 2);
    record_log_close(&records);
}

/* The last lines, after those that are to be left out. */
static const char *last_lines(uint64_t lines)
{
    struct log_tail tail;
    CHECK(record_log_tail(&records, lines, &tail) == 0);
    read_from(tail.position);
    char *at = (char *)text;
    for (; tail.lines > 0; tail.lines--)
        at = strchr(at, '\n') + 1;
    return at;
}

static void finds_the_last_lines(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT }, error = { .kind = RECORD_STDERR };
    struct log_tail tail;
    empty_directory();
    open_log();
    CHECK_TEXT(last_lines(3), "");
    write_text(&out, "1\n2\n3\n");
    write_text(&out, "4\n");
    CHECK_TEXT(last_lines(0), "");
    CHECK_TEXT(last_lines(1), "4\n");
    CHECK_TEXT(last_lines(2), "3\n4\n");
    CHECK_TEXT(last_lines(4), "1\n2\n3\n4\n");
    CHECK_TEXT(last_lines(9), "1\n2\n3\n4\n");
    /* A line of the other stream that began before the last one ended. */
    write_text(&error, "begun ");
    write_text(&out, "5\n");
    write_text(&error, "ended\n");
    CHECK(record_log_tail(&records, 1, &tail) == 0);
    CHECK(tail.lines == 1);
    read_from(tail.position);
    CHECK_TEXT((const char *)text, "begun 5\nended\n");
    record_log_close(&records);
}

static void drops_the_oldest(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT };
    empty_directory();
    open_log();
    record_log_limit(&records, (struct record_log_bounds){ 100, 2, 0 });
    for (char line[3] = "0\n"; line[0] <= '9'; line[0]++)
        write_text(&out, line);
    /* A record is 22 bytes long: four to a file. */
    CHECK(record_log_first(&records) == 88);
    CHECK(record_log_end(&records) == 220);
    read_from(0);
    CHECK_TEXT((const char *)text, "4\n5\n6\n7\n8\n9\n");
    CHECK_TEXT(last_lines(3), "7\n8\n9\n");
    record_log_close(&records);
    open_log();
    CHECK(record_log_first(&records) == 88);
    write_text(&out, "next\n");
    read_from(176);
    CHECK_TEXT((const char *)text, "8\n9\nnext\n");
    record_log_close(&records);
}

/* A limit holds also for what comes at once. */
static void drops_the_oldest_of_one_append(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT, .joined = 1 };
    empty_directory();
    open_log();
    record_log_limit(&records, (struct record_log_bounds){ 100, 2, 0 });
    write_text(&out, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    CHECK(record_log_first(&records) == 88);
    read_from(0);
    CHECK_TEXT((const char *)text, "4\n5\n6\n7\n8\n9\n");
    record_log_limit(&records, (struct record_log_bounds){ 10, 2, 0 });
    write_text(&out, "larger than a file\n");
    read_from(0);
    CHECK(strstr((const char *)text, "larger than a file\n") != NULL);
    record_log_close(&records);
}

/* As many lines as in files that have each in JSON. */
static void counts_what_is_around_lines(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT, .joined = 3 };
    empty_directory();
    open_log();
    record_log_limit(&records, (struct record_log_bounds){ 100, 2, 40 });
    write_text(&out, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    /* 84 for a record of two lines: one to a file. */
    read_from(0);
    CHECK_TEXT((const char *)text, "6\n7\n8\n9\n");
    write_text(&out, "more\n");
    read_from(0);
    CHECK_TEXT((const char *)text, "8\n9\nmore\n");
    record_log_close(&records);
}

/* Whoever is root in the container may have been at the files. */
static void bears_what_is_no_record(void)
{
    struct record_cutter out = { .kind = RECORD_STDOUT };
    char path[128];
    empty_directory();
    open_log();
    write_text(&out, "first\n");
    snprintf(path, sizeof(path), "%s/log/%020d", directory, 0);
    int fd = open(path, O_WRONLY);
    for (int at = 0; at < 26; at += 4)
        CHECK(pwrite(fd, "\xff\xff\xff\xff", at + 4 <= 26 ? 4 : 2, at) > 0);
    close(fd);
    CHECK_TEXT(read_from(0), "");
    struct log_tail tail;
    CHECK(record_log_tail(&records, 5, &tail) == 0);
    record_log_close(&records);
    open_log();
    write_text(&out, "second\n");
    read_from(0);
    CHECK_TEXT((const char *)text, "second\n");
    record_log_close(&records);
}

int main(void)
{
    CHECK(mkdtemp(directory) != NULL);
    cuts_at_lines();
    cuts_long_lines();
    finds_the_last_lines();
    drops_the_oldest();
    drops_the_oldest_of_one_append();
    counts_what_is_around_lines();
    bears_what_is_no_record();
    empty_directory();
    CHECK(rmdir(directory) == 0);
    return 0;
}
