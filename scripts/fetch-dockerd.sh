#!/usr/bin/env bash
# Fetches the dockerd of Debian's next release, which has BuildKit, into build/trixie-engine, with its containerd: what builds are
# compared with. Its runc would want that release's C library; this one's does. Installs nothing: 20.10, with which all else is compared,
# stays.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/trixie-engine
[ -x "$dir/usr/sbin/dockerd" ] && [ -x "$dir/usr/bin/containerd" ] && exit 0
unpack_next_release "$dir" docker.io containerd
"$dir/usr/sbin/dockerd" --version
