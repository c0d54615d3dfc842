#!/usr/bin/env bash
# `npm test`: set-up, mechanical checks, unit, integration, stress, compatibility and Kubernetes tests, one total at the end.
#   CAISSON_TEST_SHARD=1…8|all|core   what is taken of the long tail; unset: a shard by the commit (docs/development.md)
#   CAISSON_TEST_MINUTES=N            after which the run shows what still works or waits, and fails; unset: no limit
set -uo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir" || exit 1
export CI=${CI:-}

bash scripts/setup.sh test || exit 1
shards=$(sed -n 's/^export const shardCount = \([0-9]*\);$/\1/p' test/support/shards.ts)
if [ -z "${CAISSON_TEST_SHARD:-}" ]; then
  commit=$(git rev-parse HEAD 2>/dev/null) || commit=0 # what comes as an archive has none
  CAISSON_TEST_SHARD=$((16#${commit:0:8} % shards + 1))
fi
export CAISSON_TEST_SHARD
case $CAISSON_TEST_SHARD in
all) taken='every case' ;;
core) taken='main cases only' ;;
*) taken="main cases, and shard $CAISSON_TEST_SHARD of $shards of the long tail (again: CAISSON_TEST_SHARD=$CAISSON_TEST_SHARD npm test)" ;;
esac
dear=$(node -p 'require("./test/support/dear-files.cjs").leftOut().length')
taken="$taken; $dear dear files of tests are left to others"
say "$taken"
left_out=$PWD/build/test-left-out
: >"$left_out"

# With a limit: what hangs is shown, and a minute later ended. timeout(1) takes 0 for none.
limited() {
  local left=0
  [ -z "${CAISSON_TEST_MINUTES:-}" ] || left=$((CAISSON_TEST_MINUTES * 60 + 60 - SECONDS))
  timeout --foreground --kill-after=60 "$((left < 0 ? 1 : left))" "$@"
}
show_hung() {
  sleep $((CAISSON_TEST_MINUTES * 60 - SECONDS))
  say "has not ended after $CAISSON_TEST_MINUTES minutes"
  {
    say 'what ran then:'
    ps -eo pid,ppid,etimes,stat,wchan:20,args --sort=start_time | grep -v '\]$' | cut -c1-200
    say 'files of the comparison that had not ended:'
    node_modules/.bin/jest --selectProjects compat --listTests 2>/dev/null | sed "s|^$root_dir/||" |
      while read -r file; do grep -q "^[A-Z]* compat $file" build/test-compat.log || echo "$file"; done
    if [ -s build/test-kubernetes.log ]; then
      say 'what the tests on a cluster had said last:'
      tail -n 15 build/test-kubernetes.log
    fi
  } >"$hung" 2>&1
  cat "$hung"
}
hung=build/test-hung.log # shown once more at the end, which is what is looked at first
rm -f "$hung"
children=()
programs=''
trap 'kill "${children[@]}" $(printf "%s\n" "${children[@]}" | xargs -rn1 pgrep -P) 2>/dev/null; [ -z "$programs" ] || kill -- "-$programs" 2>/dev/null' EXIT
if [ -n "${CAISSON_TEST_MINUTES:-}" ]; then
  show_hung &
  children+=($!)
fi

failed=0
passed_total=0 failed_total=0 skipped_total=0

# run NAME OPTION…: runs the tests of a project, which leave a report.
run() {
  local name=$1
  say "$name tests"
  rm -f "build/test-$name.json"
  limited node_modules/.bin/jest --selectProjects "$@" --json --outputFile="build/test-$name.json" </dev/null
}

