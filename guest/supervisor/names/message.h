/* DNS messages (RFC 1035): the question of a client, and answers to it. */
#ifndef CAISSON_NAMES_MESSAGE_H
#define CAISSON_NAMES_MESSAGE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/table.h"

/* Without EDNS nobody takes more. */
#define ANSWER_BYTES 512
#define TYPE_A 1
#define TYPE_PTR 12
#define TYPE_AAAA 28

enum answer_code {
    ANSWER_OK = 0,
    ANSWER_FORMAT = 1,
    ANSWER_FAILURE = 2,
    ANSWER_NO_NAME = 3,
    ANSWER_NOT_IMPLEMENTED = 4
};

struct question {
    char name[NAME_BYTES]; /* in lower case, without a dot at its end */
    uint16_t type;
    size_t bytes; /* of header and question, as they came */
};

/* False: no question that can be answered. */
bool question_read(const uint8_t *message, size_t length, struct question *question);
/* The address that `1.0.0.10.in-addr.arpa` asks for. False: it is none. */
bool question_address(const struct question *question, struct in_addr *address);

/* These write an answer to `message`, whose question was read, and return its length. */
size_t answer_code(const uint8_t *message, const struct question *question, enum answer_code code,
                   uint8_t answer[ANSWER_BYTES]);
size_t answer_addresses(const uint8_t *message, const struct question *question, const struct in_addr *addresses,
                        size_t count, uint8_t answer[ANSWER_BYTES]);
size_t answer_pointer(const uint8_t *message, const struct question *question, const char *name,
                      uint8_t answer[ANSWER_BYTES]);

#endif
