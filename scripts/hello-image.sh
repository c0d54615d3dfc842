#!/usr/bin/env bash
# Writes the seeded image caisson/hello as a docker-archive: Debian's busybox-static and a script that says what to try.
#   hello-image.sh OUT.tar
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/docker-archive.sh
. "$(dirname "${BASH_SOURCE[0]}")/docker-archive.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
busybox_rootfs "$work/rootfs"
cat >"$work/rootfs/hello" <<'SCRIPT'
#!/bin/sh
cat <<TEXT

Hello from a virtual machine of its own.

  kernel     $(uname -r), not the host's
  hostname   $(hostname)
  process    $(cat /proc/1/comm) is process $$ here
  memory     $(awk '/MemTotal/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo), given when touched

Look around:  docker --context caisson run -it --rm caisson/hello sh

TEXT
SCRIPT
chmod 755 "$work/rootfs/hello"
docker_archive "$work/rootfs" caisson/hello:latest "${1:?usage: hello-image.sh OUT.tar}" '["/hello"]'
