#include "table/crowd.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "protocol/share-notices-protocol.h"
#include "table/inodes.h"
#include "wire/transport.h"

/* A quarter of the descriptors: the rest are for open files, and for what is looked up until the guest has forgotten enough. */
static size_t crowded_from = SIZE_MAX;
static _Atomic size_t ask_from = SIZE_MAX;

void set_descriptor_limit(size_t descriptors)
{
    crowded_from = descriptors / 4;
    ask_from = crowded_from;
}

/* Of so many that are known by now: those that are in use are not forgotten, and not asked for again and again. */
static size_t next_from(size_t now)
{
    size_t more = now + crowded_from / 4;
    return more > crowded_from ? more : crowded_from;
}

void ask_to_forget(void)
{
    size_t now = known_files(), from = ask_from;
    bool asks = now >= from, has_forgotten = from > crowded_from && now + crowded_from / 2 < from;
    if (!asks && !has_forgotten)
        return;
    if (!atomic_compare_exchange_strong(&ask_from, &from, next_from(now)) || !asks)
        return;
    /* Forgetting names is cheap, and mostly enough; data have to be read again. */
    const struct share_notice_forget forget = { .data_too = from > crowded_from };
    begin_notices();
    notice(SHARE_NOTICE_FORGET, &forget, sizeof(forget));
    end_notices();
}
