#!/usr/bin/env bash
# Fetches kubectl of Debian's kubernetes-client into build/kubectl, for the test that it reads our manifests. Installs nothing: another
# kubectl may be installed here, and the package would be in its way.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/kubectl
[ -x "$dir/usr/bin/kubectl" ] && exit 0

mkdir -p "$dir"
(cd "$dir" && apt-get -q -o APT::Sandbox::User="$(id -un)" download kubernetes-client >apt.log 2>&1) ||
  { tail -n 5 "$dir/apt.log" >&2; die 'kubernetes-client could not be fetched'; }
for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir"; done
rm -f "$dir"/*.deb
"$dir/usr/bin/kubectl" version --client --short
