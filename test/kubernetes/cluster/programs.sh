#!/usr/bin/env bash
# Prints the directory with the programs of the test cluster: Kubernetes' own are compiled from the Go modules that programs/go.mod pins
# (about eleven CPU minutes, once: they are kept by version and go.sum, for every clone), etcd and the network plugins are Debian's,
# unpacked. Nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"

version=$(sed -n 's/^[[:space:]]*k8s.io\/kubernetes v\([0-9.]*\).*/\1/p' "$here/programs/go.mod")
key=$(sha256sum <"$here/programs/go.sum" | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/caisson/kubernetes
dir=$cache/$version-$key
if [ -e "$dir/complete" ]; then
  printf '%s\n' "$dir"
  exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one compiles, the others wait for it
if ! [ -e "$dir/complete" ]; then
  command -v go >/dev/null || die 'Go is missing: the test cluster is compiled from source (golang-go 1.24 or newer)'
  part=$dir.part
  mkdir -p "$part"
  say "compiling Kubernetes $version ($part/go.log); this takes minutes, once"
  stamp=k8s.io/component-base/version
  # a copy, so that the work tree may change meanwhile
  mkdir -p "$part/source"
  cp "$here"/programs/go.* "$part/source"
  for program in kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
    [ -x "$part/$program" ] && continue
    (cd "$part/source" && CGO_ENABLED=0 nice -n 5 go build -p 2 -trimpath -buildvcs=false -o "$part/$program.new" \
      -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<"$version")" \
      "k8s.io/kubernetes/cmd/$program") >"$part/go.log" 2>&1 ||
      { tail -n 20 "$part/go.log" >&2; die "$program could not be compiled"; }
    mv "$part/$program.new" "$part/$program"
  done
  (cd "$part" && apt-get -q -o APT::Sandbox::User="$(id -un)" download etcd-server containernetworking-plugins) \
    >"$part/apt.log" 2>&1 || { tail -n 5 "$part/apt.log" >&2; die 'etcd or the network plugins could not be fetched'; }
  for package in "$part"/*.deb; do dpkg-deb -x "$package" "$part/debian"; done
  rm -f "$part"/*.deb
  touch "$part/complete"
  rm -rf "$dir"
  mv "$part" "$dir"
fi
printf '%s\n' "$dir"
