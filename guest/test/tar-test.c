/* The tar reader with archives that no tar program makes. All is unpacked into a file system in memory that is the process's
 * root meanwhile, as the container's is in the guest: wherever names and links of a broken archive lead, it is there. */
#include "archives/tar-read.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "archives/tar-format.h"
#include "check.h"

enum {
    MAX_ARCHIVE = 64 * 1024,
    ROUNDS = 4000,
};

struct archive {
    unsigned char bytes[MAX_ARCHIVE];
    size_t length;
};

static char message[4096];

/* Host's root, to come back to: the leak checker needs /proc. */
static int old_root;

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK(text == NULL || write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* False where this machine lets nobody have a root of their own. */
static bool enter_sandbox(void)
{
    int uid = (int)getuid(), gid = (int)getgid();
    old_root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0)
        return false;
    if (uid != 0) {
        char map[64];
        snprintf(map, sizeof(map), "0 %d 1", uid);
        write_file("/proc/self/uid_map", map);
        write_file("/proc/self/setgroups", "deny");
        snprintf(map, sizeof(map), "0 %d 1", gid);
        write_file("/proc/self/gid_map", map);
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/mnt", "tmpfs", MS_NODEV | MS_NOSUID, "size=64m,mode=755") < 0)
        return false;
    CHECK(chdir("/mnt") == 0 && chroot(".") == 0);
    return true;
}

static void leave_sandbox(void)
{
    CHECK(fchdir(old_root) == 0 && chroot(".") == 0);
}

static void add_bytes(struct archive *archive, const void *bytes, size_t length)
{
    size_t whole = (length + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    CHECK(archive->length + whole <= MAX_ARCHIVE);
    memset(archive->bytes + archive->length, 0, whole);
    if (length > 0)
        memcpy(archive->bytes + archive->length, bytes, length);
    archive->length += whole;
}

static void set_checksum(unsigned char *block)
{
    struct tar_header header;
    unsigned sum = 0;
    memcpy(&header, block, sizeof(header));
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < sizeof(header); i++)
        sum += ((unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
    memcpy(block, &header, sizeof(header));
}

/* `length` bytes of content; the header's size is the same, unless the test says otherwise later. */
static void add_entry(struct archive *archive, char type, const char *name, const char *link, const void *content,
                      size_t length)
{
    struct tar_header header = { .type = type, .magic = "ustar", .version = "00" };
    memcpy(header.name, name, strnlen(name, sizeof(header.name)));
    memcpy(header.linkname, link, strnlen(link, sizeof(header.linkname)));
    snprintf(header.mode, sizeof(header.mode), "%07o", type == TAR_TYPE_DIRECTORY ? 0755 : 0644);
    snprintf(header.uid, sizeof(header.uid), "%07o", 0);
    snprintf(header.gid, sizeof(header.gid), "%07o", 0);
    snprintf(header.size, sizeof(header.size), "%011zo", length);
    snprintf(header.mtime, sizeof(header.mtime), "%011o", 1700000000);
    snprintf(header.devmajor, sizeof(header.devmajor), "%07o", 1);
    snprintf(header.devminor, sizeof(header.devminor), "%07o", 3);
    set_checksum((unsigned char *)&header);
    add_bytes(archive, &header, sizeof(header));
    add_bytes(archive, content, length);
}

static void add_text_entry(struct archive *archive, char type, const char *name, const char *content)
{
    add_entry(archive, type, name, "", content, strlen(content));
}

static int unpack(const struct archive *archive, struct tar_read_options options)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, archive->bytes, archive->length) == (ssize_t)archive->length);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    memset(message, 'x', sizeof(message));
    int result = tar_read(fd, "/in", options, message, sizeof(message));
    CHECK(result <= 0 && memchr(message, '\0', sizeof(message)) != NULL);
    CHECK(result == 0 || message[0] != '\0');
    close(fd);
    return result;
}

