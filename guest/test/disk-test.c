/* What the paths of block devices say. The file is included whole to reach its static functions. */
#include "machine/disk.c"

#include "check.h"

static const char scsi[] = "/devices/platform/LNRO0005:13/virtio1/host0/target0:0:0/";

static void told(bool present, const char *rest)
{
    char path[256];
    snprintf(path, sizeof(path), "%s%s", scsi, rest);
    note(path, present);
}

int main(void)
{
    char path[64];
    told(true, "0:0:0:0/block/sda");
    told(true, "0:0:0:12/block/sdm");
    told(true, "0:0:0:12/block/sdm/sdm3");
    told(true, "0:0:0:12/block/sdm/sdm120");
    told(true, "0:0:0:9999/block/sdz");
    note("/devices/virtual/block/loop0", true);
    note("/devices/virtual/block/", true);
    note("/block/sdq", true);
    CHECK(disk_path(&(struct disk_spec){ 0, 0 }, path, sizeof(path)));
    CHECK_TEXT(path, "/dev/sda");
    CHECK(disk_path(&(struct disk_spec){ 12, 3 }, path, sizeof(path)));
    CHECK_TEXT(path, "/dev/sdm3");
    CHECK(disk_path(&(struct disk_spec){ 12, 120 }, path, sizeof(path)));
    CHECK(!disk_path(&(struct disk_spec){ 12, 4 }, path, sizeof(path)));
    CHECK(!disk_path(&(struct disk_spec){ 1, 0 }, path, sizeof(path)));
    told(false, "0:0:0:12/block/sdm/sdm3");
    CHECK(!disk_path(&(struct disk_spec){ 12, 3 }, path, sizeof(path)));
    told(false, "0:0:0:12/block/sdm");
    CHECK(!disk_path(&(struct disk_spec){ 12, 0 }, path, sizeof(path)));
    CHECK(!disk_path(&(struct disk_spec){ 12, 120 }, path, sizeof(path)));

    struct disk_spec spec;
    struct failure failure;
    auto_json good = json_pack("{s:i, s:i}", "lun", 3, "partition", 2);
    auto_json bad = json_pack("{s:i}", "lun", 512);
    CHECK(disk_spec_read(good, &spec, &failure) == 0 && spec.lun == 3 && spec.partition == 2);
    CHECK(disk_spec_read(bad, &spec, &failure) == -EINVAL);
    return 0;
}
