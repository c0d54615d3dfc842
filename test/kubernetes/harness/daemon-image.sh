#!/usr/bin/env bash
# daemon-image.sh NAME OUT.tar: an image with the command caisson: this work tree's build, the modules that it needs, and this machine's Node.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/lib.sh"
# shellcheck source=scripts/docker-archive.sh
. "$root_dir/scripts/docker-archive.sh"
name=$1 out=$2
rootfs=$(mktemp -d)
trap 'rm -rf "$rootfs"' EXIT
chmod 755 "$rootfs"
busybox_rootfs "$rootfs"
node=$(readlink -f "$(command -v node)")
install -Ds "$node" "$rootfs/usr/bin/node"
ldd "$node" | grep -o '/[^ ]*' | while read -r library; do
  install -D "$(readlink -f "$library")" "$rootfs/$library"
done
mkdir -p "$rootfs/opt/caisson/bin"
cp "$root_dir/package.json" "$rootfs/opt/caisson/"
cp "$root_dir/bin/caisson" "$rootfs/opt/caisson/bin/"
cp -r "$root_dir/dist" "$rootfs/opt/caisson/"
(
  cd "$root_dir"
  node --input-type=module -e '
    import { runtimeFiles, runtimePackages } from "./packaging/modules.mjs";
    for (const { path, manifest } of runtimePackages(process.cwd()))
      for (const file of runtimeFiles(path, manifest.name)) console.log(`${path}/${file}`);
  ' | tar -cf - -T - | tar -xf - -C "$rootfs/opt/caisson"
)
ln -s /bin/busybox "$rootfs/usr/bin/env"
mkdir -p "$rootfs/usr/local/bin"
ln -s /opt/caisson/bin/caisson "$rootfs/usr/local/bin/caisson"
chmod -R a+rX "$rootfs/opt"
docker_archive "$rootfs" "$name" "$out" '["caisson"]'
