#!/usr/bin/env bash
# Fetches Debian's NFS server that needs no kernel (nfs-ganesha) into build/nfs-server, for the test of volumes with type=nfs. Installs
# nothing: its packages bring services that a machine should not get by a test.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/nfs-server
[ -x "$dir/usr/bin/ganesha.nfsd" ] && exit 0

mkdir -p "$dir"
packages=(nfs-ganesha nfs-ganesha-mem libntirpc4.3 liburcu8 libnfsidmap1 libwbclient0)
(cd "$dir" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "${packages[@]}" >apt.log 2>&1) ||
  { tail -n 5 "$dir/apt.log" >&2; die 'nfs-ganesha could not be fetched'; }
for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir"; done
rm -f "$dir"/*.deb