/* What the archive that consists of one entry is answered with. */
static int unpack_one(char type, const char *name, const char *link, const char *content)
{
    static struct archive archive;
    archive.length = 0;
    add_entry(&archive, type, name, link, content, strlen(content));
    return unpack(&archive, (struct tar_read_options){ 0 });
}

static void names_that_lead_out(void)
{
    CHECK(unpack_one(TAR_TYPE_REGULAR, "../out", "", "x") == -EINVAL);
    CHECK_TEXT(message, "\"../out\" is outside of \"/in\"");
    CHECK(unpack_one(TAR_TYPE_REGULAR, "a/../../out", "", "x") == -EINVAL);
    CHECK(unpack_one(TAR_TYPE_SYMLINK, "link", "../../out", "") == -EINVAL);
    CHECK(unpack_one(TAR_TYPE_HARD_LINK, "link", "../outside/kept", "") == -EINVAL);
    CHECK(unpack_one(TAR_TYPE_REGULAR, "/absolute", "", "x") == 0);
    CHECK(access("/in/absolute", F_OK) == 0 && access("/absolute", F_OK) < 0 && access("/out", F_OK) < 0);
}

static void extended_headers(void)
{
    static struct archive archive;
    static const char *const broken[] = {
        /* lengths that are none of these records', or of any */
        "\n\n\n\n4 path=x\n",
        "\n\n\n\n4 p\n",
        "\n\n\n\n\n6 mtime=1",
        "3 a\n",
        "99 path=x\n",
        "-9 path=x\n",
        "9 path=xy\n",
        "18446744073709551615 path=x\n",
        "11 size=-1\n",
        "11 size=ab\n",
        "13 mtime=1.x\n",
        "30 GNU.sparse.major=1\n",
        " ",
        "8 =value",
        "9 pathxy\n",
        "36 size=99999999999999999999999999\n",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        archive.length = 0;
        add_text_entry(&archive, TAR_TYPE_PAX, "pax", broken[i]);
        add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "x");
        CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
        CHECK_TEXT(message, "archive/tar: invalid tar header");
    }
    archive.length = 0;
    add_text_entry(&archive, TAR_TYPE_PAX, "pax", "15 path=renamed\n14 mtime=12.34\n");
    add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "x");
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL); /* the first is 16 long */
    archive.length = 0;
    add_text_entry(&archive, TAR_TYPE_PAX, "pax", "16 path=renamed\n15 mtime=12.34\n");
    add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "x");
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == 0);
    struct stat st;
    CHECK(stat("/in/renamed", &st) == 0 && st.st_mtim.tv_sec == 12 && st.st_mtim.tv_nsec == 340000000);
}

