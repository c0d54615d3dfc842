/* Typed access to the fields of a request. A missing or wrong field is a 'request' failure that names it. */
#ifndef CAISSON_FIELDS_H
#define CAISSON_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/failure.h"

/* Each returns 0 or -EINVAL with `failure` filled. Strings live as long as the object; none holds a NUL. */
int field_string(const json_t *object, const char *name, const char **value, struct failure *failure);
int field_integer(const json_t *object, const char *name, int64_t *value, struct failure *failure);
int field_bool(const json_t *object, const char *name, bool *value, struct failure *failure);
int field_object(const json_t *object, const char *name, json_t **value, struct failure *failure);
int field_array(const json_t *object, const char *name, json_t **value, struct failure *failure);
/* As field_string, and fit to be a file name: letters, digits, `_.-`, at most 128. */
int field_id(const json_t *object, const char *name, const char **value, struct failure *failure);
/* A NULL-terminated array of the strings of an array field; the caller frees the array, not the strings. */
int field_strings(const json_t *object, const char *name, const char ***value, struct failure *failure);
/* Bytes of a base64 field; the caller frees them. */
int field_base64(const json_t *object, const char *name, uint8_t **bytes, size_t *length, struct failure *failure);

#endif
