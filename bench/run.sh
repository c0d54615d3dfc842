#!/usr/bin/env bash
# `npm run bench`: Caisson and dockerd measured in one run, as a table. Arguments name the rows to measure (all if none).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
cd "$root_dir"
export DOCKER_BUILDKIT=0 # a buildx plugin on the machine must not change what is measured
bash scripts/setup.sh test
bash scripts/fetch-dockerd.sh >/dev/null || say 'no dockerd with BuildKit'
npx tsc -p bench/tsconfig.json
exec node build/bench/bench/main.js "$@"
