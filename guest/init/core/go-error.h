/* strerror as Go words it, for texts that clients know from Docker and runc. */
#ifndef CAISSON_GO_ERROR_H
#define CAISSON_GO_ERROR_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Good until the next call. */
static inline const char *go_error(int code)
{
    static char text[128];
    snprintf(text, sizeof(text), "%s", strerror(code));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

#endif
