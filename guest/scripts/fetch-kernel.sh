#!/bin/sh
# Fetches Debian's cloud kernel package and unpacks it, without installing anything: fetch-kernel.sh CACHE_DIR
# Leaves CACHE_DIR/kernel/{boot,lib} and CACHE_DIR/kernel.version. Does nothing when they are there.
set -eu
cache=$1
[ -f "$cache/kernel.version" ] && exit 0
mkdir -p "$cache"
package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | tail -1)
if [ -z "$package" ]; then
  echo "guest: apt knows no linux-image-cloud-amd64; run 'apt-get update' first" >&2
  exit 1
fi
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
sandbox=
[ "$(id -u)" = 0 ] && sandbox='-o APT::Sandbox::User=root'
# shellcheck disable=SC2086
(cd "$work" && apt-get -qq $sandbox download "$package") || {
  echo "guest: could not download $package; run 'apt-get update' or check the network" >&2
  exit 1
}
mkdir "$work/root"
dpkg-deb -x "$work"/linux-image-*.deb "$work/root"
rm -rf "$cache/kernel"
mv "$work/root" "$cache/kernel"
version=$(ls "$cache/kernel/lib/modules")
PATH=$PATH:/usr/sbin:/sbin depmod -b "$cache/kernel" "$version"
echo "$version" >"$cache/kernel.version.new"
mv "$cache/kernel.version.new" "$cache/kernel.version"
