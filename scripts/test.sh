#!/usr/bin/env bash
# `npm test`: set-up, mechanical checks, unit, integration and compatibility tests, one total at the end.
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir" || exit 1
export CI=${CI:-}

bash scripts/setup.sh test || exit 1
failed=0
passed_total=0 failed_total=0 skipped_total=0

# suite NAME COMMAND…: runs jest and adds its numbers, read from its JSON report, to the total.
suite() {
  local name=$1 report=build/test-$1.json counts
  shift
  rm -f "$report"
  say "$name tests"
  "$@" --json --outputFile="$report" </dev/null || failed=1
  # a suite that could not even run counts as one failure
  counts=$(node -e '
    const report = require(process.argv[1]);
    const broken = report.numRuntimeErrorTestSuites;
    console.log(report.numPassedTests, report.numFailedTests + broken, report.numPendingTests + report.numTodoTests);
  ' "$root_dir/$report" 2>/dev/null) || { counts='0 1 0'; failed=1; }
  read -r p f s <<<"$counts"
  passed_total=$((passed_total + p)) failed_total=$((failed_total + f)) skipped_total=$((skipped_total + s))
}

if bash scripts/check.sh; then passed_total=4; else failed=1 failed_total=1; fi
suite unit npx jest --selectProjects unit
suite integration npx jest --selectProjects integration --runInBand
suite compat npx jest --selectProjects compat --forceExit

echo
echo "$passed_total passed, $failed_total failed, $skipped_total skipped"
[ "$failed_total" = 0 ] || failed=1
exit $failed
