#!/usr/bin/env bash
# Everything mechanical: types, lint, format, the C parts' tests. Runs side by side; prints only what failed.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir" || exit 1
mkdir -p build/check

declare -A pids
start() {
  local name=$1
  shift
  "$@" </dev/null >"build/check/$name.log" 2>&1 &
  pids[$name]=$!
}
start types npm run --silent typecheck
start lint npx eslint --cache --cache-location build/check/eslint . bench
start walls node scripts/check-walls.mjs
start format bash -c 'npx prettier --check --log-level warn . && bash scripts/format-c.sh --check'
start c bash -c 'make --no-print-directory -C guest objects test && make --no-print-directory -C native &&
  node scripts/c-walls.mjs'

failed=0
for name in types lint walls format c; do
  if wait "${pids[$name]}"; then
    say "check $name: ok"
  else
    say "check $name: FAILED"
    tail -n 60 "build/check/$name.log" >&2
    failed=1
  fi
done
exit $failed
