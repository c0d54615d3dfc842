/* Sparse files in PAX records: maps are read from untrusted text, and checked before a byte is written by them. */
#include "archives/tar-sparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "archives/tar-format.h"
#include "core/cleanup.h"

enum {
    MAX_PARTS = 65536, /* more than any file system reports */
    MAX_DIGITS = 18,
};

static bool parse_number(const char *text, size_t length, int64_t *value)
{
    if (length == 0 || length > MAX_DIGITS)
        return false;
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *value = *value * 10 + (text[i] - '0');
    }
    return true;
}

static bool keep_text(char **text, const char *value, size_t length)
{
    free(*text);
    *text = strndup(value, length);
    return *text != NULL && strlen(*text) == length;
}

/* Form 0.0 has a record for each number: offsets and lengths in turn. */
static bool append_number(struct sparse_records *records, bool is_length, const char *value, size_t length)
{
    if (records->numbers % 2 != (is_length ? 1 : 0) || records->numbers == 2 * MAX_PARTS || length > MAX_DIGITS)
        return false;
    if (records->numbers == 0) {
        free(records->map);
        records->map = malloc((MAX_DIGITS + 1) * 2 * MAX_PARTS + 1);
        if (records->map == NULL)
            return false;
        records->map[0] = '\0';
    }
    char *end = records->map + strlen(records->map);
    if (records->numbers++ > 0)
        *end++ = ',';
    memcpy(end, value, length);
    end[length] = '\0';
    return memchr(value, ',', length) == NULL;
}

bool sparse_take_record(struct sparse_records *records, const char *key, const char *value, size_t length)
{
    if (strcmp(key, "major") == 0)
        return records->has_major = parse_number(value, length, &records->major);
    if (strcmp(key, "minor") == 0)
        return records->has_minor = parse_number(value, length, &records->minor);
    if (strcmp(key, "size") == 0 || strcmp(key, "realsize") == 0)
        return records->has_size = parse_number(value, length, &records->size);
    if (strcmp(key, "numblocks") == 0)
        return records->has_parts = parse_number(value, length, &records->parts);
    if (strcmp(key, "name") == 0)
        return keep_text(&records->name, value, length);
    if (strcmp(key, "map") == 0)
        return keep_text(&records->map, value, length);
    if (strcmp(key, "offset") == 0)
        return append_number(records, false, value, length);
    if (strcmp(key, "numbytes") == 0)
        return append_number(records, true, value, length);
    return true;
}

void sparse_free_records(struct sparse_records *records)
{
    free(records->name);
    free(records->map);
    *records = (struct sparse_records){ 0 };
}

/* The parts lie in order within the file. */
static bool parts_are_in_order(const struct tar_entry *entry)
{
    int64_t end = 0;
    for (size_t i = 0; i < entry->part_count; i++) {
        const struct tar_part *part = &entry->parts[i];
        if (part->offset < end || part->length > entry->size - part->offset)
            return false;
        end = part->offset + part->length;
    }
    return true;
}

static bool allocate_parts(struct tar_entry *entry, int64_t count)
{
    if (count < 0 || count > MAX_PARTS)
        return false;
    entry->parts = calloc((size_t)count + 1, sizeof(*entry->parts));
    entry->part_count = (size_t)count;
    return entry->parts != NULL;
}

static int64_t *number_of(struct tar_entry *entry, size_t index)
{
    struct tar_part *part = &entry->parts[index / 2];
    return index % 2 == 0 ? &part->offset : &part->length;
}

static bool parse_map(const struct sparse_records *records, struct tar_entry *entry)
{
    if (!records->has_parts || !allocate_parts(entry, records->parts))
        return false;
    const char *at = records->map == NULL ? "" : records->map;
    for (size_t i = 0; i < 2 * entry->part_count; i++) {
        size_t length = strcspn(at, ",");
        bool is_last = i + 1 == 2 * entry->part_count;
        if (!parse_number(at, length, number_of(entry, i)) || (at[length] == '\0') != is_last)
            return false;
        at += length + (is_last ? 0 : 1);
    }
    return *at == '\0' && parts_are_in_order(entry);
}

bool sparse_apply(struct sparse_records *records, struct tar_entry *entry)
{
    bool is_first = records->has_major && records->major == 1 && records->has_minor && records->minor == 0;
    bool is_old = records->has_major && records->major == 0 && records->has_minor && records->minor <= 1;
    if (entry->type != TAR_TYPE_REGULAR || (!is_first && !is_old && records->map == NULL))
        return true;
    entry->stored = entry->size;
    if (records->has_size)
        entry->size = records->size;
    if (records->name != NULL) {
        free(entry->name);
        entry->name = records->name;
        records->name = NULL;
    }
    entry->sparse = true;
    entry->map_before_data = is_first;
    return is_first || parse_map(records, entry);
}

/* The lines of the map, one block at a time: so it is padded. */
struct lines {
    struct tar_input *input;
    struct tar_entry *entry;
    char block[TAR_BLOCK];
    size_t at, have;
};

static int next_number(struct lines *lines, int64_t *value)
{
    char digits[MAX_DIGITS + 1];
    for (size_t length = 0;;) {
        if (lines->at == lines->have) {
            if (lines->entry->stored < TAR_BLOCK)
                return tar_fail(lines->input, EINVAL, "archive/tar: invalid tar header");
            int result = tar_must_read(lines->input, lines->block, TAR_BLOCK);
            if (result < 0)
                return result;
            lines->entry->stored -= TAR_BLOCK;
            lines->at = 0;
            lines->have = TAR_BLOCK;
        }
        char byte = lines->block[lines->at++];
        if (byte == '\n' && parse_number(digits, length, value))
            return 0;
        if (byte == '\n' || length == MAX_DIGITS)
            return tar_fail(lines->input, EINVAL, "archive/tar: invalid tar header");
        digits[length++] = byte;
    }
}

int sparse_read_map(struct tar_input *input, struct tar_entry *entry)
{
    struct lines lines = { .input = input, .entry = entry };
    int64_t count;
    int result = next_number(&lines, &count);
    if (result == 0 && !allocate_parts(entry, count))
        result = tar_fail(input, EINVAL, "archive/tar: invalid tar header");
    for (size_t i = 0; result == 0 && i < 2 * entry->part_count; i++)
        result = next_number(&lines, number_of(entry, i));
    if (result == 0 && !parts_are_in_order(entry))
        result = tar_fail(input, EINVAL, "archive/tar: invalid tar header");
    return result;
}
