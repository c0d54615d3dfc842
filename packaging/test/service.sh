#!/usr/bin/env bash
# The Debian package under a real systemd, which is process 1 of namespaces of its own: service.sh ROOT PACKAGE NEXT-VERSION.
# Installed, used, its daemon killed, upgraded, the machine restarted; removed and purged, nothing is left.
set -euo pipefail
root=$1 package=$2 next_version=$3
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=packaging/test/listing.sh
. "$here/listing.sh"
systemd=''
say() { printf '%s\n' "  $*" >&2; }
fail() {
  say "FAILED: $*"
  [ -z "$systemd" ] || inside journalctl --no-pager -n 40 -u caisson.service -u caisson.socket >&2 || true
  exit 1
}
inside() {
  nsenter --target "$systemd" --mount --uts --ipc --net --pid --cgroup --root --wd \
    /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@" </dev/null
}
# quietly WHAT COMMAND…: its output only if it fails
quietly() {
  local what=$1
  shift
  "$@" >"$root.log" 2>&1 || { tail -n 40 "$root.log" >&2; fail "$what"; }
  say "$what"
}
# until_true WHAT COMMAND…: waits as long as systemd lives, 10 minutes at most
until_true() {
  local what=$1 until=$((SECONDS + 600))
  shift
  until "$@" >/dev/null 2>&1; do
    [ -d "/proc/$systemd" ] && [ "$SECONDS" -lt "$until" ] || fail "$what"
    sleep 0.5
  done
  say "$what"
}

# A group of its own in the unified hierarchy, of which it sees nothing but what is below.
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$hierarchy" ] || fail 'no cgroup2 is mounted here: systemd needs one'
group=$hierarchy/caisson-service-$$
mkdir "$group"
boot() {
  (
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --net --pid --uts --ipc --cgroup --mount --propagation private --fork --kill-child bash "$here/boot.sh" "$root"
  ) &
  unshared=$!
  systemd=''
  while [ -z "$systemd" ]; do
    kill -0 "$unshared" 2>/dev/null || fail 'systemd does not start'
    systemd=$(pgrep -P "$unshared" || true)
    sleep 0.1
  done
  until_true 'systemd is process 1' inside systemctl show --property Version
  inside systemctl is-system-running --wait >/dev/null 2>&1 || true # what of it does not fit into a namespace is not our matter
}
end() {
  [ -z "$systemd" ] || kill -KILL "$systemd" 2>/dev/null || true
  wait 2>/dev/null || true
  find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap end EXIT

property() { inside systemctl show --value --property "$1" "${2:-caisson.service}"; }
is_active() { [ "$(property ActiveState "${1:-caisson.service}")" = active ]; }
# When it started: of a container that goes on it stays what it was.
started() { inside caisson pod inspect stays | sed -n 's/.*"startedAt": "\(.*\)".*/\1/p' | head -n 1; }
goes_on() { [ -n "$since" ] && [ "$(started)" = "$since" ] || fail "$1: the container did not go on ($since, $(started))"; }

boot
listing "$root" >"$root.before"
quietly 'apt-get install ./caisson.deb, under systemd' inside apt-get install -q -y "/root/$(basename "$package")"
until_true 'the service runs' is_active
is_active caisson.socket || fail 'the socket is not active'
[ "$(inside systemctl is-enabled caisson.service caisson.socket | sort -u)" = enabled ] || fail 'not enabled for the next boot'
[ "$(inside stat -c '%U:%G %a' /run/caisson/caisson.sock)" = 'root:caisson 660' ] || fail 'whose is the socket?'
quietly 'caisson up' inside caisson up
inside caisson run --rm caisson/hello | grep -q 'virtual machine' || fail 'caisson/hello does not run'
say 'a container ran'
inside caisson run -d --name stays --restart always caisson/hello sleep 86400 >/dev/null

inside useradd --system tester
as_tester() { inside setpriv --reuid tester --regid tester "$@"; }
if as_tester --clear-groups caisson ls >/dev/null 2>&1; then fail 'whoever likes to may use it'; fi
inside usermod --append --groups caisson tester
as_tester --init-groups caisson ls | grep -q stays || fail 'the group caisson does not let in'
say 'its group lets in, and nothing else does'

since=$(started)
inside sed -i 's/^{/{ "debug": true,/' /etc/caisson/daemon.json
quietly 'systemctl reload' inside systemctl reload caisson.service
until_true 'it lives on' is_active
inside sed -i 's/^{/{ "web": "127.0.0.1:8090",/' /etc/caisson/daemon.json
quietly 'systemctl restart' inside systemctl restart caisson.service
goes_on 'restart'
inside curl -sf http://127.0.0.1:8090/ | grep -q '<title>' || fail 'the page is not served'
say 'the page is served'
pid=$(property MainPID)
inside kill -KILL "$pid"
until_true 'killed, it is started again' eval "[ \"\$(property MainPID)\" != $pid ] && is_active"
goes_on 'kill'
quietly 'systemctl stop of the service alone' inside systemctl stop caisson.service
inside caisson ls | grep -q stays || fail 'the socket does not start it'
goes_on 'stop'
say 'the socket starts it again'

quietly 'caisson upgrade FILE' inside caisson upgrade /root/next.deb
grep -q "→ $next_version (feedfacefeed); 1 container went on" "$root.log" || { cat "$root.log" >&2; fail 'caisson upgrade does not say what it did'; }
goes_on 'upgrade'

inside systemctl reboot >/dev/null 2>&1 || true
wait "$unshared" 2>/dev/null || true
say 'systemctl reboot'
boot
until_true 'after a restart of the machine the service runs' is_active
until_true 'and the container, by its restart policy' eval 'inside caisson pod inspect stays | grep -q "\"state\": \"Running\""'
[ "$(started)" != "$since" ] || fail 'of which boot is that container?'

quietly 'apt-get remove' inside apt-get remove -q -y caisson
[ -d "$root/var/lib/caisson" ] || fail 'removal has taken the data'
left=$(inside ps -eo args --no-headers | grep 'caisson\|qemu\|slirp4netns' | grep -v grep || true)
[ -z "$left" ] || fail "processes are left:
$left"
quietly 'apt-get purge' inside apt-get purge -q -y caisson
inside userdel tester
[ -z "$(inside systemctl list-units --all --plain --no-legend 'caisson*')" ] || fail 'a unit is left'
listing "$root" >"$root.after"
diff "$root.before" "$root.after" >&2 || fail 'something is left, or gone'
say 'nothing is left'
inside systemctl poweroff >/dev/null 2>&1 || true
wait "$unshared" 2>/dev/null || true
systemd=''
