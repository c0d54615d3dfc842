#!/usr/bin/env bash
# Fetches the docker command, Compose and buildx of Debian's next release into build/trixie, for tests with newer clients. Installs
# nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/trixie
plugins=$dir/usr/libexec/docker/cli-plugins
[ -x "$dir/usr/bin/docker" ] && [ -x "$plugins/docker-compose" ] && [ -x "$plugins/docker-buildx" ] && exit 0
unpack_next_release "$dir" docker-cli docker-compose docker-buildx
"$dir/usr/bin/docker" --version
