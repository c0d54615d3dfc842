#!/usr/bin/env bash
# In network and process namespaces of its own: the engine starts, runs a container, is upgraded, ends. live.sh deb|npm ROOT NEXT-VERSION
set -euo pipefail
kind=$1 root=$2 next_version=$3
say() { printf '%s\n' "  $*" >&2; }
fail() { say "FAILED: $*"; tail -n 30 "$root/var/log/caisson.log" >&2 || true; exit 1; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
ip link set lo up

inside caisson up --yes -- --accel tcg --pool-size 0 </dev/null >"$root/root/up.log" 2>&1 || { cat "$root/root/up.log" >&2; fail 'caisson up'; }
grep -q 'caisson run --rm caisson/hello' "$root/root/up.log" || fail 'up does not say what to try'
say 'caisson up'
inside caisson run --rm caisson/hello | grep -q 'virtual machine' || fail 'caisson/hello does not run'
say 'caisson run --rm caisson/hello'
# a person's way through the page, in a browser of this machine; every number is docker's
address=$(grep -o 'http://127.0.0.1:[0-9]*/?token=[^ ]*' "$root/root/up.log")
CAISSON_INSTALLED_HOST=unix://$root/run/caisson/caisson.sock CAISSON_INSTALLED_ADDRESS=$address \
  npx jest --selectProjects web --testPathPatterns test/web/journey.test.ts >"$root/root/page.log" 2>&1 </dev/null ||
  { tail -n 60 "$root/root/page.log" >&2; fail 'the page'; }
say "the page: $(grep '^Tests:' "$root/root/page.log" | sed 's/Tests: *//')"
inside caisson pull caisson/hello >/dev/null 2>&1

id=$(inside caisson run -d --name stays caisson/hello sleep 3600)
inside caisson ls | grep -q stays || fail 'caisson ls does not show it'
inside caisson top --no-stream --format json | grep -q '"name": "stays"' || fail 'caisson top does not show it'
[ "$kind" = npm ] || [ "$(inside stat -c %G /run/caisson/caisson.sock)" = caisson ] || fail 'the socket is not of the group caisson'

archive=$(inside caisson kubernetes image | sed -n 's/.*docker load --input //p')
inside caisson load --input "$archive" | grep -q caisson/supervisor || fail "the supervisor's image can't be loaded"
say "the supervisor's image is there"

suffix=tgz
[ "$kind" = npm ] || suffix=deb
inside caisson upgrade "/root/next.$suffix" >"$root/root/upgrade.log" 2>&1 || { cat "$root/root/upgrade.log" >&2; fail 'caisson upgrade FILE'; }
grep -q "→ $next_version (feedfacefeed); 1 container went on" "$root/root/upgrade.log" || { cat "$root/root/upgrade.log" >&2; fail 'caisson upgrade does not say what it did'; }
inside caisson version | grep -q "$next_version.*feedface" || fail 'another version is installed'
say "caisson upgrade FILE: the daemon of $next_version, the same container"
pid=$(cat "$root/run/caisson/up.pid")
inside caisson down >/dev/null 2>&1 || fail 'caisson down'
[ ! -d "$root/proc/$pid" ] || fail 'the daemon is still there'
inside caisson up -- --accel tcg --pool-size 0 >/dev/null 2>&1 || fail 'a second caisson up'
inside caisson ls | grep -q 'running.*stays\|stays.*running' || fail "the container $id did not go on"
say 'down and up: the container went on'

if [ "$kind" = deb ]; then
  inside apt-get remove -q -y caisson >"$root/root/remove.log" 2>&1 || { cat "$root/root/remove.log" >&2; fail 'apt-get remove'; }
else
  inside caisson down --containers >/dev/null 2>&1 || fail 'caisson down --containers'
fi
# Processes of this namespace besides ours: whatever was started must be gone.
left=$(inside ps -eo pid,args --no-headers | grep -v 'ps -eo\|live.sh\|chroot\|env -i\|grep' || true)
[ -z "$left" ] || fail "processes are left:
$left"
say 'its end leaves no process'
