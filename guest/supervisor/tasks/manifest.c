#include "tasks/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archives/tar-write.h"
#include "core/cleanup.h"
#include "core/go-error.h"
#include "core/log.h"
#include "sockets/sockets.h"

#define MAX_DEPTH 256
#define MAX_LIST_BYTES (256L * 1024 * 1024)

static char list_path[PATH_MAX];

/* What a walk does with each entry, in the order of names: a directory before what is in it. */
struct walk {
    dev_t device;
    void (*visit)(struct walk *walk, const char *path, const struct stat *status);
    FILE *output;
    /* of a comparison */
    char **known; /* sorted */
    size_t known_count;
    bool *seen;
    struct timespec since;
    void (*differs)(struct walk *walk, char kind, const char *path, const struct stat *status);
    uint64_t bytes; /* of files that differ */
};

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_directory(struct walk *walk, int parent, const char *name, const char *path, unsigned depth)
{
    if (depth > MAX_DEPTH)
        return -ELOOP;
    auto_fd directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (directory < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
    struct dirent **entries;
    int count = scandirat(directory, ".", &entries, no_dots, by_name), result = 0;
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        struct stat status;
        auto_free char *inner = NULL;
        if (result == 0 && fstatat(directory, entries[i]->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            status.st_dev == walk->device) {
            if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0)
                result = -ENOMEM;
            else
                walk->visit(walk, inner, &status);
            if (result == 0 && S_ISDIR(status.st_mode))
                result = walk_directory(walk, directory, entries[i]->d_name, inner, depth + 1);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* ---- the list ---- */

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void list_entry(struct walk *walk, const char *path, const struct stat *status)
{
    if (S_ISSOCK(status->st_mode)) /* which no image has: those are there that process 1 has made before */
        return;
    fwrite(path, 1, strlen(path) + 1, walk->output);
}

/* In the child. What is mounted into the container is not the image's. What changes from now on has changed since, whatever is listed of
 * it. */
static int write_list(void)
{
    struct timespec now[2];
    clock_gettime(CLOCK_REALTIME_COARSE, &now[0]); /* by which files have their times, mostly */
    const struct timespec made = sockets_made();
    if (is_later(&made, &now[0]))
        now[0] = made;
    now[1] = now[0];
    char part[PATH_MAX + 8];
    struct stat root;
    struct walk walk = { .visit = list_entry };
    snprintf(part, sizeof(part), "%s.part", list_path);
    auto_fd directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fstat(directory, &root) < 0)
        return -errno;
    walk.device = root.st_dev;
    walk.output = fopen(part, "we");
    if (walk.output == NULL)
        return -errno;
    int result = walk_directory(&walk, directory, ".", "", 0);
    if (fflush(walk.output) != 0 || futimens(fileno(walk.output), now) < 0)
        result = result == 0 ? -EIO : result;
    if (fclose(walk.output) != 0 && result == 0)
        result = -EIO;
    if (result == 0 && rename(part, list_path) < 0)
        result = -errno;
    return result;
}

void manifest_begin(const char *directory)
{
    snprintf(list_path, sizeof(list_path), "%s/manifest", directory);
    if (access(list_path, F_OK) == 0)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        int result = write_list();
        if (result < 0)
            log_line("the image's files can't be listed: %s", strerror(-result));
        _exit(0);
    }
}

/* ---- the comparison ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void record(struct walk *walk, char kind, const char *path, const struct stat *status)
{
    (void)status;
    fprintf(walk->output, "%c%s", kind, path);
    fputc('\0', walk->output);
}

static void compare_entry(struct walk *walk, const char *path, const struct stat *status)
{
    char **found = bsearch(&path, walk->known, walk->known_count, sizeof(*walk->known), by_text);
    if (found == NULL) {
        walk->differs(walk, 'A', path, status);
        return;
    }
    walk->seen[found - walk->known] = true;
    if (is_later(&status->st_ctim, &walk->since))
        walk->differs(walk, 'C', path, status);
}

/* Of what is gone the top alone, as Docker tells it. */
static void tell_gone(struct walk *walk)
{
    const char *top = NULL;
    for (size_t i = 0; i < walk->known_count; i++) {
        const char *path = walk->known[i];
        size_t length = top == NULL ? 0 : strlen(top);
        if (walk->seen[i] || (top != NULL && strncmp(path, top, length) == 0 && path[length] == '/'))
            continue;
        walk->differs(walk, 'D', path, NULL);
        top = path;
    }
}

static char *read_list(size_t *length, struct timespec *made)
{
    struct stat status;
    auto_file file = fopen(list_path, "re");
    if (file == NULL || fstat(fileno(file), &status) < 0 || status.st_size > MAX_LIST_BYTES)
        return NULL;
    *made = status.st_mtim;
    *length = (size_t)status.st_size;
    char *text = malloc(*length + 1);
    if (text == NULL || fread(text, 1, *length, file) != *length) {
        free(text);
        return NULL;
    }
    text[*length] = '\0';
    return text;
}

static int compare(struct walk *walk, char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\0';
    auto_free char **known = calloc(count + 1, sizeof(*known));
    auto_free bool *seen = calloc(count + 1, sizeof(*seen));
    if (known == NULL || seen == NULL)
        return -ENOMEM;
    for (char *at = text; at < text + length; at += strlen(at) + 1)
        known[walk->known_count++] = at;
    qsort(known, count, sizeof(*known), by_text);
    walk->known = known;
    walk->seen = seen;
    struct stat root;
    auto_fd directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fstat(directory, &root) < 0)
        return -errno;
    walk->device = root.st_dev;
    int result = walk_directory(walk, directory, ".", "", 0);
    tell_gone(walk);
    return fflush(walk->output) != 0 && result == 0 ? -EIO : result;
}

