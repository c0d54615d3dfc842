#!/usr/bin/env bash
# One package in one Debian, in a mount namespace of the caller's: one.sh deb|npm|service TREE PACKAGE APT-CACHE MIRROR RELEASE NEXT NEXT-VERSION
# `service` is the Debian package under systemd. NEXT is a later version of the package.
set -euo pipefail
kind=$1 tree=$2 package=$3 cache=$4 uri=$5 release=$6 next=$7 next_version=$8
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=packaging/test/listing.sh
. "$here/listing.sh"
say() { printf '%s\n' "  $*" >&2; }
fail() { say "FAILED: $*"; exit 1; }

# The tree is only looked at; what is written goes to a directory beside it.
upper=$(mktemp -d "$(dirname "$tree")/changes.XXXXXX")
root=$upper/root
mkdir -p "$upper"/{upper,work,root} "$cache"
trap 'umount -R "$root" 2>/dev/null || true; rm -rf "$upper"' EXIT
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$upper/upper,workdir=$upper/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir -p "$root/run/lock"
mount --bind "$cache" "$root/var/cache/apt/archives"
mkdir -p "$root/var/cache/apt/archives/partial"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
printf 'deb %s %s main\n' "$uri" "$release" >"$root/etc/apt/sources.list"
apt-config dump Acquire | grep -i 'proxy\|CAInfo' >"$root/etc/apt/apt.conf.d/99of-this-machine" || true
printf 'APT::Install-Recommends "false";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\nAPT::Keep-Downloaded-Packages "true";\n' >"$root/etc/apt/apt.conf.d/98test"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -f "$root/etc/apt/apt.conf.d/docker-clean"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
# quietly WHAT COMMAND…: its output only if it fails
quietly() {
  local what=$1
  shift
  "$@" >"$upper/log" 2>&1 </dev/null || { tail -n 40 "$upper/log" >&2; fail "$what"; }
  say "$what"
}
depends() { dpkg-deb -f "$package" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,/ /g'; }
quietly 'apt-get update' inside apt-get update -q
name=$(basename "$package")
cp "$package" "$root/root/$name"
cp "$next" "$root/root/next.${next##*.}"
case $kind in
deb)
  # what it depends on first, so that what it leaves behind can be told from what they do
  # shellcheck disable=SC2046
  quietly 'its dependencies' inside apt-get install -q -y $(depends)
  listing "$root" >"$upper/before"
  quietly 'apt-get install ./caisson.deb' inside apt-get install -q -y "/root/$name"
  inside getent group caisson >/dev/null || fail 'no group caisson'
  inside test -s /usr/share/man/man8/caisson.8.gz || fail 'no man page'
  ;;
service)
  # shellcheck disable=SC2046
  quietly 'its dependencies, and systemd' inside apt-get install -q -y systemd systemd-sysv $(depends)
  rm "$root/usr/sbin/policy-rc.d"
  umount "$root/run" && umount -R "$root/dev" && umount "$root/sys" && umount "$root/proc"
  bash "$here/service.sh" "$root" "$package" "$next_version" || fail 'the service does not work there'
  exit 0
  ;;
npm)
  quietly "Debian's npm" inside apt-get install -q -y npm
  quietly 'npm install -g ./caisson.tgz' inside npm install --global --offline --no-audit --no-fund "/root/$name"
  if inside caisson up </dev/null >"$upper/log" 2>&1; then fail 'caisson up asks nobody'; fi
  wanted=$(sed -n 's/.*or apt-get install --no-install-recommends //p' "$upper/log")
  grep -q qemu-system-x86 <<<"$wanted" || { cat "$upper/log" >&2; fail 'caisson up does not name what is missing'; }
  # into apt's cache only: caisson up --yes installs it, without a network
  # shellcheck disable=SC2086
  quietly 'what it needs of Debian, fetched' inside apt-get install -q -y --download-only $wanted
  ;;
esac
inside caisson version | sed 's/^/  /' >&2

# From here on nothing of this machine's network is there; the group for what dpkg's scripts started is the daemon's own.
unshare --net --pid --fork --mount-proc="$root/proc" bash "$here/live.sh" "$kind" "$root" "$next_version" || fail 'the engine does not work there'

if [ "$kind" = deb ]; then
  [ -d "$root/var/lib/caisson" ] || fail 'removal has taken the data'
  quietly 'apt-get purge' inside apt-get purge -q -y caisson
  listing "$root" >"$upper/after"
  diff "$upper/before" "$upper/after" >&2 || fail 'something is left, or gone'
  inside getent group caisson >/dev/null && fail 'the group is left'
  [ -z "$(ls "$root/run/caisson" 2>/dev/null)" ] || fail 'something is left in /run'
  say 'nothing is left'
fi
