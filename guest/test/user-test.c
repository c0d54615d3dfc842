/* Users and groups, by the texts of passwd and group. */
#include "process/user.h"

#include <errno.h>

#include "check.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "\n"
                             "short\n"
                             "  bob:x:1000:1001:Bob,,,:/home/bob:/bin/sh\n"
                             "7:x:8:9::/seven:\n"
                             "big:x:4294967295:1::/big:\n"
                             "last:x:5:6::/last:/bin/sh";
static const char group[] = "root:x:0:root\n"
                            "wheel:x:10:root,bob\n"
                            "bobs:x:1001:\n"
                            "empty:x:11:\n"
                            "audio:x:29:robert,bobby\n"
                            "video:x:44:bob,root";

static const char *const none[] = { NULL };
static struct user user;
static struct failure failure;

static void expect(const char *wanted, uid_t uid, gid_t gid, const char *home)
{
    CHECK(user_resolve(passwd, group, wanted, none, &user, &failure) == 0);
    CHECK(user.uid == uid && user.gid == gid);
    CHECK_TEXT(user.home, home);
    CHECK(user.groups[0] == gid);
}

static void expect_failure(const char *wanted, const char *message)
{
    CHECK(user_resolve(passwd, group, wanted, none, &user, &failure) < 0);
    CHECK(failure.phase == PHASE_USER);
    CHECK_TEXT(failure.message, message);
}

int main(void)
{
    expect("", 0, 0, "/root");
    CHECK(user.group_count == 3 && user.groups[1] == 10 && user.groups[2] == 44);
    expect("bob", 1000, 1001, "/home/bob");
    CHECK(user.group_count == 3 && user.groups[1] == 10 && user.groups[2] == 44);
    expect("1000", 1000, 1001, "/home/bob");
    expect("bob:wheel", 1000, 10, "/home/bob");
    CHECK(user.group_count == 1);
    expect("bob:77", 1000, 77, "/home/bob");
    expect("bob:", 1000, 1001, "/home/bob");
    expect(":wheel", 0, 10, "/root");
    expect("bob:wheel:nogroup", 1000, 10, "/home/bob");
    expect("7", 7, 0, "/");
    expect("last", 5, 6, "/last");
    expect("2147483647", 2147483647, 0, "/");
    expect_failure("nobody", "unable to find user nobody: no matching entries in passwd file");
    expect_failure("bob:nogroup", "unable to find group nogroup: no matching entries in group file");
    expect_failure("big", "unable to find user big: no matching entries in passwd file");
    expect_failure("2147483648", "uids and gids must be in range 0-2147483647");
    expect_failure("99999999999999999999", "uids and gids must be in range 0-2147483647");
    expect_failure("-1", "uids and gids must be in range 0-2147483647");
    expect_failure("0:-5", "uids and gids must be in range 0-2147483647");

    const char *const more[] = { "wheel", "500", "29", NULL };
    CHECK(user_resolve(passwd, group, "5:6", more, &user, &failure) == 0);
    CHECK(user.group_count == 4 && user.groups[1] == 10 && user.groups[2] == 500 && user.groups[3] == 29);
    const char *const unknown[] = { "nogroup", NULL };
    CHECK(user_resolve(passwd, group, "", unknown, &user, &failure) < 0);
    CHECK_TEXT(failure.message, "Unable to find group nogroup: no matching entries in group file");

    /* An image without either file. */
    CHECK(user_resolve(NULL, NULL, "12:34", none, &user, &failure) == 0 && user.uid == 12 && user.gid == 34);
    CHECK(user_resolve(NULL, NULL, "", none, &user, &failure) == 0 && user.uid == 0);
    CHECK(user_resolve(NULL, NULL, "bob", none, &user, &failure) == -EINVAL);
    return 0;
}
