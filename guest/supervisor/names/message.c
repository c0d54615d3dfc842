#include "names/message.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER_BYTES 12
#define LABEL_BYTES 63
/* As Docker's. */
#define TTL_SECONDS 600

static uint16_t number(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void put(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

/* Reads the labels at `*position`. False: malformed, or compressed, which a question isn't. */
static bool read_name(const uint8_t *message, size_t length, size_t *position, char name[NAME_BYTES])
{
    size_t used = 0;
    for (;;) {
        if (*position >= length)
            return false;
        size_t size = message[(*position)++];
        if (size == 0)
            break;
        if (size > LABEL_BYTES || *position + size > length || used + size + 1 >= NAME_BYTES)
            return false;
        if (used > 0)
            name[used++] = '.';
        for (size_t i = 0; i < size; i++) {
            uint8_t byte = message[(*position)++];
            /* a zero would end the name before its end */
            if (byte == 0)
                return false;
            name[used++] = (char)tolower(byte);
        }
    }
    name[used] = '\0';
    return true;
}

bool question_read(const uint8_t *message, size_t length, struct question *question)
{
    if (length < HEADER_BYTES)
        return false;
    bool is_query = (message[2] & 0xf8) == 0;
    if (!is_query || number(message + 4) != 1)
        return false;
    size_t position = HEADER_BYTES;
    if (!read_name(message, length, &position, question->name) || position + 4 > length || position + 4 > ANSWER_BYTES)
        return false;
    question->type = number(message + position);
    question->bytes = position + 4;
    return number(message + position + 2) == 1; /* class IN */
}

bool question_address(const struct question *question, struct in_addr *address)
{
    unsigned int parts[4];
    int end = 0;
    if (sscanf(question->name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &parts[0], &parts[1], &parts[2], &parts[3], &end) !=
            4 ||
        end == 0 || question->name[end] != '\0')
        return false;
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) {
        if (parts[i] > 255)
            return false;
        value = value << 8 | parts[i];
    }
    address->s_addr = htonl(value);
    return true;
}

size_t answer_code(const uint8_t *message, const struct question *question, enum answer_code code,
                   uint8_t answer[ANSWER_BYTES])
{
    memcpy(answer, message, question->bytes);
    answer[2] = (uint8_t)(0x80 | (message[2] & 0x01)); /* an answer; recursion as it was asked for */
    answer[3] = (uint8_t)(0x80 | code);                /* recursion is to be had */
    put(answer + 4, 1);
    memset(answer + 6, 0, HEADER_BYTES - 6);
    return question->bytes;
}

/* The begin of a record about the name that was asked for; returns what is used of the answer then. */
static size_t begin_record(uint8_t *answer, size_t used, uint16_t type, size_t data_bytes)
{
    put(answer + used, 0xc000 | HEADER_BYTES);
    put(answer + used + 2, type);
    put(answer + used + 4, 1);
    put(answer + used + 6, 0);
    put(answer + used + 8, TTL_SECONDS);
    put(answer + used + 10, (uint16_t)data_bytes);
    put(answer + 6, (uint16_t)(number(answer + 6) + 1));
    return used + 12;
}

size_t answer_addresses(const uint8_t *message, const struct question *question, const struct in_addr *addresses,
                        size_t count, uint8_t answer[ANSWER_BYTES])
{
    size_t used = answer_code(message, question, ANSWER_OK, answer);
    for (size_t i = 0; i < count && used + 12 + sizeof(addresses[i]) <= ANSWER_BYTES; i++) {
        used = begin_record(answer, used, TYPE_A, sizeof(addresses[i]));
        memcpy(answer + used, &addresses[i], sizeof(addresses[i]));
        used += sizeof(addresses[i]);
    }
    return used;
}

size_t answer_pointer(const uint8_t *message, const struct question *question, const char *name,
                      uint8_t answer[ANSWER_BYTES])
{
    size_t used = answer_code(message, question, ANSWER_OK, answer);
    size_t size = strlen(name) + 2;
    if (size > NAME_BYTES || used + 12 + size > ANSWER_BYTES)
        return used;
    used = begin_record(answer, used, TYPE_PTR, size);
    for (const char *label = name; *label != '\0';) {
        size_t length = strcspn(label, ".");
        if (length == 0 || length > LABEL_BYTES)
            return answer_code(message, question, ANSWER_FAILURE, answer);
        answer[used++] = (uint8_t)length;
        memcpy(answer + used, label, length);
        used += length;
        label += length + (label[length] == '.' ? 1 : 0);
    }
    answer[used++] = 0;
    return used;
}
