#!/usr/bin/env bash
# The web page's tests in a browser; arguments go to jest.
#   CAISSON_SCREENSHOTS=1   pictures of each view: docs/screenshots, and build/screenshots of narrower and darker ones
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
bash scripts/setup.sh web
# buildx, for a build that is watched
bash scripts/fetch-trixie.sh
exec npx jest --selectProjects web "$@"
