#include "control.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shares.h"

static unsigned milliseconds(const char *text) {
    return (unsigned)strtoul(text, NULL, 10);
}

/**
 * `add NAME ro|rw CACHE_MILLISECONDS PATH`, `cache NAME CACHE_MILLISECONDS`, `protect NAME` or `remove NAME`; the path is
 * the rest of the line, %XX-encoded.
 */
static int obey(char *line) {
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    const char *name = rest != NULL ? strsep(&rest, " ") : NULL;
    if (name == NULL)
        return EINVAL;
    if (strcmp(verb, "remove") == 0)
        return remove_share(name);
    if (strcmp(verb, "protect") == 0)
        return protect_share(name);
    if (strcmp(verb, "cache") == 0)
        return rest != NULL ? set_share_cache(name, milliseconds(rest)) : EINVAL;
    const char *mode = rest != NULL ? strsep(&rest, " ") : NULL;
    const char *cache = rest != NULL ? strsep(&rest, " ") : NULL;
    if (strcmp(verb, "add") != 0 || mode == NULL || cache == NULL || rest == NULL)
        return EINVAL;
    char *to = rest;
    for (const char *from = rest; *from != '\0'; from++) {
        unsigned value;
        if (*from == '%' && sscanf(from + 1, "%2x", &value) == 1) {
            *to++ = (char)value;
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return add_share(name, mode, milliseconds(cache), rest);
}

static void *serve_control(void *argument) {
    int listener = (int)(intptr_t)argument;
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        FILE *input = fdopen(client, "r");
        char *line = NULL;
        size_t size = 0;
        while (input != NULL && getline(&line, &size, input) > 0) {
            line[strcspn(line, "\n")] = '\0';
            int error = obey(line);
            dprintf(client, "%s\n", error == 0 ? "ok" : strerrorname_np(error));
        }
        free(line);
        if (input != NULL)
            fclose(input);
        else
            close(client);
    }
    return NULL;
}

int start_control(int listener) {
    pthread_t thread;
    return pthread_create(&thread, NULL, serve_control, (void *)(intptr_t)listener);
}
