#!/usr/bin/env bash
# `npm run down`: `caisson down`, also of a checkout that is not built.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
[ -e dist/main.js ] || { say 'not running'; exit 0; }
exec node dist/main.js down