/* Forms 0.0, 0.1 and 1.0 of GNU's sparse files: three bytes of data in a file of ten. */
static void sparse_files(void)
{
    static struct archive archive;
    static const struct {
        const char *records, *data, *path;
    } forms[] = {
        { "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=2\n23 GNU.sparse.offset=1\n25 GNU.sparse.numbytes=2\n23 GNU.sparse.offset=6\n25 GNU.sparse.numbytes=1\n",
          "abc", "/in/file" },
        { "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=2\n26 GNU.sparse.map=1,2,6,1\n25 GNU.sparse.name=named\n",
          "abc", "/in/named" },
        { "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n26 GNU.sparse.realsize=10\n25 GNU.sparse.name=first\n",
          "2\n1\n2\n6\n1\n", "/in/first" },
    };
    for (size_t i = 0; i < 3; i++) {
        char data[TAR_BLOCK + 3] = "", content[16] = "";
        size_t length = i == 2 ? sizeof(data) : 3;
        memcpy(data, forms[i].data, strlen(forms[i].data));
        memcpy(data + length - 3, "abc", 3);
        archive.length = 0;
        add_text_entry(&archive, TAR_TYPE_PAX, "pax", forms[i].records);
        add_entry(&archive, TAR_TYPE_REGULAR, "file", "", data, length);
        add_text_entry(&archive, TAR_TYPE_REGULAR, "after", "x");
        CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == 0);
        int fd = open(forms[i].path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0 && read(fd, content, sizeof(content)) == 10);
        CHECK(memcmp(content, "\0ab\0\0\0c\0\0\0", 10) == 0);
        close(fd);
        CHECK(access("/in/after", F_OK) == 0 && unlink("/in/after") == 0);
    }
    static const char *const broken[] = {
        "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=2\n24 GNU.sparse.map=1,2,6\n",
        "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=2\n26 GNU.sparse.map=6,1,1,2\n",
        "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=1\n22 GNU.sparse.map=9,2\n",
        "22 GNU.sparse.size=10\n23 GNU.sparse.offset=1\n23 GNU.sparse.offset=2\n",
        "22 GNU.sparse.size=10\n30 GNU.sparse.numblocks=70000\n20 GNU.sparse.map=1\n",
        "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n22 GNU.sparse.size=-1\n",
        "22 GNU.sparse.size=10\n26 GNU.sparse.numblocks=1\n40 GNU.sparse.map=9223372036854775807,1\n",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        archive.length = 0;
        add_text_entry(&archive, TAR_TYPE_PAX, "pax", broken[i]);
        add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "abc");
        CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
        CHECK_TEXT(message, "archive/tar: invalid tar header");
    }
    archive.length = 0;
    add_text_entry(&archive, TAR_TYPE_PAX, "pax", forms[1].records);
    add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "ab");
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
    CHECK_TEXT(message, "archive/tar: sparse file references non-existent data");
    archive.length = 0;
    add_text_entry(&archive, TAR_TYPE_PAX, "pax", forms[1].records);
    add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "abcd");
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
    CHECK_TEXT(message, "archive/tar: sparse file contains unreferenced data");
}

static void the_destination_itself(void)
{
    struct stat st;
    CHECK(chmod("/in", 0711) == 0);
    static struct archive archive;
    archive.length = 0;
    add_entry(&archive, TAR_TYPE_DIRECTORY, "./", "", NULL, 0);
    CHECK(unpack(&archive, (struct tar_read_options){ .keep_destination = true }) == 0);
    CHECK(stat("/in", &st) == 0 && (st.st_mode & 07777) == 0711);
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == 0);
    CHECK(stat("/in", &st) == 0 && (st.st_mode & 07777) == 0755);
}

/* An archive in a tree's order, and one that goes back to directories that it had left, once through a link. */
static void times_of_directories(void)
{
    static const char *const entries[] = {
        "tree/", "tree/a/",     "tree/a/b/",        "tree/a/b/file", "tree/c/",    "tree/file",
        "away/", "tree/a/late", "tree/c/deep/file", "link@tree/a/b", "link/file2",
    };
    static const char *const directories[] = { "tree", "tree/a", "tree/a/b", "tree/c", "away" };
    for (size_t count = 7; count <= sizeof(entries) / sizeof(entries[0]); count++) {
        static struct archive archive;
        archive.length = 0;
        for (size_t i = 0; i < count; i++) {
            size_t name = strcspn(entries[i], "@"), length = strlen(entries[i]);
            char path[32] = "";
            memcpy(path, entries[i], name);
            bool is_link = name < length, is_directory = entries[i][length - 1] == '/';
            add_entry(&archive,
                      is_link        ? TAR_TYPE_SYMLINK
                      : is_directory ? TAR_TYPE_DIRECTORY
                                     : TAR_TYPE_REGULAR,
                      path, is_link ? entries[i] + name + 1 : "", "x", is_link || is_directory ? 0 : 1);
        }
        CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == 0);
        for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
            char path[32];
            struct stat st;
            snprintf(path, sizeof(path), "/in/%s", directories[i]);
            CHECK(stat(path, &st) == 0 && st.st_mtim.tv_sec == 1700000000);
        }
    }
}

