#include "names/table.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An annotation has no more than 256 KiB. */
#define TABLE_BYTES (256 * 1024)

static char table_path[256];
static char *table_text; /* lines, each ended by a zero */
static size_t table_length;
static struct stat table_version;

void table_open(const char *path)
{
    snprintf(table_path, sizeof(table_path), "%s", path);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* What can't be read leaves what was. */
static void refresh(void)
{
    struct stat now;
    if (stat(table_path, &now) < 0 || (table_text != NULL && is_same(&now, &table_version)))
        return;
    int file = open(table_path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    char *text = malloc(TABLE_BYTES + 1);
    if (text == NULL) {
        close(file);
        return;
    }
    size_t length = 0;
    ssize_t got;
    while (length < TABLE_BYTES && (got = read(file, text + length, TABLE_BYTES - length)) > 0)
        length += (size_t)got;
    close(file);
    text[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n')
            text[i] = '\0';
    free(table_text);
    table_text = text;
    table_length = length;
    table_version = now;
}

/* The next line that begins with `word`, after it; NULL: none. `position` begins with 0. */
static const char *next_line(const char *word, size_t *position)
{
    size_t size = strlen(word);
    while (table_text != NULL && *position < table_length) {
        const char *line = table_text + *position;
        *position += strlen(line) + 1;
        if (strncmp(line, word, size) == 0 && line[size] == ' ')
            return line + size + 1;
    }
    return NULL;
}

static void add(struct in_addr addresses[TABLE_ANSWERS], size_t *count, struct in_addr address)
{
    for (size_t i = 0; i < *count; i++)
        if (addresses[i].s_addr == address.s_addr)
            return;
    if (*count < TABLE_ANSWERS)
        addresses[(*count)++] = address;
}

static void add_own(struct in_addr addresses[TABLE_ANSWERS], size_t *count)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) < 0)
        return;
    for (const struct ifaddrs *each = all; each != NULL; each = each->ifa_next)
        if (each->ifa_addr != NULL && each->ifa_addr->sa_family == AF_INET && (each->ifa_flags & IFF_LOOPBACK) == 0) {
            struct sockaddr_in address;
            memcpy(&address, each->ifa_addr, sizeof(address));
            add(addresses, count, address.sin_addr);
        }
    freeifaddrs(all);
}

bool table_find(const char *name, struct in_addr addresses[TABLE_ANSWERS], size_t *count)
{
    bool found = false;
    size_t size = strlen(name);
    const char *line;
    *count = 0;
    refresh();
    for (size_t position = 0; (line = next_line("name", &position)) != NULL;) {
        struct in_addr address;
        if (strncasecmp(line, name, size) != 0 || line[size] != ' ')
            continue;
        found = true;
        if (inet_pton(AF_INET, line + size + 1, &address) == 1)
            add(addresses, count, address);
    }
    for (size_t position = 0; (line = next_line("self", &position)) != NULL;)
        if (strcasecmp(line, name) == 0) {
            found = true;
            add_own(addresses, count);
        }
    return found;
}

const char *table_pointer(struct in_addr address)
{
    char text[INET_ADDRSTRLEN];
    const char *line;
    refresh();
    inet_ntop(AF_INET, &address, text, sizeof(text));
    size_t size = strlen(text);
    for (size_t position = 0; (line = next_line("pointer", &position)) != NULL;)
        if (strncmp(line, text, size) == 0 && line[size] == ' ')
            return line + size + 1;
    return NULL;
}

size_t table_upstreams(struct in_addr upstreams[TABLE_UPSTREAMS])
{
    size_t count = 0;
    const char *line;
    refresh();
    for (size_t position = 0; count < TABLE_UPSTREAMS && (line = next_line("upstream", &position)) != NULL;)
        if (inet_pton(AF_INET, line, &upstreams[count]) == 1)
            count++;
    return count;
}
