/* Checks for unit tests: the first that fails tells where, and ends the program. */
#ifndef CAISSON_CHECK_H
#define CAISSON_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                                   \
    do {                                                                                               \
        const char *actual_text = (actual);                                                            \
        if (strcmp(actual_text, (expected)) != 0) {                                                    \
            fprintf(stderr, "%s:%d: '%s' is not '%s'\n", __FILE__, __LINE__, actual_text, (expected)); \
            exit(1);                                                                                   \
        }                                                                                              \
    } while (0)

#endif
