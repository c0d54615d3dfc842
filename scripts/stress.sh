#!/usr/bin/env bash
# `npm run stress`: everything at once on an oversubscribed host, with kills, and then a count. What can be set: test/stress/stress.test.ts.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
bash scripts/setup.sh test
exec npx jest --selectProjects stress "$@"
