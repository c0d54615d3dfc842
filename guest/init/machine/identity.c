/* What makes a clone of the template a machine of its own: entropy, clock, machine id. */
#include "machine/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/fields.h"

#define MAX_ENTROPY 512
#define MAX_ADJUST_USEC (100LL * 366 * 86400 * 1000000)

static int add_entropy(const uint8_t *bytes, size_t length, struct failure *failure)
{
    if (length < 32 || length > MAX_ENTROPY)
        return fail(failure, EINVAL, PHASE_REQUEST, "entropy must have 32 to %d bytes", MAX_ENTROPY);
    /* struct rand_pool_info: two integers and the bytes. */
    uint32_t pool[2 + MAX_ENTROPY / 4] = { (uint32_t)length * 8, (uint32_t)length };
    memcpy(pool + 2, bytes, length);
    auto_fd fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
        return fail_errno(failure, errno, PHASE_IO, "seed the random number generator");
    explicit_bzero(pool, sizeof(pool));
    return 0;
}

/* Setting the clock takes tens of milliseconds the first time, while emulated code is cold: what passed since the
 * request came is added, and it is set again. */
static int set_clock(int64_t seconds, int64_t nanoseconds, const struct timespec *arrived, struct failure *failure)
{
    for (int pass = 0; pass < 2; pass++) {
        struct timespec now, time;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t passed = (int64_t)(now.tv_sec - arrived->tv_sec) * 1000000000 + (now.tv_nsec - arrived->tv_nsec);
        int64_t total = nanoseconds + passed;
        time.tv_sec = (time_t)(seconds + total / 1000000000);
        time.tv_nsec = (long)(total % 1000000000);
        if (clock_settime(CLOCK_REALTIME, &time) < 0)
            return fail_errno(failure, errno, PHASE_IO, "set the clock");
    }
    return 0;
}

int identity_set(const json_t *params, struct failure *failure)
{
    struct timespec arrived;
    clock_gettime(CLOCK_MONOTONIC, &arrived);
    auto_free uint8_t *entropy = NULL;
    size_t length;
    int64_t seconds, nanoseconds;
    const char *machine_id;
    int result;
    if ((result = field_base64(params, "entropyBase64", &entropy, &length, failure)) < 0 ||
        (result = field_integer(params, "timeSeconds", &seconds, failure)) < 0 ||
        (result = field_integer(params, "timeNanoseconds", &nanoseconds, failure)) < 0 ||
        (result = field_string(params, "machineId", &machine_id, failure)) < 0)
        return result;
    if (nanoseconds < 0 || nanoseconds > 999999999 || seconds < 0)
        return fail(failure, EINVAL, PHASE_REQUEST, "not a time");
    if ((result = add_entropy(entropy, length, failure)) < 0 ||
        (result = set_clock(seconds, nanoseconds, &arrived, failure)) < 0)
        return result;
    auto_fd fd = open("/etc/machine-id", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    if (fd < 0 || write(fd, machine_id, strlen(machine_id)) < 0 || write(fd, "\n", 1) < 0)
        return fail_errno(failure, errno, PHASE_IO, "write /etc/machine-id");
    return 0;
}

/* A difference, and no time of day: however long the request was under way, it is right. */
void clock_adjust(struct request request, const json_t *params)
{
    struct failure failure;
    struct timespec now;
    int64_t adjust;
    if (field_integer(params, "adjustUsec", &adjust, &failure) < 0) {
        respond_failure(request, &failure);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    /* so far that the sum can't overflow; no clock is a hundred years off */
    if (adjust < -MAX_ADJUST_USEC || adjust > MAX_ADJUST_USEC) {
        fail(&failure, EINVAL, PHASE_REQUEST, "not a difference of clocks");
        respond_failure(request, &failure);
        return;
    }
    int64_t usec = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + adjust;
    struct timespec right = { .tv_sec = (time_t)(usec / 1000000), .tv_nsec = (long)(usec % 1000000) * 1000 };
    if (adjust != 0 && (usec < 0 || clock_settime(CLOCK_REALTIME, &right) < 0)) {
        fail_errno(&failure, usec < 0 ? EINVAL : errno, PHASE_IO, "set the clock");
        respond_failure(request, &failure);
        return;
    }
    respond(request, json_pack("{s:I}", "timeUsec", (json_int_t)usec));
}
