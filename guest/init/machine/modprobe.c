/* Kernel modules: those of the boot, and those the kernel asks for later (kernel.modprobe), with the text files that
 * depmod(8) makes. */
#include "machine/modprobe.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

#define MAX_DEPENDENCIES 64

static int load_file(const char *path)
{
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST ? -errno : 0;
}

void load_boot_modules(void)
{
    struct dirent **names = NULL;
    int count = scandir("/boot-modules", &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[300];
        snprintf(path, sizeof(path), "/boot-modules/%s", names[i]->d_name);
        int result = names[i]->d_name[0] == '.' ? 0 : load_file(path);
        if (result < 0)
            log_line("module %s: %s", path, strerror(-result));
        free(names[i]);
    }
    free(names);
}

void mount_extra(void)
{
    auto_fd image = open("/extra.sqsh", O_RDONLY | O_CLOEXEC);
    auto_fd loop = open("/dev/loop0", O_RDWR | O_CLOEXEC);
    struct loop_config config = {
        .fd = (uint32_t)image,
        .info = { .lo_flags = LO_FLAGS_READ_ONLY },
    };
    if (image < 0 || loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config) < 0 ||
        mount("/dev/loop0", "/extra", "squashfs", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL) < 0)
        log_line("mount /extra.sqsh: %s", strerror(errno));
}

/* Module names know no difference between - and _. */
static bool same_name(const char *left, const char *right, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char a = left[i] == '-' ? '_' : left[i], b = right[i] == '-' ? '_' : right[i];
        if (a != b || a == '\0')
            return false;
    }
    return right[length] == '\0';
}

/* Whether `path` is the file of module `name`. */
static bool is_file_of(const char *path, size_t length, const char *name)
{
    const char *base = memrchr(path, '/', length);
    base = base != NULL ? base + 1 : path;
    size_t base_length = length - (size_t)(base - path);
    return base_length > 3 && strncmp(base + base_length - 3, ".ko", 3) == 0 && same_name(base, name, base_length - 3);
}

/* Loads a module by name, what it depends on first: modules.dep lists that last-loaded first. */
static int load_by_name(const char *root, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/modules.dep", root);
    auto_file file = fopen(path, "re");
    auto_free char *line = NULL;
    size_t capacity = 0;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        char *colon = strchr(line, ':');
        if (colon == NULL || !is_file_of(line, (size_t)(colon - line), name))
            continue;
        *colon = '\0';
        line[strcspn(line, "\n")] = '\0';
        const char *needed[MAX_DEPENDENCIES];
        int count = 0;
        char *rest = colon + 1;
        rest[strcspn(rest, "\n")] = '\0';
        for (char *word; (word = strsep(&rest, " ")) != NULL && count < MAX_DEPENDENCIES;)
            if (*word != '\0')
                needed[count++] = word;
        while (count-- > 0) {
            snprintf(path, sizeof(path), "%s/%s", root, needed[count]);
            load_file(path);
        }
        snprintf(path, sizeof(path), "%s/%s", root, line);
        return load_file(path);
    }
    return -ENOENT;
}

/* Lines of modules.alias: `alias PATTERN MODULE`. */
static int load_by_alias(const char *root, const char *wanted)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/modules.alias", root);
    auto_file file = fopen(path, "re");
    auto_free char *line = NULL;
    size_t capacity = 0;
    int result = -ENOENT;
    while (file != NULL && getline(&line, &capacity, file) > 0) {
        char pattern[256], module[128];
        if (sscanf(line, "alias %255s %127s", pattern, module) != 2 || fnmatch(pattern, wanted, 0) != 0)
            continue;
        int loaded = load_by_name(root, module);
        if (result != 0)
            result = loaded;
    }
    return result;
}

static void find_modules(char root[256])
{
    struct utsname name;
    uname(&name);
    snprintf(root, 256, "/extra/lib/modules/%s", name.release);
}

int load_module(const char *name)
{
    char root[256];
    find_modules(root);
    int loaded = load_by_name(root, name);
    return loaded == -ENOENT ? load_by_alias(root, name) : loaded;
}

int modprobe_main(int argc, char **argv)
{
    int result = 0;
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-' && load_module(argv[i]) < 0)
            result = 1;
    return result;
}