/* Bits that a new directory may get from the one that it is in, and those that the umask takes, are the archive's. */
static void modes_and_owners(void)
{
    struct stat st;
    mode_t before = umask(077);
    CHECK(mkdir("/in/group", 0700) == 0);
    if (chown("/in/group", 7, 7) < 0) { /* another user than root has one number only */
        umask(before);
        return;
    }
    CHECK(chmod("/in/group", 02700) == 0);
    CHECK(unpack_one(TAR_TYPE_DIRECTORY, "group/directory", "", "") == 0);
    CHECK(stat("/in/group/directory", &st) == 0 && (st.st_mode & 07777) == 0755 && st.st_gid == 0);
    CHECK(unpack_one(TAR_TYPE_REGULAR, "group/file", "", "x") == 0);
    CHECK(stat("/in/group/file", &st) == 0 && (st.st_mode & 07777) == 0644 && st.st_gid == 0);
    CHECK(chown("/in/group/directory", 7, 7) == 0 && chmod("/in/group/directory", 0700) == 0);
    CHECK(unpack_one(TAR_TYPE_DIRECTORY, "group/directory", "", "") == 0);
    CHECK(stat("/in/group/directory", &st) == 0 && (st.st_mode & 07777) == 0755 && st.st_uid == 0);
    umask(before);
}

static void cut_and_oversized(void)
{
    static struct archive archive;
    archive.length = 0;
    add_text_entry(&archive, TAR_TYPE_REGULAR, "file", "content");
    archive.length -= TAR_BLOCK;
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
    CHECK_TEXT(message, "unexpected EOF");
    archive.length += 100; /* the content, and not all of the padding: good enough for Go */
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == 0);
    /* an extended header of 8 GiB is refused before it is read */
    memcpy(archive.bytes + offsetof(struct tar_header, size), "77777777777", 12);
    archive.bytes[offsetof(struct tar_header, type)] = TAR_TYPE_PAX;
    set_checksum(archive.bytes);
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
    CHECK_TEXT(message, "archive/tar: header field too long");
    /* sizes below zero */
    memcpy(archive.bytes + offsetof(struct tar_header, size), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    archive.bytes[offsetof(struct tar_header, type)] = TAR_TYPE_REGULAR;
    set_checksum(archive.bytes);
    CHECK(unpack(&archive, (struct tar_read_options){ 0 }) == -EINVAL);
}

/* A bit of everything: what is mutated. */
static void make_corpus(struct archive *archive)
{
    char long_name[301];
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (size_t i = 50; i < sizeof(long_name) - 1; i += 50)
        long_name[i] = '/';
    long_name[sizeof(long_name) - 1] = '\0';
    archive->length = 0;
    add_entry(archive, TAR_TYPE_DIRECTORY, "dir/", "", NULL, 0);
    add_text_entry(archive, TAR_TYPE_REGULAR, "dir/file", "content");
    add_entry(archive, TAR_TYPE_SYMLINK, "dir/link", "file", NULL, 0);
    add_entry(archive, TAR_TYPE_SYMLINK, "up", "/outside", NULL, 0);
    add_entry(archive, TAR_TYPE_HARD_LINK, "hard", "dir/file", NULL, 0);
    add_entry(archive, TAR_TYPE_CHARACTER, "null", "", NULL, 0);
    add_entry(archive, TAR_TYPE_FIFO, "fifo", "", NULL, 0);
    add_entry(archive, TAR_TYPE_GNU_LONG_NAME, "././@LongLink", "", long_name, sizeof(long_name));
    add_text_entry(archive, TAR_TYPE_REGULAR, "short", "long");
    add_entry(archive, TAR_TYPE_GNU_LONG_LINK, "././@LongLink", "", long_name, sizeof(long_name));
    add_entry(archive, TAR_TYPE_SYMLINK, "far", "short", NULL, 0);
    static const char records[] = "17 path=dir/paxed\n21 linkpath=dir/file\n10 uid=123\n10 gid=456\n"
                                  "29 mtime=1700000000.123456789\n"
                                  "42 SCHILY.xattr.security.capability=\1\0\0\2\0\4\0\0\0\0\0";
    add_entry(archive, TAR_TYPE_PAX, "pax", "", records, sizeof(records) - 1);
    add_text_entry(archive, TAR_TYPE_REGULAR, "plain", "paxed");
    add_text_entry(archive, TAR_TYPE_PAX_GLOBAL, "global", "14 comment=xy\n");
    add_entry(archive, TAR_TYPE_DIRECTORY, "dir/file", "", NULL, 0);
    add_text_entry(archive, TAR_TYPE_REGULAR, "dir", "a file where a directory was");
    unsigned char end[2 * TAR_BLOCK] = { 0 };
    add_bytes(archive, end, sizeof(end));
}

