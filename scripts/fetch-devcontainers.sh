#!/usr/bin/env bash
# Fetches the Dev Containers CLI, one file without dependencies, into build/devcontainers: a client that builds with BuildKit.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version=0.89.0
dir=$root_dir/build/devcontainers
[ -e "$dir/devcontainer.js" ] && exit 0
mkdir -p "$dir"
cd "$dir"
npm pack --silent "@devcontainers/cli@$version" >/dev/null
tar -xzf devcontainers-cli-*.tgz --strip-components=1
rm -f devcontainers-cli-*.tgz
node devcontainer.js --version