/* `walk`: what is done with each difference. */
static int compare_with_image(struct walk *walk, FILE *output, char *message, size_t message_size)
{
    size_t length = 0;
    walk->visit = compare_entry;
    walk->output = output;
    auto_free char *text = read_list(&length, &walk->since);
    if (text == NULL || walk->output == NULL) {
        snprintf(message, message_size, "the files of the image are not known");
        return -ENOENT;
    }
    int result = compare(walk, text, length);
    if (result < 0)
        snprintf(message, message_size, "compare the container with its image: %s", go_error(-result));
    return result;
}

int changes_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    struct walk walk = { .differs = record };
    return compare_with_image(&walk, fdopen(STDOUT_FILENO, "w"), message, message_size);
}

/* As Docker counts a container's own layer: files that are new or changed, whole. */
static void count(struct walk *walk, char kind, const char *path, const struct stat *status)
{
    (void)kind;
    (void)path;
    if (status != NULL && !S_ISDIR(status->st_mode) && status->st_size > 0)
        walk->bytes += (uint64_t)status->st_size;
}

int usage_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    struct walk walk = { .differs = count };
    int result = compare_with_image(&walk, fdopen(STDOUT_FILENO, "w"), message, message_size);
    if (result == 0)
        dprintf(STDOUT_FILENO, "{\"bytes\":%llu}", (unsigned long long)walk.bytes);
    return result;
}

/* ---- the layer ---- */

struct changes {
    char **present; /* names of what is new or changed, sorted */
    size_t present_count;
    const char **gone;
    size_t gone_count;
};

static bool is_present(const void *context, const char *name)
{
    const struct changes *changes = context;
    return bsearch(&name, changes->present, changes->present_count, sizeof(*changes->present), by_text) != NULL;
}

/* A whiteout lies in a directory: what was in one that is none any more is gone with it. */
static bool is_in_directory(int root, const char *name)
{
    const char *slash = strrchr(name, '/');
    auto_free char *parent = strndup(name, slash == NULL ? 0 : (size_t)(slash - name));
    struct stat status;
    if (parent == NULL)
        return false;
    return *parent == '\0' || (fstatat(root, parent, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode));
}

/* Of the records in `text`, without the slash that each begins with. */
static int sort_changes(struct changes *changes, int root, char *text, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\0';
    changes->present = calloc(count + 1, sizeof(*changes->present));
    changes->gone = calloc(count + 1, sizeof(*changes->gone));
    if (changes->present == NULL || changes->gone == NULL)
        return -ENOMEM;
    for (char *at = text; at < text + length; at += strlen(at) + 1) {
        if (at[0] != 'D')
            changes->present[changes->present_count++] = at + 2;
        else if (is_in_directory(root, at + 2))
            changes->gone[changes->gone_count++] = at + 2;
    }
    qsort(changes->present, changes->present_count, sizeof(*changes->present), by_text);
    return 0;
}

/* No layer has sockets, and the directory of one is none that the container has made. */
static void record_for_layer(struct walk *walk, char kind, const char *path, const struct stat *status)
{
    if (status == NULL || !S_ISSOCK(status->st_mode))
        record(walk, kind, path, status);
}

int layer_run(const json_t *params, char *message, size_t message_size)
{
    (void)params;
    auto_free char *text = NULL;
    size_t length = 0;
    FILE *records = open_memstream(&text, &length);
    struct walk walk = { .differs = record_for_layer };
    int result = records == NULL ? -ENOMEM : compare_with_image(&walk, records, message, message_size);
    if (records != NULL && fclose(records) != 0 && result == 0)
        result = -ENOMEM;
    if (result < 0)
        return result;
    struct changes changes = { 0 };
    char culprit[PATH_MAX] = "";
    auto_fd root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    result = root < 0 ? -errno : sort_changes(&changes, root, text, length);
    if (result == 0) {
        struct tar_write_options options = { .one_file_system = true,
                                             .wanted = is_present,
                                             .context = &changes,
                                             .gone = changes.gone,
                                             .gone_count = changes.gone_count };
        result = tar_write(STDOUT_FILENO, root, ".", "", options, culprit, sizeof(culprit));
    }
    free(changes.present);
    free(changes.gone);
    if (result < 0)
        snprintf(message, message_size, "archive %s: %s", *culprit == '\0' ? "/" : culprit, go_error(-result));
    return result;
}