/* xorshift64: the same numbers everywhere, so that a failure can be repeated by its round. */
static uint64_t random_state;

static size_t below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static void mutate(struct archive *archive)
{
    static const char numbers[][13] = { "00000000000",
                                        "77777777777",
                                        "00000000001",
                                        "00000000777",
                                        "-0000000001",
                                        "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff" };
    static const char *const names[] = { "..", "/", "", ".", "../../x", "dir/../..", "up/kept", "hard", "dir", "in" };
    static const size_t number_fields[] = { offsetof(struct tar_header, mode), offsetof(struct tar_header, uid),
                                            offsetof(struct tar_header, size), offsetof(struct tar_header, mtime),
                                            offsetof(struct tar_header, devmajor) };
    size_t blocks = archive->length / TAR_BLOCK;
    for (size_t count = 1 + below(4); count > 0; count--) {
        unsigned char *block = archive->bytes + below(blocks) * TAR_BLOCK;
        switch (below(8)) {
        case 0:
            block[below(TAR_BLOCK)] = (unsigned char)below(256);
            break;
        case 1:
            block[below(TAR_BLOCK)] ^= (unsigned char)(1u << below(8));
            break;
        case 2:
            memcpy(block + number_fields[below(5)], numbers[below(7)], 8 + below(2) * 4);
            break;
        case 3:
            strcpy((char *)block + below(2) * offsetof(struct tar_header, linkname), names[below(10)]);
            break;
        case 4:
            block[offsetof(struct tar_header, type)] = (unsigned char)"01234567gxLKSZ"[below(14)];
            break;
        case 5:
            memcpy(block, archive->bytes + below(blocks) * TAR_BLOCK, TAR_BLOCK);
            break;
        case 6:
            block[below(100)] = (unsigned char)"0123456789 =\n."[below(15)];
            break;
        default:
            archive->length = 1 + below(archive->length);
            return;
        }
        if (below(8) != 0)
            set_checksum(block);
    }
}

static void survives_mutations(void)
{
    static struct archive archive;
    for (int round = 0; round < ROUNDS; round++) {
        random_state = 0x9e3779b97f4a7c15u + (uint64_t)round * 0xbf58476d1ce4e5b9u;
        make_corpus(&archive);
        mutate(&archive);
        unpack(&archive, (struct tar_read_options){
                             .no_overwrite_dir_non_dir = below(2) == 0,
                             .set_owner = below(2) == 0,
                             .any_symlinks = below(2) == 0,
                         });
    }
}

int main(void)
{
    umask(0);
    if (!enter_sandbox()) {
        fprintf(stderr, "tar-test: no mount namespace of its own on this machine: skipped\n");
        return 0;
    }
    CHECK(mkdir("/in", 0755) == 0 && mkdir("/outside", 0755) == 0);
    write_file("/outside/kept", "kept");
    names_that_lead_out();
    extended_headers();
    sparse_files();
    the_destination_itself();
    times_of_directories();
    modes_and_owners();
    cut_and_oversized();
    survives_mutations();
    leave_sandbox();
    return 0;
}
