/* Programs of other processors: the kernel starts them by a program that emulates theirs (binfmt_misc). */
#include "machine/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"
#include "core/write-all.h"
#include "machine/modprobe.h"

#define REGISTER "/proc/sys/fs/binfmt_misc"
#define PROGRAMS "/run/emulators"
/* As those of mounts: a disk that has just appeared may not be ready. */
#define OPEN_ATTEMPTS 4000
#define MAX_PROGRAM (64 << 20)
/* What is compared of an ELF file: its identification, e_type and e_machine. */
#define COMPARED 20

int emulator_read(const json_t *spec, struct emulator *emulator, struct failure *failure)
{
    json_t *object, *disk;
    const char *name;
    int64_t machine, bits;
    int result;
    *emulator = (struct emulator){ 0 };
    if (json_object_get(spec, "emulator") == NULL)
        return 0;
    if ((result = field_object(spec, "emulator", &object, failure)) < 0 ||
        (result = field_id(object, "name", &name, failure)) < 0 ||
        (result = field_integer(object, "machine", &machine, failure)) < 0 ||
        (result = field_integer(object, "bits", &bits, failure)) < 0 ||
        (result = field_bool(object, "bigEndian", &emulator->big_endian, failure)) < 0 ||
        (result = field_object(object, "disk", &disk, failure)) < 0 ||
        (result = disk_spec_read(disk, &emulator->disk, failure)) < 0)
        return result;
    /* "register" and "status" are files of the kernel's */
    if (strlen(name) >= sizeof(emulator->name) || name[0] == '.' || strcmp(name, "register") == 0 ||
        strcmp(name, "status") == 0 || machine < 1 || machine > UINT16_MAX || (bits != 32 && bits != 64))
        return fail(failure, EINVAL, PHASE_REQUEST, "no such emulator: %s", name);
    snprintf(emulator->name, sizeof(emulator->name), "%s", name);
    emulator->machine = (int)machine;
    emulator->bits = (int)bits;
    emulator->wanted = true;
    return 0;
}

static int open_disk(const struct disk_spec *disk, struct failure *failure)
{
    char path[64];
    for (int attempt = 0;; attempt++) {
        int fd = disk_open(disk, path, sizeof(path));
        if (fd >= 0)
            return fd;
        if (fd != -ENXIO || attempt == OPEN_ATTEMPTS)
            return fail_errno(failure, fd, PHASE_DISK, "open the disk of LUN %d", disk->lun);
        nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL);
    }
}

/* Zeros behind the program, up to whole sectors, do not harm it. */
static int copy_program(int from, int to)
{
    static uint8_t bytes[1 << 16];
    size_t copied = 0;
    for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        int result = got < 0 ? -errno : write_all(to, bytes, (size_t)got);
        if (result < 0)
            return result;
        copied += (size_t)got;
        if (copied > MAX_PROGRAM)
            return -EFBIG;
    }
    return 0;
}

/* In the register's form, and of which bits count: executables as well as shared objects (which most programs are), of any system's
 * ABI. */
static void compared(const struct emulator *emulator, char magic[COMPARED * 4 + 1], char mask[COMPARED * 4 + 1])
{
    uint8_t high = (uint8_t)(emulator->machine >> 8), low = (uint8_t)emulator->machine;
    bool big = emulator->big_endian;
    const uint8_t wanted[COMPARED] = {
        [0] = 0x7f,
        [1] = 'E',
        [2] = 'L',
        [3] = 'F',
        [4] = emulator->bits == 64 ? 2 : 1,
        [5] = big ? 2 : 1,
        [6] = 1,
        [16] = big ? 0 : 2,
        [17] = big ? 2 : 0,
        [18] = big ? high : low,
        [19] = big ? low : high,
    };
    uint8_t counts[COMPARED];
    memset(counts, 0xff, sizeof(counts));
    counts[7] = 0;
    counts[big ? 17 : 16] = 0xfe;
    for (size_t i = 0; i < COMPARED; i++) {
        snprintf(magic + i * 4, 5, "\\x%02x", wanted[i]);
        snprintf(mask + i * 4, 5, "\\x%02x", counts[i]);
    }
}

static int tell_kernel(const struct emulator *emulator, const char *program, struct failure *failure)
{
    char line[512], magic[COMPARED * 4 + 1], mask[COMPARED * 4 + 1];
    compared(emulator, magic, mask);
    /* F: the file is opened now, whatever containers see later. P: programs keep their argv[0]. C: of setuid ones their owner counts,
     * as it would without an emulator. */
    int length = snprintf(line, sizeof(line), ":%s:M::%s:%s:%s:PCF", emulator->name, magic, mask, program);
    auto_fd fd = open(REGISTER "/register", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || (write(fd, line, (size_t)length) < 0 && errno != EEXIST))
        return fail_errno(failure, errno, PHASE_EXEC, "register %s", emulator->name);
    return 0;
}

static int open_register(struct failure *failure)
{
    if (access(REGISTER "/register", F_OK) == 0)
        return 0;
    int loaded = load_module("binfmt_misc");
    if (loaded < 0)
        return fail_errno(failure, loaded, PHASE_EXEC, "load binfmt_misc");
    if (mount("binfmt_misc", REGISTER, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EBUSY)
        return fail_errno(failure, errno, PHASE_MOUNT, "mount binfmt_misc");
    return 0;
}

int emulator_register(const struct emulator *emulator, struct failure *failure)
{
    char entry[96], program[96];
    int result = open_register(failure);
    if (result < 0)
        return result;
    snprintf(entry, sizeof(entry), REGISTER "/%s", emulator->name);
    if (access(entry, F_OK) == 0)
        return 0;
    auto_fd disk = open_disk(&emulator->disk, failure);
    if (disk < 0)
        return disk;
    mkdir(PROGRAMS, 0700);
    /* of this process alone: another one may be at the same for a container beside this one */
    snprintf(program, sizeof(program), PROGRAMS "/%s.%d", emulator->name, getpid());
    int file = open(program, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (file < 0)
        return fail_errno(failure, errno, PHASE_IO, "make %s", program);
    result = copy_program(disk, file);
    close(file);
    if (result < 0)
        fail_errno(failure, result, PHASE_IO, "copy %s", emulator->name);
    else
        result = tell_kernel(emulator, program, failure);
    unlink(program); /* the kernel has it open */
    return result;
}
