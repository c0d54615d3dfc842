#include "wire/operation.h"

bool is_plain_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strchr(name, '/') == NULL;
}

const char *take_string(struct operation *op)
{
    const unsigned char *end = memchr(op->body, 0, op->length);
    if (end == NULL)
        return NULL;
    const char *text = (const char *)op->body;
    size_t used = (size_t)(end - op->body) + 1;
    op->body += used;
    op->length -= used;
    return text;
}

const char *take_name(struct operation *op)
{
    const char *name = take_string(op);
    return name != NULL && is_plain_name(name) ? name : NULL;
}
