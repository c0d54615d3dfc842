/* The name server's messages and its table. */
#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "check.h"
#include "names/message.h"
#include "names/table.h"

static char path[] = "/tmp/names-test-XXXXXX";

static void write_table(const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void table(void)
{
    struct in_addr found[TABLE_ANSWERS];
    size_t count;
    table_open("/nowhere");
    CHECK(!table_find("web", found, &count));
    table_open(path);
    write_table(
        "name web 10.0.0.2\nname WEB 10.0.0.3\nname web 10.0.0.2\nname web.front 10.0.0.2\nname broken x\nself me\n"
        "pointer 10.0.0.2 web.front\nupstream 10.96.0.10\nupstream nobody\nnonsense");
    CHECK(table_find("web", found, &count) && count == 2);
    CHECK_TEXT(inet_ntoa(found[1]), "10.0.0.3");
    CHECK(table_find("web.front", found, &count) && count == 1);
    CHECK(!table_find("we", found, &count) && !table_find("webs", found, &count) && !table_find("", found, &count));
    CHECK(table_find("broken", found, &count) && count == 0);
    CHECK(table_find("me", found, &count));
    CHECK_TEXT(table_pointer(found[0].s_addr == 0 ? found[0] : (struct in_addr){ inet_addr("10.0.0.2") }), "web.front");
    CHECK(table_pointer((struct in_addr){ inet_addr("10.0.0.20") }) == NULL);
    CHECK(table_upstreams(found) == 1);
    write_table("name other 10.0.0.9\n");
    CHECK(table_find("other", found, &count) && !table_find("web", found, &count));
}

/* A question for `labels`, as a client sends it. Returns its length. */
static size_t ask(uint8_t *message, const char *labels, size_t size, uint16_t type)
{
    static const uint8_t header[] = { 0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0 };
    memcpy(message, header, sizeof(header));
    memcpy(message + sizeof(header), labels, size);
    size_t used = sizeof(header) + size;
    const uint8_t end[] = { (uint8_t)(type >> 8), (uint8_t)type, 0, 1 };
    memcpy(message + used, end, sizeof(end));
    return used + sizeof(end);
}

static void messages(void)
{
    uint8_t message[600], answer[ANSWER_BYTES];
    struct question question;
    struct in_addr address;
    size_t length = ask(message, "\3Web\5front\0", 11, TYPE_A);
    CHECK(question_read(message, length, &question) && question.type == TYPE_A && question.bytes == length);
    CHECK_TEXT(question.name, "web.front");
    for (size_t cut = 0; cut < length; cut++)
        CHECK(!question_read(message, cut, &question));
    CHECK(question_read(message, length, &question));
    struct in_addr addresses[] = { { inet_addr("10.0.0.2") }, { inet_addr("10.0.0.3") } };
    size_t answered = answer_addresses(message, &question, addresses, 2, answer);
    CHECK(answered == length + 32 && answer[0] == 0x12 && answer[1] == 0x34 && answer[2] == 0x81 && answer[3] == 0x80);
    CHECK(answer[7] == 2 && memcmp(answer + answered - 4, &addresses[1], 4) == 0);
    CHECK(answer_code(message, &question, ANSWER_FAILURE, answer) == length && answer[3] == 0x82 && answer[7] == 0);
    CHECK(answer_pointer(message, &question, "web.front", answer) == length + 12 + 11);
    CHECK(answer_pointer(message, &question, "web..front", answer) == length);

    length = ask(message,
                 "\1"
                 "1\1"
                 "0\1"
                 "0\2"
                 "10\7in-addr\4arpa\0",
                 23, TYPE_PTR);
    CHECK(question_read(message, length, &question) && question_address(&question, &address));
    CHECK_TEXT(inet_ntoa(address), "10.0.0.1");
    length = ask(message,
                 "\3"
                 "999\1"
                 "0\1"
                 "0\2"
                 "10\7in-addr\4arpa\0",
                 25, TYPE_PTR);
    CHECK(question_read(message, length, &question) && !question_address(&question, &address));

    /* compressed, a zero within, an answer, two questions */
    CHECK(!question_read(message, ask(message, "\300\14", 2, TYPE_A), &question));
    CHECK(!question_read(message, ask(message, "\3a\0b\0", 5, TYPE_A), &question));
    length = ask(message, "\1a\0", 3, TYPE_A);
    message[2] |= 0x80;
    CHECK(!question_read(message, length, &question));
    length = ask(message, "\1a\0", 3, TYPE_A);
    message[5] = 2;
    CHECK(!question_read(message, length, &question));
}

int main(void)
{
    CHECK(close(mkstemp(path)) == 0);
    table();
    messages();
    unlink(path);
    return 0;
}
