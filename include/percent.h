/* Paths in lines: a byte may be spelled %XX. */
#ifndef CAISSON_INCLUDE_PERCENT_H
#define CAISSON_INCLUDE_PERCENT_H

#include <ctype.h>
#include <stdlib.h>

/* In place; returns the text. */
static inline char *decode_percent(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%' && isxdigit((unsigned char)from[1]) && isxdigit((unsigned char)from[2])) {
            const char digits[] = { from[1], from[2], '\0' };
            *to++ = (char)strtoul(digits, NULL, 16);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

#endif