# count NAME STATUS: adds the numbers of jest's report to the total; a suite that could not even run is one failure.
count() {
  local counts
  [ "$2" = 0 ] || failed=1
  counts=$(node -e '
    const report = require(process.argv[1]);
    const broken = report.numRuntimeErrorTestSuites;
    console.log(report.numPassedTests, report.numFailedTests + broken, report.numPendingTests + report.numTodoTests);
  ' "$root_dir/build/test-$1.json" 2>/dev/null) || { counts='0 1 0'; failed=1; }
  read -r p f s <<<"$counts"
  passed_total=$((passed_total + p)) failed_total=$((failed_total + f)) skipped_total=$((skipped_total + s))
}

# Where the programs of the test cluster never were they are compiled, for fourteen CPU minutes: with what everything else leaves.
rm -f build/test-programs.status
# shellcheck disable=SC2016 # its own $?
setsid nice -n 19 bash -c 'make=test/kubernetes/cluster/programs.sh; bash $make && bash $make network; echo $? >build/test-programs.status' </dev/null >build/test-programs.log 2>&1 &
programs=$!

if bash scripts/check.sh; then passed_total=4; else failed=1 failed_total=1; fi
run unit
count unit $?

# Neither the comparison nor the others keep two cores busy, and each has namespaces of its own: side by side, the shorter ones'
# output when they have ended, but for the files that have.
rm -f build/test-integration.json build/test-stress.json build/test-kubernetes.json
: >build/test-integration.log
: >build/test-stress.log
: >build/test-kubernetes.log
beside() {
  limited node_modules/.bin/jest --selectProjects integration --maxWorkers=2 --json --outputFile=build/test-integration.json \
    </dev/null >build/test-integration.log 2>&1
  # Three minutes of it, always the same, with what CPU the comparison leaves: that is the load. Longer: npm run stress.
  CAISSON_STRESS_SECONDS=180 CAISSON_STRESS_SEED=15 CAISSON_STRESS_LOAD=0 CAISSON_STRESS_CLIENTS=2 \
    limited nice -n 10 node_modules/.bin/jest --selectProjects stress --json --outputFile=build/test-stress.json \
    </dev/null >build/test-stress.log 2>&1
  limited tail --pid="$programs" -f /dev/null
  [ "$(cat build/test-programs.status 2>/dev/null)" = 0 ] || return 0
  # What compares takes dockerd's answers of this run. Of the cases' files the core, and one of the others.
  local files
  mapfile -t files < <(node -p 'require("./test/compat/kubernetes-files.cjs").patternsOf(process.env.CAISSON_TEST_SHARD).join("\n")')
  CAISSON_COMPAT_TARGET=kubernetes CAISSON_TEST_LEFT_OUT=$left_out \
    limited node_modules/.bin/jest --selectProjects kubernetes compat --forceExit --maxWorkers=2 --maxConcurrency=3 \
    --testPathPatterns test/kubernetes/ "${files[@]}" --json --outputFile=build/test-kubernetes.json \
    </dev/null >build/test-kubernetes.log 2>&1
}
say 'integration tests (build/test-integration.log), then the stress test (build/test-stress.log), then those on a cluster (build/test-kubernetes.log)'
beside &
beside=$!
children+=("$beside")
tail --pid=$$ -q -n +1 -f build/test-integration.log build/test-kubernetes.log | grep --line-buffered -E '^(PASS|FAIL) ' &
CAISSON_TEST_LEFT_OUT=$left_out run compat --forceExit "${compat_jest[@]}" 2>&1 | tee build/test-compat.log
count compat "${PIPESTATUS[0]}"
wait "$beside"
count integration 0
count stress 0
no_cluster=''
if [ "$(cat build/test-programs.status 2>/dev/null)" = 0 ]; then
  count kubernetes 0
else
  skipped_total=$((skipped_total + 1))
  no_cluster="the tests on a Kubernetes cluster were skipped: $(tail -n 1 build/test-programs.log)"
fi
cat build/test-integration.log build/test-stress.log build/test-kubernetes.log
[ ! -e "$hung" ] || tail -n 60 "$hung"

say "$taken; $(wc -l <"$left_out") cases are left to npm run test:all"
[ -z "$no_cluster" ] || say "$no_cluster (docs/development.md#a-kubernetes-cluster)"
echo
echo "$passed_total passed, $failed_total failed, $skipped_total skipped"
[ "$failed_total" = 0 ] || failed=1
exit $failed
