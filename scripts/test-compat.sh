#!/usr/bin/env bash
# The compatibility tests alone; arguments go to jest (`npm run test:compat -- logs -t tail`).
#   CAISSON_COMPAT_TARGET=dockerd|caisson|both   dockerd: are the cases right?  caisson: against what dockerd said last
#                         kubernetes             those that make sense on a cluster, in front of one
#   CAISSON_TEST_SHARD=1…8|core                  a shard of the long tail, or none of it, instead of everything
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
bash scripts/setup.sh test
exec npx jest --selectProjects compat --forceExit "${compat_jest[@]}" --testPathPatterns "${@:-.}"
