/* Mount options as fstab words, to what mount(2) takes (mount(8), file-system-independent options). */
#include "paths/mount-options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

static const struct {
    const char *word;
    bool clear;
    unsigned long flag;
} flag_words[] = {
    { "defaults", false, 0 },
    { "async", true, MS_SYNCHRONOUS },
    { "atime", true, MS_NOATIME },
    { "bind", false, MS_BIND },
    { "dev", true, MS_NODEV },
    { "diratime", true, MS_NODIRATIME },
    { "dirsync", false, MS_DIRSYNC },
    { "exec", true, MS_NOEXEC },
    { "iversion", false, MS_I_VERSION },
    { "lazytime", false, MS_LAZYTIME },
    { "loud", true, MS_SILENT },
    { "mand", false, MS_MANDLOCK },
    { "noatime", false, MS_NOATIME },
    { "nodev", false, MS_NODEV },
    { "nodiratime", false, MS_NODIRATIME },
    { "noexec", false, MS_NOEXEC },
    { "noiversion", true, MS_I_VERSION },
    { "nolazytime", true, MS_LAZYTIME },
    { "nomand", true, MS_MANDLOCK },
    { "norelatime", true, MS_RELATIME },
    { "nostrictatime", true, MS_STRICTATIME },
    { "nosuid", false, MS_NOSUID },
    { "nosymfollow", false, MS_NOSYMFOLLOW },
    { "rbind", false, MS_BIND | MS_REC },
    { "relatime", false, MS_RELATIME },
    { "ro", false, MS_RDONLY },
    { "rw", true, MS_RDONLY },
    { "silent", false, MS_SILENT },
    { "strictatime", false, MS_STRICTATIME },
    { "suid", true, MS_NOSUID },
    { "sync", false, MS_SYNCHRONOUS },
};

static const struct {
    const char *word;
    unsigned long flags;
} propagation_words[] = {
    { "private", MS_PRIVATE },       { "rprivate", MS_PRIVATE | MS_REC },
    { "shared", MS_SHARED },         { "rshared", MS_SHARED | MS_REC },
    { "slave", MS_SLAVE },           { "rslave", MS_SLAVE | MS_REC },
    { "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

static bool read_word(const char *word, struct mount_options *options)
{
    for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++)
        if (strcmp(word, flag_words[i].word) == 0) {
            if (flag_words[i].clear)
                options->flags &= ~flag_words[i].flag;
            else
                options->flags |= flag_words[i].flag;
            return true;
        }
    for (size_t i = 0; i < sizeof(propagation_words) / sizeof(propagation_words[0]); i++)
        if (strcmp(word, propagation_words[i].word) == 0) {
            options->propagation = propagation_words[i].flags;
            return true;
        }
    return false;
}

int mount_options_read(const json_t *words, struct mount_options *options, struct failure *failure)
{
    *options = (struct mount_options){ 0 };
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (word == NULL)
            return fail(failure, EINVAL, PHASE_REQUEST, "a mount option is no string");
        if (read_word(word, options))
            continue;
        int added = snprintf(options->data + used, sizeof(options->data) - used, "%s%s", used > 0 ? "," : "", word);
        used += (size_t)added;
        if (used >= sizeof(options->data))
            return fail(failure, E2BIG, PHASE_MOUNT, "mount options are too long");
    }
    return 0;
}
