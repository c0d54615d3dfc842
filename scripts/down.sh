#!/usr/bin/env bash
# Stops the daemon that up.sh started. Containers go on in their VMs, and the next `npm run up` finds them.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# only what up.sh has put there
if [ "$(readlink "$command_link")" = "$root_dir/bin/caisson" ]; then rm -f "$command_link"; fi

if ! pid=$(daemon_pid); then
  rm -f "$pid_file"
  say 'not running'
  exit 0
fi
kill "$pid"
for _ in $(seq 100); do
  if ! daemon_pid >/dev/null; then
    rm -f "$pid_file"
    say 'stopped'
    exit 0
  fi
  sleep 0.2
done
die "pid $pid is still there after 20 seconds; its log is $log_file"
