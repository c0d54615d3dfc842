#!/usr/bin/env bash
# Fetches the docker command, Compose and buildx of the release of Debian that is in the making into build/forky: the newest that builds
# are tried with. Installs nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/forky
plugins=$dir/usr/libexec/docker/cli-plugins
[ -x "$dir/usr/bin/docker" ] && [ -x "$plugins/docker-compose" ] && [ -x "$plugins/docker-buildx" ] && exit 0
release=forky unpack_next_release "$dir" docker-cli docker-compose docker-buildx
"$plugins/docker-buildx" version
