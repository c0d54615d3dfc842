#!/usr/bin/env bash
# programs.sh [network]: prints the directory with the programs of the test cluster, or with those of its network. They are compiled from the
# Go modules that programs/go.mod and network/go.mod pin (about eleven CPU minutes and three, once: they are kept by version and go.sum, for
# every clone); etcd and the network plugins are Debian's, unpacked. Nothing is installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"

module=programs what=Kubernetes name=''
programs=(k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kubectl})
if [ "${1:-}" = network ]; then
  module=network what='the network of Kubernetes' name=network-
  programs=(k8s.io/kubernetes/cmd/kube-proxy sigs.k8s.io/kube-network-policies/cmd)
fi
version=$(sed -n 's/^[[:space:]]*k8s.io\/kubernetes v\([0-9.]*\).*/\1/p' "$here/$module/go.mod")
key=$(sha256sum <"$here/$module/go.sum" | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/caisson/kubernetes
dir=$cache/$name$version-$key
if [ -e "$dir/complete" ]; then
  printf '%s\n' "$dir"
  exit 0
fi

debian_programs() {
  (cd "$1" && apt-get -q -o APT::Sandbox::User="$(id -un)" download etcd-server containernetworking-plugins) \
    >"$1/apt.log" 2>&1 || { tail -n 5 "$1/apt.log" >&2; die 'etcd or the network plugins could not be fetched'; }
  for package in "$1"/*.deb; do dpkg-deb -x "$package" "$1/debian"; done
  rm -f "$1"/*.deb
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one compiles, the others wait for it
if ! [ -e "$dir/complete" ]; then
  command -v go >/dev/null || die 'Go is missing: the test cluster is compiled from source (golang-go 1.24 or newer)'
  part=$dir.part
  mkdir -p "$part"
  say "compiling $what $version ($part/go.log); this takes minutes, once"
  stamp=k8s.io/component-base/version
  # a copy, so that the work tree may change meanwhile
  mkdir -p "$part/source"
  cp "$here/$module"/go.* "$part/source"
  for package in "${programs[@]}"; do
    program=${package##*/}
    [ "$program" != cmd ] || program=$(basename "$(dirname "$package")")
    [ -x "$part/$program" ] && continue
    (cd "$part/source" && CGO_ENABLED=0 nice -n 5 go build -p 2 -trimpath -buildvcs=false -o "$part/$program.new" \
      -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$(cut -d. -f2 <<<"$version")" \
      "$package") >"$part/go.log" 2>&1 ||
      { tail -n 20 "$part/go.log" >&2; die "$program could not be compiled"; }
    mv "$part/$program.new" "$part/$program"
  done
  [ $module = network ] || debian_programs "$part"
  touch "$part/complete"
  rm -rf "$dir"
  mv "$part" "$dir"
fi
printf '%s\n' "$dir"
