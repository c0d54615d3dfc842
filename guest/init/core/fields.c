/* Typed access to the fields of a request. */
#include "core/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const char *name, const char *what, struct failure *failure)
{
    return fail(failure, EINVAL, PHASE_REQUEST, "field %s is not %s", name, what);
}

int field_string(const json_t *object, const char *name, const char **value, struct failure *failure)
{
    const json_t *field = json_object_get(object, name);
    if (!json_is_string(field) || strlen(json_string_value(field)) != json_string_length(field))
        return wrong(name, "a string", failure);
    *value = json_string_value(field);
    return 0;
}

int field_integer(const json_t *object, const char *name, int64_t *value, struct failure *failure)
{
    const json_t *field = json_object_get(object, name);
    if (!json_is_integer(field))
        return wrong(name, "an integer", failure);
    *value = json_integer_value(field);
    return 0;
}

int field_bool(const json_t *object, const char *name, bool *value, struct failure *failure)
{
    const json_t *field = json_object_get(object, name);
    if (!json_is_boolean(field))
        return wrong(name, "a boolean", failure);
    *value = json_is_true(field);
    return 0;
}

int field_object(const json_t *object, const char *name, json_t **value, struct failure *failure)
{
    json_t *field = json_object_get(object, name);
    if (!json_is_object(field))
        return wrong(name, "an object", failure);
    *value = field;
    return 0;
}

int field_array(const json_t *object, const char *name, json_t **value, struct failure *failure)
{
    json_t *field = json_object_get(object, name);
    if (!json_is_array(field))
        return wrong(name, "an array", failure);
    *value = field;
    return 0;
}

int field_id(const json_t *object, const char *name, const char **value, struct failure *failure)
{
    int result = field_string(object, name, value, failure);
    if (result < 0)
        return result;
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t length = strspn(*value, allowed);
    if (length == 0 || length > 128 || (*value)[length] != '\0' || (*value)[0] == '.')
        return wrong(name, "an id", failure);
    return 0;
}

int field_strings(const json_t *object, const char *name, const char ***value, struct failure *failure)
{
    json_t *array = NULL;
    int result = field_array(object, name, &array, failure);
    if (result < 0)
        return result;
    size_t count = json_array_size(array);
    const char **strings = calloc(count + 1, sizeof(*strings));
    if (strings == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for %s", name);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item)) {
            free(strings);
            return wrong(name, "an array of strings", failure);
        }
        strings[i] = json_string_value(item);
    }
    *value = strings;
    return 0;
}

static int base64_digit(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

int field_base64(const json_t *object, const char *name, uint8_t **bytes, size_t *length, struct failure *failure)
{
    const char *text;
    int result = field_string(object, name, &text, failure);
    if (result < 0)
        return result;
    uint8_t *out = malloc(strlen(text) / 4 * 3 + 4);
    if (out == NULL)
        return fail(failure, ENOMEM, PHASE_REQUEST, "no memory for %s", name);
    size_t used = 0;
    uint32_t bits = 0;
    int count = 0;
    for (; *text != '\0' && *text != '='; text++) {
        int digit = base64_digit(*text);
        if (digit < 0) {
            free(out);
            return wrong(name, "base64", failure);
        }
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[used++] = (uint8_t)(bits >> count);
        }
    }
    *bytes = out;
    *length = used;
    return 0;
}
