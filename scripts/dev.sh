#!/usr/bin/env bash
# A daemon on a socket in the work tree (build/dev), rebuilt and restarted when a source file changes. Ctrl-C ends it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
bash scripts/setup.sh
dir=$root_dir/build/dev
mkdir -p "$dir"
npx tsc -p tsconfig.build.json --watch --preserveWatchOutput &
trap 'kill %1 2>/dev/null || true' EXIT
say "DOCKER_HOST=unix://$dir/caisson.sock"
node --watch-path=dist dist/main.js daemon --data-root "$dir/data" --run-dir "$dir/run" --host "unix://$dir/caisson.sock" "$@"
